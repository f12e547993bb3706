/**
 * `npm run model`: runs the services as they are under random schedules, and looks from the outside whether the rules hold. Exits 1
 * where one was broken, after the command that replays it; 2 on bad arguments.
 */
import { availableParallelism } from 'node:os';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { parseArgs } from 'node:util';
import { add, describeFailure, NOTHING_YET, runMany, type Tally } from './run-many.ts';
import { runSchedule } from './schedule.ts';

const HELP = `Usage: npm run model -- [options]

  --schedules N  how many random schedules (2000)
  --seed N       of the first; the next have the numbers after it (1)
  --jobs N       threads (as many as there are processors)
  --trace        one schedule alone, with all that happens in it
  -h, --help     this text`;

interface Share {
  first: number;
  end: number;
  step: number;
}

async function main(): Promise<void> {
  const options = {
    schedules: { type: 'string', default: '2000' },
    seed: { type: 'string', default: '1' },
    jobs: { type: 'string', default: String(availableParallelism()) },
    trace: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  } as const;
  let values;
  try {
    ({ values } = parseArgs({ options }));
    for (const name of ['schedules', 'seed', 'jobs'] as const)
      if (!/^[1-9]\d{0,8}$/.test(values[name]))
        throw new Error(`--${name}: ${JSON.stringify(values[name])} is not a number from 1 to 999999999`);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${HELP}`);
    process.exit(2);
  }
  if (values.help) return console.log(HELP);
  const [schedules, seed, jobs] = [values.schedules, values.seed, values.jobs].map(Number) as [number, number, number];
  if (values.trace) {
    const { lines, violations } = await runSchedule(seed, { traced: true });
    console.log(lines.join('\n'));
    process.exitCode = violations.length > 0 ? 1 : 0;
    return;
  }

  const began = performance.now();
  const shares = Array.from({ length: Math.min(jobs, schedules) }, (_, index): Share => {
    return { first: seed + index, end: seed + schedules, step: Math.min(jobs, schedules) };
  });
  const { failures, counts, virtual, longestRepair } = (await Promise.all(shares.map(inThread))).reduce(
    add,
    NOTHING_YET,
  );
  const seconds = (performance.now() - began) / 1000;
  failures.sort((one, other) => one.seed - other.seed);
  for (const failure of failures.slice(0, 20)) console.log(describeFailure(failure));
  const happened = Object.entries(counts).map(([name, count]) => `${name} ${count}`);
  console.log(
    `model: seeds ${seed} to ${seed + schedules - 1}, ${Math.round(virtual / 3.6e6)} virtual hours in ${Math.round(seconds)} s ` +
      `(${Math.round(schedules / seconds)} schedules a second); ${happened.join(', ')}; longest repair of a floor ${longestRepair / 1000} s`,
  );
  console.log(`${schedules - failures.length} schedules passed, ${failures.length} failed`);
  process.exitCode = failures.length > 0 ? 1 : 0;
}

const inThread = (share: Share): Promise<Tally> =>
  new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: share });
    worker.once('message', resolve);
    worker.once('error', reject);
  });

if (isMainThread) await main();
else parentPort?.postMessage(await runMany(workerData as Share));
