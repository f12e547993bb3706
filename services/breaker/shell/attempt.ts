/** One try to take one pod out of traffic (W3, W4), and what it came to. */
import type { Withheld } from '@kubervisor/shared/events/common';
import { EDITS, guardedPatch, marksOf } from '@kubervisor/shared/pods/codec';
import type { Pod } from '@kubervisor/shared/pods/pod';
import type { Deadline, Kubernetes, PatchResult } from '@kubervisor/runtime/kubernetes/client';
import { isUncertain, sendBefore, WITHHELD_BY, type Attempted } from '@kubervisor/runtime/worker/attempt';
import type { Break } from '../core/decide-breaks.ts';

export interface Attempt extends Attempted<PatchResult> {
  decided: Break;
  /** Milliseconds since 1970, as written to the pod. */
  at: number;
}

/** Never throws. Nothing is sent once the deadline has passed. */
export async function attemptBreak(
  decided: Break,
  at: number,
  deadline: Deadline,
  { kubernetes, monotonic }: { kubernetes: Pick<Kubernetes, 'patchPod'>; monotonic(): number },
): Promise<Attempt> {
  const { pod } = decided;
  const result = await sendBefore(deadline, monotonic, async () =>
    kubernetes.patchPod(pod, guardedPatch(pod, EDITS.break(pod, { ...decided, at })), deadline),
  );
  return { decided, at, endedAt: monotonic(), result };
}

/** What the floor counts as out: to count too many breaks one pod too few, to count too few crosses the floor. */
export const mayHaveLeft = (attempt: Attempt): boolean => attempt.result.result === 'patched' || isUncertain(attempt);

/** The pod bears exactly what the attempt wrote: it took effect, though no answer came. */
export function bearsBreakOf(pod: Pod, { decided, at }: Attempt): boolean {
  const { traffic, strategy, breakAt } = marksOf(pod);
  return traffic === 'no' && strategy === decided.breaker && breakAt === at;
}

/** Undefined where the pod was broken. */
export function withheldOf({ decided, result }: Attempt): Withheld | undefined {
  if (result.result === 'patched') return undefined;
  const { pod, breaker, enforced } = decided;
  return {
    pod: pod.name,
    uid: pod.uid,
    breaker,
    reason: WITHHELD_BY[result.result],
    enforced,
    ...(result.result === 'failed' && { message: result.message.slice(0, 1024) }),
  };
}
