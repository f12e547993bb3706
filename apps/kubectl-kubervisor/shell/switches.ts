/** The commands that change something. Each is gather → decide → apply; decisions are in ../core/decide.ts. */
import { pause } from '@kubervisor/runtime/kubernetes/api-server';
import { PATHS, pathIn, type RawObject } from '@kubervisor/runtime/kubernetes/resources';
import type { Mode } from '@kubervisor/shared/crd/kubervisor-service';
import { marksOf } from '@kubervisor/shared/pods/codec';
import { isPaused } from '@kubervisor/shared/pods/fleet';
import type { Pod } from '@kubervisor/shared/pods/pod';
import {
  activation,
  bringBack,
  changeMode,
  deactivation,
  exemption,
  MANIFEST_LINE,
  type Decision,
  type ServiceState,
  type Workload,
} from '../core/decide.ts';
import type { ActionResult } from '../core/views.ts';
import { Failure } from '../errors.ts';
import { carryOut } from './carry-out.ts';
import type { Cluster } from './cluster.ts';
import { tellRelease } from './tell-release.ts';

const DEFAULT_TIMEOUT = 60;
const LOOK_AGAIN = 500;

export interface Switching {
  cluster: Cluster;
  dryRun: boolean;
  /** A line on the way. */
  progress(text: string): void;
  signal: AbortSignal;
}

/** A Service by its name, or by that of a KubervisorService, or of one of its pods; `service/`, `svc/`, `kvs/` and `pod/` say which is meant. */
async function serviceNamed(cluster: Cluster, word: string): Promise<ServiceState> {
  const [, prefix, name = word] = /^([a-z.]+)\/(.+)$/.exec(word) ?? [];
  const is = (...kinds: string[]): boolean => prefix === undefined || kinds.includes(prefix);
  if (is('service', 'services', 'svc')) {
    const service = await cluster.findService(name);
    if (service !== undefined) return service;
  }
  const owner = is('pod', 'pods', 'po') ? await ownerOf(cluster, name) : undefined;
  const resource =
    owner !== undefined
      ? await cluster.resource(owner)
      : is('kvs', 'kubervisorservice', 'kubervisorservices')
        ? await cluster.findResource(name).catch(() => undefined)
        : undefined;
  const service = resource === undefined ? undefined : await cluster.findService(resource.service);
  if (service !== undefined) return service;
  if (resource !== undefined)
    throw new Failure(
      `the Service ${resource.service} of ${resource.resource.name} does not exist in ${cluster.namespace}`,
      'make it, or mend spec.service',
    );
  throw new Failure(
    `there is no Service ${word} in ${cluster.namespace}, nor a KubervisorService or a supervised pod of that name`,
    `see which there are: kubectl get services -n ${cluster.namespace}; another namespace: -n NAME`,
  );
}

async function ownerOf(cluster: Cluster, name: string): Promise<string | undefined> {
  const pod = await cluster.findPod(name);
  return pod === undefined ? undefined : marksOf(pod).name;
}

const TEMPLATED = {
  Deployment: '/apis/apps/v1/deployments',
  StatefulSet: '/apis/apps/v1/statefulsets',
  DaemonSet: '/apis/apps/v1/daemonsets',
  ReplicaSet: '/apis/apps/v1/replicasets',
  ReplicationController: '/api/v1/replicationcontrollers',
  Rollout: '/apis/argoproj.io/v1alpha1/rollouts',
} as const;

interface RawWorkload extends RawObject {
  metadata?: RawObject['metadata'] & { ownerReferences?: unknown[] };
  spec?: {
    selector?: Record<string, unknown> & {
      matchLabels?: Record<string, string>;
      matchExpressions?: { key: string }[];
    };
    template?: { metadata?: { labels?: Record<string, string> } };
  };
}

function readWorkload(kind: string, { metadata, spec }: RawWorkload): Workload {
  const { matchLabels, matchExpressions, ...plain } = spec?.selector ?? {};
  return {
    kind,
    name: metadata?.name ?? '',
    // That of a ReplicationController is a plain map.
    selectorKeys: [
      ...Object.keys(matchLabels ?? {}),
      ...(matchExpressions ?? []).map(({ key }) => key),
      ...(kind === 'ReplicationController' ? Object.keys(plain) : []),
    ],
    template: spec?.template?.metadata?.labels ?? {},
    owned: (metadata?.ownerReferences ?? []).length > 0,
  };
}

/** Kinds that this cluster does not have, or that this account may not list, are named in `unseen`. */
async function workloadsIn(cluster: Cluster): Promise<{ workloads: Workload[]; unseen: string[] }> {
  const unseen: string[] = [];
  const lists = await Promise.all(
    Object.entries(TEMPLATED).map(async ([kind, path]) => {
      try {
        const list = await cluster.api.find<{ items: RawWorkload[] }>(pathIn(path, cluster.namespace));
        return (list?.items ?? []).map((raw) => readWorkload(kind, raw));
      } catch {
        // Who may not list is refused also where there is no such kind.
        if (await isServed(cluster, path)) unseen.push(kind);
        return [];
      }
    }),
  );
  return { workloads: lists.flat(), unseen };
}

/** Whether the group and version of a collection are known here; where that cannot be told, they may be. */
const isServed = (cluster: Cluster, path: string): Promise<boolean> =>
  cluster.api.find(path.slice(0, path.lastIndexOf('/'))).then(
    (found) => found !== undefined,
    () => true,
  );

const servicePath = (cluster: Cluster, name: string): string => pathIn(PATHS.services, cluster.namespace, name);

