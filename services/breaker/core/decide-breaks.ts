/**
 * The one decision of a round over all its due breakers (B3): who is taken out of traffic, who is not and why. Everything that a
 * break rests on is looked at again on a fresh list (B5), for the message it began with is as old as the slowest detector.
 *
 * It is asked again when a place became free in the same round (W4), with a list made after that, and with what became of the
 * pods that were tried.
 */
import type { ResolvedBreaker } from '@kubervisor/shared/crd/resolve';
import type { Withheld } from '@kubervisor/shared/events/common';
import type { WorkEvaluate } from '@kubervisor/shared/events/work-evaluate';
import { marksOf, type Marks } from '@kubervisor/shared/pods/codec';
import { countsOf, isAvailable, isOut, ownedBy, selects, type Selector } from '@kubervisor/shared/pods/fleet';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { budgetOf, floorOf } from '@kubervisor/shared/policy/percent';
import type { WithheldReason } from '@kubervisor/shared/reasons';
import { clocksOf, isPastGrace, type Clocks } from './grace.ts';
import type { Evaluation, Nomination } from './nominate.ts';
import { panicOf } from './panic.ts';
import { retryCountAtBreak } from './retry-count.ts';

export interface BreakInput {
  /** Milliseconds since 1970, by the leader's clock. */
  now: number;
  /** What grace periods are judged by; `now` unless told. */
  clocks?: Clocks;
  /** Of the KubervisorService. */
  name: string;
  /** The Service's selector without our key. */
  selector: Selector;
  /** Of the breakers that are decided on together: either those that enforce, or those that do not. */
  evaluations: readonly Evaluation[];
  /** A fresh list; for what does not enforce, as simulated. */
  pods: readonly Pod[];
  /** F5: the other enforcing, active resources of the namespace. */
  others: WorkEvaluate['others'];
  /** What this round has tried already. */
  settled?: readonly Settled[];
}

/** A pod that this round has tried to break: it is not tried twice. */
export interface Settled {
  uid: string;
  /**
   * It was broken, or it may have been: no answer came. Where the list still shows it in traffic, it counts as out all the same,
   * for the patch may yet take effect.
   */
  left: boolean;
}

export interface Break {
  /** As listed. */
  pod: Pod;
  breaker: string;
  enforced: boolean;
  retryCount: number;
  observation: Nomination['observation'];
}

export interface Budget {
  available: number;
  total: number;
  floor: number;
  budget: number;
}

export interface BreakDecision {
  /** Worst first. Every prefix of it holds the floors too, so it does not matter how far it is carried out. */
  breaks: Break[];
  withheld: Withheld[];
  /** By breaker, before any of the breaks. */
  budgets: Record<string, Budget>;
  /** P, on the fresh list, by breaker: what the bad pods share. */
  panics: Record<string, string>;
}

export function decideBreaks({
  now,
  clocks = clocksOf(now),
  name,
  selector,
  evaluations,
  pods,
  others,
  settled = [],
}: BreakInput): BreakDecision {
  const owned = ownedBy(pods, selector, name);
  const fleet = new Map(owned.filter((pod) => !pod.terminating).map((pod) => [pod.uid, pod]));
  const tried = new Map(settled.map((one) => [one.uid, one]));
  const stillLeaving = owned.filter((pod) => isAvailable(pod) && tried.get(pod.uid)?.left === true).length;
  const { total, available: listed } = countsOf(owned);
  let available = listed - stillLeaving;

  const members = [...fleet.values()].map((pod) => ({ ...pod, out: isOut(pod) }));
  const budgets: Record<string, Budget> = {};
  const panics: Record<string, string> = {};
  for (const { breaker, judgement } of evaluations) {
    const floor = floorOf(total, breaker);
    budgets[breaker.name] = { available, total, floor, budget: budgetOf(available, floor) };
    const panic = panicOf(members, (uid) => judgement.verdicts.get(uid)?.outcome, breaker.panicThreshold);
    if (panic !== undefined) panics[breaker.name] = panic;
  }

  // Of a pod that fifty breakers name, its marks are read once.
  const known = new Map<string, Marks>();
  const marksOnce = (pod: Pod): Marks => {
    const marks = known.get(pod.uid) ?? marksOf(pod);
    known.set(pod.uid, marks);
    return marks;
  };
  const breaks = new Map<string, Break>();
  const withheld: Withheld[] = [];
  const candidates = evaluations
    .flatMap(({ breaker, enforced, nominations }) =>
      nominations.map((nomination) => ({ breaker, enforced, nomination })),
    )
    .filter(({ nomination }) => !tried.has(nomination.uid))
    .sort((one, other) => worstFirst(one.nomination, other.nomination));
  for (const { breaker, enforced, nomination } of candidates) {
    const { uid, observation } = nomination;
    if (breaks.has(uid)) continue;
    const withhold = (reason: WithheldReason, message?: string) =>
      withheld.push({
        pod: nomination.pod,
        uid,
        breaker: breaker.name,
        reason,
        enforced,
        ...(message !== undefined && { message }),
      });
    const pod = fleet.get(uid);
    if (pod === undefined) {
      withhold('NotOfFleet');
      continue;
    }
    const obstacle = obstacleOf(pod, marksOnce(pod), breaker, { clocks, name, others });
    if (obstacle !== undefined) {
      withhold(obstacle.reason, obstacle.message);
      continue;
    }
    const panic = panics[breaker.name];
    if (panic !== undefined) {
      withhold('FleetAnomalous', panic);
      continue;
    }
    // B2, B3: the floor of this breaker alone, in the state after this break and all those decided before it.
    const floor = floorOf(total, breaker);
    if (available - 1 < floor) {
      withhold('FloorReached', `${available} available, floor ${floor}`);
      continue;
    }
    available--;
    const retryCount = retryCountAtBreak(marksOnce(pod), pod.readySince, breaker.activator, now);
    breaks.set(uid, { pod, breaker: breaker.name, enforced, retryCount, observation });
  }
  return {
    breaks: [...breaks.values()],
    // A pod that one breaker could not have but another took is not withheld.
    withheld: withheld.filter(({ uid }) => !breaks.has(uid)),
    budgets,
    panics,
  };
}

/** B4: by score, then by uid; and of one pod with one score by the breaker's name, so that nothing is left to the order of input. */
function worstFirst(one: Nomination, other: Nomination): number {
  return (
    other.observation.score - one.observation.score ||
    compare(one.uid, other.uid) ||
    compare(one.breaker, other.breaker)
  );
}

const compare = (one: string, other: string): number => (one < other ? -1 : Number(one > other));

/** Why this pod may not be broken by this breaker, whatever the floor. */
function obstacleOf(
  pod: Pod,
  { traffic, exempt, activatedAt }: Marks,
  { gracePeriod }: ResolvedBreaker,
  { clocks, name, others }: Required<Pick<BreakInput, 'clocks' | 'name' | 'others'>>,
): { reason: WithheldReason; message?: string } | undefined {
  if (traffic !== 'yes') return { reason: 'AlreadyOut' };
  if (!pod.ready) return { reason: 'NotReady' };
  if (exempt) return { reason: 'Exempt' };
  if (!isPastGrace({ readySince: pod.readySince, activatedAt }, gracePeriod, clocks)) return { reason: 'GracePeriod' };
  const [sharer] = others
    .filter((other) => other.name !== name && selects(other.selector, pod.labels))
    .map((other) => other.name)
    .sort();
  if (sharer !== undefined) return { reason: 'SharedPods', message: `also selected by ${sharer}` };
  return undefined;
}
