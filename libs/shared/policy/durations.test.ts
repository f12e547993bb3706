import { describe, expect, test } from '@jest/globals';
import { longestRange, promDuration, seededFraction } from './durations.ts';

test.each([
  ['5m', 300],
  ['1h30m', 5400],
  ['500ms', 0.5],
  ['1d', 86_400],
  ['2w', 1_209_600],
  ['1.5h', 5400],
])('%s is %p s', (text, seconds) => {
  expect(promDuration(text)).toBeCloseTo(seconds, 9);
});

describe('V4: how far a query looks back', () => {
  test.each([
    ['up', 0],
    ['rate(x[5m])', 300],
    ['rate(x[1m]) / rate(y[10m])', 600],
    ['max_over_time(rate(x[5m])[1h:30s])', 3600],
    ['x{path="/a[9h]"}', 0],
    ["x{path='[9h]'} + rate(y[ 2m ])", 120],
  ])('%s: %p s', (query, seconds) => {
    expect(longestRange(query)).toBe(seconds);
  });
});

test('A2: the seeded share is in [0, 1), the same for the same text, and spread', () => {
  const shares = Array.from({ length: 1000 }, (_, index) => seededFraction(`uid-${index}`));
  expect(Math.min(...shares)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...shares)).toBeLessThan(1);
  expect(seededFraction('a')).toBe(seededFraction('a'));
  const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
  expect(mean).toBeGreaterThan(0.45);
  expect(mean).toBeLessThan(0.55);
});
