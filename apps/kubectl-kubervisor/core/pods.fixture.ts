/** A fleet at a fixed moment, for tests of what is said of it. */
import { readPod, writeTime } from '@kubervisor/shared/pods/codec';
import { ANNOTATION, LABEL } from '@kubervisor/shared/pods/keys';
import type { Pod } from '@kubervisor/shared/pods/pod';
import type { KubervisorServiceStatus } from '@kubervisor/shared/crd/status';
import { readResource, type ReadResource } from './resource.ts';

export const NOW = Date.parse('2026-03-01T12:00:00.000Z');
export const ago = (seconds: number): string => writeTime(NOW - 1000 * seconds);

const SPEC = {
  service: 'cart',
  breakers: [
    {
      name: 'slow',
      minPodsAvailableCount: 2,
      gracePeriod: 30,
      threshold: { prometheusService: 'p', promQL: 'x', podNamekey: 'pod', max: 1 },
      activator: { mode: 'retryAndKill', period: 10, jitter: 0, maxRetryCount: 3 },
    },
  ],
};

export interface PodOptions {
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ready?: boolean;
  readyFor?: number;
  owned?: boolean;
  terminating?: boolean;
}

/** In traffic, Ready for an hour, of a ReplicaSet, and of the KubervisorService cart unless told. */
export function pod(
  name: string,
  { labels = {}, annotations, ready = true, readyFor = 3600, owned = true, terminating = false }: PodOptions = {},
): Pod {
  const all = { app: 'cart', [LABEL.name]: 'cart', [LABEL.traffic]: 'yes', ...labels };
  return readPod({
    metadata: {
      name,
      namespace: 'shop',
      uid: `uid-of-${name}`,
      resourceVersion: '1',
      creationTimestamp: ago(7200),
      ...(terminating && { deletionTimestamp: ago(1) }),
      labels: Object.fromEntries(Object.entries(all).filter(([, value]) => value !== '')),
      ...(annotations !== undefined && { annotations }),
      ...(owned && { ownerReferences: [{ kind: 'ReplicaSet', name: 'cart-1', uid: 'r', controller: true }] }),
    },
    status: {
      phase: 'Running',
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: ago(readyFor) }],
    },
  });
}

export const broken = (
  name: string,
  {
    traffic = 'no',
    seconds = 5,
    retryCount = 1,
    exempt = false,
    ...rest
  }: PodOptions & { traffic?: 'no' | 'pause'; seconds?: number; retryCount?: number; exempt?: boolean } = {},
): Pod =>
  pod(name, {
    ...rest,
    labels: { [LABEL.traffic]: traffic, [LABEL.strategy]: 'slow' },
    annotations: {
      [ANNOTATION.breakAt]: ago(seconds),
      [ANNOTATION.retryCount]: String(retryCount),
      [ANNOTATION.reason]: 'p99 2.4 s, limit 1 s (observed=2.4, limit=1, score=2.4)',
      ...(exempt && { [ANNOTATION.exempt]: 'true' }),
    },
  });

export const resource = (spec: object = {}, status: KubervisorServiceStatus = {}): ReadResource =>
  readResource({
    namespace: 'shop',
    name: 'cart',
    uid: 'r1',
    generation: 1,
    resourceVersion: '7',
    createdAt: NOW - 86_400_000,
    spec: { ...SPEC, ...spec },
    status,
  });

export const SERVICE = {
  namespace: 'shop',
  name: 'cart',
  uid: 's1',
  selector: { app: 'cart', [LABEL.traffic]: 'yes' },
};
