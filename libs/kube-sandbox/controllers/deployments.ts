/**
 * Deployments, simply: a ReplicaSet for each pod template. A new one grows to full size at once, the older ones shrink as its pods
 * become ready; there is no maxSurge, no pause and no roll-back.
 */
import { createHash } from 'node:crypto';
import { at, copy, fieldsOf, listOf, numberAt, same, timestamp, type KubeObject } from '../objects.ts';
import { isEnding, keyOf, ownerOf, remove, splitKey, write, type Controller } from './cluster.ts';
import { referenceTo } from './replica-sets.ts';

const HASH = 'pod-template-hash';
const REVISION = 'deployment.kubernetes.io/revision';

const hashOf = (template: unknown): string =>
  createHash('sha256').update(JSON.stringify(template)).digest('hex').slice(0, 10);
const replicasOf = (object: KubeObject): number => numberAt(object, 'spec.replicas') ?? 1;
const readyOf = (object: KubeObject): number => numberAt(object, 'status.readyReplicas') ?? 0;

function replicaSetOf(deployment: KubeObject, hash: string, revision: number): unknown {
  const template = copy(fieldsOf(at(deployment, 'spec.template')));
  const metadata = fieldsOf(template.metadata);
  const labels = { ...fieldsOf(metadata.labels), [HASH]: hash };
  const selector = fieldsOf(at(deployment, 'spec.selector'));
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: `${deployment.metadata.name}-${hash}`,
      labels,
      annotations: { [REVISION]: String(revision) },
      ownerReferences: [referenceTo(deployment)],
    },
    spec: {
      replicas: replicasOf(deployment),
      selector: { ...selector, matchLabels: { ...fieldsOf(selector.matchLabels), [HASH]: hash } },
      template: { ...template, metadata: { ...metadata, labels } },
    },
  };
}

export const deployments: Controller = {
  uses: ['deployments', 'replicasets'],
  keysOf: (source, object) => {
    if (source === 'deployments') return [keyOf(object)];
    const owner = ownerOf(object);
    return owner?.kind === 'Deployment' ? [`${object.metadata.namespace}/${owner.name}`] : [];
  },
  reconcile: async (key, cluster) => {
    const [namespace, name] = splitKey(key);
    const deployment = cluster.mirrors.deployments.get(key);
    const owned = [...cluster.mirrors.replicasets.in(namespace)].filter((set) => {
      const owner = ownerOf(set);
      return owner?.kind === 'Deployment' && owner.name === name && !isEnding(set);
    });
    const mine = owned.filter((set) => ownerOf(set)?.uid === deployment?.metadata.uid);
    const garbage = owned.filter((set) => !mine.includes(set));
    if (garbage.length > 0) {
      const { code, body } = await cluster.client.request(
        'GET',
        `/apis/apps/v1/namespaces/${namespace}/deployments/${name}`,
      );
      for (const set of garbage)
        if (code === 404 || (code === 200 && ownerOf(set)?.uid !== body.metadata.uid))
          await remove(cluster, 'replicasets', set);
    }
    if (deployment === undefined || isEnding(deployment)) return;
    const hash = hashOf(at(deployment, 'spec.template'));
    const wanted = replicasOf(deployment);
    const revisions = mine.map(({ metadata }) => Number(metadata.annotations?.[REVISION] ?? 0));
    const revision = Math.max(0, ...revisions) + 1;
    let current = mine.find((set) => set.metadata.labels?.[HASH] === hash);
    const older = mine.filter((set) => set !== current);
    const resize = (set: KubeObject, replicas: number) =>
      write(cluster, 'replicasets', 'PATCH', keyOf(set), {
        body: { metadata: { uid: set.metadata.uid }, spec: { replicas } },
        contentType: 'application/merge-patch+json',
      });
    if (current === undefined)
      current = await write(cluster, 'replicasets', 'POST', `${namespace}/`, {
        body: replicaSetOf(deployment, hash, revision),
      });
    else if (replicasOf(current) !== wanted) current = await resize(current, wanted);
    let room = Math.max(0, wanted - readyOf(current));
    for (const set of older) {
      const replicas = Math.min(replicasOf(set), room);
      room -= replicas;
      if (replicas !== replicasOf(set)) await resize(set, replicas);
    }
    const sets = [current, ...older];
    const sum = (read: (set: KubeObject) => number) => sets.reduce((total, set) => total + read(set), 0);
    const replicas = sum((set) => numberAt(set, 'status.replicas') ?? 0);
    const ready = sum(readyOf);
    const condition = (type: string, holds: boolean, reason: string) => {
      const status = holds ? 'True' : 'False';
      const before = listOf(at(deployment, 'status.conditions')).find(
        (one) => one.type === type && one.status === status,
      );
      const time = (before?.lastTransitionTime as string | undefined) ?? timestamp(cluster.now());
      return { type, status, reason, message: '', lastTransitionTime: time, lastUpdateTime: time };
    };
    const status = {
      observedGeneration: deployment.metadata.generation,
      replicas,
      updatedReplicas: numberAt(current, 'status.replicas') ?? 0,
      readyReplicas: ready,
      availableReplicas: ready,
      ...(wanted > ready && { unavailableReplicas: wanted - ready }),
      conditions: [
        condition(
          'Available',
          ready >= wanted,
          ready >= wanted ? 'MinimumReplicasAvailable' : 'MinimumReplicasUnavailable',
        ),
        condition('Progressing', true, readyOf(current) >= wanted ? 'NewReplicaSetAvailable' : 'ReplicaSetUpdated'),
      ],
    };
    if (!same(status, deployment.status))
      await write(cluster, 'deployments', 'PUT', key, { subresource: 'status', body: { ...deployment, status } });
  },
};
