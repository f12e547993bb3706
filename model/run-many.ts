/** Many schedules in a row, and what they came to. */
import { COUNTED, type Counts } from './observer.ts';
import { runSchedule, type Outcome } from './schedule.ts';

export interface Tally {
  schedules: number;
  counts: Counts;
  /** Virtual milliseconds, all together; and the longest that a floor took to be held again in the calm. */
  virtual: number;
  longestRepair: number;
  failures: { seed: number; rule: string; at: number; message: string }[];
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

const tallied = ({ seed, counts, lasted, longestRepair, violations }: Outcome): Tally => ({
  schedules: 1,
  counts,
  virtual: lasted,
  longestRepair,
  failures: violations.slice(0, 1).map((violation) => ({ seed, ...violation })),
});

/** Seeds `first`, `first + step` … up to, but without, `end`. `goOn` is asked after each. */
export async function runMany(
  { first, end, step = 1 }: { first: number; end: number; step?: number },
  goOn: (soFar: Tally) => boolean = () => true,
): Promise<Tally> {
  let tally = NOTHING_YET;
  for (let seed = first; seed < end && goOn(tally); seed += step) tally = add(tally, tallied(await runSchedule(seed)));
  return tally;
}

export const describeFailure = ({ seed, rule, at, message }: Tally['failures'][number]): string =>
  `seed ${seed}, after ${(at / 1000).toFixed(3)} s: ${rule}: ${message}\n  replay: npm run model -- --seed ${seed} --trace`;
