/** `npm run bench`. Exits 0 where it measured, 1 where it could not or, with `--strict`, where a figure is over; 2 on bad arguments. */
import { readWords, statusOf, UsageError } from '@kubervisor/runtime/main/command';
import { adoption } from './adoption.ts';
import { atRest } from './at-rest.ts';
import { detector } from './detector.ts';
import { judge, judged, tableOf, type Figure, type Report } from './figures.ts';
import { large } from './large.ts';
import { latency } from './latency.ts';
import { massBreak } from './mass-break.ts';
import { memory } from './memory.ts';
import { startStage, type Stage } from './stage.ts';

const ON_A_CLUSTER: Readonly<Record<string, (stage: Stage) => Promise<Figure[]>>> = {
  latency,
  adoption,
  'mass-break': massBreak,
  'at-rest': atRest,
  memory,
  large,
};
/** These need no Kubernetes. */
const ALONE: Readonly<Record<string, (stage: Pick<Stage, 'quick' | 'progress'>) => Promise<Figure[]>>> = { detector };
const NAMES = [...Object.keys(ALONE), ...Object.keys(ON_A_CLUSTER)];
/** Five thousand pods take minutes to come and to go. */
const USUAL = NAMES.filter((name) => name !== 'large');
const SAMPLES = 100;
const QUICK_SAMPLES = 20;

const HELP = `Usage: npm run bench -- [options] [benchmark …]

Benchmarks (all but large, unless some are named):
  detector     1000 evaluations a second for fleets of 50, and fleets of 5000: answers, and how long its event loop stands still
  latency      from a verdict to the label "no": fleets of 5, 25, 100 and 1000; the bound: one LIST and one PATCH
  adoption     1000 pods that nobody knew; the bound: as many bare PATCHes, 32 at a time
  mass-break   500 of 1000 pods; the bound: as many bare PATCHes, 32 at a time
  at-rest      requests to the API server while ten Services are well: the lease, and nothing else
  memory       of each service, at rest and with fleets of 1000 and 5000; the bound: an idle Node
  large        one fleet of 5000 pods of 6 kB: adoption, half of it broken at once, its return, memory

Every bound is measured in the same run: compare ratios, not times. They count on a real API server: TEST_KUBECONFIG (a
cluster with nodes that run pods, or seem to) or KUBEBUILDER_ASSETS (a folder with etcd and kube-apiserver). Without either
it runs on the simulator.

  --samples N  of the latency, for each fleet (${SAMPLES})
  --quick      smaller fleets and shorter waits: to see that it runs
  --json       one JSON object on stdout in place of the tables
  --strict     exit 1 if a figure is over its target
  -h, --help   this text`;

function readArguments(words: string[]) {
  const flag = { type: 'boolean', default: false } as const;
  const options = {
    samples: { type: 'string' },
    quick: flag,
    json: flag,
    strict: flag,
    help: { ...flag, short: 'h' },
  } as const;
  const { values, positionals } = readWords({ args: words, options, allowPositionals: true });
  const samples = Number(values.samples ?? (values.quick ? QUICK_SAMPLES : SAMPLES));
  if (!Number.isInteger(samples) || samples < 1 || samples > 10_000)
    throw new UsageError(`--samples ${values.samples}: must be an integer from 1 to 10000`);
  const unknown = positionals.filter((name) => !NAMES.includes(name));
  if (unknown.length > 0) throw new UsageError(`"${unknown.join(' ')}": the benchmarks are ${NAMES.join(', ')}`);
  return { ...values, samples, benches: positionals.length > 0 ? positionals : USUAL };
}

const say = (line: string): void => void process.stderr.write(`${line}\n`);

async function run(): Promise<number> {
  const args = readArguments(process.argv.slice(2));
  if (args.help) {
    process.stdout.write(`${HELP}\n`);
    return 0;
  }
  let bench = 'start';
  const options = {
    samples: args.samples,
    quick: args.quick,
    progress: (line: string) => say(`${(performance.now() / 1000).toFixed(0).padStart(4)} s  ${bench}: ${line}`),
  };
  const onCluster = args.benches.some((name) => Object.hasOwn(ON_A_CLUSTER, name));
  const stage = onCluster ? await startStage(options) : undefined;
  // A second Ctrl-C ends us without waiting; what we started ends with us either way.
  process.once('SIGINT', () => void Promise.resolve(stage?.stop()).finally(() => process.exit(130)));
  const simulated = stage?.cluster.kind === 'sandbox';
  if (simulated) say('on the simulator: no real API server is at hand (see --help), so these figures do not count');
  const reports: Report[] = [];
  try {
    for (bench of args.benches) {
      const alone = ALONE[bench]?.(options);
      const figures = await (alone ?? (stage === undefined ? undefined : ON_A_CLUSTER[bench]?.(stage)));
      if (figures === undefined) continue;
      const report = { bench, figures };
      reports.push(report);
      if (!args.json) process.stdout.write(`${tableOf(report)}\n\n`);
    }
  } finally {
    await stage?.stop();
  }
  if (args.json) {
    const benches = Object.fromEntries(reports.map(({ bench: name, figures }) => [name, judged(figures)]));
    process.stdout.write(`${JSON.stringify({ apiServer: stage?.cluster.kind, benches }, undefined, 2)}\n`);
  } else if (simulated) say('on the simulator: these figures do not count');
  const isOver = reports.some(({ figures }) => figures.some((figure) => judge(figure) === 'over'));
  return args.strict && isOver ? 1 : 0;
}

// What a failed benchmark left open (watches, services) ends with us.
process.exit(await statusOf(run, { help: HELP, couldNot: 'measure' }));
