/** `npm run soak`. Exits 0 where all held, 1 where something did not or it could not be run, 2 on bad arguments, 130 after Ctrl-C. */
import { readWords, statusOf, stopOnSignals, UsageError } from '@kubervisor/runtime/main/command';
import { aligned, shown } from '../bench/figures.ts';
import { checkRows, holds, trendRows } from './judgement.ts';
import { hasProc } from './proc.ts';
import { soak, type SoakOptions, type SoakReport } from './soak.ts';

const HELP = `Usage: npm run soak -- [options]

Holds many Services with the four services as processes (two of each) while pods go bad and heal, are deleted and rolled out, and
resources are made anew; and judges: memory, sockets and listeners do not rise, no breaker misses a period, no error is logged.

  --minutes N   how long, after all is up (30); the first third is warm-up
  --services N  Services, each with a KubervisorService (200)
  --pods N      of each (25)
  --period N    evaluation period, seconds (5)
  --seed N      of what happens to the pods (1)
  --json        one JSON object on stdout in place of the tables
  -h, --help    this text

It counts on a real API server: TEST_KUBECONFIG (a cluster with nodes that run pods, or seem to) or KUBEBUILDER_ASSETS (a folder
with etcd and kube-apiserver). Without either it runs on the simulator. It reads /proc: Linux.`;

const LIMITS = {
  minutes: { least: 0.5, most: 10_080, preset: 30 },
  services: { least: 1, most: 1000, preset: 200 },
  pods: { least: 1, most: 5000, preset: 25 },
  period: { least: 1, most: 3600, preset: 5 },
  seed: { least: 1, most: 2 ** 32 - 1, preset: 1 },
} as const satisfies Record<keyof SoakOptions, object>;
const NAMES = Object.keys(LIMITS) as (keyof SoakOptions)[];

function readArguments(words: string[]): SoakOptions & { json: boolean; help: boolean } {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  const { values } = readWords({
    args: words,
    options: {
      minutes: text,
      services: text,
      pods: text,
      period: text,
      seed: text,
      json: flag,
      help: { ...flag, short: 'h' },
    },
  });
  const numbers = NAMES.map((name) => {
    const { least, most, preset } = LIMITS[name];
    const value = Number(values[name] ?? preset);
    const whole = name === 'minutes' || name === 'period' || Number.isInteger(value);
    if (!(value >= least && value <= most && whole))
      throw new UsageError(`--${name} ${values[name]}: must be a number from ${least} to ${most}`);
    return [name, value];
  });
  return { ...(Object.fromEntries(numbers) as unknown as SoakOptions), json: values.json, help: values.help };
}

const say = (line: string): void => void process.stderr.write(`${line}\n`);
const out = (line: string): void => void process.stdout.write(`${line}\n`);

/** Lines of one kind are as good as ten of them. */
const DETAILS = 10;

function tell({ checks, trends, figures, warnings, ok }: SoakReport): void {
  out(aligned(trendRows(trends)));
  out(`\n${aligned(checkRows(checks))}`);
  for (const { what, details = [] } of checks.filter((check) => !holds(check))) {
    out(`\n${what}:`);
    for (const line of details.slice(0, DETAILS)) out(`  ${line}`);
    if (details.length > DETAILS) out(`  … and ${details.length - DETAILS} more`);
  }
  out(`\n${aligned(Object.entries(figures).map(([what, value]) => [what, shown(value)]))}`);
  const warned = Object.entries(warnings).sort(([, one], [, other]) => other - one);
  if (warned.length > 0)
    out(`\nwarnings in the logs\n${aligned(warned.map(([what, count]) => [`  ${count} ×`, what]))}`);
  const failed = [
    ...trends.filter((trend) => !trend.ok).map(({ subject, figure }) => `${subject}: ${figure}`),
    ...checks.filter((check) => !holds(check)).map(({ what }) => what),
  ];
  out(`\n${ok ? 'The soak held.' : `The soak did not hold: ${failed.join('; ')}.`}`);
}

// What we started ends with us either way; a cluster that was given keeps what was made in it where nothing waits for that.
const stopping = stopOnSignals();
stopping.signal.addEventListener('abort', () => say('stopping, and ending what was started (Ctrl-C again: at once)'));

async function run(): Promise<number> {
  const { json, help, ...options } = readArguments(process.argv.slice(2));
  if (help) {
    out(HELP);
    return 0;
  }
  if (!hasProc()) throw new Error('there is no /proc here, which tells of memory and sockets: run it on Linux');
  const report = await soak(options, {
    progress: (line) => say(`${(performance.now() / 1000).toFixed(0).padStart(5)} s  ${line}`),
    signal: stopping.signal,
  });
  if (json) out(JSON.stringify(report, undefined, 2));
  else tell(report);
  if (report.apiServer === 'sandbox')
    say('on the simulator: no real API server was at hand (see --help), so this does not count');
  return report.ok ? 0 : 1;
}

// What a failure left open ends with us.
process.exit(await statusOf(run, { help: HELP, couldNot: 'soak', signal: stopping.signal }));
