import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { CLAIM_EXPIRY, UNCLAIMED_SLACK } from '@kubervisor/shared/policy/claim';
import {
  claimsForgotten,
  claimSeen,
  factSeen,
  NEW_ROUND_CLOCK,
  permission,
  published,
  type RoundClock,
} from './round-clock.ts';

const PERIOD = 5000;
const TIMEOUT = 5000;
const claimed = (revision: number) => ({ outcome: 'claimed', revision }) as const;
const refused = (revision: number) => ({ outcome: 'refused', revision }) as const;
const completed = (round: string, revision: number) => ({
  round,
  claim: claimed(revision),
  outcome: 'completed' as const,
});

describe('W1: one round of a kind at a time', () => {
  test('a new clock may publish at once and supersedes nothing', () => {
    expect(permission(NEW_ROUND_CLOCK, PERIOD, 0)).toMatchObject({ may: true, clock: { revision: 0 } });
  });

  test('while a round is under way none is published; its fact frees the clock and names the revision of the next', () => {
    let clock = published(NEW_ROUND_CLOCK, 'a-1', TIMEOUT, 0);
    expect(permission(clock, PERIOD, 100).may).toBe(false);
    clock = claimSeen(clock, 7, 120);
    expect(permission(clock, PERIOD, 130).may).toBe(false);
    clock = factSeen(clock, completed('a-1', 7), PERIOD, 150);
    expect(permission(clock, PERIOD, 150)).toMatchObject({ may: true, clock: { revision: 7, failures: 0 } });
  });

  test('the fact may overtake the sight of its claim', () => {
    let clock = published(NEW_ROUND_CLOCK, 'a-1', TIMEOUT, 0);
    clock = factSeen(clock, completed('a-1', 7), PERIOD, 50);
    clock = claimSeen(clock, 7, 60);
    expect(permission(clock, PERIOD, 60)).toMatchObject({ may: true, clock: { revision: 7 } });
  });

  test('claimed but without a fact: the next comes no sooner than 5 s after first sight of the claim, and sights that repeat do not prolong it', () => {
    let clock = published(NEW_ROUND_CLOCK, 'a-1', TIMEOUT, 0);
    clock = claimSeen(clock, 7, 1000);
    clock = claimSeen(clock, 7, 4000);
    const before = permission(clock, PERIOD, 1000 + CLAIM_EXPIRY - 1);
    expect(before).toMatchObject({ may: false, at: 1000 + CLAIM_EXPIRY });
    // A missing fact counts as a failure: 1 s more.
    const ended = permission(clock, PERIOD, 1000 + CLAIM_EXPIRY);
    expect(ended).toMatchObject({ may: false, at: 1000 + CLAIM_EXPIRY + 1000, clock: { failures: 1 } });
    expect(permission(ended.clock, PERIOD, 1000 + CLAIM_EXPIRY + 1000)).toMatchObject({
      may: true,
      clock: { revision: 7 },
    });
  });

  test('unclaimed: the next comes after the longest detector time-out + 3 s', () => {
    const clock = published(NEW_ROUND_CLOCK, 'a-1', TIMEOUT, 0);
    expect(permission(clock, PERIOD, TIMEOUT + UNCLAIMED_SLACK - 1)).toMatchObject({
      may: false,
      at: TIMEOUT + UNCLAIMED_SLACK,
    });
    expect(permission(clock, PERIOD, TIMEOUT + UNCLAIMED_SLACK).clock.failures).toBe(1);
  });

  test('after errors the next comes after 1, 2, 4 … s, at most a period', () => {
    let clock: RoundClock = NEW_ROUND_CLOCK;
    const waits = [1, 2, 3, 4, 5].map((counter) => {
      clock = published(clock, `a-${counter}`, TIMEOUT, 0);
      clock = factSeen(
        clock,
        { round: `a-${counter}`, claim: { outcome: 'notTried', revision: 0 }, outcome: 'failed' },
        PERIOD,
        0,
      );
      const answer = permission(clock, PERIOD, 0);
      clock = { ...answer.clock, notBefore: -Infinity };
      return answer.may ? 0 : answer.at;
    });
    expect(waits).toEqual([1000, 2000, 4000, 5000, 5000]);
  });
});

