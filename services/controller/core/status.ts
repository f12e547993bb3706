/**
 * The status of a resource, composed anew from what is known: the caches say what is, the leader's memory how the last rounds ended.
 * It must answer alone: who is out, why, until when, what holds it.
 */
import {
  MAX_STATUS_MESSAGE,
  MAX_STATUS_PODS,
  type BreakerStatus,
  type KubervisorServiceStatus,
  type PodStatus,
  type StatusCondition,
} from '@kubervisor/shared/crd/status';
import { warningsOf } from '@kubervisor/shared/crd/validate';
import { brokenAt, nextActionTime } from '@kubervisor/shared/policy/return';
import { floorOf } from '@kubervisor/shared/policy/percent';
import { marksOf, readReason, writeTime } from '@kubervisor/shared/pods/codec';
import { countsOf } from '@kubervisor/shared/pods/fleet';
import { LABEL } from '@kubervisor/shared/pods/keys';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { withSimulated } from '@kubervisor/shared/pods/simulated';
import { CONDITIONS, type ConditionReason, type WithheldReason } from '@kubervisor/shared/reasons';
import type { BreakerMemory, Memory } from './memory.ts';
import type { Supervised } from './supervision.ts';

export interface StatusInput {
  supervised: Supervised;
  /** As `ownedBy` chose them. */
  pods: readonly Pod[];
  memory: Memory;
  /** Owners (`Kind/name`) whose pods came without the traffic label (F1). */
  templatesWithoutLabel: readonly string[];
  fleetTooLarge: boolean;
  /** The status that stands; its transition times go on. */
  previous: KubervisorServiceStatus | undefined;
  now: number;
}

/** Rounds in a row without a decision before status says so: one may be lost with a worker that was just killed. */
const MISSING_ROUNDS_SHOWN = 2;

export function composeStatus(input: StatusInput): KubervisorServiceStatus {
  const { supervised, pods, memory, previous, now } = input;
  const { resource, resolved } = supervised;
  const fleet = pods.filter((pod) => !pod.terminating);
  const counts = countsOf(pods);
  const traffic = fleet.map((pod) => marksOf(pod).traffic);
  const floor = highestFloor(supervised, counts.total);
  return {
    observedGeneration: resource.generation,
    startTime: previous?.startTime ?? writeTime(now),
    conditions: conditionsOf(input, counts.available, floor),
    podCount: {
      nbPodsManaged: fleet.filter((pod) => pod.ready).length,
      nbPodsBreaked: traffic.filter((value) => value === 'no').length,
      nbPodsPaused: traffic.filter((value) => value === 'pause').length,
      nbPodsUnknown: traffic.filter((value) => value === undefined).length,
      lastProbeTime: writeTime(now),
    },
    available: counts.available,
    ...(floor !== undefined && { floor }),
    breakers: (resolved?.breakers ?? []).map((breaker) =>
      breakerStatus(
        breaker.name,
        floorOf(counts.total, breaker),
        memory.breakers[breaker.name],
        previous?.breakers?.find(({ name }) => name === breaker.name),
      ),
    ),
    pods:
      resolved === undefined
        ? []
        : [...podsOut(input, fleet), ...podsOutInDryRun(input, fleet)].slice(0, MAX_STATUS_PODS),
  };
}

/** Undefined where nothing is enforced. `total`: as for a break. */
export function highestFloor({ enforcing, resolved }: Supervised, total: number): number | undefined {
  const floors = (enforcing ? (resolved?.breakers ?? []) : [])
    .filter(({ mode }) => mode === 'enforce')
    .map((breaker) => floorOf(total, breaker));
  return floors.length === 0 ? undefined : Math.max(...floors);
}

/** A new leader knows of no evaluation yet: until the first, what stands is left. */
function breakerStatus(
  name: string,
  floor: number,
  memory: BreakerMemory | undefined,
  previous: BreakerStatus | undefined,
): BreakerStatus {
  if (memory === undefined) return { ...previous, name, floor };
  const { report, endedAt, consecutiveErrors, broken, withheld } = memory;
  const message = breakerMessage(memory);
  return {
    name,
    floor,
    lastEvaluationTime: writeTime(endedAt),
    result: report.result,
    anomalous: report.counts.anomalous,
    broken,
    withheld: withheld.length,
    consecutiveErrors,
    ...(message !== '' && { message }),
  };
}

