import { expect, test } from '@jest/globals';
import { BACKOFF, backoffDelay } from './backoff.ts';

test('waits grow from nothing to the cap, and half of each is random', () => {
  expect(backoffDelay(0, 0.5)).toBe(0);
  expect([1, 2, 3].map((failures) => backoffDelay(failures, 0))).toEqual([250, 500, 1000]);
  expect(backoffDelay(1, 0.999)).toBeCloseTo(500, 0);
  expect(backoffDelay(100_000, 0)).toBe(BACKOFF.cap / 2);
  expect(backoffDelay(100_000, 0.999)).toBeLessThanOrEqual(BACKOFF.cap);
});

test('Retry-After is kept, but not for longer than a minute', () => {
  expect(backoffDelay(1, 0, 7)).toBe(7000);
  expect(backoffDelay(1, 0, 86_400)).toBe(60_000);
});
