/**
 * What the commands tell, before it is printed: as `-o json` and `-o yaml` write it. The schemas are the contract with scripts: an optional
 * field may be added, nothing else changes. Times are RFC 3339.
 */
import * as z from 'zod';
import { MODES } from '../commands.ts';
import { breakerStatus, condition } from '@kubervisor/shared/crd/status';
import { marksOf, readReason, writeTime } from '@kubervisor/shared/pods/codec';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { brokenAt, nextActionTime, probationEnd, stateOf } from '@kubervisor/shared/policy/return';
import type { ReadResource } from './resource.ts';

export const resourceView = z.object({
  namespace: z.string(),
  name: z.string(),
  service: z.string(),
  mode: z.enum(MODES).optional(),
  createdAt: z.string(),
  /** The conditions of the status; `Unknown` where the controller has not said it yet. */
  ready: z.enum(['True', 'False', 'Unknown']),
  active: z.enum(['True', 'False', 'Unknown']),
  degraded: z.enum(['True', 'False', 'Unknown']),
  /** What is wrong: reason and message of the condition that says so. */
  problem: z.object({ reason: z.string(), message: z.string() }).optional(),
  available: z.int().optional(),
  floor: z.int().optional(),
  managed: z.int().optional(),
  out: z.int().optional(),
  paused: z.int().optional(),
  breakers: z.array(z.string()),
});
export const listView = z.object({ resources: z.array(resourceView) });

export const STATES = ['closed', 'open', 'half-open', 'paused', 'unmanaged'] as const;

export const podView = z.object({
  name: z.string(),
  uid: z.string(),
  /** Of the life cycle; `unmanaged`: no KubervisorService owns it. */
  state: z.enum(STATES),
  ready: z.boolean(),
  terminating: z.boolean(),
  exempt: z.boolean(),
  breaker: z.string().optional(),
  since: z.string().optional(),
  retryCount: z.int(),
  reason: z.string().optional(),
  observed: z.number().optional(),
  limit: z.number().optional(),
  score: z.number().optional(),
  /** When it comes back, is killed, or is set aside. */
  nextActionTime: z.string().optional(),
  /** What keeps that from happening now. */
  heldBy: z.string().optional(),
  probationUntil: z.string().optional(),
  /** Of a dry run: what enforcing would have done. */
  wouldBe: z.enum(['broken', 'paused']).optional(),
});
export const getView = resourceView.extend({
  conditions: z.array(condition),
  breakers: z.array(breakerStatus.extend({ kind: z.string(), mode: z.enum(MODES) })),
  pods: z.array(podView),
});

/** What a command did, or would do. */
export const actionView = z.object({
  command: z.string(),
  dryRun: z.boolean(),
  results: z.array(
    z.object({
      kind: z.enum(['Service', 'KubervisorService', 'Pod']),
      namespace: z.string(),
      name: z.string(),
      result: z.enum(['changed', 'wouldChange', 'unchanged', 'failed']),
      message: z.string(),
      next: z.string().optional(),
      warnings: z.array(z.string()),
    }),
  ),
});

export const changeView = z.object({
  at: z.string(),
  namespace: z.string(),
  kind: z.enum(['Pod', 'KubervisorService']),
  name: z.string(),
  message: z.string(),
  pod: podView.optional(),
});

export const versionView = z.object({
  client: z.object({ version: z.string(), node: z.string() }),
  server: z
    .object({
      url: z.string(),
      kubernetes: z.string().optional(),
      crd: z.string().optional(),
      workloads: z.array(
        z.object({
          namespace: z.string(),
          name: z.string(),
          component: z.string(),
          image: z.string(),
          ready: z.int(),
          replicas: z.int(),
        }),
      ),
    })
    .optional(),
  problems: z.array(z.string()),
});

export type ResourceView = z.infer<typeof resourceView>;
export type PodView = z.infer<typeof podView>;
export type GetView = z.infer<typeof getView>;
export type ActionView = z.infer<typeof actionView>;
export type ActionResult = ActionView['results'][number];
export type ChangeView = z.infer<typeof changeView>;
export type VersionView = z.infer<typeof versionView>;

const conditionOf = ({ status }: ReadResource, type: string) => status.conditions?.find((one) => one.type === type);

