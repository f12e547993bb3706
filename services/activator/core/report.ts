/** What the controller is told of a round: what became of which pod, and why the others stay as they are. */
import type { ReturnedPod } from '@kubervisor/shared/events/activation-completed';
import type { Withheld } from '@kubervisor/shared/events/common';
import { marksOf, writeTime } from '@kubervisor/shared/pods/codec';
import type { ActivationDecision, Held, Planned, PlannedKill } from './decide-activations.ts';

/** One thing to do, in the words of the fact that tells it. */
export type Step =
  { action: 'activated' | 'paused' | 'stamped'; planned: Planned } | { action: 'killed'; planned: PlannedKill };

/** In the order in which they are begun: a claim may run out, and the floor is what must be mended first (B7). */
export function stepsOf({ activate, pause, kill, stamp }: ActivationDecision): Step[] {
  const isRepair = ({ reason }: Planned) => reason === 'FloorRestored';
  return [
    ...activate.filter(isRepair).map((planned) => ({ action: 'activated', planned }) as const),
    ...kill.map((planned) => ({ action: 'killed', planned }) as const),
    ...activate.filter((one) => !isRepair(one)).map((planned) => ({ action: 'activated', planned }) as const),
    ...pause.map((planned) => ({ action: 'paused', planned }) as const),
    ...stamp.map((planned) => ({ action: 'stamped', planned }) as const),
  ];
}

/** `at`: milliseconds since 1970, as written to the pod. */
export const returnedPod = ({ action, planned }: Step, at: number): ReturnedPod => ({
  pod: planned.pod.name,
  uid: planned.pod.uid,
  ...(planned.breaker !== undefined && { breaker: planned.breaker }),
  action,
  reason: planned.reason,
  enforced: planned.enforced,
  at: writeTime(at),
  retryCount: marksOf(planned.pod).retryCount,
});

export const withheldPod = ({ pod, breaker, reason, message, enforced }: Held): Withheld => ({
  pod: pod.name,
  uid: pod.uid,
  ...(breaker !== undefined && { breaker }),
  reason,
  ...(message !== undefined && { message: message.slice(0, 1024) }),
  enforced,
});
