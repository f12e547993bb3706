/**
 * What makes an API server living: the part of the kubelets and, where no kube-controller-manager does it, that of the workload,
 * endpoint and disruption controllers. All of it is a client over HTTP, so it serves a bare kube-apiserver as well.
 */
import { createApiClient } from '../client.ts';
import { SOURCES, type Cluster, type Controller, type SourceName } from './cluster.ts';
import { deployments } from './deployments.ts';
import { disruption } from './disruption.ts';
import { endpointSlices } from './endpoint-slices.ts';
import { heartbeat, installNode, kubelet, type KubeletOptions } from './kubelet.ts';
import { Mirror } from './mirror.ts';
import { Queue } from './queue.ts';
import { replicaSets } from './replica-sets.ts';

export interface ControllersOptions extends Partial<KubeletOptions> {
  /** The text of a kubeconfig. */
  kubeconfig: string;
  /** Which parts run; all if left out. Beside a kube-controller-manager: only `kubelet`. */
  parts?: readonly Part[];
  /** Told of every try that failed and will be made again: conflicts, a server that is away. */
  onError?: (key: string, error: unknown) => void;
  /** Milliseconds since 1970. */
  now?: () => number;
}

export type Part = 'kubelet' | 'workloads' | 'endpointSlices' | 'disruption';
const ALL_PARTS: readonly Part[] = ['kubelet', 'workloads', 'endpointSlices', 'disruption'];

const DEFAULT_NODES = ['sandbox-node-1', 'sandbox-node-2', 'sandbox-node-3'];
const DEFAULT_ENDS_AFTER_MS = 50;
const PARALLEL = 32;
const HEARTBEAT_MS = 10_000;
/** Faults can spare the controllers: match on another User-Agent. */
export const USER_AGENT = 'kubervisor-sandbox-controllers';

export interface RunningControllers {
  /** Resolves once nodes exist and every mirror has its first list. */
  ready: Promise<void>;
  stop: () => Promise<void>;
}

export function startControllers({
  kubeconfig,
  parts = ALL_PARTS,
  nodes = DEFAULT_NODES,
  endsAfter = DEFAULT_ENDS_AFTER_MS,
  address,
  onError = () => undefined,
  now = Date.now,
}: ControllersOptions): RunningControllers {
  const client = createApiClient(kubeconfig, { userAgent: USER_AGENT });
  const stopping = new AbortController();
  const byPart: Record<Part, Controller[]> = {
    kubelet: [kubelet({ nodes, endsAfter, ...(address !== undefined && { address }) })],
    workloads: [replicaSets, deployments],
    endpointSlices: [endpointSlices],
    disruption: [disruption],
  };
  const running = parts
    .flatMap((part) => byPart[part])
    .map((controller) => {
      const queue: Queue = new Queue(
        (key) => controller.reconcile(key, cluster, (later) => queue.addLater(key, later)),
        {
          parallel: PARALLEL,
          onError,
        },
      );
      return { controller, queue };
    });
  const used = new Set<SourceName>(running.flatMap(({ controller }) => controller.uses));
  const mirrorOf = (source: SourceName): Mirror =>
    new Mirror(client, SOURCES[source], (object, _gone, previous) => {
      for (const { controller, queue } of running) {
        if (!controller.uses.includes(source)) continue;
        for (const state of previous === undefined ? [object] : [previous, object])
          for (const key of controller.keysOf(source, state, cluster)) queue.add(key);
      }
    });
  const cluster: Cluster = {
    client,
    now,
    mirrors: Object.fromEntries(
      (Object.keys(SOURCES) as SourceName[]).map((source) => [source, mirrorOf(source)]),
    ) as Cluster['mirrors'],
  };
  const install = parts.includes('kubelet')
    ? Promise.all(nodes.map((node) => installNode(cluster, node)))
    : Promise.resolve();
  const loops: Promise<void>[] = [];
  const ready = install
    .catch(() => undefined) // The mirrors try on by themselves; a node that is missing shows in Pending pods.
    .then(() => {
      if (stopping.signal.aborted) return;
      return Promise.all(
        [...used].map(
          (source) => new Promise<void>((synced) => loops.push(cluster.mirrors[source].run(stopping.signal, synced))),
        ),
      ).then(() => undefined);
    });
  const beat = () => void heartbeat(cluster, nodes).catch(() => undefined);
  const heart = parts.includes('kubelet') ? setInterval(beat, HEARTBEAT_MS) : undefined;
  void ready.then(() => heart !== undefined && beat());
  return {
    ready,
    stop: async () => {
      clearInterval(heart);
      stopping.abort();
      for (const { queue } of running) queue.stop();
      await client.close();
      await Promise.allSettled(loops);
    },
  };
}
