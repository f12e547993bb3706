/** What every benchmark stands on: a Kubernetes API, a nats-server, one client of our own, and fleets. */
import { pino } from 'pino';
import { MEDIA_TYPE } from '@kubervisor/runtime/kubernetes/api-server';
import { connectKubernetes, type Kubernetes } from '@kubervisor/runtime/kubernetes/client';
import { PATHS, pathIn } from '@kubervisor/runtime/kubernetes/resources';
import { watchCollection, type Collection } from '@kubervisor/runtime/kubernetes/watch';
import { concurrently, PATCHES_AT_ONCE } from '@kubervisor/runtime/worker/concurrently';
import { API_VERSION, KIND, type KubervisorServiceSpecInput } from '@kubervisor/shared/crd/kubervisor-service';
import { readPod, type JsonPatchOperation } from '@kubervisor/shared/pods/codec';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { startCluster, type TestCluster } from '@kubervisor/testing/kubernetes/cluster';
import { changeDeployment, createWorkload, DEPLOYMENTS } from '@kubervisor/testing/kubernetes/workload';
import { startNats, type NatsServer } from '@kubervisor/testing/servers/nats';

export interface Stage {
  readonly cluster: TestCluster;
  readonly kubernetes: Kubernetes;
  readonly nats: NatsServer;
  /** Measurements of one percentile or rate; fewer with `--quick`. */
  readonly samples: number;
  readonly quick: boolean;
  progress(line: string): void;
  stop(): Promise<void>;
}

export async function startStage(options: Pick<Stage, 'samples' | 'quick' | 'progress'>): Promise<Stage> {
  const [cluster, nats] = await Promise.all([startCluster(), startNats()]);
  const kubernetes = connectKubernetes(
    { kubeconfigFile: cluster.kubeconfig, userAgent: 'kubervisor-bench' },
    pino({ level: 'silent' }),
  );
  return {
    ...options,
    cluster,
    nats,
    kubernetes,
    async stop() {
      await kubernetes.close();
      await nats.stop();
      await cluster.stop();
    },
  };
}

export interface Fleet {
  readonly namespace: string;
  readonly name: string;
  pods(): Pod[];
  pod(name: string): Pod | undefined;
  /** Until so many Ready pods are there. */
  scale(replicas: number): Promise<void>;
  /** Resolves, with `performance.now()`, as soon as so many pods are as asked, by the watch of the benchmark. */
  when(count: number, holds: (pod: Pod) => boolean, within?: number): Promise<number>;
  /** The Service and the pods, until they are gone. */
  remove(): Promise<void>;
}

export interface FleetOptions {
  replicas: number;
  /** The Service's selector and the pod template hold `kubervisor/traffic: "yes"`; true unless told. */
  activated?: boolean;
}

/** Five thousand pods on a busy machine. Milliseconds. */
const FLEET_WITHIN = 900_000;

