import { expect, test } from '@jest/globals';
import { problemOfCaches, STALE_AFTER } from './cache-health.ts';

const NOW = 1_000_000;
const quiet = { heardAt: NOW - 60_000, problem: undefined };
const broken = (ago: number, problem = 'no answer: ECONNREFUSED') => ({ heardAt: NOW - ago, problem });

test('a quiet watch is no problem, nor is one that broke just now', () => {
  expect(problemOfCaches(true, { pods: quiet, services: quiet }, NOW)).toBeUndefined();
  expect(problemOfCaches(true, { pods: quiet, services: broken(STALE_AFTER - 1) }, NOW)).toBeUndefined();
});

test('W7: a watch that stays broken makes stale what is known; the oldest is told', () => {
  expect(
    problemOfCaches(
      true,
      { pods: broken(31_000), services: broken(95_500, 'services is forbidden'), resources: quiet },
      NOW,
    ),
  ).toBe('nothing heard for 95 s, so what is known is stale: services: services is forbidden');
});

test('before the first lists it says what keeps them away, if anything', () => {
  const lacking = 'the first lists of pods, Services and KubervisorServices are not in yet';
  expect(problemOfCaches(false, { pods: quiet }, NOW)).toBe(lacking);
  expect(problemOfCaches(false, { pods: broken(10, 'pods is forbidden') }, NOW)).toBe(
    `${lacking}: pods: pods is forbidden`,
  );
});