function breakerMessage({ report, withheld }: BreakerMemory): string {
  const reasons = new Map<WithheldReason, number>();
  for (const { reason } of withheld) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  const ignored = Object.entries(report.ignored).filter(([, count]) => count > 0);
  return cut(
    [
      report.error === undefined ? undefined : `${report.error.reason}: ${report.error.message}`,
      report.message,
      ...[...reasons].map(([reason, count]) => `${count} withheld: ${reason}`),
      ignored.length === 0
        ? undefined
        : `ignored: ${ignored.map(([reason, count]) => `${count} ${reason}`).join(', ')}`,
      ...report.warnings.map((warning) => `warning: ${warning}`),
    ]
      .filter((part) => part !== undefined && part !== '')
      .join('; '),
  );
}

/** Of a pod that is out, in the CRD. */
const MAX_REASON = 1024;
const cut = (text: string, most = MAX_STATUS_MESSAGE): string =>
  text.length > most ? `${text.slice(0, most - 1)}…` : text;

function podsOut({ supervised: { resolved }, memory, now }: StatusInput, fleet: readonly Pod[]): PodStatus[] {
  const held = new Map(
    memory.activation?.withheld.filter(({ enforced }) => enforced).map((withheld) => [withheld.uid, withheld]),
  );
  return fleet
    .filter((pod) => ['no', 'pause'].includes(marksOf(pod).traffic ?? ''))
    .sort(byTimeOut)
    .map((pod) => {
      const holder = marksOf(pod).traffic === 'no' ? held.get(pod.uid) : undefined;
      const heldBy = holder === undefined || holder.reason === 'WaitNotOver' ? undefined : holder.reason;
      const refused = memory.refusedKills[pod.uid];
      const since = heldBy === undefined ? now : Math.min(now, memory.activation?.endedAt ?? now);
      const next =
        resolved === undefined
          ? undefined
          : nextActionTime(pod, resolved, since, {
              withheld: heldBy !== undefined && heldBy !== 'Deadline',
              ...(refused !== undefined && { refusedKill: refused.nextAttempt }),
            });
      return podStatus(pod, marksOf(pod).traffic === 'pause' ? 'paused' : 'broken', {
        next,
        heldBy: marksOf(pod).traffic === 'pause' ? 'Paused' : heldBy,
        now,
      });
    });
}

/** What a dry run believes, shown with its own states, for the pods themselves are in traffic. */
function podsOutInDryRun({ supervised: { resolved }, memory, now }: StatusInput, fleet: readonly Pod[]): PodStatus[] {
  return fleet.flatMap((pod) => {
    const simulated = memory.simulated[pod.uid];
    if (
      simulated === undefined ||
      simulated.traffic === 'yes' ||
      marksOf(pod).traffic !== 'yes' ||
      resolved === undefined
    )
      return [];
    const believed = withSimulated(pod, simulated);
    const paused = simulated.traffic === 'pause';
    return [
      podStatus(believed, paused ? 'wouldBePaused' : 'wouldBeBroken', {
        next: paused ? undefined : nextActionTime(believed, resolved, now),
        heldBy: undefined,
        now,
      }),
    ];
  });
}

function podStatus(
  pod: Pod,
  state: NonNullable<PodStatus['state']>,
  { next, heldBy, now }: { next: number | undefined; heldBy: string | undefined; now: number },
): PodStatus {
  const marks = marksOf(pod);
  const { reason, observed, limit } = readReason(marks.reason ?? '');
  const since = brokenAt(marks, now);
  const strategy = pod.labels[LABEL.strategy];
  return {
    name: pod.name,
    uid: pod.uid,
    state,
    ...(strategy !== undefined && strategy !== '' && { breaker: strategy }),
    ...(since !== undefined && { since: writeTime(since) }),
    retryCount: marks.retryCount,
    // A person may have written more than the resource holds, and one such line would keep all of the status from being written.
    ...(reason !== '' && { reason: cut(reason, MAX_REASON) }),
    ...(observed !== undefined && { observed }),
    ...(limit !== undefined && { limit }),
    ...(next !== undefined && { nextActionTime: writeTime(next) }),
    ...(heldBy !== undefined && { heldBy }),
  };
}

const byTimeOut = (one: Pod, other: Pod): number =>
  (marksOf(one).breakAt ?? 0) - (marksOf(other).breakAt ?? 0) || (one.name < other.name ? -1 : 1);

