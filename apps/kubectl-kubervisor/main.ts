/** kubectl kubervisor: the process around ./run.ts. */
import { run } from './run.ts';
import manifest from './package.json' with { type: 'json' };

const { stdout, stderr, env, argv, versions } = process;

/** For a request that does not end; what was begun needs no end. Milliseconds. */
const PATIENCE = 1000;
const stopping = new AbortController();
for (const [name, number] of [
  ['SIGINT', 2],
  ['SIGTERM', 15],
] as const)
  process.on(name, () => {
    if (stopping.signal.aborted) process.exit(128 + number);
    stopping.abort();
    setTimeout(() => process.exit(128 + number), PATIENCE).unref();
  });
// Nobody reads on (`kubectl kubervisor history cart | head`): the same as a Ctrl-C.
stdout.on('error', () => stopping.abort());

const isTerminal = stdout.isTTY === true;
run(argv.slice(2), {
  env,
  out: (text) => void stdout.write(text),
  err: (text) => void stderr.write(text),
  isTerminal,
  colored: isTerminal && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb',
  version: manifest.version,
  node: versions.node,
  signal: stopping.signal,
}).then(
  (status) => void (process.exitCode = status),
  (error: unknown) => {
    stderr.write(`Error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exitCode = 1;
  },
);
