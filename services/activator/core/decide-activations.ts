/**
 * What becomes of the pods of one Service that are out: who comes back, who is set aside, who is killed, and why the others are
 * not (A1, A2, A4–A7, B7). Pure: `now` and a fresh list are arguments, and the order of the input never matters.
 */
import type { ResolvedActivator, ResolvedBreaker, ResolvedSpec } from '@kubervisor/shared/crd/resolve';
import type { ResourceRef, SimulatedPod } from '@kubervisor/shared/events/common';
import type { WorkActivate } from '@kubervisor/shared/events/work-activate';
import { EDITS, edited, marksOf, writeTime, type Marks } from '@kubervisor/shared/pods/codec';
import { countsOf, isOut, isPaused, type Selector } from '@kubervisor/shared/pods/fleet';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { floorOf, intOrPercent } from '@kubervisor/shared/policy/percent';
import {
  activatorOf,
  brokenAt,
  CLOCK_TOLERANCE_MILLISECONDS,
  comesBackAt,
  dueAt,
  floorRepairs,
  isExhausted,
  maxWaitMilliseconds,
  nextActionTime,
  onProbation,
  retriesOf,
} from '@kubervisor/shared/policy/return';
import type { TransitionReason, WithheldReason } from '@kubervisor/shared/reasons';
import { worldsOf, type World } from './worlds.ts';

export interface ActivationInput {
  /** Milliseconds since 1970. */
  now: number;
  resource: Pick<ResourceRef, 'name'>;
  resolved: ResolvedSpec;
  /** The Service's selector without our key. */
  selector: Selector;
  /** A fresh list (B5). */
  pods: readonly Pod[];
  /** The Service's selector holds our key. */
  active: boolean;
  simulated: readonly SimulatedPod[];
  refusedKills: WorkActivate['refusedKills'];
  /** uids that this round has acted on already, whatever came of it: they count, but are not decided on again. */
  settled?: readonly string[];
}

/** One pod that is to be acted on. */
export interface Planned {
  /** As listed; of a dry run as it would be. */
  pod: Pod;
  breaker?: string;
  reason: TransitionReason;
  /** One line for people. */
  message: string;
  /** False: only told, nothing is touched (A6). */
  enforced: boolean;
}

export interface PlannedKill extends Planned {
  policy: ResolvedActivator['killPolicy'];
}

export interface Held {
  pod: Pod;
  breaker?: string;
  reason: WithheldReason;
  message?: string;
  enforced: boolean;
}

export interface ActivationDecision {
  activate: Planned[];
  pause: Planned[];
  /** At most one that is enforced, and one that is not (A5). */
  kill: PlannedKill[];
  stamp: Planned[];
  withheld: Held[];
  /** When something can be done next; missing where nobody is out, or all who are wait for a person. */
  nextLook?: number;
}

interface Candidate {
  pod: Pod;
  marks: Marks;
  breaker: ResolvedBreaker | undefined;
  activator: ResolvedActivator;
  due: number;
}

export function decideActivations(input: ActivationInput): ActivationDecision {
  const decisions = worldsOf(input).map((world) => decideWorld(world, input));
  const looks = decisions.map(({ nextLook }) => nextLook).filter((look) => look !== undefined);
  return {
    activate: decisions.flatMap(({ activate }) => activate),
    pause: decisions.flatMap(({ pause }) => pause),
    kill: decisions.flatMap(({ kill }) => kill),
    stamp: decisions.flatMap(({ stamp }) => stamp),
    withheld: decisions.flatMap(({ withheld }) => withheld),
    ...(looks.length > 0 && { nextLook: Math.min(...looks) }),
  };
}

/** Why a pod is not killed now, or, `isForGood`, ever. */
interface Obstacle {
  reason: WithheldReason;
  isForGood?: true;
  message?: string;
}

