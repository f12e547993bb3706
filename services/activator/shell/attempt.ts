/** One try to act on one pod (W3, W4, A5), and what it came to. */
import type { Pod } from '@kubervisor/shared/pods/pod';
import { EDITS, guardedPatch, marksOf, type Edit } from '@kubervisor/shared/pods/codec';
import { LABEL } from '@kubervisor/shared/pods/keys';
import type { Deadline, Kubernetes } from '@kubervisor/runtime/kubernetes/client';
import {
  isUncertain,
  sendBefore,
  WITHHELD_BY,
  type Attempted,
  type AttemptResult,
} from '@kubervisor/runtime/worker/attempt';
import { problemOf } from '@kubervisor/runtime/worker/problem';
import type { Held, PlannedKill } from '../core/decide-activations.ts';
import type { Step } from '../core/report.ts';

export interface Attempt extends Attempted {
  step: Step;
  /** Milliseconds since 1970, as written to the pod. */
  at: number;
}

export interface AttemptPorts {
  kubernetes: Pick<Kubernetes, 'getPod' | 'patchPod' | 'evictPod' | 'deletePod'>;
  monotonic(): number;
}

/** Never throws. Nothing is sent once the deadline has passed. */
export async function attemptStep(
  step: Step,
  at: number,
  deadline: Deadline,
  { kubernetes, monotonic }: AttemptPorts,
): Promise<Attempt> {
  const send = (request: () => Promise<AttemptResult>) => sendBefore(deadline, monotonic, request);
  const kill = async (planned: PlannedKill): Promise<AttemptResult> => {
    if (monotonic() >= deadline.at) return { result: 'deadline' };
    let found: Pod | undefined;
    try {
      found = await kubernetes.getPod(planned.pod.namespace, planned.pod.name);
    } catch (error) {
      return { result: 'failed', message: `read before the kill: ${problemOf(error)}` };
    }
    if (found === undefined || found.uid !== planned.pod.uid) return { result: 'gone' };
    if (!mayStillBeKilled(found, planned.pod)) return { result: 'changed' };
    const pod = found;
    return send(async () =>
      planned.policy === 'evict' ? kubernetes.evictPod(pod, deadline) : kubernetes.deletePod(pod, deadline),
    );
  };
  const { pod } = step.planned;
  const result =
    step.action === 'killed'
      ? await kill(step.planned)
      : await send(async () => kubernetes.patchPod(pod, guardedPatch(pod, editOf(step.action, pod, at)), deadline));
  return { step, at, endedAt: monotonic(), result };
}

function editOf(action: Exclude<Step['action'], 'killed'>, pod: Pod, at: number): Edit {
  switch (action) {
    case 'activated':
      return EDITS.activate(pod, { at });
    case 'paused':
      return EDITS.pause(pod);
    case 'stamped':
      return EDITS.stampBreakAt(pod, { at });
  }
}

/** A5: still at `no` and ours, and with nothing new that forbids it. */
function mayStillBeKilled(found: Pod, listed: Pod): boolean {
  const { traffic, exempt } = marksOf(found);
  const isOurs = found.labels[LABEL.name] === listed.labels[LABEL.name];
  return traffic === 'no' && isOurs && !exempt && !found.terminating && found.owner !== undefined;
}

export const isDone = ({ result }: Attempt): boolean => result.result === 'patched' || result.result === 'killed';

/** Nothing came of it, so its place is free for another pod of the same round; but a refused eviction says nothing good of the next. */
export const leavesPlace = (attempt: Attempt): boolean =>
  ['changed', 'gone', 'failed'].includes(attempt.result.result) && !isUncertain(attempt);

/** `found`: the pod as it is now, if it is. It bears exactly what the attempt wrote: it took effect, though no answer came. */
export function tookEffect({ step, at }: Attempt, found: Pod | undefined): boolean {
  if (step.action === 'killed') return found === undefined || found.terminating;
  if (found === undefined) return false;
  const { traffic, activatedAt, breakAt } = marksOf(found);
  switch (step.action) {
    case 'activated':
      return traffic === 'yes' && activatedAt === at;
    case 'paused':
      return traffic === 'pause';
    case 'stamped':
      return traffic === 'no' && breakAt === at;
  }
}

/** Undefined where it was done. */
export function heldBy({ step: { planned }, result }: Attempt): Held | undefined {
  if (result.result === 'patched' || result.result === 'killed') return undefined;
  const { pod, breaker, enforced } = planned;
  return {
    pod,
    ...(breaker !== undefined && { breaker }),
    reason: WITHHELD_BY[result.result],
    ...('message' in result && { message: result.message }),
    enforced,
  };
}