export async function activate(
  { cluster, dryRun, progress, signal }: Switching,
  words: readonly string[],
  timeout = DEFAULT_TIMEOUT,
): Promise<ActionResult[]> {
  const results: ActionResult[] = [];
  for (const name of await serviceNames(cluster, words)) {
    const giveUpAt = performance.now() + 1000 * timeout;
    let told = '';
    const unseenWarnings: string[] = [];
    const decide = async (): Promise<Decision | undefined> => {
      for (;;) {
        const service = await cluster.findService(name);
        if (service === undefined) return undefined;
        const [pods, { workloads, unseen }, resources] = await Promise.all([
          cluster.fleet(service),
          workloadsIn(cluster),
          cluster.resources(cluster.namespace),
        ]);
        const supervisors = resources.filter((one) => one.service === name).map((one) => one.resource.name);
        const decision = activation(service, pods, workloads, supervisors);
        if (unseen.length > 0 && unseenWarnings.length === 0)
          unseenWarnings.push(
            `selectors of ${unseen.join(', ')} could not be looked at: none may hold a kubervisor/ key`,
          );
        if (decision.do !== 'wait' || dryRun || performance.now() >= giveUpAt) return decision;
        const line = `Waiting for ${decision.for}…`;
        if (line !== told) progress(line);
        told = line;
        await pause(LOOK_AGAIN, signal);
        signal.throwIfAborted();
      }
    };
    const result = await carryOut(cluster, { kind: 'Service', name, path: servicePath(cluster, name) }, dryRun, decide);
    if (result.result === 'changed') {
      result.message = `${result.message.replace(/\.$/, '')}. Write it into its manifest too, or Helm, Argo CD or Flux will undo it: ${MANIFEST_LINE.map((line) => line.trim()).join(' ')}`;
      result.warnings.push(...unseenWarnings, ...(await leftBehind(cluster, name)));
    }
    results.push(result);
  }
  return results;
}

/** Pods that came between the last look and the patch. */
async function leftBehind(cluster: Cluster, name: string): Promise<string[]> {
  const pods = await cluster.fleet(await cluster.findService(name));
  const bare = pods.filter((pod) => !pod.terminating && !pod.finished && marksOf(pod).traffic === undefined);
  return bare.length === 0
    ? []
    : [
        `${bare.map((pod) => pod.name).join(', ')} came meanwhile without the label, and gets traffic when the controller has set it`,
      ];
}

export async function deactivate({ cluster, dryRun }: Switching, words: readonly string[]): Promise<ActionResult[]> {
  const results: ActionResult[] = [];
  for (const name of await serviceNames(cluster, words)) {
    const target = { kind: 'Service', name, path: servicePath(cluster, name) } as const;
    const result = await carryOut(cluster, target, dryRun, async () => {
      const service = await cluster.findService(name);
      return service && deactivation(service, await cluster.fleet(service));
    });
    if (result.result === 'changed')
      result.message = `${result.message.replace(/\.$/, '')}. Take it out of its manifest too, or Helm, Argo CD or Flux will put it back.`;
    results.push(result);
  }
  return results;
}

/** Two words may mean one Service. */
async function serviceNames(cluster: Cluster, words: readonly string[]): Promise<Set<string>> {
  const names = new Set<string>();
  for (const word of words) names.add((await serviceNamed(cluster, word)).name);
  return names;
}

export async function setMode(
  { cluster, dryRun }: Switching,
  name: string,
  mode: Mode,
  breaker: string | undefined,
): Promise<ActionResult[]> {
  await cluster.resource(name);
  const target = {
    kind: 'KubervisorService',
    name,
    path: pathIn(PATHS.kubervisorServices, cluster.namespace, name),
  } as const;
  return [
    await carryOut(cluster, target, dryRun, async () => {
      const read = await cluster.findResource(name);
      return read && changeMode(read.resource, mode, breaker);
    }),
  ];
}

const bare = (word: string): string => word.replace(/^(pods?|po)\//, '');

async function onPods(
  { cluster, dryRun }: Switching,
  words: readonly string[],
  decide: (pod: Awaited<ReturnType<Cluster['pod']>>) => Decision,
): Promise<ActionResult[]> {
  const names = [...new Set(words.map(bare))];
  // All of them are looked up before the first is changed: a name that is misspelt changes nothing.
  for (const name of names) await cluster.pod(name);
  const results: ActionResult[] = [];
  for (const name of names) {
    const target = { kind: 'Pod', name, path: pathIn(PATHS.pods, cluster.namespace, name) } as const;
    results.push(
      await carryOut(cluster, target, dryRun, async () => {
        const pod = await cluster.findPod(name);
        return pod && decide(pod);
      }),
    );
  }
  return results;
}

export async function release(how: Switching, words: readonly string[], all: boolean): Promise<ActionResult[]> {
  const { cluster } = how;
  const seen = new Map<string, Pod>();
  const results = await onPods(how, all ? await pausedPods(cluster) : words, (pod) => {
    seen.set(pod.name, pod);
    return bringBack(pod, Date.now());
  });
  const back = results.filter(({ result }) => result === 'changed');
  const told = await tellRelease(
    cluster,
    back.flatMap(({ name }) => seen.get(name) ?? []),
  );
  if (!told)
    for (const { warnings } of back)
      warnings.push('no Event tells of it: this account may not create Events, or they were not taken');
  return results;
}

const pausedPods = (cluster: Cluster): Promise<string[]> =>
  cluster.attempt(`list pods in ${cluster.namespace}`, async () => {
    const pods = await cluster.kubernetes.listPods(cluster.namespace, 'kubervisor/traffic=pause');
    return pods.filter((pod) => isPaused(pod) && !pod.terminating).map((pod) => pod.name);
  });

export const exempt = (how: Switching, words: readonly string[], remove: boolean): Promise<ActionResult[]> =>
  onPods(how, words, (pod) => exemption(pod, remove));
