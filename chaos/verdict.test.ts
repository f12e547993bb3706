import { expect, test } from '@jest/globals';
import { isPassed, textOf, type Report } from './verdict.ts';

const report: Report = {
  ...{ seed: 7, apiServer: 'real', seconds: 601.4, storms: 6, violations: [], rounds: { 'evaluate completed': 900 } },
  counts: { breaks: 40, kills: 3 },
  faults: { freeze: 2 },
  longest: { well: 8100, blind: 6200, blindInCalm: 2100 },
  ...{ missedWatchEvents: 1, floorRepairs: 2, memory: { 'breaker-0': { start: 100, end: 104 } } },
};

test('a run without violations has passed', () => {
  expect(isPassed(report)).toBe(true);
  expect(textOf(report)).toMatch(/PASSED: seed 7, 601 s, 6 storms on a real API server$/);
  expect(textOf(report)).toContain('blind         at most 6.2 s after a storm, 2.1 s in the calm');
});

test('one that failed tells what, when and what came before, and where to read on', () => {
  const violations = [{ rule: 'B2', at: 61_200, message: 'left 2, floor 3', faults: ['60.9 s freezeEtcd'] }];
  const failed = { ...report, violations, folder: '/tmp/x' };
  expect(isPassed(failed)).toBe(false);
  expect(textOf(failed)).toContain('VIOLATION after 61.2 s: B2: left 2, floor 3\n    before it: 60.9 s freezeEtcd\n');
  expect(textOf(failed)).toContain('/tmp/x');
  expect(textOf(failed)).toMatch(/FAILED \(1 violations\): seed 7/);
});
