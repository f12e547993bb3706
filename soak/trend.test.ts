import { describe, expect, test } from '@jest/globals';
import { Random } from '@kubervisor/testing/random';
import { isFlat, trendOf, type Point } from './trend.ts';

const MINUTE = 60_000;
const series = (minutes: number, everySeconds: number, valueAt: (minute: number) => number): Point[] =>
  Array.from({ length: (minutes * 60) / everySeconds }, (_, index) => {
    const minute = (index * everySeconds) / 60;
    return { at: minute * MINUTE, value: valueAt(minute) };
  });

describe('the slope', () => {
  test('is what a straight line has, by the hour', () => {
    const trend = trendOf(series(20, 20, (minute) => 100 + minute));
    expect(trend.perHour).toBeCloseTo(60);
    expect(trend.mean).toBeCloseTo(109.8, 1);
    expect(trend.percentPerHour).toBeCloseTo(54.6, 1);
    expect(trend.growth).toBeCloseTo(19.7, 1);
  });

  test('does not see one wild sample in five', () => {
    const random = new Random(1);
    const trend = trendOf(series(20, 20, () => (random.chance(0.2) ? random.between(100, 1000) : 100)));
    expect(Math.abs(trend.perHour)).toBeLessThan(1);
  });

  test('of a sawtooth that stands is small, and of one that rises is what it rises by', () => {
    const teeth = (minute: number): number => 30 * ((minute % 1.7) / 1.7);
    expect(Math.abs(trendOf(series(20, 5, (minute) => 100 + teeth(minute))).growth)).toBeLessThan(3);
    expect(trendOf(series(20, 5, (minute) => 100 + teeth(minute) + minute)).perHour).toBeGreaterThan(50);
  });

  test('of what falls is negative, and of zeros zero', () => {
    expect(trendOf(series(5, 5, (minute) => 100 - minute)).perHour).toBeCloseTo(-60);
    expect(trendOf(series(5, 5, () => 0))).toEqual({ mean: 0, perHour: 0, percentPerHour: 0, growth: 0 });
  });

  test('cannot be had of one point, nor of what is not a number', () => {
    expect(() => trendOf([{ at: 0, value: 1 }])).toThrow('less than two points');
    expect(() => trendOf(series(5, 5, () => Number.NaN))).toThrow('not a number');
  });
});

test('flat is what rises by no more than is tolerated: an amount, or a share of the mean where that is more', () => {
  const trend = { mean: 100, perHour: 12, percentPerHour: 12, growth: 4 };
  expect(isFlat(trend, { atLeast: 4, percent: 1 })).toBe(true);
  expect(isFlat(trend, { atLeast: 3.9, percent: 1 })).toBe(false);
  expect(isFlat(trend, { atLeast: 1, percent: 4 })).toBe(true);
  expect(isFlat({ ...trend, growth: -50 }, { atLeast: 1, percent: 1 })).toBe(true);
  expect(isFlat({ ...trend, growth: Number.NaN }, { atLeast: 1, percent: 1 })).toBe(false);
});
