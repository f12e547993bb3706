/**
 * W1 and W3 as a state machine: when may the next round of one kind of a resource be published?
 *
 * A round is *under way* from its publication until its fact is in. It is given up without a fact when its claim was seen
 * CLAIM_EXPIRY ago, for then all its holder may have started is over; or, unclaimed, when its longest detector time-out and
 * UNCLAIMED_SLACK have passed. Independent of that, a claim of *any* round (an earlier leader's, a message delivered late) blocks until its
 * fact is in or CLAIM_EXPIRY has passed since this process first saw it. All times are milliseconds on this process's monotonic clock.
 */
import { CLAIM_EXPIRY, UNCLAIMED_SLACK } from '@kubervisor/shared/policy/claim';
import type { Claim, Round, RoundOutcome } from '@kubervisor/shared/events/common';

export interface RoundClock {
  /** The revision that the next message names: the last one known to stand; 0 = none. */
  readonly revision: number;
  /** A claim whose fact is not in yet, and when it was first seen here. */
  readonly open?: { readonly revision: number; readonly seenAt: number };
  /** Revisions whose fact came before the watch showed the claim. */
  readonly settled: readonly number[];
  readonly underWay?: { readonly round: Round; readonly publishedAt: number; readonly timeout: number };
  /** Rounds in a row that ended without their work done. */
  readonly failures: number;
  /** No round before this. */
  readonly notBefore: number;
}

export const NEW_ROUND_CLOCK: RoundClock = { revision: 0, settled: [], failures: 0, notBefore: -Infinity };

/** How many facts that overtook their claims are remembered: more than rounds can be under way at once. */
const SETTLED_KEPT = 8;

export function published(clock: RoundClock, round: Round, timeout: number, now: number): RoundClock {
  return { ...clock, underWay: { round, publishedAt: now, timeout } };
}

/** The watch of the claims showed this revision. The first sight alone counts: a repeated one starts no new wait. */
export function claimSeen(clock: RoundClock, revision: number, now: number): RoundClock {
  if (revision === clock.open?.revision || clock.settled.includes(revision)) return { ...clock, revision };
  return { ...clock, revision, open: { revision, seenAt: now } };
}

const ATTEMPT_AGAIN = 1000;
/** 1, 2, 4 … s, at most a period (W1). */
const backOff = (failures: number, period: number): number =>
  Math.min(ATTEMPT_AGAIN * 2 ** Math.min(failures - 1, 20), period);

/** A fact is in; also one of a round that was given up, or of another leader's. */
export function factSeen(
  clock: RoundClock,
  fact: { round: Round; claim: Claim; outcome: RoundOutcome },
  period: number,
  now: number,
): RoundClock {
  let next = clock;
  if (fact.claim.outcome === 'claimed') {
    // An old fact must not turn the clock back to a revision that was superseded since.
    const { open, ...rest } = next;
    const settled = [...next.settled.filter((revision) => revision !== fact.claim.revision), fact.claim.revision].slice(
      -SETTLED_KEPT,
    );
    if (open === undefined || open.revision === fact.claim.revision)
      next = { ...rest, settled, revision: Math.max(next.revision, fact.claim.revision) };
    else next = { ...next, settled };
  } else if (fact.claim.outcome === 'refused' && fact.round === clock.underWay?.round) {
    // What was found stands, even if it is lower, or nothing: the claim was deleted, and the one who held it may act still.
    next = claimSeen(next, fact.claim.revision, now);
  }
  if (fact.round !== clock.underWay?.round) return next;
  const { underWay: _, ...rest } = next;
  const failures = fact.outcome === 'completed' ? 0 : clock.failures + 1;
  return { ...rest, failures, notBefore: failures === 0 ? -Infinity : now + backOff(failures, period) };
}

/** The bucket was made anew: every claim is forgotten, and live ones are waited out by the caller. */
export function claimsForgotten(clock: RoundClock): RoundClock {
  const { open: _, ...rest } = clock;
  return { ...rest, revision: 0, settled: [] };
}

export type Permission = { may: true; clock: RoundClock } | { may: false; at: number; clock: RoundClock };

/** May a round be published now, and if not, when to ask again? Also ends a round under way whose fact is missing. */
export function permission(clock: RoundClock, period: number, now: number): Permission {
  let current = clock;
  const { underWay, open } = clock;
  if (underWay !== undefined) {
    const claimedSince = open !== undefined && open.seenAt >= underWay.publishedAt ? open.seenAt : undefined;
    const end =
      claimedSince !== undefined
        ? claimedSince + CLAIM_EXPIRY
        : underWay.publishedAt + underWay.timeout + UNCLAIMED_SLACK;
    if (now < end) return { may: false, at: end, clock };
    const { underWay: _, ...rest } = current;
    const failures = clock.failures + 1;
    current = { ...rest, failures, notBefore: now + backOff(failures, period) };
  }
  const blocked = Math.max(current.notBefore, open === undefined ? -Infinity : open.seenAt + CLAIM_EXPIRY);
  return now < blocked ? { may: false, at: blocked, clock: current } : { may: true, clock: current };
}
