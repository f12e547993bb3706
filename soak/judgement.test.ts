import { describe, expect, test } from '@jest/globals';
import { Random } from '@kubervisor/testing/random';
import { holds, judgeTrend, RISES, type Rising } from './judgement.ts';
import type { Point } from './trend.ts';

/** Half an hour, of which the first third is warm-up; as often as the soak looks. */
const measured = (valueAt: (minute: number) => number, everySeconds = 5): Point[] =>
  Array.from({ length: (30 * 60) / everySeconds }, (_, index) => (index * everySeconds) / 60)
    .filter((minute) => minute >= 10)
    .map((minute) => ({ at: minute * 60_000, value: valueAt(minute) }));
const judge = (figure: Rising, points: readonly Point[]): boolean => judgeTrend({ subject: 'one', figure, points }).ok;

/** As resident memory looks: teeth of the collector, noise, and now and then a page that comes and goes. */
const resident = (seed: number): ((minute: number) => number) => {
  const random = new Random(seed);
  return (minute) =>
    150 + 25 * ((minute % 1.3) / 1.3) + random.between(-5, 5) + (random.chance(0.05) ? random.between(0, 60) : 0);
};
const alive = (seed: number): ((minute: number) => number) => {
  const random = new Random(seed);
  return () => 45 + random.between(-0.8, 0.8);
};
const SEEDS = Array.from({ length: 20 }, (_, index) => index + 1);

describe('memory', () => {
  test.each(SEEDS)('noise is flat (%i)', (seed) => {
    expect(judge('resident', measured(resident(seed)))).toBe(true);
    expect(judge('live heap', measured(alive(seed), 20))).toBe(true);
  });

  test.each(SEEDS)('a leak of a megabyte a minute is found in the noise (%i)', (seed) => {
    const [of, live] = [resident(seed), alive(seed)];
    expect(
      judge(
        'resident',
        measured((minute) => of(minute) + minute),
      ),
    ).toBe(false);
    expect(
      judge(
        'live heap',
        measured((minute) => live(minute) + minute, 20),
      ),
    ).toBe(false);
  });

  test.each(SEEDS)('the live heap shows one of a quarter of a megabyte a minute (%i)', (seed) => {
    const live = alive(seed);
    expect(
      judge(
        'live heap',
        measured((minute) => live(minute) + minute / 4, 20),
      ),
    ).toBe(false);
  });

  test('a leak that begins half-way is found', () => {
    const live = alive(1);
    expect(
      judge(
        'live heap',
        measured((minute) => live(minute) + Math.max(0, minute - 20), 20),
      ),
    ).toBe(false);
  });

  test('what fills up to its bound during the warm-up is no leak', () => {
    const live = alive(1);
    const filling = (minute: number): number => live(minute) + 10 * (1 - Math.exp(-minute / 2.5));
    expect(judge('live heap', measured(filling, 20))).toBe(true);
  });
});

describe('sockets and listeners', () => {
  test('one that is lost every five minutes is found, one more at a busy moment is not', () => {
    const busy = (minute: number): number => 12 + (minute % 7 < 1 ? 3 : 0);
    expect(
      judge(
        'sockets',
        measured((minute) => busy(minute)),
      ),
    ).toBe(true);
    expect(
      judge(
        'sockets',
        measured((minute) => busy(minute) + Math.floor(minute / 5)),
      ),
    ).toBe(false);
    expect(
      judge(
        'consumers',
        measured((minute) => 6 + Math.floor(minute / 5)),
      ),
    ).toBe(false);
  });
});

test('what was not measured does not pass', () => {
  for (const figure of Object.keys(RISES) as Rising[]) {
    expect(judge(figure, [])).toBe(false);
    expect(
      judge(
        figure,
        measured(() => Number.NaN),
      ),
    ).toBe(false);
  }
});

test('a count holds within its limits, they included', () => {
  expect(holds({ what: 'errors', value: 0, atMost: 0 })).toBe(true);
  expect(holds({ what: 'errors', value: 1, atMost: 0 })).toBe(false);
  expect(holds({ what: 'breaks', value: 1, atLeast: 1 })).toBe(true);
  expect(holds({ what: 'breaks', value: 0, atLeast: 1 })).toBe(false);
  expect(holds({ what: 'anything', value: Number.NaN, atMost: 1 })).toBe(false);
});
