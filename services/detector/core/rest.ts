/**
 * When a source that keeps failing is left alone, and when it is asked again (design §7).
 *
 *   well ──5 failures in a row──► suspect ──it does not answer a trivial question either──► resting
 *    ▲                               │ it answers: the queries were to blame                 │ 5 s
 *    └───────────────────────────────┴──────────it answers── half-open: asked that once ◄────┘
 *                                                               └─ it does not: it rests again
 *
 * The trivial question is what decides, never a query of a resource: whoever writes slow queries would else take the source from
 * everybody. A rest is as short as that question is cheap, so that the source is back soon after it is well (W7).
 */
export interface Health {
  /** In a row. */
  failures: number;
  /** Undefined of one that does not rest. */
  restingUntil?: number;
}

export const WELL: Health = { failures: 0 };
export const FAILURES_IN_A_ROW = 5;
export const REST_MILLISECONDS = 5000;

/** `now`: milliseconds, as in all of this. `probe`: ask the trivial question first, and only the one time. */
export function decideAdmission(health: Health, now: number): 'ask' | 'rest' | 'probe' {
  if (health.restingUntil === undefined) return 'ask';
  return now < health.restingUntil ? 'rest' : 'probe';
}

/** After the answer to a query, or none. An answer that comes while it rests was asked before and proves that it lives. */
export function afterQuery(health: Health, answered: boolean): Health {
  if (answered) return WELL;
  return { ...health, failures: health.failures + 1 };
}

export const isResting = ({ restingUntil }: Health): boolean => restingUntil !== undefined;

/** Whether the trivial question is due because of what was heard last. */
export const isSuspect = ({ failures, restingUntil }: Health): boolean =>
  restingUntil === undefined && failures >= FAILURES_IN_A_ROW;

/** A query that was answered while it was asked speaks for the source as well. */
export function afterProbe(health: Health, answered: boolean, now: number): Health {
  return answered || health.failures === 0
    ? WELL
    : { failures: health.failures, restingUntil: now + REST_MILLISECONDS };
}
