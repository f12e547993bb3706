/**
 * Before Kubervisor is uninstalled everything is let go: first the Services, so that traffic no longer depends on our label, then the pods.
 * What that takes for one Service and one pod, and when to look again. Asked of whatever a fresh list shows, until nothing is left to do:
 * so a run that was killed half-way is gone on with by the next.
 */
import { EDITS, guardedPatch, pointer, type JsonPatchOperation } from '../pods/codec.ts';
import { isActivated, type Selector } from '../pods/fleet.ts';
import { ANNOTATION, LABEL } from '../pods/keys.ts';
import type { Pod } from '../pods/pod.ts';
import type { LeftReason } from '../reasons.ts';

export type ServiceRelease =
  | { do: 'nothing' }
  /** Guarded by the selector as it was read: were another key of it taken away meanwhile, ours might be the last one. */
  | { do: 'remove'; operations: JsonPatchOperation[] }
  | { do: 'leave'; reason: LeftReason };

export function releaseService({ uid, selector }: { uid: string; selector?: Selector | undefined }): ServiceRelease {
  if (selector?.[LABEL.traffic] === undefined) return { do: 'nothing' };
  if (!isActivated(selector)) return { do: 'leave', reason: 'OtherValue' };
  if (Object.keys(selector).length === 1) return { do: 'leave', reason: 'OnlyKey' };
  return {
    do: 'remove',
    operations: [
      { op: 'test', path: '/metadata/uid', value: uid },
      { op: 'test', path: '/spec/selector', value: selector },
      { op: 'remove', path: `/spec/selector/${pointer(LABEL.traffic)}` },
    ],
  };
}

/** Of `kubervisor/traffic: "yes"` alone the pod template is the author; a person's `kubervisor/exempt` is a person's. */
const WRITTEN_BY_US = [ANNOTATION.breakAt, ANNOTATION.retryCount, ANNOTATION.activatedAt, ANNOTATION.reason];

/** Whether Kubervisor has its hand on the pod. Ending and finished pods are left alone (F2). */
export function bearsMarks({ labels, annotations, terminating, finished }: Pod): boolean {
  if (terminating || finished) return false;
  return (
    (labels[LABEL.traffic] ?? 'yes') !== 'yes' ||
    labels[LABEL.name] !== undefined ||
    labels[LABEL.strategy] !== undefined ||
    WRITTEN_BY_US.some((key) => annotations[key] !== undefined)
  );
}

/** F2: `yes`, and nothing else of ours. Empty where there is nothing to do. */
export const releasePod = (pod: Pod): JsonPatchOperation[] =>
  bearsMarks(pod) ? guardedPatch(pod, EDITS.release(pod)) : [];

/** One look at all the pods, and what was done about what it showed. */
export interface Pass {
  /** Pods that bore marks. */
  found: number;
  /** Of those found: released, or gone. */
  settled: number;
  /** Of those found: pods that an earlier pass had released. */
  markedAgain: number;
}

export type NextPass =
  | { do: 'end' }
  /** Milliseconds. */
  | { do: 'look'; after: number }
  | { do: 'giveUp'; because: 'NoProgress' | 'MarkedAgain' };

/** A breaker may finish the round that it had in its hands; whoever marks pods three times over is not finishing. */
const MARKED_AGAIN = 3;
const FRUITLESS = 5;
const WAIT = { first: 500, longest: 5000 };

export function nextPass(passes: readonly Pass[]): NextPass {
  const last = passes.at(-1);
  if (last === undefined) return { do: 'look', after: 0 };
  if (last.found === 0) return { do: 'end' };
  if (passes.length >= MARKED_AGAIN && passes.slice(-MARKED_AGAIN).every(({ markedAgain }) => markedAgain > 0))
    return { do: 'giveUp', because: 'MarkedAgain' };
  const fruitless = passes.length - 1 - passes.findLastIndex(({ settled }) => settled > 0);
  if (fruitless >= FRUITLESS) return { do: 'giveUp', because: 'NoProgress' };
  if (last.settled === last.found) return { do: 'look', after: 0 };
  return { do: 'look', after: Math.min(WAIT.first * 2 ** fruitless, WAIT.longest) };
}
