/** A command for command.test.ts. `--hang`: it does not end by itself, nor when it is stopped. */
import { readWords, statusOf, stopOnSignals, UsageError } from './command.ts';

const stopping = stopOnSignals();

async function run(): Promise<number> {
  const { values } = readWords({
    options: { wait: { type: 'boolean' }, hang: { type: 'boolean' }, fail: { type: 'string' } },
  });
  if (values.fail === '') throw new UsageError('--fail "": must be a text');
  if (values.fail !== undefined) throw new Error(values.fail);
  const alive = setInterval(() => undefined, 1000);
  process.stdout.write('up\n');
  stopping.signal.addEventListener('abort', () => process.stdout.write('stopping\n'));
  if (values.hang) await new Promise(() => undefined);
  if (values.wait && !stopping.signal.aborted) {
    await new Promise((resolve) => stopping.signal.addEventListener('abort', resolve));
    clearInterval(alive);
    stopping.signal.throwIfAborted();
  }
  clearInterval(alive);
  return 0;
}

process.exit(await statusOf(run, { help: 'the help', signal: stopping.signal }));
