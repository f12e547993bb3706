/** `npm run demo`, `npm run sandbox`, and the container `demo` of docker-compose.yml. Exits 0 where the story held, 1 where it did not or nothing could be started, 2 on bad arguments, 130 where it was interrupted. */
import { readWords, statusOf, stopOnSignals, UsageError } from '@kubervisor/runtime/main/command';
import { Cleanup } from './cleanup.ts';
import { runCluster } from './cluster.ts';
import { amongContainers } from './containers.ts';
import { playDemo } from './demo.ts';
import { onThisMachine } from './stage.ts';
import { livePresenter, plainPresenter, silentPresenter } from './view/presenter.ts';
import { summaryOf } from './view/report.ts';

const HELP = `Usage: npm run demo -- [options]        a fleet that misbehaves, and what Kubervisor does about it
       npm run sandbox -- [options]     a cluster, NATS and Prometheus, for services started by hand
       docker compose up                the demo in containers; options of the demo: DEMO=--once docker compose up

Options of the demo:
  --once        tell the story once and end (so it is where there is no terminal); else it is told until Ctrl-C
  --keep        tell it once, then leave everything running until Ctrl-C, to play with kubectl
  --plain       lines instead of the live view
  --json        tell it once and print one JSON object; exit 0 only if the story held
Options of the sandbox:
  --kubeconfig FILE   where the kubeconfig is written (else into a temporary folder); removed at the end
Both:
  -h, --help    this text`;

const COMMANDS = ['demo', 'cluster', 'containers'] as const;
type Command = (typeof COMMANDS)[number];

interface Arguments {
  command: Command;
  once: boolean;
  keep: boolean;
  plain: boolean;
  json: boolean;
  help: boolean;
  kubeconfig: string | undefined;
}

function readArguments(words: string[]): Arguments {
  const flag = { type: 'boolean', default: false } as const;
  const options = {
    once: flag,
    keep: flag,
    plain: flag,
    json: flag,
    help: { ...flag, short: 'h' },
    kubeconfig: { type: 'string' },
  } as const;
  const { values, positionals } = readWords({ args: words, options, allowPositionals: true });
  const [command = 'demo', ...more] = positionals;
  if (more.length > 0 || !isCommand(command))
    throw new UsageError(`"${positionals.join(' ')}": the commands are demo, cluster and containers`);
  if (values.keep && (values.json || values.once))
    throw new UsageError('--keep leaves everything running: it does not go with --once or --json');
  if (command === 'cluster' && (values.once || values.keep || values.json || values.plain))
    throw new UsageError('--once, --keep, --plain and --json belong to the demo: npm run demo -- --once');
  if (command !== 'cluster' && values.kubeconfig !== undefined)
    throw new UsageError('--kubeconfig belongs to the sandbox: npm run sandbox -- --kubeconfig FILE');
  return { ...values, command, kubeconfig: values.kubeconfig };
}

const isCommand = (word: string): word is Command => (COMMANDS as readonly string[]).includes(word);

const cleanup = new Cleanup();
const stopping = stopOnSignals(['SIGINT', 'SIGTERM', 'SIGHUP']);

// A signal to npm alone ends npm and the shell between us, and never reaches us: without them nobody could end us.
const parent = process.ppid;
if (process.env['npm_lifecycle_event'] !== undefined)
  setInterval(() => {
    if (process.ppid !== parent) stopping.abort();
  }, 500).unref();

async function run(): Promise<number> {
  const args = readArguments(process.argv.slice(2));
  const { signal } = stopping;
  if (args.help) {
    process.stdout.write(`${HELP}\n`);
    return 0;
  }
  if (args.command === 'cluster') {
    const say = (line: string) => void process.stdout.write(`${line}\n`);
    await runCluster({ cleanup, signal, say, kubeconfigFile: args.kubeconfig });
    return 0;
  }
  const terminal = process.stdout;
  const live = terminal.isTTY && !args.plain && !args.json;
  const colored = process.env['NO_COLOR'] === undefined || process.env['NO_COLOR'] === '';
  const presenter = args.json ? silentPresenter : live ? livePresenter(terminal, colored) : plainPresenter(terminal);
  // Also where it ends in another way than it should: a terminal without a cursor is no good.
  process.once('exit', () => presenter.close());
  const isOnce = args.once || args.json || args.keep;
  const stage =
    args.command === 'containers'
      ? // Who takes a container away in the middle wants to see what comes of it, and how it is mended.
        ({ staging: amongContainers, repeat: isOnce ? 'no' : 'always' } as const)
      : ({ staging: onThisMachine, repeat: terminal.isTTY && !isOnce ? 'while it holds' : 'no' } as const);
  const report = await playDemo({ ...stage, presenter, cleanup, signal, keep: args.keep });
  if (args.json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  else presenter.say(['', ...summaryOf(report)].join('\n'));
  if (report.held) return 0;
  return signal.aborted ? 130 : 1;
}

process.exitCode = await statusOf(run, { help: HELP, signal: stopping.signal });
await cleanup.run();
// What is left open (a keep-alive socket) must not hold the process.
process.exit();
