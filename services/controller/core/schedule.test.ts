import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { dueAgain, NEW_SCHEDULE, nextDue, reschedule, takeDue } from './schedule.ts';

const breaker = (name: string, evaluationPeriod = 5, mode: 'enforce' | 'dryRun' | 'disabled' = 'enforce') => ({
  name,
  evaluationPeriod,
  mode,
});

describe('W1: ticks', () => {
  test('a breaker is due within one period of being known, and once a period from then on', () => {
    const breakers = [breaker('a')];
    let schedule = reschedule(NEW_SCHEDULE, breakers, 'uid', 1000);
    const first = nextDue(schedule)!;
    expect(first).toBeGreaterThan(1000);
    expect(first).toBeLessThanOrEqual(6000);
    const taken = takeDue(schedule, breakers, 'uid', first);
    expect(taken.due).toEqual(['a']);
    schedule = taken.schedule;
    expect(nextDue(schedule)).toBeCloseTo(first + 5000, 6);
    expect(takeDue(schedule, breakers, 'uid', first + 1).due).toEqual([]);
  });

  test('a thousand resources with one period are spread evenly over it', () => {
    const ticks = Array.from({ length: 1000 }, (_, index) =>
      nextDue(reschedule(NEW_SCHEDULE, [breaker('a')], `uid-${index}`, 0))!,
    );
    const tenths = Array.from(
      { length: 10 },
      (_, tenth) => ticks.filter((tick) => Math.ceil(tick / 500) - 1 === tenth).length,
    );
    expect(Math.max(...tenths)).toBeLessThan(150);
    expect(Math.min(...tenths)).toBeGreaterThan(50);
  });

  test('breakers of one resource with one period share their rounds; a disabled one has none', () => {
    const breakers = [breaker('a'), breaker('b'), breaker('c', 5, 'disabled')];
    const schedule = reschedule(NEW_SCHEDULE, breakers, 'uid', 0);
    expect(takeDue(schedule, breakers, 'uid', nextDue(schedule)!).due).toEqual(['a', 'b']);
  });

  test('missed ticks are not made up for', () => {
    const breakers = [breaker('a')];
    const schedule = reschedule(NEW_SCHEDULE, breakers, 'uid', 0);
    const { schedule: after } = takeDue(schedule, breakers, 'uid', 60_000);
    expect(nextDue(after)).toBeGreaterThan(60_000);
  });

  test('a shorter period counts at once', () => {
    const slow = reschedule(NEW_SCHEDULE, [breaker('a', 3600)], 'uid', 0);
    expect(nextDue(reschedule(slow, [breaker('a', 1)], 'uid', 10))).toBeLessThanOrEqual(1010);
  });

  test('after a round that came to nothing its breakers are due at once', () => {
    const breakers = [breaker('a'), breaker('b', 7)];
    const schedule = takeDue(reschedule(NEW_SCHEDULE, breakers, 'uid', 0), breakers, 'uid', 9000).schedule;
    expect(takeDue(dueAgain(schedule, ['b', 'gone'], 9100), breakers, 'uid', 9100).due).toEqual(['b']);
  });

  test('a breaker that is evaluated on its very tick is not due again at once, whatever rounding makes of it', () => {
    fc.assert(
      fc.property(fc.string(), fc.double({ min: 0.02, max: 60, noNaN: true }), (uid, period) => {
        const breakers = [breaker('a', period)];
        let schedule = reschedule(NEW_SCHEDULE, breakers, uid, Date.UTC(2026, 10, 23));
        for (let round = 0; round < 20; round++) {
          const now = nextDue(schedule)!;
          schedule = takeDue(schedule, breakers, uid, now).schedule;
          expect(nextDue(schedule)! - now).toBeGreaterThan(period * 500);
        }
      }),
    );
  });

  test('the next tick is always later than now and at most a period away', () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.double({ min: 0.02, max: 86_400, noNaN: true }),
        fc.double({ min: 0, max: 1e9, noNaN: true }),
        (uid, period, now) => {
          const due = nextDue(reschedule(NEW_SCHEDULE, [breaker('a', period)], uid, now))!;
          expect(due).toBeGreaterThan(now);
          expect(due).toBeLessThanOrEqual(now + period * 1001 + 1e-3);
        },
      ),
    );
  });
});
