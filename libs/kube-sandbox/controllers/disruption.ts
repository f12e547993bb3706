/** PodDisruptionBudgets know how many of their pods may be evicted. */
import { at, fieldsOf, same, timestamp, type KubeObject } from '../objects.ts';
import { specSelector } from '../selectors.ts';
import {
  isEnding,
  isFinished,
  isReady,
  keyOf,
  ownerOf,
  splitKey,
  write,
  type Cluster,
  type Controller,
} from './cluster.ts';

/** An eviction that never became a deletion is forgotten after so long. */
const FORGET_DISRUPTED_MS = 2 * 60_000;

const share = (value: unknown, of: number): number =>
  typeof value === 'string' && value.endsWith('%') ? Math.ceil((of * Number.parseFloat(value)) / 100) : Number(value);

/** A share is of what the workloads ask for, a count of the pods there are. */
function expectedPods(cluster: Cluster, pods: readonly KubeObject[], namespace: string): number {
  const sets = new Map<string, number>();
  let alone = 0;
  for (const pod of pods) {
    const owner = ownerOf(pod);
    const set =
      owner?.kind === 'ReplicaSet' ? cluster.mirrors.replicasets.get(`${namespace}/${owner.name}`) : undefined;
    if (set === undefined) alone += 1;
    else sets.set(keyOf(set), Number(at(set, 'spec.replicas') ?? 1));
  }
  return [...sets.values()].reduce((sum, replicas) => sum + replicas, alone);
}

function desiredHealthy(budget: KubeObject, expected: number): number {
  const { minAvailable, maxUnavailable } = fieldsOf(budget.spec);
  if (maxUnavailable !== undefined) return Math.max(0, expected - share(maxUnavailable, expected));
  return minAvailable === undefined ? 0 : share(minAvailable, expected);
}

export const disruption: Controller = {
  uses: ['poddisruptionbudgets', 'pods', 'replicasets'],
  keysOf: function* (source, object, cluster) {
    if (source === 'poddisruptionbudgets') yield keyOf(object);
    else if (source === 'pods')
      for (const budget of cluster.mirrors.poddisruptionbudgets.in(object.metadata.namespace ?? ''))
        if (specSelector(at(budget, 'spec.selector'))(object.metadata.labels ?? {})) yield keyOf(budget);
  },
  reconcile: async (key, cluster, again) => {
    const budget = cluster.mirrors.poddisruptionbudgets.get(key);
    if (budget === undefined) return;
    const [namespace] = splitKey(key);
    const selected = specSelector(at(budget, 'spec.selector'));
    const pods = [...cluster.mirrors.pods.in(namespace)].filter(
      (pod) => selected(pod.metadata.labels ?? {}) && !isFinished(pod),
    );
    const now = cluster.now();
    const disrupted = Object.fromEntries(
      Object.entries(fieldsOf(at(budget, 'status.disruptedPods'))).filter(
        ([name, time]) =>
          pods.some(({ metadata }) => metadata.name === name && metadata.deletionTimestamp === undefined) &&
          Date.parse(String(time)) + FORGET_DISRUPTED_MS > now,
      ),
    );
    const usesShare = [at(budget, 'spec.minAvailable'), at(budget, 'spec.maxUnavailable')].some(
      (value) => typeof value === 'string',
    );
    const counted = usesShare || at(budget, 'spec.maxUnavailable') !== undefined;
    const expected = counted ? expectedPods(cluster, pods, namespace) : pods.length;
    const desired = desiredHealthy(budget, expected);
    const healthy = pods.filter(
      (pod) => isReady(pod) && !isEnding(pod) && disrupted[pod.metadata.name] === undefined,
    ).length;
    const allowed = expected === 0 ? 0 : Math.max(0, healthy - desired);
    const status = {
      disruptionsAllowed: allowed,
      currentHealthy: healthy,
      desiredHealthy: desired,
      expectedPods: expected,
      observedGeneration: budget.metadata.generation,
      ...(Object.keys(disrupted).length > 0 && { disruptedPods: disrupted }),
    };
    const { conditions: _, ...before } = fieldsOf(budget.status);
    if (Object.keys(disrupted).length > 0) again(FORGET_DISRUPTED_MS);
    if (same(status, before)) return;
    const condition = {
      type: 'DisruptionAllowed',
      status: allowed > 0 ? 'True' : 'False',
      reason: allowed > 0 ? 'SufficientPods' : 'InsufficientPods',
      message: '',
      lastTransitionTime: timestamp(now),
      observedGeneration: budget.metadata.generation,
    };
    await write(cluster, 'poddisruptionbudgets', 'PUT', key, {
      subresource: 'status',
      body: { ...budget, status: { ...status, conditions: [condition] } },
    });
  },
};
