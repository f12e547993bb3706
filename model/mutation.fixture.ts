/** For tests that take a rule away and expect the model to notice. */
import type { runSchedule } from './schedule.ts';

const AT_MOST = 1000;

/**
 * The first overlap of two rounds, in words; undefined where none was found. That a write started too late is what was taken away,
 * so it is not what is looked for. `from`: a seed not far from one that shows it, to save time.
 */
export async function firstOverlap(run: typeof runSchedule, from = 1): Promise<string | undefined> {
  for (let seed = from; seed < from + AT_MOST; seed++) {
    const { violations } = await run(seed, { tolerated: ['W3 late'] });
    const overlap = violations.find(({ rule }) => rule === 'W3 overlap');
    if (overlap !== undefined) return `seed ${seed}: ${overlap.message}`;
  }
  return undefined;
}
