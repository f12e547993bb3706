/** Many schedules in a row, and what they came to. */
import { COUNTED, type Counts, type Violation } from './observer.ts';
import { runSchedule, type Outcome } from './schedule.ts';

export interface Failure extends Violation {
  seed: number;
}
export interface Tally {
  schedules: number;
  counts: Counts;
  /** Virtual milliseconds, all together; and the longest that a floor took to be held again in the calm. */
  virtual: number;
  longestRepair: number;
  failures: Failure[];
}
/** Seeds `first`, `first + step` … up to, but without, `end`. */
export interface Share {
  first: number;
  end: number;
  step: number;
}

export const NOTHING_YET: Tally = {
  schedules: 0,
  counts: Object.fromEntries(COUNTED.map((name) => [name, 0])) as Counts,
  virtual: 0,
  longestRepair: 0,
  failures: [],
};

export const add = (one: Tally, other: Tally): Tally => ({
  schedules: one.schedules + other.schedules,
  counts: Object.fromEntries(COUNTED.map((name) => [name, one.counts[name] + other.counts[name]])) as Counts,
  virtual: one.virtual + other.virtual,
  longestRepair: Math.max(one.longestRepair, other.longestRepair),
  failures: [...one.failures, ...other.failures],
});

const tallied = ({ counts, lasted, longestRepair }: Outcome, failure: Failure | undefined): Tally => ({
  schedules: 1,
  counts,
  virtual: lasted,
  longestRepair,
  failures: failure === undefined ? [] : [failure],
});

/** `goOn` is asked after each schedule, of which it is told whether it failed. */
export async function runMany(
  { first, end, step }: Share,
  goOn: (schedules: number, failure: Failure | undefined) => boolean = () => true,
  tolerated: readonly string[] = [],
): Promise<Tally> {
  let tally = NOTHING_YET;
  for (let seed = first; seed < end; seed += step) {
    const outcome = await runSchedule(seed, { tolerated });
    const violation = outcome.violations.find(({ rule }) => !tolerated.includes(rule));
    const failure = violation && { seed, ...violation };
    tally = add(tally, tallied(outcome, failure));
    if (!goOn(tally.schedules, failure)) break;
  }
  return tally;
}

export const describeFailure = ({ seed, rule, at, message }: Failure): string =>
  `seed ${seed}, after ${(at / 1000).toFixed(3)} s: ${rule}: ${message}\n  replay: npm run model -- --seed ${seed} --trace`;
