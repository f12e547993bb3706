/** Fleets, work and verdicts for tests: a Service `cart` of pods in traffic, ready for an hour, unless a test says otherwise. */
import * as crd from '@kubervisor/shared/crd/kubervisor-service';
import { resolveSpec } from '@kubervisor/shared/crd/resolve';
import type { Verdict } from '@kubervisor/shared/detection/contract';
import type { FleetPod, WorkEvaluate } from '@kubervisor/shared/events/work-evaluate';
import { EDITS, edited, marksOf, readPod, writeTime } from '@kubervisor/shared/pods/codec';
import { ANNOTATION, LABEL } from '@kubervisor/shared/pods/keys';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { decideBreaks, type Break, type BreakDecision } from './decide-breaks.ts';
import { clocksOf } from './grace.ts';
import { inquiries, nominate, type Evaluation } from './nominate.ts';
import { podsAsSimulated } from './simulation.ts';

export const NOW = Date.parse('2026-03-01T12:00:00.000Z');
export const SELECTOR = { app: 'cart' };

export interface PodText {
  traffic?: string;
  /** Seconds before NOW; negative = in the future. */
  readyFor?: number;
  activeFor?: number;
  ready?: boolean;
  retryCount?: number;
  exempt?: boolean;
  terminating?: boolean;
  finished?: boolean;
  owner?: string;
  uid?: string;
  revision?: string;
  node?: string;
  labels?: Record<string, string>;
}

export const before = (seconds: number): string => new Date(NOW - seconds * 1000).toISOString();

const defined = (map: Record<string, string | undefined>): Record<string, string> =>
  Object.fromEntries(Object.entries(map).filter((entry): entry is [string, string] => entry[1] !== undefined));

export function aPod(name: string, text: PodText = {}): Pod {
  const { traffic = 'yes', ready = true, owner = 'cart', readyFor = 3600 } = text;
  return readPod({
    metadata: {
      name,
      namespace: 'shop',
      uid: text.uid ?? `uid-${name}`,
      resourceVersion: '1',
      creationTimestamp: before(86_400),
      ...(text.terminating === true && { deletionTimestamp: before(1) }),
      labels: defined({
        ...SELECTOR,
        [LABEL.name]: owner,
        [LABEL.traffic]: traffic === 'missing' ? undefined : traffic,
        'pod-template-hash': text.revision,
        ...text.labels,
      }),
      annotations: defined({
        [ANNOTATION.activatedAt]: text.activeFor === undefined ? undefined : before(text.activeFor),
        [ANNOTATION.retryCount]: text.retryCount === undefined ? undefined : String(text.retryCount),
        [ANNOTATION.exempt]: text.exempt === true ? 'true' : undefined,
      }),
    },
    spec: { ...(text.node !== undefined && { nodeName: text.node }) },
    status: {
      phase: text.finished === true ? 'Succeeded' : 'Running',
      startTime: before(86_400),
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: before(readyFor) }],
    },
  });
}

/** `cart-0` … */
export const somePods = (count: number, text: PodText = {}): Pod[] =>
  Array.from({ length: count }, (_, index) => aPod(`cart-${index}`, text));

/** As the controller's cache has it. */
export function fleetPodOf(pod: Pod): FleetPod {
  const { traffic, activatedAt, exempt } = marksOf(pod);
  return {
    name: pod.name,
    uid: pod.uid,
    ready: pod.ready,
    ...(traffic !== undefined && { traffic }),
    ...(pod.readySince !== undefined && { readySince: writeTime(pod.readySince) }),
    ...(activatedAt !== undefined && { activatedAt: writeTime(activatedAt) }),
    ...(exempt && { exempt }),
    ...(pod.node !== undefined && { node: pod.node }),
    ...(pod.revision !== undefined && { revision: pod.revision }),
  };
}

export type BreakerText = Partial<crd.BreakerSpec>;

