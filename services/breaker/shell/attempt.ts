/** One try to take one pod out of traffic (W3, W4), and what it came to. */
import type { Withheld } from '@kubervisor/shared/events/common';
import { EDITS, guardedPatch, marksOf } from '@kubervisor/shared/pods/codec';
import type { Pod } from '@kubervisor/shared/pods/pod';
import type { Deadline, Kubernetes, PatchResult } from '@kubervisor/runtime/kubernetes/client';
import { problemOf } from '@kubervisor/runtime/worker/problem';
import type { Break } from '../core/decide-breaks.ts';

export interface Attempt {
  decided: Break;
  /** Milliseconds since 1970, as written to the pod. */
  at: number;
  /** When its answer came, or the word that none will, on the monotonic clock. It may have waited for a connection: no request left later than this. */
  endedAt: number;
  result: PatchResult;
}

/** Never throws. Nothing is sent once the deadline has passed. */
export async function attemptBreak(
  decided: Break,
  at: number,
  deadline: Deadline,
  { kubernetes, monotonic }: { kubernetes: Pick<Kubernetes, 'patchPod'>; monotonic(): number },
): Promise<Attempt> {
  const attempt = (result: PatchResult): Attempt => ({ decided, at, endedAt: monotonic(), result });
  if (monotonic() >= deadline.at) return attempt({ result: 'deadline' });
  const { pod } = decided;
  try {
    const operations = guardedPatch(pod, EDITS.break(pod, { ...decided, at }));
    // The client looks at the deadline once more, immediately before the request leaves.
    return attempt(await kubernetes.patchPod(pod, operations, deadline));
  } catch (error) {
    return attempt({ result: 'failed', message: problemOf(error), uncertain: true });
  }
}

/** No answer came: the patch may have taken effect, or may yet. */
export const isUncertain = ({ result }: Attempt): boolean => result.result === 'failed' && result.uncertain === true;

/** What the floor counts as out: to count too many breaks one pod too few, to count too few crosses the floor. */
export const mayHaveLeft = (attempt: Attempt): boolean => attempt.result.result === 'patched' || isUncertain(attempt);

/** The pod bears exactly what the attempt wrote: it took effect, though no answer came. */
export function bearsBreakOf(pod: Pod, { decided, at }: Attempt): boolean {
  const { traffic, strategy, breakAt } = marksOf(pod);
  return traffic === 'no' && strategy === decided.breaker && breakAt === at;
}

const REASONS = { changed: 'Changed', gone: 'Gone', deadline: 'Deadline', failed: 'PatchFailed' } as const;

/** Undefined where the pod was broken. */
export function withheldOf({ decided, result }: Attempt): Withheld | undefined {
  if (result.result === 'patched') return undefined;
  const { pod, breaker, enforced } = decided;
  return {
    pod: pod.name,
    uid: pod.uid,
    breaker,
    reason: REASONS[result.result],
    enforced,
    ...(result.result === 'failed' && { message: result.message.slice(0, 1024) }),
  };
}
