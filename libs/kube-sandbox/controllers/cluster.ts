/** What every controller is given: the client, the mirrors, and a way to look again later. */
import { CallError, pathOf, type ApiClient, type CallOptions } from '../client.ts';
import type { KubeObject } from '../objects.ts';
import type { Mirror, Source } from './mirror.ts';

export const SOURCES = {
  nodes: { plural: 'nodes' },
  pods: { plural: 'pods' },
  services: { plural: 'services' },
  replicasets: { group: 'apps', plural: 'replicasets' },
  deployments: { group: 'apps', plural: 'deployments' },
  endpointslices: { group: 'discovery.k8s.io', plural: 'endpointslices' },
  poddisruptionbudgets: { group: 'policy', plural: 'poddisruptionbudgets' },
} as const satisfies Record<string, Source>;
export type SourceName = keyof typeof SOURCES;

export interface Cluster {
  client: ApiClient;
  mirrors: Record<SourceName, Mirror>;
  now: () => number;
}

export interface Controller {
  uses: readonly SourceName[];
  /** The keys (`namespace/name`) to work on after a change of an object. */
  keysOf: (source: SourceName, object: KubeObject, cluster: Cluster) => Iterable<string>;
  reconcile: (key: string, cluster: Cluster, again: (milliseconds: number) => void) => Promise<void>;
}

export const keyOf = ({ metadata: { namespace = '', name } }: KubeObject): string => `${namespace}/${name}`;
export const splitKey = (key: string): [namespace: string, name: string] => {
  const slash = key.indexOf('/');
  return [key.slice(0, slash), key.slice(slash + 1)];
};

export const ownerOf = ({ metadata }: KubeObject) =>
  metadata.ownerReferences?.find((reference) => reference.controller === true);

export const isReady = (pod: KubeObject): boolean =>
  ((pod.status?.conditions ?? []) as { type: string; status: string }[]).some(
    ({ type, status }) => type === 'Ready' && status === 'True',
  );
export const isEnding = ({ metadata }: KubeObject): boolean => metadata.deletionTimestamp !== undefined;
export const isFinished = (pod: KubeObject): boolean =>
  pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';

/** Writes to one object and notes the answer in the mirror. */
export async function write(
  { client, mirrors }: Cluster,
  source: SourceName,
  method: 'POST' | 'PUT' | 'PATCH',
  key: string,
  { subresource, ...options }: CallOptions & { subresource?: string },
): Promise<KubeObject> {
  const [namespace, name] = splitKey(key);
  const path = pathOf(SOURCES[source], namespace, method === 'POST' ? undefined : name, subresource);
  const object = await client.call(method, path, options);
  mirrors[source].note(object);
  return object;
}

/** Ends an object, this very one; that it is gone already is fine. */
export async function remove(
  { client, mirrors }: Cluster,
  source: SourceName,
  object: KubeObject,
  options: { gracePeriodSeconds?: number } = {},
): Promise<void> {
  const { namespace = '', name, uid } = object.metadata;
  const { code, body } = await client.request('DELETE', pathOf(SOURCES[source], namespace, name), {
    body: { ...options, preconditions: { uid }, propagationPolicy: 'Background' },
  });
  if (code === 404 || code === 409) return mirrors[source].forget(object);
  if (code >= 300) throw new CallError('DELETE', name, { code, headers: {}, body });
  // A pod that is given time answers as it is now; without a time left it is gone.
  if (body.kind !== 'Status' && body.metadata.deletionTimestamp !== undefined && (options.gracePeriodSeconds ?? 1) > 0)
    mirrors[source].note(body);
  else mirrors[source].forget(object);
}
