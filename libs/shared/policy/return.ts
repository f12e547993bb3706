/**
 * When a pod that is out comes back, is killed or set aside: the pure policy of return (A1, A2, A4, A7, B7). The activator acts
 * by it, the controller sets its clock and writes status by it; so both always speak of the same moment. Times are milliseconds
 * since 1970, waits milliseconds, and the fields of an activator seconds, as in the resource.
 */
import type { ResolvedActivator, ResolvedBreaker, ResolvedSpec } from '../crd/resolve.ts';
import type { Mode } from '../crd/kubervisor-service.ts';
import { marksOf, readReason, type Marks } from '../pods/codec.ts';
import { countsOf } from '../pods/fleet.ts';
import type { LifeCycleState } from '../pods/life-cycle.ts';
import type { Pod } from '../pods/pod.ts';
import { seededFraction } from './durations.ts';
import { floorOf } from './percent.ts';

/**
 * How far ahead of our clock another machine's may be. A `breakAt` or `activatedAt` further in the future is damaged, or of a
 * clock that is minutes off, and does not count as readable.
 */
export const CLOCK_TOLERANCE_MILLISECONDS = 60_000;

/** A pod that could act but was held by something that passes is looked at again after a period, within these bounds. */
const LOOK_AGAIN_MILLISECONDS = { least: 1000, most: 30_000 };

/** What becomes of a breaker's decisions: carried out, only told (A6), or not made. */
export type Enforcement = 'enforced' | 'simulated' | 'off';

/** `mode` is a breaker's, or the spec's for the default activator; `active`: the Service's selector holds our key. */
export function enforcementOf(mode: Mode, active: boolean): Enforcement {
  if (mode === 'disabled') return 'off';
  return mode === 'enforce' && active ? 'enforced' : 'simulated';
}

export interface Belonging {
  /** Undefined: the breaker was removed, or the label is missing; the default activator has the pod. */
  breaker?: ResolvedBreaker;
  activator: ResolvedActivator;
}

/** A1: the one activator of a pod that is out. */
export function activatorOf(marks: Pick<Marks, 'strategy'>, spec: ResolvedSpec): Belonging {
  const breaker = spec.breakers.find(({ name }) => name === marks.strategy);
  return breaker === undefined ? { activator: spec.defaultActivator } : { breaker, activator: breaker.activator };
}

/** Breaks after decay; a count that is missing or damaged is that of a first break. */
export const retriesOf = (marks: Pick<Marks, 'retryCount'>): number => Math.max(1, marks.retryCount);

/** A4: the pod was broken more often than its activator brings pods back. */
export const isExhausted = (marks: Pick<Marks, 'retryCount'>, activator: ResolvedActivator): boolean =>
  activator.mode !== 'periodic' && retriesOf(marks) > activator.maxRetryCount;

/**
 * The cap of every wait. A manifest of 2018 knows no maxPeriod: where its period is longer than maxPeriod, the period is the cap,
 * for the wait must not become shorter than what was written.
 */
export const maxWaitMilliseconds = (activator: ResolvedActivator): number =>
  1000 * Math.max(activator.period, activator.maxPeriod);

/** In [wait, wait × (1 + jitter)); the same for the same pod and break, so that every look at it finds the same time. */
const jittered = (wait: number, marks: Pick<Marks, 'retryCount'>, uid: string, activator: ResolvedActivator): number =>
  wait * (1 + activator.jitter * seededFraction(`${uid}/${retriesOf(marks)}`));

/** A2: how long a pod stays out before its activator acts: the period, in the retry modes × retries; capped, then jittered. */
export function waitMilliseconds(marks: Pick<Marks, 'retryCount'>, uid: string, activator: ResolvedActivator): number {
  const wait = 1000 * activator.period * (activator.mode === 'periodic' ? 1 : retriesOf(marks));
  return jittered(Math.min(wait, maxWaitMilliseconds(activator)), marks, uid, activator);
}

/** Undefined where breakAt is missing, not readable, or too far in the future: the pod then counts as broken now (A7). */
export function brokenAt(marks: Pick<Marks, 'breakAt'>, now: number): number | undefined {
  if (marks.breakAt === undefined || marks.breakAt > now + CLOCK_TOLERANCE_MILLISECONDS) return undefined;
  return marks.breakAt;
}

type BreakMarks = Pick<Marks, 'breakAt' | 'retryCount'>;

/** When the wait of a pod at `no` is over; undefined where its breakAt has to be stamped first (A7). */
export function dueAt(marks: BreakMarks, uid: string, activator: ResolvedActivator, now: number): number | undefined {
  const since = brokenAt(marks, now);
  return since === undefined ? undefined : since + waitMilliseconds(marks, uid, activator);
}

/**
 * A7: when a pod that was to be killed comes back all the same; undefined as for `dueAt`. What can never be killed (`never`: no
 * owner, or exempt) is out for maxPeriod. What only cannot be killed now is given maxPeriod after it became due, so that pods
 * which wait for their turn get one.
 */
export function comesBackAt(
  marks: BreakMarks,
  uid: string,
  activator: ResolvedActivator,
  now: number,
  obstacle: 'never' | 'passing',
): number | undefined {
  const since = obstacle === 'never' ? brokenAt(marks, now) : dueAt(marks, uid, activator, now);
  return since === undefined ? undefined : since + jittered(maxWaitMilliseconds(activator), marks, uid, activator);
}

