/** The supervised fleets: Deployments, their Services, one watch of all pods, and the word of the detector's plug-in about each. */
import { ApiError, type Kubernetes } from '@kubervisor/runtime/kubernetes/client';
import { pause } from '@kubervisor/runtime/kubernetes/api-server';
import { PATHS, pathIn, type RawObject } from '@kubervisor/runtime/kubernetes/resources';
import { watchCollection } from '@kubervisor/runtime/kubernetes/watch';
import { concurrently } from '@kubervisor/runtime/worker/concurrently';
import { API_VERSION, KIND, type KubervisorServiceSpecInput } from '@kubervisor/shared/crd/kubervisor-service';
import { readPod } from '@kubervisor/shared/pods/codec';
import { isAvailable, isOut } from '@kubervisor/shared/pods/fleet';
import { LABEL } from '@kubervisor/shared/pods/keys';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { changeDeployment, createWorkload } from '@kubervisor/testing/kubernetes/workload';
import { startDetectorStub } from '../bench/detector-stub.ts';
import type { Fleets } from './churn.ts';

type BreakerInput = KubervisorServiceSpecInput['breakers'][number];

export interface FleetsOptions {
  namespace: string;
  services: number;
  /** Of each. */
  pods: number;
  /** Seconds. */
  period: number;
}

export interface SupervisedFleet {
  name: string;
  breakers: { name: string; period: number }[];
}

export interface FleetsRunning {
  readonly all: readonly SupervisedFleet[];
  /** Pods that are there to be chosen from. */
  present(): Fleets;
  readonly counts: Readonly<{
    ready: number;
    adopted: number;
    bad: number;
    broken: number;
    back: number;
    made: number;
  }>;
  /** The KubervisorService of the fleet; its uid. Waits for the CRD. */
  supervise(fleet: SupervisedFleet): Promise<string>;
  leave(fleet: SupervisedFleet): Promise<void>;
  spoil(fleet: string, pod: string, seconds: number): void;
  deletePod(pod: string): Promise<void>;
  rollOut(fleet: string): Promise<void>;
  stop(): Promise<void>;
}

const CREATED_AT_ONCE = 8;
const CRD_WITHIN = 30_000;
/** Of what we ask ourselves: while 5,000 pods come up the API server answers late. Milliseconds. */
const PATIENCE = 30_000;
/** An old controller knows only count and period; what came later is as much in use, and each has memory of its own. */
const VARIETY: readonly Partial<BreakerInput>[] = [
  {},
  { confirm: { anomalous: 2, of: 3 } },
  { activator: { mode: 'retryAndKill', maxRetryCount: 1 } },
  { activator: { mode: 'retryAndPause', maxRetryCount: 2 } },
];

export async function startFleets(
  kubernetes: Kubernetes,
  { namespace, services, pods: size, period }: FleetsOptions,
): Promise<FleetsRunning> {
  const { api } = kubernetes;
  const all = Array.from({ length: services }, (_, index): SupervisedFleet => {
    const slow = index % 10 === 9 ? [{ name: 'slow', period: 2 * period }] : [];
    return { name: `soak-${index}`, breakers: [{ name: 'soak', period }, ...slow] };
  });

  /** By fleet: until when each pod is bad, on `performance.now()`. */
  const bad = new Map<string, Map<string, number>>();
  const badOf = (fleet: string): string[] => {
    const of = bad.get(fleet);
    for (const [pod, until] of of ?? []) if (until <= performance.now()) of?.delete(pod);
    return [...(of?.keys() ?? [])];
  };
  const plugin = await startDetectorStub(namespace, (path) => badOf(path.slice(1)));
  const address = plugin.address.replace(/\/.*/, '');

  const byFleet = new Map<string, Map<string, Pod>>();
  const happened = { broken: 0, back: 0, made: 0 };
  const watched = watchCollection<Pod>(kubernetes, {
    path: PATHS.pods,
    namespaces: [namespace],
    read: readPod,
    key: ({ name }) => name,
    onChange(key, before, after) {
      const fleet = (after ?? before)?.labels['app'] ?? '';
      const of = byFleet.get(fleet) ?? new Map<string, Pod>();
      byFleet.set(fleet, of);
      if (after === undefined) of.delete(key);
      else of.set(key, after);
      if (before === undefined && after !== undefined) happened.made += 1;
      if (before === undefined || after === undefined || isOut(before) === isOut(after)) return;
      if (isOut(after)) happened.broken += 1;
      else if (after.labels[LABEL.traffic] === 'yes') happened.back += 1;
    },
  });
  const everyPod = (): Pod[] => [...byFleet.values()].flatMap((of) => [...of.values()]);

  await concurrently(all, CREATED_AT_ONCE, ({ name }) =>
    createWorkload(kubernetes, { namespace, name, replicas: size, activated: true }),
  );

  const resources = pathIn(PATHS.kubervisorServices, namespace);
  const specOf = ({ name, breakers }: SupervisedFleet): KubervisorServiceSpecInput => ({
    service: name,
    breakers: breakers.map((breaker) => ({
      name: breaker.name,
      evaluationPeriod: breaker.period,
      minPodsAvailableRatio: 60,
      customService: `${address}/${name}`,
      ...VARIETY[all.findIndex((fleet) => fleet.name === name) % VARIETY.length],
    })),
  });
  return {
    all,
    present: () =>
      new Map(
        [...byFleet].map(([fleet, of]) => [
          fleet,
          [...of.values()].filter(({ terminating }) => !terminating).map(({ name }) => name),
        ]),
      ),
    get counts() {
      const present = everyPod();
      return {
        ...happened,
        ready: present.filter(isAvailable).length,
        adopted: present.filter((pod) => pod.labels[LABEL.name] !== undefined).length,
        bad: all.reduce((sum, { name }) => sum + badOf(name).length, 0),
      };
    },
    async supervise(fleet) {
      const body = { apiVersion: API_VERSION, kind: KIND, metadata: { name: fleet.name }, spec: specOf(fleet) };
      for (const giveUpAt = performance.now() + CRD_WITHIN; ; await pause(200)) {
        try {
          const made = await api.request<RawObject>('POST', resources, { body, timeout: PATIENCE });
          return made.metadata?.uid ?? '';
        } catch (error) {
          if (!(error instanceof ApiError) || error.status !== 404 || performance.now() > giveUpAt) throw error;
        }
      }
    },
    leave: async ({ name }) => {
      await api.request('DELETE', pathIn(PATHS.kubervisorServices, namespace, name), { timeout: PATIENCE });
    },
    spoil(fleet, pod, seconds) {
      const of = bad.get(fleet) ?? new Map<string, number>();
      bad.set(fleet, of.set(pod, performance.now() + seconds * 1000));
    },
    deletePod: async (pod) => {
      await api.request('DELETE', pathIn(PATHS.pods, namespace, pod), {
        body: { apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds: 0 },
        timeout: PATIENCE,
      });
    },
    rollOut: (name) =>
      changeDeployment(
        kubernetes,
        { namespace, name },
        { template: { metadata: { annotations: { 'soak/rollout': String(performance.now()) } } } },
      ),
    async stop() {
      await watched.stop();
      await plugin.close();
    },
  };
}
