/** Writes status: only what changed, at most once a second a resource, and never two writes of one at a time. */
import type { KubervisorServiceStatus } from '@kubervisor/shared/crd/status';
import type { Kubernetes } from '@kubervisor/runtime/kubernetes/client';
import type { Logger } from '@kubervisor/runtime/logs';
import { isWorthWriting } from '../core/status.ts';

export interface StatusWriter {
  /** `compose` is called when it is time to write, with the status that stands. */
  touch(
    resource: { uid: string; namespace: string; name: string; status: unknown },
    compose: (previous: KubervisorServiceStatus | undefined) => KubervisorServiceStatus | undefined,
  ): void;
  stop(): void;
}

const AT_MOST_EVERY = 1000;

interface Slot {
  standing: KubervisorServiceStatus | undefined;
  compose: (previous: KubervisorServiceStatus | undefined) => KubervisorServiceStatus | undefined;
  nextAt: number;
  timer: NodeJS.Timeout | undefined;
  writing: boolean;
  again: boolean;
}

/** A merge patch leaves alone what it does not name: what is no longer there is named as null. */
const asMergePatch = (status: KubervisorServiceStatus): object => ({ ...status, floor: status.floor ?? null });

export function createStatusWriter(
  kubernetes: Kubernetes,
  log: Logger,
  counted: (result: string) => void,
): StatusWriter {
  const slots = new Map<string, Slot>();
  let stopped = false;

  const write = async (uid: string, namespace: string, name: string): Promise<void> => {
    const slot = slots.get(uid);
    if (slot === undefined || stopped) return;
    slot.timer = undefined;
    const status = slot.compose(slot.standing);
    if (status === undefined) {
      slots.delete(uid);
      return;
    }
    if (!isWorthWriting(slot.standing, status)) return;
    slot.writing = true;
    slot.nextAt = performance.now() + AT_MOST_EVERY;
    const outcome = await kubernetes.patchStatus(namespace, name, asMergePatch(status));
    slot.writing = false;
    counted(outcome.result);
    if (outcome.result === 'written') slot.standing = status;
    else if (outcome.result === 'failed') {
      log.warn({ namespace, resource: name, problem: outcome.message }, 'status could not be written');
      slot.again = true;
    }
    if (slot.again) {
      slot.again = false;
      arm(uid, namespace, name, slot);
    }
  };
  const arm = (uid: string, namespace: string, name: string, slot: Slot): void => {
    if (stopped || slot.timer !== undefined) return;
    if (slot.writing) {
      slot.again = true;
      return;
    }
    slot.timer = setTimeout(() => void write(uid, namespace, name), Math.max(0, slot.nextAt - performance.now()));
  };

  return {
    touch({ uid, namespace, name, status }, compose) {
      let slot = slots.get(uid);
      if (slot === undefined) {
        slot = {
          standing: (status ?? undefined) as KubervisorServiceStatus | undefined,
          compose,
          nextAt: 0,
          timer: undefined,
          writing: false,
          again: false,
        };
        slots.set(uid, slot);
      }
      slot.compose = compose;
      arm(uid, namespace, name, slot);
    },
    stop() {
      stopped = true;
      for (const { timer } of slots.values()) clearTimeout(timer);
      slots.clear();
    },
  };
}