/** A Deployment, its Service and a watch of its pods. Nobody supervises it yet. */
export async function createFleet(
  { kubernetes }: Pick<Stage, 'kubernetes'>,
  namespace: string,
  name: string,
  { replicas, activated = true }: FleetOptions,
): Promise<Fleet> {
  const { api } = kubernetes;
  await createWorkload({ api }, { namespace, name, replicas: 0, activated });

  interface Waiting {
    holds: (pod: Pod) => boolean;
    count: number;
    found: Set<string>;
    resolve(at: number): void;
  }
  const waits = new Set<Waiting>();
  const look = (wait: Waiting, key: string, pod: Pod | undefined): void => {
    if (pod !== undefined && wait.holds(pod)) wait.found.add(key);
    else wait.found.delete(key);
    if (wait.found.size !== wait.count) return;
    waits.delete(wait);
    wait.resolve(performance.now());
  };
  const ofFleet = (pod: Pod | undefined): boolean => pod?.labels['app'] === name;
  const pods: Collection<Pod> = watchCollection<Pod>(kubernetes, {
    path: PATHS.pods,
    namespaces: [namespace],
    read: readPod,
    key: (pod) => pod.name,
    onChange: (key, before, after) => {
      if (ofFleet(after ?? before)) for (const wait of waits) look(wait, key, after);
    },
  });
  const when: Fleet['when'] = (count, holds, within = 60_000) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        waits.delete(wait);
        reject(new Error(`${wait.found.size} of ${count} pods of ${name} after ${within} ms: ${String(holds)}`));
      }, within);
      // After a failure elsewhere nothing waits for it any more.
      timer.unref();
      const wait: Waiting = {
        holds,
        count,
        found: new Set(),
        resolve: (at) => {
          clearTimeout(timer);
          resolve(at);
        },
      };
      waits.add(wait);
      for (const pod of [...pods.values()].filter(ofFleet)) if (waits.has(wait)) look(wait, pod.name, pod);
      if (count === 0 && wait.found.size === 0 && waits.delete(wait)) wait.resolve(performance.now());
    });
  const scale = async (to: number): Promise<void> => {
    await changeDeployment({ api }, { namespace, name }, { replicas: to });
    await when(to, (pod) => pod.ready && !pod.terminating, FLEET_WITHIN);
  };
  await scale(replicas);
  return {
    namespace,
    name,
    pods: () => [...pods.values()].filter((pod) => ofFleet(pod) && !pod.terminating),
    pod: (podName) => pods.get(podName),
    scale,
    when,
    async remove() {
      const options = {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        propagationPolicy: 'Background',
        gracePeriodSeconds: 0,
      };
      await api.request('DELETE', pathIn(DEPLOYMENTS, namespace, name), { body: options });
      await api.request('DELETE', pathIn('/api/v1/services', namespace, name));
      await api.request('DELETE', pathIn(PATHS.pods, namespace), { body: options, timeout: FLEET_WITHIN });
      await when(0, () => true, FLEET_WITHIN);
      await pods.stop();
    },
  };
}

/** A KubervisorService of the name of its Service, with one breaker that no timer of its own holds back. */
export async function supervise(
  { kubernetes }: Pick<Stage, 'kubernetes'>,
  { namespace, name }: Pick<Fleet, 'namespace' | 'name'>,
  breaker: Partial<KubervisorServiceSpecInput['breakers'][number]>,
): Promise<void> {
  await kubernetes.api.request('POST', pathIn(PATHS.kubervisorServices, namespace), {
    body: {
      apiVersion: API_VERSION,
      kind: KIND,
      metadata: { name },
      spec: {
        service: name,
        breakers: [
          {
            name: 'bench',
            evaluationPeriod: 1,
            gracePeriod: 0,
            panicThreshold: 100,
            activator: { period: 3600, maxPeriod: 3600 },
            ...breaker,
          },
        ],
      },
    },
  });
}

export async function leave(
  { kubernetes }: Pick<Stage, 'kubernetes'>,
  { namespace, name }: Pick<Fleet, 'namespace' | 'name'>,
): Promise<void> {
  await kubernetes.api.request('DELETE', pathIn(PATHS.kubervisorServices, namespace, name));
}

/** Patches as bare as can be: no look before, none after, the answer read and thrown away. Returns the milliseconds of all together. */
export async function patchAll(
  { kubernetes }: Pick<Stage, 'kubernetes'>,
  pods: readonly Pod[],
  patchOf: (pod: Pod) => readonly JsonPatchOperation[],
): Promise<number> {
  const begun = performance.now();
  await concurrently(pods, PATCHES_AT_ONCE, (pod) =>
    kubernetes.api.request('PATCH', pathIn(PATHS.pods, pod.namespace, pod.name), {
      body: patchOf(pod),
      contentType: MEDIA_TYPE.jsonPatch,
    }),
  );
  return performance.now() - begun;
}