/** A breaker without a panic threshold and without grace, so that a test is about one rule; `customService` is its detector. */
export const aBreaker = (text: BreakerText = {}): crd.BreakerSpec =>
  crd.breaker.parse({ name: 'slow', customService: 'judge:80', panicThreshold: 100, gracePeriod: 0, ...text });

export interface WorkText extends Partial<Omit<WorkEvaluate, 'spec'>> {
  breakers?: BreakerText[];
  mode?: crd.Mode;
  pods?: readonly Pod[];
}

export function aWork({ breakers = [{}], mode, pods = [], ...text }: WorkText = {}): WorkEvaluate {
  const spec = crd.spec.parse({
    service: 'cart',
    breakers: breakers.map(aBreaker),
    ...(mode !== undefined && { mode }),
  });
  return {
    round: 'r-1',
    resource: { namespace: 'shop', name: 'cart', uid: 'kvs-1', generation: 1 },
    spec,
    selector: SELECTOR,
    active: true,
    due: spec.breakers.map(({ name }) => name),
    claimRevision: 0,
    fleet: pods.filter((pod) => !pod.terminating && !pod.finished && pod.labels[LABEL.name] === 'cart').map(fleetPodOf),
    history: {},
    simulated: [],
    others: [],
    ...text,
  };
}

/** Pod → score of an anomalous verdict; whoever is missing is ok. */
export type Scores = Readonly<Record<string, number>>;

export const verdictsOf = (names: readonly string[], scores: Scores): Verdict[] =>
  names.map((pod) => {
    const score = scores[pod];
    return score === undefined ? { pod, outcome: 'ok' } : { pod, outcome: 'anomalous', score };
  });

export const anAnswer = (verdicts: Verdict[] = []) => ({ verdicts, ignored: {}, warnings: [] });

/** Breaker → scores. */
export type Verdicts = Readonly<Record<string, Scores>>;

export function evaluate(work: WorkEvaluate, verdicts: Verdicts, now = NOW): Evaluation[] {
  return inquiries(work, resolveSpec(work.spec), clocksOf(now)).map((inquiry) => {
    const { name } = inquiry.breaker;
    const names = inquiry.sent.map((pod) => pod.name);
    return nominate(inquiry, anAnswer(verdictsOf(names, verdicts[name] ?? {})), work.history[name]);
  });
}

/** One decision as the shell asks for it: the enforced one, or the simulated one. */
export function decide(
  work: WorkEvaluate,
  evaluations: readonly Evaluation[],
  pods: readonly Pod[],
  {
    enforced = true,
    now = NOW,
    ...rest
  }: { enforced?: boolean; now?: number; settled?: { uid: string; left: boolean }[] } = {},
): BreakDecision {
  return decideBreaks({
    now,
    name: work.resource.name,
    selector: work.selector,
    others: work.others,
    evaluations: evaluations.filter((one) => one.enforced === enforced),
    pods: enforced ? pods : podsAsSimulated(pods, { simulated: work.simulated, breaks: [], at: now }),
    ...rest,
  });
}

/** The whole of a pure round: whom a message with these pods and verdicts breaks. */
export function decideAll(text: WorkText & { pods: readonly Pod[] }, verdicts: Verdicts): BreakDecision {
  const work = aWork(text);
  return decide(work, evaluate(work, verdicts), text.pods);
}

export const applied = (pods: readonly Pod[], breaks: readonly Break[], at = NOW): Pod[] => {
  const byUid = new Map(breaks.map((one) => [one.pod.uid, one]));
  return pods.map((pod) => {
    const one = byUid.get(pod.uid);
    return one === undefined ? pod : edited(pod, EDITS.break(pod, { ...one, at }));
  });
};

export const namesOf = (breaks: readonly Break[]): string[] => breaks.map(({ pod }) => pod.name);
/** `cart-1 FloorReached` … */
export const heldOf = (withheld: readonly { pod: string; reason: string }[]): string[] =>
  withheld.map(({ pod, reason }) => `${pod} ${reason}`);
