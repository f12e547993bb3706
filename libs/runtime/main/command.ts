/** What commands for people have in common: how they refuse what was asked, how a signal stops them, and how they end. Only here and in main.ts files is `process` touched. */
import { parseArgs, type ParseArgsConfig } from 'node:util';

/** What was asked for cannot be. */
export class UsageError extends Error {}

/** `parseArgs`, which takes what it cannot read for a bug. */
export function readWords<const T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

export interface Ending {
  /** Shown where the words were wrong. */
  help: string;
  /** Of a command whose failure is for those who work on it: what it could not do, before all that is known. */
  couldNot?: string;
  /** Where it ended, what failed is of no matter. */
  signal?: AbortSignal;
}

/** The exit status: that of `run`, 1 where it failed, 2 where the words were wrong, 130 where it was stopped. */
export async function statusOf(run: () => Promise<number>, { help, couldNot, signal }: Ending): Promise<number> {
  try {
    return await run();
  } catch (error) {
    if (signal?.aborted) return 130;
    const { message, stack } = error as Error;
    const isUsage = error instanceof UsageError;
    const failed = couldNot === undefined ? message : `could not ${couldNot}: ${stack ?? String(error)}`;
    process.stderr.write(isUsage ? `${message}\n\n${help}\n` : `${failed}\n`);
    return isUsage ? 2 : 1;
  }
}

/** npm hands on a Ctrl-C that the terminal sent us as well. */
const ECHO_MILLISECONDS = 1000;

/** Ends at the first signal, and where nobody reads on (`… | head`). A second one in earnest ends the process at once. */
export function stopOnSignals(
  names: readonly ('SIGINT' | 'SIGTERM' | 'SIGHUP')[] = ['SIGINT', 'SIGTERM'],
): AbortController {
  const stopping = new AbortController();
  let stoppedAt: number | undefined;
  for (const name of names) {
    process.on(name, (_name: NodeJS.Signals, number: number) => {
      if (stoppedAt !== undefined && performance.now() - stoppedAt > ECHO_MILLISECONDS) process.exit(128 + number);
      stoppedAt ??= performance.now();
      stopping.abort();
    });
  }
  process.stdout.on('error', () => stopping.abort());
  return stopping;
}