function decideWorld(world: World, input: ActivationInput): ActivationDecision {
  const { enforced, owned, breakers } = world;
  const { now, resolved } = input;
  const settled = new Set(input.settled);
  const ours = world.ours.filter(({ uid }) => !settled.has(uid));
  const counts = countsOf(owned);
  const mayComeBack = concurrencyLimit(world, now);
  const nextKillOf = nextKills(input);

  const activate = new Map<string, Planned>();
  const pause: Planned[] = [];
  const kill: PlannedKill[] = [];
  const stamp = new Map<string, Planned>();
  const withheld: Held[] = [];

  const planned = (pod: Pod, reason: TransitionReason, message: string): Planned => ({
    pod,
    ...breakerOf(pod),
    reason,
    message,
    enforced,
  });
  const withhold = (pod: Pod, reason: WithheldReason, message?: string) => {
    withheld.push({ pod, ...breakerOf(pod), reason, ...(message !== undefined && { message }), enforced });
  };
  const bringBack = ({ pod, activator }: Candidate, reason: TransitionReason, message: string) => {
    const full = mayComeBack(activator, activate.size);
    if (full === undefined) activate.set(pod.uid, planned(pod, reason, message));
    else withhold(pod, 'ConcurrentActivations', full);
  };

  // The paused wait for a person, the unreadable are stamped (A7), the others wait or are due.
  const due: Candidate[] = [];
  for (const pod of ours) {
    const marks = marksOf(pod);
    const { breaker, activator } = activatorOf(marks, resolved);
    const at = dueAt(marks, pod.uid, activator, now);
    if (marks.traffic === 'pause') withhold(pod, 'Paused');
    else if (at === undefined)
      stamp.set(pod.uid, planned(pod, 'UnreadableBreakAt', 'breakAt is missing or not readable: broken now'));
    else if (at > now) withhold(pod, 'WaitNotOver');
    else due.push({ pod, marks, breaker, activator, due: at });
  }

  // 1. Whose wait is over comes back, oldest due first; unready ones too (A7).
  const [exhausted, waited] = partition(due, ({ marks, activator }) => isExhausted(marks, activator));
  for (const candidate of waited.sort(oldestDueFirst))
    bringBack(candidate, 'WaitOver', `${timesBroken(candidate)}, was out for ${secondsOut(candidate, now)} s`);

  // 2. The floor is above every limit (B7), but comes after the returns that restore it anyhow, so that few come back early.
  const afterReturns = owned.map((pod) =>
    activate.has(pod.uid) ? edited(pod, EDITS.activate(pod, { at: now })) : pod,
  );
  const decidable = new Set(ours.map(({ uid }) => uid));
  for (const pod of floorRepairs(afterReturns, breakers, ({ uid }) => decidable.has(uid)))
    activate.set(pod.uid, planned(pod, 'FloorRestored', `${counts.available} available, fewer than the floor`));

  // 3. Who was broken too often is set aside or killed, worst first (A4, A5). The floor is that of the list, not that of the
  // returns above, for a return may yet fail.
  let paused = owned.filter((pod) => isPaused(pod) && !pod.terminating).length;
  let beingKilled = owned.find((pod) => isOut(pod) && pod.terminating)?.name;
  const obstacleOf = ({ pod, marks, breaker }: Candidate): Obstacle | undefined => {
    if (marks.exempt) return { reason: 'Exempt', isForGood: true };
    if (pod.owner === undefined) return { reason: 'NoOwner', isForGood: true };
    const nextKill = nextKillOf(pod.uid);
    if (nextKill !== undefined && nextKill > now)
      return { reason: 'EvictionRefused', message: `tried again at ${writeTime(nextKill)}` };
    if (beingKilled !== undefined) return { reason: 'KillInProgress', message: `${beingKilled} is not gone yet` };
    // A pod without a breaker of its own is under the highest floor of all.
    const floor = Math.max(...(breaker ? [breaker] : resolved.breakers).map((one) => floorOf(counts.total, one)));
    if (counts.available < floor)
      return { reason: 'UnderFloor', message: `${counts.available} available, floor ${floor}` };
    return undefined;
  };
  for (const candidate of exhausted.sort(worstFirst)) {
    const { pod, marks, activator } = candidate;
    if (activate.has(pod.uid)) continue;
    const pauses = activator.mode === 'retryAndPause' && !marks.exempt;
    const message = `${timesBroken(candidate)}, maxRetryCount is ${activator.maxRetryCount}`;
    if (pauses && paused < activator.maxPauseCount) {
      paused++;
      pause.push(planned(pod, 'RetriesExhausted', message));
      continue;
    }
    if (pauses && activator.pauseOverflow === 'hold') {
      withhold(pod, 'PauseLimit', `${paused} paused, at most ${activator.maxPauseCount}`);
      continue;
    }
    const obstacle = obstacleOf(candidate);
    // Also a kill that nothing hinders is given up in the end: it may have failed again and again, which no pod remembers. Only a
    // refused one is remembered, and tried for ever.
    const isRefused =
      obstacle === undefined ? nextKillOf(pod.uid) !== undefined : obstacle.reason === 'EvictionRefused';
    const patience = comesBackAt(marks, pod.uid, activator, now, obstacle?.isForGood === true ? 'never' : 'passing');
    if (!isRefused && patience !== undefined && patience <= now)
      bringBack(
        candidate,
        'KillNotPossible',
        `${timesBroken(candidate)}, not killed: ${obstacle?.reason ?? 'kills failed'}`,
      );
    else if (obstacle !== undefined) withhold(pod, obstacle.reason, obstacle.message);
    else {
      beingKilled = pod.name;
      const reason = pauses ? 'PauseOverflow' : 'RetriesExhausted';
      kill.push({ ...planned(pod, reason, message), policy: activator.killPolicy });
    }
  }

  const decision: ActivationDecision = {
    activate: [...activate.values()],
    pause,
    kill,
    stamp: [...stamp.values()].filter(({ pod }) => !activate.has(pod.uid)),
    withheld: withheld.filter(({ pod }) => !activate.has(pod.uid)),
  };
  const noLongerOut = new Set([...decision.activate, ...pause].map(({ pod }) => pod.uid));
  const looks = ours
    .filter(({ uid }) => !noLongerOut.has(uid))
    .map((pod) => (stamp.has(pod.uid) ? edited(pod, EDITS.stampBreakAt(pod, { at: now })) : pod))
    .map((pod) => nextActionTime(pod, resolved, now, { withheld: true, refusedKill: nextKillOf(pod.uid) }))
    .filter((look) => look !== undefined);
  return looks.length === 0 ? decision : { ...decision, nextLook: Math.min(...looks) };
}