export function viewResource(read: ReadResource): ResourceView {
  const { resource, spec, status, service, problems } = read;
  const stated = (type: string) => conditionOf(read, type)?.status ?? 'Unknown';
  const ready = conditionOf(read, 'Ready');
  const degraded = conditionOf(read, 'Degraded');
  const wrong = ready?.status === 'False' ? ready : degraded?.status === 'True' ? degraded : undefined;
  const problem =
    wrong !== undefined
      ? { reason: wrong.reason, message: wrong.message ?? '' }
      : problems.length > 0
        ? { reason: 'InvalidSpec', message: problems.join('; ') }
        : undefined;
  const { available, floor, podCount } = status;
  return {
    namespace: resource.namespace,
    name: resource.name,
    service,
    ...(spec !== undefined && { mode: spec.mode }),
    createdAt: writeTime(resource.createdAt),
    ready: stated('Ready'),
    active: stated('Active'),
    degraded: stated('Degraded'),
    ...(problem !== undefined && { problem }),
    ...(available !== undefined && { available }),
    ...(floor !== undefined && { floor }),
    ...(podCount?.nbPodsManaged !== undefined && { managed: podCount.nbPodsManaged }),
    ...(podCount?.nbPodsBreaked !== undefined && { out: podCount.nbPodsBreaked }),
    ...(podCount?.nbPodsPaused !== undefined && { paused: podCount.nbPodsPaused }),
    breakers: spec?.breakers.map(({ name }) => name) ?? [],
  };
}

/** The pod says where it is; the status what only the controller knows: what holds it, and what a dry run believes. */
export function viewPod(pod: Pod, read: ReadResource | undefined, now: number): PodView {
  const marks = marksOf(pod);
  const spec = read?.spec;
  const told = read?.status.pods?.find(({ uid }) => uid === pod.uid);
  const isOut = marks.traffic === 'no' || marks.traffic === 'pause';
  const isOwned = marks.name !== undefined && read !== undefined;
  const plain = isOut ? (marks.traffic === 'no' ? 'open' : 'paused') : 'closed';
  const state = isOwned ? (spec === undefined ? plain : stateOf(marks, spec, now)) : isOut ? plain : 'unmanaged';
  const since = isOut ? brokenAt(marks, now) : undefined;
  const { reason, observed, limit, score } = readReason(marks.reason ?? '');
  const next = spec === undefined ? undefined : nextActionTime(pod, spec, now);
  const toldNext = told?.state === 'broken' && told.heldBy !== undefined ? told.nextActionTime : undefined;
  const probation = spec === undefined ? undefined : probationEnd(marks, spec.defaultActivator, now);
  const wouldBe =
    isOut || told === undefined
      ? undefined
      : ({ wouldBeBroken: 'broken', wouldBePaused: 'paused', broken: undefined, paused: undefined } as const)[
          told.state ?? 'broken'
        ];
  return {
    name: pod.name,
    uid: pod.uid,
    state,
    ready: pod.ready,
    terminating: pod.terminating,
    exempt: marks.exempt,
    ...(isOut && marks.strategy !== undefined && { breaker: marks.strategy }),
    ...(since !== undefined && { since: writeTime(since) }),
    retryCount: marks.retryCount,
    ...(isOut && reason !== '' && { reason }),
    ...(isOut && observed !== undefined && { observed }),
    ...(isOut && limit !== undefined && { limit }),
    ...(isOut && score !== undefined && { score }),
    // What holds it moves the moment on; the controller alone knows by how much.
    ...(toldNext !== undefined
      ? { nextActionTime: toldNext }
      : next !== undefined && { nextActionTime: writeTime(next) }),
    ...(isOut && told?.heldBy !== undefined && { heldBy: told.heldBy }),
    ...(state === 'half-open' && probation !== undefined && { probationUntil: writeTime(probation) }),
    ...(wouldBe !== undefined && { wouldBe }),
  };
}

const ORDER: Record<PodView['state'], number> = { paused: 0, open: 1, 'half-open': 2, closed: 3, unmanaged: 4 };

/** Who is out first, then by name. */
export const viewPods = (pods: readonly Pod[], read: ReadResource | undefined, now: number): PodView[] =>
  pods
    .map((pod) => viewPod(pod, read, now))
    .sort((one, other) => ORDER[one.state] - ORDER[other.state] || (one.name < other.name ? -1 : 1));

export function viewWhole(read: ReadResource, pods: readonly Pod[], now: number): GetView {
  const { status, spec } = read;
  return {
    ...viewResource(read),
    conditions: status.conditions ?? [],
    breakers: (spec?.breakers ?? []).map(({ name, kind, mode }) => ({
      ...status.breakers?.find((one) => one.name === name),
      name,
      kind,
      mode,
    })),
    pods: viewPods(pods, read, now),
  };
}
