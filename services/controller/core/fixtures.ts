/** Builders for the tests of this folder. */
import { readPod } from '@kubervisor/shared/pods/codec';
import type { Pod } from '@kubervisor/shared/pods/pod';
import type { Resource, ServiceView } from './supervision.ts';

export const NOW = Date.parse('2026-11-23T12:00:00Z');

export interface PodOptions {
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ready?: boolean;
  terminating?: boolean;
  phase?: string;
  owned?: boolean;
}

export const pod = (
  name: string,
  { labels = {}, annotations, ready = true, terminating = false, phase = 'Running', owned = true }: PodOptions = {},
): Pod =>
  readPod({
    metadata: {
      name,
      namespace: 'shop',
      uid: `uid-${name}`,
      resourceVersion: '1',
      creationTimestamp: '2026-11-23T10:00:00Z',
      labels: { app: 'cart', ...labels },
      ...(annotations !== undefined && { annotations }),
      ...(terminating && { deletionTimestamp: '2026-11-23T12:00:00Z' }),
      ...(owned && { ownerReferences: [{ kind: 'ReplicaSet', name: 'cart-7d9', uid: 'rs', controller: true }] }),
    },
    status: {
      phase,
      startTime: '2026-11-23T10:00:00Z',
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: '2026-11-23T10:00:10Z' }],
    },
  });

export const spec = (change: Record<string, unknown> = {}): unknown => ({
  service: 'cart',
  breakers: [{ name: 'errors', customService: 'judge' }],
  ...change,
});

export const resource = (name: string, change: Partial<Resource> = {}): Resource => ({
  namespace: 'shop',
  name,
  uid: `uid-${name}`,
  generation: 1,
  resourceVersion: '1',
  createdAt: 0,
  terminating: false,
  spec: spec(),
  status: undefined,
  ...change,
});

export const service = (name: string, selector: Record<string, string> | undefined): ServiceView => ({
  namespace: 'shop',
  name,
  uid: `svc-${name}`,
  selector,
});
export const services = (...list: ServiceView[]): Map<string, ServiceView> =>
  new Map(list.map((one) => [one.name, one]));

export const ACTIVATED = { app: 'cart', 'kubervisor/traffic': 'yes' };
