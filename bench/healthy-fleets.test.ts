import { describe, expect, test } from '@jest/globals';
import { Random } from '@kubervisor/testing/random';
import { atMost, DISTRIBUTIONS, SETTINGS, wrongShare, type Setting } from './healthy-fleets.ts';

const setting = (name: string): Setting => {
  const found = SETTINGS.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no setting is called ${name}`);
  return found;
};
const shareOf = (one: Setting, draw: (random: Random) => number, pods: number, evaluations = 30_000): number => {
  const { wrong, judged } = wrongShare(one, draw, { pods, evaluations, seed: 7 });
  expect(judged).toBeGreaterThanOrEqual(evaluations);
  return wrong / judged;
};
const [normal, logNormal, heavy] = Object.values(DISTRIBUTIONS) as [
  (random: Random) => number,
  (random: Random) => number,
  (random: Random) => number,
];

describe('healthy fleets', () => {
  test.each([
    [normal, 0.5, 1],
    [normal, 0.9772, 1.2],
    [logNormal, 0.5, 1],
    [logNormal, 0.9772, Math.exp(0.5)],
    [heavy, 0.5, 2 ** (1 / 3)],
    [heavy, 0.99, 100 ** (1 / 3)],
  ])('are distributed as they say', (draw, share, expected) => {
    const random = new Random(3);
    const sorted = Float64Array.from({ length: 40_000 }, () => draw(random)).sort();
    expect((sorted[Math.floor(share * sorted.length)] ?? NaN) / expected).toBeCloseTo(1, 1);
  });

  test('one seed, one result', () => {
    const run = (seed: number) =>
      wrongShare(setting('the defaults: mad, 3.5, 10 %'), normal, { pods: 5, evaluations: 5000, seed });
    expect(run(1)).toEqual(run(1));
    expect(run(1)).not.toEqual(run(2));
  });

  // The share of a normal distribution beyond 3.5 modified z-scores is 0.023 %; of three values the MAD is often tiny.
  test('the defaults are often wrong about three pods, and seldom about 500', () => {
    const defaults = setting('the defaults: mad, 3.5, 10 %');
    expect(shareOf(defaults, normal, 3)).toBeGreaterThan(0.02);
    expect(shareOf(defaults, normal, 500)).toBeLessThan(0.001);
  });

  test.each([3, 20, 500])('of %d pods the careful setting is wrong in less than 1 of 10,000', (pods) => {
    for (const draw of [normal, logNormal, heavy]) {
      expect(shareOf(setting('mad, 6, 200 %, confirm 3 of 3'), draw, pods)).toBeLessThan(1e-4);
    }
  });

  test('confirm helps as far as evaluations see different things', () => {
    const apart = setting('the defaults, confirm 5 of 5');
    expect(shareOf(apart, logNormal, 10)).toBeLessThan(1e-4);
    expect(shareOf({ ...apart, overlap: 11 / 12 }, logNormal, 10)).toBeGreaterThan(1e-3);
  });

  test('what was measured 0 times may still be', () => {
    expect(atMost({ pods: 3, judged: 300_000, wrong: 0 })).toBe(1e-5);
    expect(atMost({ pods: 3, judged: 300_000, wrong: 16 })).toBe(27 / 300_000);
  });
});
