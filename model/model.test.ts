/**
 * The rules under random schedules (design §5). As many as fit into a minute; CI runs 20,000 by `npm run model`. A failure names the
 * seed and the command that replays it.
 */
import { expect, test } from '@jest/globals';
import { describeFailure, runMany } from './run-many.ts';
import { runSchedule } from './schedule.ts';

const SCHEDULES = 2000;
const AT_MOST = 45_000;

test('B2, B5, A4, A5, A6, A7, W3, W4, W7, W8 hold in every random schedule of faults', async () => {
  const began = performance.now();
  const { failures, counts, schedules } = await runMany(
    { first: 1, end: 1 + SCHEDULES, step: 1 },
    (_, failure) => failure === undefined && performance.now() - began < AT_MOST,
  );
  if (failures.length > 0) throw new Error(failures.map(describeFailure).join('\n'));
  // What never happens shows nothing.
  expect(schedules).toBeGreaterThan(20);
  for (const happened of ['breaks', 'returns', 'kills', 'refusedClaims'] as const)
    expect(counts[happened]).toBeGreaterThan(schedules / 100);
}, 90_000);

test('the same seed gives the same schedule', async () => {
  const [one, other] = [await runSchedule(7, { traced: true }), await runSchedule(7, { traced: true })];
  // The leader names its rounds by a number that is random for real.
  const nameless = ({ lines }: typeof one) => lines.map((line) => line.replaceAll(/[0-9a-f]{12}/g, 'leader'));
  expect(one.lines.length).toBeGreaterThan(50);
  expect(nameless(other)).toEqual(nameless(one));
});