function conditionsOf(input: StatusInput, available: number, floor: number | undefined): StatusCondition[] {
  const { supervised, previous, now } = input;
  const condition = (
    type: string,
    status: boolean | 'Unknown',
    reason: ConditionReason,
    message?: string,
  ): StatusCondition => {
    const value = status === 'Unknown' ? 'Unknown' : status ? 'True' : 'False';
    const before = previous?.conditions?.find((other) => other.type === type);
    return {
      type,
      status: value,
      reason,
      message: cut(message ?? `${CONDITIONS[reason]}.`),
      lastTransitionTime: before?.status === value ? before.lastTransitionTime : writeTime(now),
      observedGeneration: supervised.resource.generation,
    };
  };
  const { problem, resolved } = supervised;
  if (problem !== undefined) {
    return [
      condition('Ready', false, problem.reason, problem.message),
      condition('Active', false, problem.reason, 'No work is published for it.'),
      condition('Degraded', 'Unknown', problem.reason, 'Nothing is evaluated.'),
    ];
  }
  const warnings = [
    ...(resolved === undefined ? [] : warningsOf(resolved).map(({ reason, message }) => `${reason}: ${message}`)),
    ...(input.templatesWithoutLabel.length === 0
      ? []
      : [`TemplateWithoutLabel: ${CONDITIONS.TemplateWithoutLabel} (${input.templatesWithoutLabel.join(', ')})`]),
  ];
  const ready = input.fleetTooLarge
    ? condition('Ready', false, 'FleetTooLarge')
    : condition(
        'Ready',
        true,
        'Reconciled',
        [`${CONDITIONS.Reconciled}.`, ...warnings.map((warning) => `Warning: ${warning}.`)].join(' '),
      );
  const mode = supervised.spec?.mode;
  const active = supervised.active
    ? condition(
        'Active',
        true,
        'SelectorActivated',
        `${CONDITIONS.SelectorActivated}${mode === 'enforce' ? '' : `; mode ${mode}: nobody is broken`}.`,
      )
    : condition('Active', false, 'SelectorNotActivated');
  const degraded = degradations(input, available, floor);
  const [worst] = degraded;
  return [
    ready,
    active,
    worst === undefined
      ? condition('Degraded', false, 'Healthy')
      : condition('Degraded', true, worst.reason, degraded.map(({ message }) => message).join(' ')),
  ];
}

/** All that keeps the resource from working, the most telling first. */
function degradations(
  { memory }: StatusInput,
  available: number,
  floor: number | undefined,
): { reason: ConditionReason; message: string }[] {
  const found: { reason: ConditionReason; message: string }[] = [];
  if (memory.missing >= MISSING_ROUNDS_SHOWN) {
    const errors = memory.errors.length === 0 ? '' : ` Last error: ${memory.errors[0]}.`;
    found.push({
      reason: 'RoundsMissing',
      message: `Evaluations come to no decision: is a breaker there, and NATS?${errors}`,
    });
  }
  if (memory.missingActivations >= MISSING_ROUNDS_SHOWN) {
    found.push({
      reason: 'RoundsMissing',
      message: 'Activations do not end, so nobody comes back: is an activator there, and NATS?',
    });
  }
  for (const { report } of Object.values(memory.breakers)) {
    if (report.result === 'panic') {
      found.push({
        reason: 'FleetAnomalous',
        message: `Breaker ${report.name}: ${report.message ?? CONDITIONS.FleetAnomalous}.`,
      });
    }
  }
  for (const { report } of Object.values(memory.breakers)) {
    if (report.error !== undefined) {
      found.push({
        reason: 'DetectorFailing',
        message: `Breaker ${report.name}: ${report.error.reason}: ${report.error.message}.`,
      });
    }
  }
  if (floor !== undefined && available < floor) {
    found.push({ reason: 'UnderFloor', message: `${available} pods are available, the floor is ${floor}.` });
  }
  return found;
}

/**
 * Times alone are no change (design §3): they are written with the next one. Nor is one error more after many: a detector that is
 * down for an hour would be a write an evaluation, so errors in a row count as 1, 2, 4, 8 …
 */
export function isWorthWriting(before: KubervisorServiceStatus | undefined, after: KubervisorServiceStatus): boolean {
  return before === undefined || timeless(before) !== timeless(after);
}

const TIMES = new Set([
  'lastProbeTime',
  'lastEvaluationTime',
  'lastTransitionTime',
  'nextActionTime',
  'startTime',
  'since',
]);

function timeless(status: KubervisorServiceStatus): string {
  return JSON.stringify(sorted(status));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, item]) => item !== undefined && !TIMES.has(key))
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([key, item]) => [
        key,
        key === 'consecutiveErrors' ? Math.floor(Math.log2(Number(item) + 1)) : sorted(item),
      ]),
  );
}
