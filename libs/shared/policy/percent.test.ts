import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { budgetOf, ceilPercent, exceedsPercent, floorOf, intOrPercent } from './percent.ts';

describe('B1: rounding', () => {
  test.each([
    [5, 60, 3],
    [3, 67, 3],
    [3, 66, 2],
    [3, 50, 2],
    [1, 1, 1],
    [0, 100, 0],
    [10, 0, 0],
    [100, 7, 7],
    [1000, 33.3, 333],
    [3, 33.34, 2],
  ])('⌈%p × %p %%⌉ = %p', (total, percent, expected) => {
    expect(ceilPercent(total, percent)).toBe(expected);
  });

  test('a whole percentage is exact: as with integers of any size', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 100_000 }), fc.integer({ min: 0, max: 100 }), (total, percent) => {
        expect(BigInt(ceilPercent(total, percent))).toBe((BigInt(total) * BigInt(percent) + 99n) / 100n);
      }),
    );
  });

  test('the floor is the larger of count and share', () => {
    expect(floorOf(10, { minPodsAvailableCount: 1, minPodsAvailableRatio: 60 })).toBe(6);
    expect(floorOf(10, { minPodsAvailableCount: 8, minPodsAvailableRatio: 60 })).toBe(8);
    expect(floorOf(10, { minPodsAvailableCount: 2 })).toBe(2);
  });
});

test('B2: a budget is never negative', () => {
  expect([budgetOf(5, 3), budgetOf(3, 3), budgetOf(2, 3)]).toEqual([2, 0, 0]);
});

test('P: more than the threshold, not as much; 100 is never exceeded', () => {
  expect(exceedsPercent(2, 4, 50)).toBe(false);
  expect(exceedsPercent(3, 4, 50)).toBe(true);
  expect(exceedsPercent(4, 4, 100)).toBe(false);
  expect(exceedsPercent(0, 0, 0)).toBe(false);
  expect(exceedsPercent(1, 100, 0)).toBe(true);
});

test('a share never means nobody', () => {
  expect([intOrPercent(3, 10), intOrPercent('25%', 10), intOrPercent('1%', 3)]).toEqual([3, 3, 1]);
});
