import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  afterProbe,
  afterQuery,
  decideAdmission,
  FAILURES_IN_A_ROW,
  isResting,
  isSuspect,
  REST_MILLISECONDS,
  WELL,
  type Health,
} from './rest.ts';

const failing = (times: number, health: Health = WELL): Health =>
  Array.from({ length: times }).reduce<Health>((now) => afterQuery(now, false), health);
const resting = afterProbe(failing(FAILURES_IN_A_ROW), false, 1000);

describe('a source that keeps failing', () => {
  test('is suspect after so many failures in a row; one answer among them, and it is not', () => {
    expect(isSuspect(failing(FAILURES_IN_A_ROW - 1))).toBe(false);
    expect(isSuspect(failing(FAILURES_IN_A_ROW))).toBe(true);
    expect(isSuspect(failing(FAILURES_IN_A_ROW - 1, afterQuery(failing(3), true)))).toBe(false);
  });

  test('is asked on while it is only suspect, and is well again once it answers the trivial question: the queries were to blame', () => {
    const suspect = failing(FAILURES_IN_A_ROW + 3);
    expect(decideAdmission(suspect, 0)).toBe('ask');
    expect(afterProbe(suspect, true, 0)).toEqual(WELL);
  });

  test('rests once it does not answer that either, for so long, and is then asked the trivial question again before anything else', () => {
    expect(isResting(resting)).toBe(true);
    expect(decideAdmission(resting, 1000 + REST_MILLISECONDS - 1)).toBe('rest');
    expect(decideAdmission(resting, 1000 + REST_MILLISECONDS)).toBe('probe');
    const again = afterProbe(resting, false, 9000);
    expect(decideAdmission(again, 9000 + REST_MILLISECONDS - 1)).toBe('rest');
    expect(afterProbe(again, true, 20_000)).toEqual(WELL);
  });

  test('W7: never waits longer than one rest, however long it was away', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(100_000)), (waits) => {
        let [health, now] = [resting, 1000];
        for (const wait of waits) health = afterProbe(health, false, (now += REST_MILLISECONDS + wait));
        expect(decideAdmission(health, now + REST_MILLISECONDS)).toBe('probe');
      }),
    );
  });

  test('is back with the late answer to a query that was asked before, also while it is asked the trivial question', () => {
    expect(afterQuery(resting, true)).toEqual(WELL);
    expect(afterProbe(afterQuery(resting, true), false, 5000)).toEqual(WELL);
  });

  test('does not rest longer for failures that are told while it rests', () => {
    expect(failing(10, resting).restingUntil).toBe(resting.restingUntil);
    expect(isSuspect(failing(10, resting))).toBe(false);
  });
});
