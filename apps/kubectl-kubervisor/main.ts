/** kubectl kubervisor: the process around ./run.ts. */
import { run } from './run.ts';
import { stopOnSignals } from '@kubervisor/runtime/main/command';
import manifest from './package.json' with { type: 'json' };

const { stdout, stderr, env, argv, versions } = process;

/** For a request that does not end; what was begun needs no end. Milliseconds. */
const PATIENCE = 1000;
const stopping = stopOnSignals();
stopping.signal.addEventListener('abort', () => void setTimeout(() => process.exit(130), PATIENCE).unref());

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
