/**
 * What only the leader remembers of a resource, and only from facts: the last outcomes that `confirm` counts (V3), what a dry run
 * believes (A6), refused kills (A5), and how each breaker's last evaluation ended (for status). A restart forgets it all: that is
 * the safe side.
 */
import type { ResolvedSpec } from '@kubervisor/shared/crd/resolve';
import type { ActivationCompleted } from '@kubervisor/shared/events/activation-completed';
import type { SimulatedPod, Withheld } from '@kubervisor/shared/events/common';
import type { BreakerReport, EvaluationCompleted } from '@kubervisor/shared/events/evaluation-completed';
import type { WorkKind } from '@kubervisor/shared/events/subjects';
import { writeReason } from '@kubervisor/shared/pods/codec';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { activatorOf, killRetryMilliseconds } from '@kubervisor/shared/policy/return';

export interface BreakerMemory {
  report: BreakerReport;
  /** Milliseconds since 1970. */
  endedAt: number;
  consecutiveErrors: number;
  broken: number;
  withheld: readonly Withheld[];
}

export interface RefusedKill {
  refusals: number;
  /** Milliseconds since 1970. */
  nextAttempt: number;
}

export interface Memory {
  /** Breaker → uid → outcomes, oldest first, at most m − 1. */
  readonly history: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** By uid. */
  readonly simulated: Readonly<Record<string, SimulatedPod>>;
  readonly refusedKills: Readonly<Record<string, RefusedKill>>;
  readonly breakers: Readonly<Record<string, BreakerMemory>>;
  /** What the last activation did not do, and when it ended. */
  readonly activation?: {
    readonly endedAt: number;
    readonly withheld: readonly Withheld[];
    readonly errors: readonly string[];
  };
  /** Errors of the last evaluation as a whole. */
  readonly errors: readonly string[];
  /** Evaluations in a row that ended without a decision, or without a fact at all; and activations. */
  readonly missing: number;
  readonly missingActivations: number;
}

export const NEW_MEMORY: Memory = {
  history: {},
  simulated: {},
  refusedKills: {},
  breakers: {},
  errors: [],
  missing: 0,
  missingActivations: 0,
};

/** The fact of an evaluation. Facts of rounds that decided nothing leave all but the errors as it is (V1). */
export function rememberEvaluation(memory: Memory, fact: EvaluationCompleted, spec: ResolvedSpec, now: number): Memory {
  if (fact.outcome !== 'completed') return { ...memory, errors: fact.errors, missing: memory.missing + 1 };
  const history = { ...memory.history };
  const breakers = { ...memory.breakers };
  for (const report of fact.breakers) {
    const breaker = spec.breakers.find(({ name }) => name === report.name);
    if (breaker === undefined) continue;
    const failed = report.error !== undefined;
    // P: a common cause is no evidence against single pods. Else, when it ends, those that recover last would all be confirmed.
    if (report.result === 'panic') history[report.name] = {};
    else if (!failed)
      history[report.name] = nextHistory(history[report.name] ?? {}, fact, report.name, breaker.confirm.of);
    breakers[report.name] = {
      report,
      endedAt: now,
      consecutiveErrors: failed ? (memory.breakers[report.name]?.consecutiveErrors ?? 0) + 1 : 0,
      broken: fact.breaks.filter((broken) => broken.breaker === report.name).length,
      withheld: fact.withheld.filter((withheld) => withheld.breaker === report.name),
    };
  }
  const simulated = { ...memory.simulated };
  for (const broken of fact.breaks) {
    if (broken.enforced) {
      for (const name of Object.keys(history)) history[name] = without(history[name] ?? {}, broken.uid);
      delete simulated[broken.uid];
    } else {
      simulated[broken.uid] = {
        uid: broken.uid,
        traffic: 'no',
        breaker: broken.breaker,
        breakAt: broken.at,
        retryCount: broken.retryCount,
        // As it would stand on the pod: the order in which pods come back early rests on the score in it (B7).
        reason: writeReason(broken),
      };
    }
  }
  return { ...memory, history, breakers, simulated, errors: fact.errors, missing: 0 };
}

const without = <Value>(map: Readonly<Record<string, Value>>, key: string): Record<string, Value> =>
  Object.fromEntries(Object.entries(map).filter(([other]) => other !== key));

/** One outcome more for every pod that was judged. A pod that was not judged this time keeps what it has. */
function nextHistory(
  before: Readonly<Record<string, string>>,
  fact: EvaluationCompleted,
  breaker: string,
  of: number,
): Record<string, string> {
  if (of <= 1) return {};
  const anomalous = new Set(
    fact.outcomes
      .filter((outcome) => outcome.breaker === breaker && outcome.outcome === 'anomalous')
      .map(({ uid }) => uid),
  );
  const after = { ...before };
  for (const uid of fact.judged[breaker] ?? []) {
    after[uid] = ((before[uid] ?? '') + (anomalous.has(uid) ? '1' : '0')).slice(-(of - 1));
  }
  return after;
}

