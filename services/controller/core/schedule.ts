/**
 * When each breaker of a resource is due. Ticks stand on a grid of the breaker's period whose origin is shifted by the resource's uid:
 * so a thousand resources with one period do not fire together, and breakers of one resource with one period share their rounds.
 * Milliseconds on the leader's monotonic clock.
 */
import type { ResolvedBreaker } from '@kubervisor/shared/crd/resolve';
import type { EvaluationCompleted } from '@kubervisor/shared/events/evaluation-completed';
import { seededFraction } from '@kubervisor/shared/policy/durations';

export interface Schedule {
  /** By breaker: the next tick. */
  readonly due: Readonly<Record<string, number>>;
}

export const NEW_SCHEDULE: Schedule = { due: {} };

type Periodic = Pick<ResolvedBreaker, 'name' | 'mode' | 'evaluationPeriod'>;

/** Share of a period. */
const ON_TICK = 1e-3;

const nextTick = (uid: string, period: number, now: number): number => {
  const origin = seededFraction(uid) * period;
  // Just before a tick counts as on it: by rounding, the tick that was taken would else be the next one too.
  return origin + (Math.floor((now - origin) / period + ON_TICK) + 1) * period;
};

/** Keeps the ticks of breakers that are still there, begins those that are new, forgets the rest. A changed period begins anew. */
export function reschedule(schedule: Schedule, breakers: readonly Periodic[], uid: string, now: number): Schedule {
  const due: Record<string, number> = {};
  for (const { name, mode, evaluationPeriod } of breakers) {
    if (mode === 'disabled') continue;
    const period = evaluationPeriod * 1000;
    const known = schedule.due[name];
    due[name] = known !== undefined && known <= now + period ? known : nextTick(uid, period, now);
  }
  return { due };
}

/** The earliest tick; undefined where no breaker is evaluated. */
export function nextDue(schedule: Schedule): number | undefined {
  const ticks = Object.values(schedule.due);
  return ticks.length === 0 ? undefined : Math.min(...ticks);
}

/** The breakers to evaluate now, in the order of the spec, and the schedule with their next ticks. Missed ticks are not made up for. */
export function takeDue(
  schedule: Schedule,
  breakers: readonly Periodic[],
  uid: string,
  now: number,
): { due: string[]; schedule: Schedule } {
  const names = breakers.filter(({ name }) => (schedule.due[name] ?? Infinity) <= now).map(({ name }) => name);
  const next = { ...schedule.due };
  for (const { name, evaluationPeriod } of breakers) {
    if (names.includes(name)) next[name] = nextTick(uid, evaluationPeriod * 1000, now);
  }
  return { due: names, schedule: { due: next } };
}

/**
 * Breakers whose mass break ran into the end of the claim: what is left of it does not wait for a tick. Only where the round broke
 * somebody, or an API server that is slow would be asked without a pause; and only where one evaluation is enough, for more of them in
 * a period would confirm what was seen once (V3).
 */
export function cutShort(
  { breaks, withheld }: Pick<EvaluationCompleted, 'breaks' | 'withheld'>,
  breakers: readonly Pick<ResolvedBreaker, 'name' | 'confirm'>[],
): string[] {
  if (!breaks.some(({ enforced }) => enforced)) return [];
  const held = new Set(withheld.filter(({ reason }) => reason === 'Deadline').map(({ breaker }) => breaker));
  return breakers.filter(({ name, confirm }) => held.has(name) && confirm.of === 1).map(({ name }) => name);
}

/** After a round that did not do its work its breakers are due at once; the round clock's back-off says when that is (W1). */
export function dueAgain(schedule: Schedule, names: readonly string[], now: number): Schedule {
  const due = { ...schedule.due };
  for (const name of names) if (due[name] !== undefined) due[name] = Math.min(due[name], now);
  return { due };
}
