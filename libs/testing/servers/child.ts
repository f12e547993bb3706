/**
 * A server as a child process in a folder of its own. Neither outlives the test: `stop()` ends both, and where the test process
 * dies without it, even of SIGKILL, a guard does. The guard is a shell that reads a pipe from us; when we are gone the pipe
 * ends. (Exit hooks do not run at a SIGKILL, nor at the end of a Jest worker; parent-death signals are Linux alone.)
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface ChildOptions {
  command: string;
  args: string[];
  /** Looked for in the lines it writes to stdout and stderr; ready when each was seen. */
  ready: RegExp[];
  timeoutMilliseconds?: number;
  /** In place of this process's environment. */
  env?: NodeJS.ProcessEnv;
  /** Every line of stdout and stderr. */
  onLine?: (line: string) => void;
}

export interface Child {
  pid: number;
  /** What `ready` matched, in its order. */
  matches: RegExpMatchArray[];
  /** Resolves when the process is gone. */
  exited: Promise<void>;
  /** Ends it, by SIGTERM unless told otherwise, and waits; a server that does not obey in 5 s is killed. */
  end(signal?: NodeJS.Signals): Promise<void>;
  /** SIGSTOP; when it returns, nothing moves in it any more. */
  freeze(): void;
  thaw(): void;
}

/** A second where nobody else wants the processors; four suites that begin together start some forty processes at once. */
const START_LIMIT = 60_000;
const END_LIMIT = 5000;

export const makeFolder = (name: string): string => mkdtempSync(join(tmpdir(), `kubervisor-${name}-`));
export const removeFolder = (folder: string): void => rmSync(folder, { recursive: true, force: true, maxRetries: 3 });

/** Ends `pid` and removes the folder if this process dies first. `release` calls it off. */
function guard(pid: number | undefined, folder: string): { release(): void } {
  const script = `cat >/dev/null; ${pid === undefined ? '' : `kill -9 ${pid} 2>/dev/null;`} sleep 0.1; rm -rf -- "$0"`;
  // Of a group of its own: Ctrl+C in a terminal reaches the test, but must not reach the guard.
  const shell = spawn('sh', ['-c', script, folder], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
  shell.unref();
  (shell.stdin as unknown as { unref(): void }).unref();
  shell.stdin?.on('error', () => undefined);
  return {
    release() {
      if (shell.pid !== undefined && shell.exitCode === null) shell.kill('SIGKILL');
    },
  };
}

/** Keeps a folder from outliving this process, for as long as no server runs in it. */
export const guardFolder = (folder: string): { release(): void } => guard(undefined, folder);

export async function startChild(options: ChildOptions, folder: string): Promise<Child> {
  const { command, args } = options;
  const child = spawn(command, args, {
    // Of a group of its own: Ctrl+C in a terminal reaches us, who end it in order; a service must not see its bus go first.
    detached: true,
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(options.env !== undefined && { env: options.env }),
  });
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  const guarded = guard(child.pid, folder);
  void exited.then(() => guarded.release());
  try {
    const matches = await seen(child, options);
    return {
      pid: child.pid as number,
      matches,
      exited,
      freeze() {
        child.kill('SIGSTOP');
        awaitStop(child.pid as number);
      },
      thaw: () => void child.kill('SIGCONT'),
      async end(signal = 'SIGTERM') {
        if (child.exitCode === null && child.signalCode === null) {
          child.kill(signal);
          // A process that was frozen sees the signal when it is thawed.
          child.kill('SIGCONT');
          const limit = setTimeout(() => child.kill('SIGKILL'), END_LIMIT);
          await exited;
          clearTimeout(limit);
        }
        await exited;
      },
    };
  } catch (error) {
    child.kill('SIGKILL');
    await exited;
    throw error;
  }
}

/** A stop reaches the threads of a process one by one, and a server may answer meanwhile. Known on Linux alone. */
function awaitStop(pid: number): void {
  const folder = `/proc/${pid}/task`;
  if (!existsSync(folder)) return;
  const isStopped = (thread: string): boolean => {
    try {
      return /\) [TtZX] /.test(readFileSync(join(folder, thread, 'stat'), 'utf8'));
    } catch {
      return true;
    }
  };
  for (const limit = performance.now() + 1000; performance.now() < limit;)
    if (readdirSync(folder).every(isStopped)) return;
}

function seen(
  child: ChildProcess,
  { ready, command, onLine, timeoutMilliseconds: limit = START_LIMIT }: ChildOptions,
): Promise<RegExpMatchArray[]> {
  return new Promise((resolve, reject) => {
    const last: string[] = [];
    const matches: (RegExpMatchArray | undefined)[] = ready.map(() => undefined);
    const fail = (why: string): void => {
      clearTimeout(timer);
      reject(new Error([`${command} ${why}`, ...last].join('\n  ')));
    };
    const timer = setTimeout(() => fail(`was not ready in ${limit} ms; its last lines:`), limit);
    child.once('error', (error) => fail(`could not be started: ${error.message}`));
    // Later than `exit`: when its last lines were read too.
    child.once('close', (code, signal) => fail(`ended early (${code ?? signal}); its last lines:`));
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue;
      // Read to the end, so that the pipe never fills up.
      createInterface({ input: stream }).on('line', (line) => {
        onLine?.(line);
        last.push(line);
        if (last.length > 20) last.shift();
        for (const [index, pattern] of ready.entries()) matches[index] ??= line.match(pattern) ?? undefined;
        if (!matches.every((match) => match !== undefined)) return;
        clearTimeout(timer);
        resolve(matches);
      });
    }
  });
}
