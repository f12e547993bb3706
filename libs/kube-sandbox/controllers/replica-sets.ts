/** ReplicaSets have as many pods as they ask for: they adopt, release, make and end them. */
import { at, fieldsOf, numberAt, same, type KubeObject } from '../objects.ts';
import { specSelector } from '../selectors.ts';
import {
  isEnding,
  isFinished,
  isReady,
  keyOf,
  ownerOf,
  remove,
  splitKey,
  write,
  type Cluster,
  type Controller,
} from './cluster.ts';

const BURST = 50;
const MERGE = 'application/merge-patch+json';

export async function inParallel<T>(
  items: readonly T[],
  limit: number,
  act: (item: T) => Promise<void>,
): Promise<void> {
  const left = items.values();
  const worker = async () => {
    // One iterator for all workers: each item is taken once.
    for (const item of left) await act(item);
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
}

/** Who goes first when there are too many: not ready, then the lower deletion cost, then the younger. */
function expendable(one: KubeObject, other: KubeObject): number {
  const cost = ({ metadata }: KubeObject) =>
    Number(metadata.annotations?.['controller.kubernetes.io/pod-deletion-cost'] ?? 0);
  const scheduled = (pod: KubeObject) => Number(pod.spec?.nodeName !== undefined);
  return (
    scheduled(one) - scheduled(other) ||
    Number(isReady(one)) - Number(isReady(other)) ||
    cost(one) - cost(other) ||
    Date.parse(other.metadata.creationTimestamp) - Date.parse(one.metadata.creationTimestamp)
  );
}

async function claim(cluster: Cluster, set: KubeObject, namespace: string): Promise<KubeObject[]> {
  const selects = specSelector(at(set, 'spec.selector'));
  const mine: KubeObject[] = [];
  const claims: Promise<unknown>[] = [];
  const setOwners = (pod: KubeObject, ownerReferences: unknown) =>
    write(cluster, 'pods', 'PATCH', keyOf(pod), {
      body: { metadata: { uid: pod.metadata.uid, resourceVersion: pod.metadata.resourceVersion, ownerReferences } },
      contentType: MERGE,
    });
  for (const pod of cluster.mirrors.pods.in(namespace)) {
    const owner = ownerOf(pod);
    const selected = selects(pod.metadata.labels ?? {});
    if (owner?.uid === set.metadata.uid) {
      if (selected || isEnding(pod)) mine.push(pod);
      else
        claims.push(
          setOwners(
            pod,
            (pod.metadata.ownerReferences ?? []).filter(({ uid }) => uid !== owner.uid),
          ),
        );
    } else if (owner === undefined && selected && !isEnding(pod) && !isFinished(pod) && !isEnding(set)) {
      mine.push(pod);
      claims.push(setOwners(pod, [...(pod.metadata.ownerReferences ?? []), referenceTo(set)]));
    }
  }
  await Promise.all(claims);
  return mine;
}

export const referenceTo = (owner: KubeObject) => ({
  apiVersion: owner.apiVersion,
  kind: owner.kind,
  name: owner.metadata.name,
  uid: owner.metadata.uid,
  controller: true,
  blockOwnerDeletion: true,
});

export const replicaSets: Controller = {
  uses: ['replicasets', 'pods'],
  keysOf: function* (source, object, cluster) {
    if (source === 'replicasets') {
      yield keyOf(object);
      return;
    }
    const { namespace = '' } = object.metadata;
    const owner = ownerOf(object);
    if (owner?.kind === 'ReplicaSet') yield `${namespace}/${owner.name}`;
    else if (owner === undefined)
      for (const set of cluster.mirrors.replicasets.in(namespace))
        if (specSelector(at(set, 'spec.selector'))(object.metadata.labels ?? {})) yield keyOf(set);
  },
  reconcile: async (key, cluster) => {
    const [namespace, name] = splitKey(key);
    const set = cluster.mirrors.replicasets.get(key);
    const orphans = [...cluster.mirrors.pods.in(namespace)].filter((pod) => {
      const owner = ownerOf(pod);
      return owner?.kind === 'ReplicaSet' && owner.name === name && owner.uid !== set?.metadata.uid && !isEnding(pod);
    });
    // Garbage: the owner is gone, or another of the same name.
    if (orphans.length > 0) {
      const { code, body } = await cluster.client.request(
        'GET',
        `/apis/apps/v1/namespaces/${namespace}/replicasets/${name}`,
      );
      if (code === 404 || code === 200)
        await inParallel(
          orphans.filter((pod) => code === 404 || ownerOf(pod)?.uid !== body.metadata.uid),
          BURST,
          (pod) => remove(cluster, 'pods', pod),
        );
    }
    if (set === undefined || isEnding(set)) return;
    const pods = (await claim(cluster, set, namespace)).filter((pod) => !isFinished(pod));
    const alive = pods.filter((pod) => !isEnding(pod));
    const missing = (numberAt(set, 'spec.replicas') ?? 1) - alive.length;
    if (missing > 0) {
      const template = fieldsOf(at(set, 'spec.template'));
      const { labels, annotations } = fieldsOf(template.metadata);
      const pod = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { generateName: `${name}-`, labels, annotations, ownerReferences: [referenceTo(set)] },
        spec: template.spec,
      };
      await inParallel(Array.from({ length: missing }), BURST, async () => {
        alive.push(await write(cluster, 'pods', 'POST', `${namespace}/`, { body: pod }));
      });
    } else if (missing < 0) {
      const leaving = alive.sort(expendable).splice(0, -missing);
      await inParallel(leaving, BURST, (pod) => remove(cluster, 'pods', pod));
    }
    const ready = alive.filter(isReady).length;
    const status = {
      replicas: alive.length,
      ...(alive.length > 0 && { fullyLabeledReplicas: alive.length }),
      ...(ready > 0 && { readyReplicas: ready, availableReplicas: ready }),
      observedGeneration: set.metadata.generation,
    };
    if (same(status, set.status)) return;
    const current = cluster.mirrors.replicasets.get(key) ?? set;
    await write(cluster, 'replicasets', 'PUT', key, { subresource: 'status', body: { ...current, status } });
  },
};