describe('W3: claims of others', () => {
  test('a new leader waits out a claim that it finds without its fact, and not one whose fact is in', () => {
    const without = claimSeen(NEW_ROUND_CLOCK, 9, 100);
    expect(permission(without, PERIOD, 100)).toMatchObject({ may: false, at: 100 + CLAIM_EXPIRY });
    const withFact = factSeen(without, completed('old-5', 9), PERIOD, 200);
    expect(permission(withFact, PERIOD, 200)).toMatchObject({ may: true, clock: { revision: 9 } });
  });

  test('a claim by a message thought lost blocks the round after it', () => {
    let clock = published(NEW_ROUND_CLOCK, 'a-1', TIMEOUT, 0);
    clock = permission(clock, PERIOD, 8000).clock;
    clock = published(clock, 'a-2', TIMEOUT, 9000);
    // a-1 was only late: it claims, a-2 is refused.
    clock = claimSeen(clock, 4, 9500);
    clock = factSeen(clock, { round: 'a-2', claim: refused(4), outcome: 'refused' }, PERIOD, 9600);
    expect(permission(clock, PERIOD, 10_700)).toMatchObject({ may: false, at: 9500 + CLAIM_EXPIRY });
    clock = factSeen(clock, completed('a-1', 4), PERIOD, 10_800);
    // Two rounds in a row came to nothing: 2 s after the second.
    expect(permission(clock, PERIOD, 11_600)).toMatchObject({ may: true, clock: { revision: 4 } });
  });

  test('an old fact does not turn the clock back', () => {
    let clock = claimSeen(NEW_ROUND_CLOCK, 9, 0);
    clock = factSeen(clock, completed('old-1', 5), PERIOD, 10);
    expect(clock.revision).toBe(9);
    expect(permission(clock, PERIOD, 10).may).toBe(false);
  });

  test('refused with nothing found: the bucket was emptied, and the next supersedes nothing', () => {
    let clock = factSeen(claimSeen(NEW_ROUND_CLOCK, 9, 0), completed('a-0', 9), PERIOD, 0);
    clock = published(clock, 'a-1', TIMEOUT, 0);
    clock = factSeen(clock, { round: 'a-1', claim: refused(0), outcome: 'refused' }, PERIOD, 10);
    expect(clock.revision).toBe(0);
    // Whoever held the claim that was deleted may act still.
    expect(permission(clock, PERIOD, 2000)).toMatchObject({ may: false, at: 10 + CLAIM_EXPIRY });
    expect(permission(clock, PERIOD, 10 + CLAIM_EXPIRY).may).toBe(true);
  });

  test('after the bucket was made anew a fact of before settles no claim of after', () => {
    let clock = factSeen(claimSeen(NEW_ROUND_CLOCK, 9, 0), completed('a-0', 9), PERIOD, 0);
    clock = claimSeen(claimsForgotten(clock), 1, 100);
    clock = factSeen(clock, completed('a-0', 9), PERIOD, 110);
    expect(permission(clock, PERIOD, 110)).toMatchObject({
      may: false,
      at: 100 + CLAIM_EXPIRY,
      clock: { revision: 1 },
    });
  });

  test('whatever is told in whatever order: from the first sight of a claim to its fact or 5 s no round is published', () => {
    const event = fc.record({
      wait: fc.integer({ min: 0, max: 4000 }),
      kind: fc.constantFrom('publish', 'claim', 'fact', 'staleFact', 'refused'),
    });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        let clock: RoundClock = NEW_ROUND_CLOCK;
        let now = 0;
        let counter = 0;
        let revision = 0;
        /** The independent bookkeeping: when was the latest claim first shown, and is its fact in? */
        let open: { revision: number; since: number } | undefined;
        let lastRound = '';
        for (const { wait, kind } of events) {
          now += wait;
          if (kind === 'publish') {
            const answer = permission(clock, PERIOD, now);
            clock = answer.clock;
            if (!answer.may) continue;
            if (open !== undefined && now < open.since + CLAIM_EXPIRY) return false;
            lastRound = `a-${(counter += 1)}`;
            clock = published(clock, lastRound, TIMEOUT, now);
          } else if (kind === 'claim') {
            open = { revision: (revision += 1), since: now };
            clock = claimSeen(clock, revision, now);
          } else if (kind === 'fact' && open !== undefined) {
            clock = factSeen(clock, completed(lastRound, open.revision), PERIOD, now);
            open = undefined;
          } else if (kind === 'staleFact' && revision > 1) {
            clock = factSeen(clock, completed('late', revision - 1), PERIOD, now);
          } else if (kind === 'refused' && revision > 0) {
            clock = factSeen(clock, { round: lastRound, claim: refused(revision), outcome: 'refused' }, PERIOD, now);
          }
        }
        return true;
      }),
      { numRuns: 3000 },
    );
  });
});
