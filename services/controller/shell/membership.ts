/** Gathers and applies what core/membership decides: one guarded patch a pod, some tens at once. */
import type { Kubernetes } from '@kubervisor/runtime/kubernetes/client';
import type { Logger } from '@kubervisor/runtime/logs';
import { guardedPatch, marksOf } from '@kubervisor/shared/pods/codec';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { TRANSITIONS, type TransitionReason } from '@kubervisor/shared/reasons';
import { decideMembership, type MembershipChange } from '../core/membership.ts';
import type { Caches } from './caches.ts';
import { createKeyQueue, type KeyQueue } from './key-queue.ts';

export interface MembershipReport {
  pod: Pod;
  change: MembershipChange;
}

export interface MembershipOptions {
  kubernetes: Kubernetes;
  caches: Caches;
  log: Logger;
  isLeader: () => boolean;
  now: () => number;
  /** A pod was changed. */
  applied(report: MembershipReport): void;
  count(reason: TransitionReason, result: string): void;
}

/** As many patches as an API server answers at once without making others wait. */
const CONCURRENCY = 32;
/** Between the two looks at the API after which a resource counts as gone (F2). */
const SECOND_LOOK = 500;
/** What two looks found is good for the other pods of the same resource for this long. */
const MISSING_KNOWN_FOR = 5000;
/**
 * Whoever takes our labels away again and again finds them put back again and again, but no more often than that: milliseconds,
 * and changes of one pod within them. To move from one resource to another takes two.
 */
const WINDOW = 10_000;
const CHANGES_IN_WINDOW = 5;

export function createMembership(options: MembershipOptions): KeyQueue {
  const { kubernetes, caches, log, isLeader, now, applied, count } = options;
  const missing = new Map<string, { at: number; answer: Promise<boolean> }>();

  /** F2: two successive looks at the API, shared by all pods of the resource. */
  const isMissing = (namespace: string, name: string): Promise<boolean> => {
    const key = `${namespace}/${name}`;
    const known = missing.get(key);
    if (known !== undefined && performance.now() - known.at < MISSING_KNOWN_FOR) return known.answer;
    const look = async (): Promise<boolean> => (await kubernetes.getKubervisorService(namespace, name)) === undefined;
    const answer = (async () => {
      if (!(await look())) return false;
      await new Promise((resolve) => setTimeout(resolve, SECOND_LOOK));
      return look();
    })();
    const entry = { at: performance.now(), answer };
    missing.set(key, entry);
    // An answer that it is there, or none at all, is not kept: the next look may find otherwise.
    answer.then(
      (gone) => {
        if (!gone) missing.delete(key);
      },
      () => missing.delete(key),
    );
    if (missing.size > 1000)
      for (const [old, { at }] of missing) if (performance.now() - at >= MISSING_KNOWN_FOR) missing.delete(old);
    return answer;
  };

  /** By pod: changes in the window that began with the first of them. */
  let changes = new Map<string, { since: number; count: number }>();
  const changesOf = (key: string): { since: number; count: number } => {
    const at = performance.now();
    const known = changes.get(key);
    return known !== undefined && at - known.since < WINDOW ? known : { since: at, count: 0 };
  };
  let sweptAt = performance.now();
  const remember = (key: string): void => {
    const { since, count: before } = changesOf(key);
    changes.set(key, { since, count: before + 1 });
    const at = performance.now();
    if (at - sweptAt < WINDOW) return;
    sweptAt = at;
    changes = new Map([...changes].filter(([, one]) => at - one.since < WINDOW));
  };

  const reconcile = async (key: string): Promise<boolean> => {
    try {
      return await look(key);
    } catch (error) {
      const [namespace, pod] = key.split('/');
      log.error({ namespace, pod, err: error }, 'look at a pod failed');
      return false;
    }
  };
  const look = async (key: string): Promise<boolean> => {
    const pod = caches.pod(key);
    if (pod === undefined || !isLeader()) return true;
    const change = decideMembership(pod, caches.view(pod.namespace), now());
    if (change === undefined) return true;
    const { name, strategy } = marksOf(pod);
    const fields = {
      namespace: pod.namespace,
      service: change.resource?.spec?.service ?? change.withoutSupervisor?.name,
      resource: change.resource?.resource.name ?? name,
      pod: pod.name,
      breaker: strategy,
      reason: change.reason,
    };
    try {
      if (change.confirmMissing !== undefined && !(await isMissing(pod.namespace, change.confirmMissing))) {
        // The cache of resources lags behind the pods': it will tell of the resource, and the pod is asked about again then.
        return false;
      }
      if (!isLeader()) return true;
      if (changesOf(key).count >= CHANGES_IN_WINDOW) {
        log.debug(fields, 'pod is relabelled by somebody else as well: waiting');
        return false;
      }
      const operations = guardedPatch(pod, change.edit);
      if (operations.length === 0) return true;
      const outcome = await kubernetes.patchPod(pod, operations);
      count(change.reason, outcome.result);
      switch (outcome.result) {
        case 'patched':
          remember(key);
          log.info({ ...fields, sentence: TRANSITIONS[change.reason] }, 'pod relabelled');
          applied({ pod, change });
          return true;
        case 'gone':
        case 'changed':
          // The watch brings the pod as it is now, and with it the question anew.
          return true;
        case 'deadline':
        case 'failed':
          log.warn(
            { ...fields, problem: outcome.result === 'failed' ? outcome.message : 'deadline' },
            'pod could not be relabelled',
          );
          return false;
      }
    } catch (error) {
      log.warn({ ...fields, err: error }, 'pod could not be relabelled');
      return false;
    }
  };
  return createKeyQueue(CONCURRENCY, reconcile);
}