/**
 * The last fact of an earlier leader's: good for status alone. What `confirm` counts and what a dry run believes begins anew. Once;
 * later looks at the same fact find the memory filled.
 */
export function seedFrom(memory: Memory, fact: EvaluationCompleted, spec: ResolvedSpec, now: number): Memory {
  if (Object.keys(memory.breakers).length > 0 || fact.outcome !== 'completed') return memory;
  return { ...memory, breakers: rememberEvaluation(memory, fact, spec, now).breakers };
}

/** The fact of an activation. */
export function rememberActivation(memory: Memory, fact: ActivationCompleted, spec: ResolvedSpec, now: number): Memory {
  if (fact.outcome !== 'completed') return rememberMissing(memory, 'activate');
  const simulated = { ...memory.simulated };
  for (const action of fact.actions) {
    if (action.enforced) continue;
    const known = simulated[action.uid];
    if (action.action === 'killed') delete simulated[action.uid];
    else if (action.action === 'paused' && known !== undefined) simulated[action.uid] = { ...known, traffic: 'pause' };
    else if (action.action === 'activated') {
      simulated[action.uid] = {
        uid: action.uid,
        traffic: 'yes',
        retryCount: action.retryCount,
        activatedAt: action.at,
      };
    } else if (action.action === 'stamped' && known !== undefined)
      simulated[action.uid] = { ...known, breakAt: action.at };
  }
  const refusedKills: Record<string, RefusedKill> = {};
  for (const { uid, reason, enforced, breaker } of fact.withheld) {
    if (reason !== 'EvictionRefused' || !enforced) continue;
    const before = memory.refusedKills[uid];
    // Withheld because it was not yet tried again: no refusal more.
    if (before !== undefined && before.nextAttempt > now) {
      refusedKills[uid] = before;
      continue;
    }
    const refusals = (before?.refusals ?? 0) + 1;
    const { activator } = activatorOf(breaker === undefined ? {} : { strategy: breaker }, spec);
    refusedKills[uid] = { refusals, nextAttempt: now + killRetryMilliseconds(refusals, activator) };
  }
  return {
    ...memory,
    simulated,
    refusedKills,
    activation: { endedAt: now, withheld: fact.withheld, errors: fact.errors },
    missingActivations: 0,
  };
}

/** A round ended without any fact. */
export const rememberMissing = (memory: Memory, kind: WorkKind): Memory =>
  kind === 'evaluate'
    ? { ...memory, missing: memory.missing + 1 }
    : { ...memory, missingActivations: memory.missingActivations + 1 };

/** No activation is due, so none can be missed. */
export const rememberNobodyOut = (memory: Memory): Memory =>
  memory.missingActivations === 0 ? memory : { ...memory, missingActivations: 0 };

/** Forgets pods that are gone and breakers that were removed; and of the simulation what nothing simulates any more. */
export function prune(memory: Memory, pods: readonly Pod[], spec: ResolvedSpec, active: boolean): Memory {
  const alive = new Set(pods.map(({ uid }) => uid));
  const breakers = new Map(spec.breakers.map((breaker) => [breaker.name, breaker]));
  const simulates = (mode: ResolvedSpec['mode']): boolean => mode === 'dryRun' || (mode === 'enforce' && !active);
  const keep = <Value>(
    map: Readonly<Record<string, Value>>,
    kept: (key: string, value: Value) => boolean,
  ): Record<string, Value> => Object.fromEntries(Object.entries(map).filter(([key, value]) => kept(key, value)));
  return {
    ...memory,
    history: Object.fromEntries(
      Object.entries(keep(memory.history, (name) => breakers.has(name))).map(([name, bits]) => [
        name,
        keep(bits, (uid) => alive.has(uid)),
      ]),
    ),
    // F4 for the simulation: what now enforces, or does not even simulate, holds nobody out in it either.
    simulated: keep(memory.simulated, (uid, pod) => {
      if (!alive.has(uid)) return false;
      const breaker = pod.breaker === undefined ? undefined : breakers.get(pod.breaker);
      const mode = breaker?.mode ?? spec.mode;
      // What came back in it belongs to no breaker: it is on probation for all that simulate.
      return pod.traffic === 'yes' ? spec.breakers.some((one) => simulates(one.mode)) : simulates(mode);
    }),
    refusedKills: keep(memory.refusedKills, (uid) => alive.has(uid)),
    breakers: keep(
      memory.breakers,
      (name) => breakers.get(name) !== undefined && breakers.get(name)?.mode !== 'disabled',
    ),
  };
}