/** A7: how long to wait after the given number of refused evictions (at least 1): doubling from a period, up to the longest wait. */
export function killRetryMilliseconds(refusals: number, activator: ResolvedActivator): number {
  const first = Math.max(LOOK_AGAIN_MILLISECONDS.least, 1000 * activator.period);
  return Math.min(first * 2 ** (refusals - 1), Math.max(first, maxWaitMilliseconds(activator)));
}

/** A7: when the probation of a pod in traffic ends; undefined where it came back never, or at no readable time. */
export function probationEnd(
  marks: Pick<Marks, 'traffic' | 'activatedAt'>,
  activator: Pick<ResolvedActivator, 'probation'>,
  now: number,
): number | undefined {
  const { traffic, activatedAt } = marks;
  if (traffic !== 'yes' || activatedAt === undefined || activatedAt > now + CLOCK_TOLERANCE_MILLISECONDS)
    return undefined;
  return activatedAt + 1000 * activator.probation;
}

/** Half-open: back in traffic, and not long enough to be trusted. */
export function onProbation(
  marks: Pick<Marks, 'traffic' | 'activatedAt'>,
  activator: Pick<ResolvedActivator, 'probation'>,
  now: number,
): boolean {
  const end = probationEnd(marks, activator, now);
  return end !== undefined && now < end;
}

/**
 * The state of a pod in the life cycle (pods/life-cycle.ts). A return removes the strategy label; so the probation of a pod in
 * traffic is that of the default activator, the longest of all.
 */
export function stateOf(marks: Marks, spec: ResolvedSpec, now: number): LifeCycleState {
  if (marks.traffic === 'no') return 'open';
  if (marks.traffic === 'pause') return 'paused';
  return onProbation(marks, spec.defaultActivator, now) ? 'half-open' : 'closed';
}

/**
 * For status, and for the clock of activations: the next moment at which the activator can do something about a pod, `now` or
 * earlier where it is due. Undefined for a pod that is in traffic or waits for a person.
 * `withheld`: the last round looked at the pod after it was due and something that passes held it; it is looked at again a
 * period later (1 to 30 s). `refusedKill`: the eviction was refused, and this is when the next may be tried.
 */
export function nextActionTime(
  pod: Pod,
  spec: ResolvedSpec,
  now: number,
  last: { withheld?: boolean; refusedKill?: number | undefined } = {},
): number | undefined {
  const marks = marksOf(pod);
  if (marks.traffic !== 'no' || pod.terminating) return undefined;
  const { activator } = activatorOf(marks, spec);
  const due = dueAt(marks, pod.uid, activator, now);
  if (due === undefined) return now;
  let next = due;
  if (isExhausted(marks, activator)) {
    if (marks.exempt || (activator.mode === 'retryAndKill' && pod.owner === undefined))
      next = comesBackAt(marks, pod.uid, activator, now, 'never') ?? now;
    else if (last.refusedKill !== undefined) next = Math.max(due, last.refusedKill);
  }
  return last.withheld === true && next <= now ? now + lookAgainMilliseconds(activator) : next;
}

export const lookAgainMilliseconds = (activator: ResolvedActivator): number =>
  Math.min(Math.max(LOOK_AGAIN_MILLISECONDS.least, 1000 * activator.period), LOOK_AGAIN_MILLISECONDS.most);

/** Least bad first: by the score of the break (unknown: last), then by fewer breaks, then by uid. */
function leastBadFirst(pods: readonly Pod[]): Pod[] {
  return pods
    .map((pod) => {
      const marks = marksOf(pod);
      return { pod, score: readReason(marks.reason ?? '').score ?? Infinity, retries: retriesOf(marks) };
    })
    .sort((one, other) => {
      if (one.score !== other.score) return one.score < other.score ? -1 : 1;
      return one.retries - other.retries || (one.pod.uid < other.pod.uid ? -1 : 1);
    })
    .map(({ pod }) => pod);
}

/**
 * B7: the pods that come back early because fewer are available than the floor of one of these breakers (the enforced ones), in
 * the order in which they do. The highest floor is served first: what it brings back counts for the lower ones.
 * `owned`: as `ownedBy` chose them. `mayReturn`: leaves out pods that count, but cannot be brought back now.
 */
export function floorRepairs(
  owned: readonly Pod[],
  breakers: readonly ResolvedBreaker[],
  mayReturn: (pod: Pod) => boolean = () => true,
): Pod[] {
  const { available, repairTotal } = countsOf(owned);
  const back: Pod[] = [];
  const floors = breakers
    .map((breaker) => ({ name: breaker.name, floor: floorOf(repairTotal, breaker) }))
    .sort((one, other) => other.floor - one.floor || (one.name < other.name ? -1 : 1));
  for (const { name, floor } of floors) {
    const missing = floor - available - back.length;
    if (missing <= 0) continue;
    const candidates = owned.filter((pod) => {
      const { traffic, strategy, exempt } = marksOf(pod);
      return traffic === 'no' && strategy === name && !exempt && pod.ready && !pod.terminating && mayReturn(pod);
    });
    back.push(...leastBadFirst(candidates).slice(0, missing));
  }
  return back;
}