/**
 * Answers why no more pods of an activator may come back now; undefined where they may. A return removes the strategy label, so
 * nobody can tell whose return it was: every probation of the Service counts.
 */
function concurrencyLimit({ owned }: World, now: number) {
  const present = owned.filter((pod) => !pod.terminating);
  const known = new Map<ResolvedActivator, number>();
  const probationsOf = (activator: ResolvedActivator): number => {
    const count = known.get(activator) ?? present.filter((pod) => onProbation(marksOf(pod), activator, now)).length;
    known.set(activator, count);
    return count;
  };
  return (activator: ResolvedActivator, decided: number): string | undefined => {
    if (activator.maxConcurrentActivations === undefined) return undefined;
    const limit = intOrPercent(activator.maxConcurrentActivations, present.length);
    const count = probationsOf(activator) + decided;
    return count < limit ? undefined : `${count} on probation, at most ${limit}`;
  };
}

/** When a kill that was refused may be tried again. A time further off than any wait is of a clock that was wrong. */
function nextKills({ refusedKills, resolved, now }: ActivationInput) {
  const longest = Math.max(
    ...[resolved.defaultActivator, ...resolved.breakers.map(({ activator }) => activator)].map(maxWaitMilliseconds),
  );
  const times = new Map(refusedKills.map(({ uid, nextAttempt }) => [uid, Date.parse(nextAttempt)]));
  return (uid: string): number | undefined => {
    const time = times.get(uid);
    return time === undefined || time > now + longest + CLOCK_TOLERANCE_MILLISECONDS ? undefined : time;
  };
}

const breakerOf = (pod: Pod): { breaker?: string } => {
  const { strategy } = marksOf(pod);
  return strategy === undefined ? {} : { breaker: strategy };
};
const timesBroken = ({ marks }: Candidate): string =>
  retriesOf(marks) === 1 ? 'broken once' : `broken ${retriesOf(marks)} times`;
const secondsOut = ({ marks }: Candidate, now: number): number =>
  Math.max(0, Math.round((now - (brokenAt(marks, now) ?? now)) / 1000));

function partition<T>(items: readonly T[], test: (item: T) => boolean): [T[], T[]] {
  return [items.filter(test), items.filter((item) => !test(item))];
}

const byUid = (one: Candidate, other: Candidate): number => (one.pod.uid < other.pod.uid ? -1 : 1);
const oldestDueFirst = (one: Candidate, other: Candidate): number => one.due - other.due || byUid(one, other);
const worstFirst = (one: Candidate, other: Candidate): number =>
  retriesOf(other.marks) - retriesOf(one.marks) ||
  (one.marks.breakAt ?? 0) - (other.marks.breakAt ?? 0) ||
  byUid(one, other);
