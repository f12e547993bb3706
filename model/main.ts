/**
 * `npm run model`: runs the services as they are under random schedules, and looks from the outside whether the rules hold. Exits 1
 * where one was broken, after the command that replays it; 2 on bad arguments. With `--mutants` it is the other way round: each rule
 * that is taken out has to be missed.
 */
import { availableParallelism } from 'node:os';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { parseArgs } from 'node:util';
import { MUTANTS, mutate } from './mutants.ts';
import type { Failure, Share, Tally } from './run-many.ts';

const HELP = `Usage: npm run model -- [options]
       npm run model -- --mutants [options] [NAME...]

  --schedules N  how many random schedules (2000); with --mutants, at most so many for each
  --seed N       of the first; the next have the numbers after it (1)
  --jobs N       threads (as many as there are processors)
  --trace        one schedule alone, with all that happens in it
  --mutants      take one rule after the other out of the code; each has to be missed
  -h, --help     this text`;

/** Between two lines of progress, milliseconds. */
const PROGRESS_EVERY = 15_000;

interface Task {
  share: Share;
  /** Name of what is taken out. */
  mutant?: string;
}
/** From a thread: after each schedule, and at the end. */
type Report = { done: number; failure?: Failure } | { tally: Tally };

async function main(): Promise<void> {
  const options = {
    schedules: { type: 'string', default: '2000' },
    seed: { type: 'string', default: '1' },
    jobs: { type: 'string', default: String(availableParallelism()) },
    trace: { type: 'boolean', default: false },
    mutants: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  } as const;
  let values;
  let names: string[];
  try {
    ({ values, positionals: names } = parseArgs({ options, allowPositionals: true }));
    for (const name of ['schedules', 'seed', 'jobs'] as const)
      if (!/^[1-9]\d{0,8}$/.test(values[name]))
        throw new Error(`--${name}: ${JSON.stringify(values[name])} is not a number from 1 to 999999999`);
    if (names.length > 0 && !values.mutants) throw new Error(`${names[0]}: names are of mutants, after --mutants`);
    for (const name of names)
      if (!MUTANTS.some((one) => one.name === name))
        throw new Error(`${name} is not a mutant. There are: ${MUTANTS.map((one) => one.name).join(', ')}`);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${HELP}`);
    process.exit(2);
  }
  if (values.help) return console.log(HELP);
  const [schedules, seed, jobs] = [values.schedules, values.seed, values.jobs].map(Number) as [number, number, number];
  if (values.mutants) return runMutants(names, seed, schedules, jobs);
  const { add, describeFailure, NOTHING_YET } = await import('./run-many.ts');
  if (values.trace) {
    const { runSchedule } = await import('./schedule.ts');
    const { lines, violations } = await runSchedule(seed, { traced: true });
    console.log(lines.join('\n'));
    process.exitCode = violations.length > 0 ? 1 : 0;
    return;
  }

  const began = performance.now();
  const threads = Math.min(jobs, schedules);
  let done = 0;
  let toldAt = began;
  let failed = 0;
  const onReport = ({ failure }: { failure?: Failure }): void => {
    done += 1;
    if (failure !== undefined && (failed += 1) <= 20) console.log(describeFailure(failure));
    if (performance.now() - toldAt < PROGRESS_EVERY) return;
    toldAt = performance.now();
    const left = Math.round(((toldAt - began) / done) * (schedules - done) * 0.001);
    console.error(`model: ${done} of ${schedules} schedules, ${failed} failed, about ${left} s left`);
  };
  const shares = Array.from({ length: threads }, (_, index): Share => {
    return { first: seed + index, end: seed + schedules, step: threads };
  });
  const tallies = await Promise.all(shares.map((share) => inThread({ share }, onReport)));
  const { failures, counts, virtual, longestRepair } = tallies.reduce(add, NOTHING_YET);
  const seconds = (performance.now() - began) / 1000;
  const happened = Object.entries(counts).map(([name, count]) => `${name} ${count}`);
  console.log(
    `model: seeds ${seed} to ${seed + schedules - 1}, ${Math.round(virtual / 3.6e6)} virtual hours in ${Math.round(seconds)} s ` +
      `(${Math.round(schedules / seconds)} schedules a second); ${happened.join(', ')}; longest repair of a floor ${longestRepair / 1000} s`,
  );
  console.log(`${schedules - failures.length} schedules passed, ${failures.length} failed`);
  process.exitCode = failures.length > 0 ? 1 : 0;
}

async function runMutants(names: readonly string[], seed: number, atMost: number, jobs: number): Promise<void> {
  const waiting = MUTANTS.filter(({ name }) => names.length === 0 || names.includes(name));
  const all = waiting.length;
  let missed = 0;
  const work = async (): Promise<void> => {
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
      const began = performance.now();
      const share: Share = { first: seed, end: seed + atMost, step: 1 };
      const { schedules, failures } = await inThread({ share, mutant: mutant.name }, () => {});
      const seconds = Math.round((performance.now() - began) / 1000);
      const [found] = failures;
      if (found === undefined) missed += 1;
      console.log(
        found === undefined
          ? `${mutant.name}: NOT FOUND in ${schedules} schedules, ${seconds} s (${mutant.without})`
          : `${mutant.name}: found after ${schedules} schedules, ${seconds} s, by seed ${found.seed}: ${found.rule}: ${found.message.split('\n')[0]}`,
      );
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  console.log(`${all - missed} mutants found, ${missed} not found`);
  process.exitCode = missed > 0 ? 1 : 0;
}

const inThread = (task: Task, onReport: (report: { done: number; failure?: Failure }) => void): Promise<Tally> =>
  new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: task });
    worker.on('message', (report: Report) => ('tally' in report ? resolve(report.tally) : onReport(report)));
    worker.once('error', reject);
  });

async function work({ share, mutant: name }: Task): Promise<void> {
  const mutant = MUTANTS.find((one) => one.name === name);
  if (mutant !== undefined) mutate(mutant);
  const { runMany } = await import('./run-many.ts');
  const tell = (report: Report): void => parentPort?.postMessage(report);
  const tally = await runMany(
    share,
    (done, failure) => {
      tell({ done, ...(failure !== undefined && { failure }) });
      return mutant === undefined || failure === undefined;
    },
    mutant?.tolerated,
  );
  tell({ tally });
}

await (isMainThread ? main() : work(workerData as Task));
