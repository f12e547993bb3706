/** Writes status: only what changed, at most once a second a resource, and never two writes of one at a time. */
import type { KubervisorServiceStatus } from '@kubervisor/shared/crd/status';
import type { Kubernetes } from '@kubervisor/runtime/kubernetes/client';
import type { Logger } from '@kubervisor/runtime/logs';
import { isWorthWriting } from '../core/status.ts';

export interface WrittenStatus {
  uid: string;
  resourceVersion: string;
  status: unknown;
}

export interface StatusWriter {
  /**
   * `status`: the one that stands, for the first touch. `compose` is called when it is time to write, with the status that
   * stands; undefined: there is nothing to write any more.
   */
  touch(
    resource: { uid: string; namespace: string; name: string; status: unknown },
    compose: (previous: KubervisorServiceStatus | undefined) => KubervisorServiceStatus | undefined,
  ): void;
  /** The API server told of a status; where another wrote it (a leader of before, a person), ours is written again. */
  seen(resource: WrittenStatus): void;
  /** The resource is gone. */
  forget(uid: string): void;
  stop(): void;
}

/** All in milliseconds. */
const WRITES_APART = 1000;
const LONGEST_RETRY = 30_000;
/** To compose a status takes a walk through the fleet. */
const COMPOSED_APART = 200;

interface Slot {
  namespace: string;
  name: string;
  standing: KubervisorServiceStatus | undefined;
  /** resourceVersion of our last write. */
  written: string | undefined;
  compose: (previous: KubervisorServiceStatus | undefined) => KubervisorServiceStatus | undefined;
  nextAt: number;
  timer: NodeJS.Timeout | undefined;
  writing: boolean;
  again: boolean;
  failures: number;
}

/** A merge patch leaves alone what it does not name: what is no longer there is named as null. */
const asMergePatch = (status: KubervisorServiceStatus): object => ({ ...status, floor: status.floor ?? null });

/** Resource versions are decimal numbers, too large for a double. */
const isOlder = (one: string, other: string): boolean =>
  one.length === other.length ? one < other : one.length < other.length;

export function createStatusWriter(
  kubernetes: Pick<Kubernetes, 'patchStatus'>,
  log: Logger,
  counted: (result: string) => void,
): StatusWriter {
  const slots = new Map<string, Slot>();
  let stopped = false;

  const write = async (uid: string): Promise<void> => {
    const slot = slots.get(uid);
    if (slot === undefined || stopped) return;
    const { namespace, name } = slot;
    slot.timer = undefined;
    slot.nextAt = performance.now() + COMPOSED_APART;
    try {
      const status = slot.compose(slot.standing);
      if (status === undefined) return void slots.delete(uid);
      if (!isWorthWriting(slot.standing, status)) return;
      slot.writing = true;
      slot.nextAt = performance.now() + WRITES_APART;
      const outcome = await kubernetes.patchStatus(namespace, name, asMergePatch(status));
      counted(outcome.result);
      if (outcome.result === 'failed') throw new Error(outcome.message);
      // Of a resource that gets no work nobody may touch the status again.
      if (outcome.result === 'conflict') throw new Error('another wrote the resource at the same moment');
      if (outcome.result === 'written') {
        slot.standing = status;
        slot.written = outcome.resourceVersion;
      }
      slot.failures = 0;
    } catch (error) {
      if (stopped) return;
      log.warn({ namespace, resource: name, err: error }, 'status could not be written');
      slot.failures += 1;
      slot.nextAt = performance.now() + Math.min(WRITES_APART * 2 ** (slot.failures - 1), LONGEST_RETRY);
      slot.again = true;
    } finally {
      slot.writing = false;
    }
    if (slot.again && slots.get(uid) === slot) {
      slot.again = false;
      arm(uid, slot);
    }
  };
  const arm = (uid: string, slot: Slot): void => {
    if (stopped || slot.timer !== undefined) return;
    if (slot.writing) {
      slot.again = true;
      return;
    }
    slot.timer = setTimeout(() => void write(uid), Math.max(0, slot.nextAt - performance.now()));
  };

  return {
    touch({ uid, namespace, name, status }, compose) {
      let slot = slots.get(uid);
      if (slot === undefined) {
        slot = {
          namespace,
          name,
          standing: (status ?? undefined) as KubervisorServiceStatus | undefined,
          written: undefined,
          compose,
          nextAt: 0,
          timer: undefined,
          writing: false,
          again: false,
          failures: 0,
        };
        slots.set(uid, slot);
      }
      slot.compose = compose;
      arm(uid, slot);
    },
    seen({ uid, resourceVersion, status }) {
      const slot = slots.get(uid);
      // What is seen while we write was there before, and is written over.
      if (slot === undefined || slot.writing) return;
      if (slot.written !== undefined && !isOlder(slot.written, resourceVersion)) return;
      const standing = (status ?? {}) as KubervisorServiceStatus;
      if (!isWorthWriting(slot.standing, standing)) return;
      slot.standing = standing;
      arm(uid, slot);
    },
    forget(uid) {
      clearTimeout(slots.get(uid)?.timer);
      slots.delete(uid);
    },
    stop() {
      stopped = true;
      for (const { timer } of slots.values()) clearTimeout(timer);
      slots.clear();
    },
  };
}
