/** An activation as a round: what the frame of libs/runtime/worker plays. It has nothing to gather, so it claims at once (W3). */
import { activationCompleted, type ActivationCompleted } from '@kubervisor/shared/events/activation-completed';
import { workActivate, type WorkActivate } from '@kubervisor/shared/events/work-activate';
import type { RoundShape } from '@kubervisor/runtime/worker/round';
import { NOTHING_DONE, returnPods, type ReturnPorts, type RoundResult } from './return-pods.ts';

export function activationRound(
  ports: ReturnPorts,
): RoundShape<WorkActivate, ActivationCompleted, undefined, RoundResult> {
  return {
    kind: 'activate',
    work: workActivate,
    fact: activationCompleted,
    longestTimeout: () => 0,
    gather: async () => undefined,
    act: (work, _, context) => returnPods(work, ports, context),

    report({ round, resource }, ending, { done = NOTHING_DONE }) {
      for (const { reason, enforced } of done.withheld)
        ports.activatorMetrics.withheld.inc({ reason, enforced: String(enforced) });
      return { round, resource, ...ending, ...done };
    },

    // What was done stays: the leader's memory of a dry run rests on it (A6).
    compact: (fact) => ({
      ...fact,
      withheld: [],
      errors: [...fact.errors.slice(0, 10), 'the fact was too large: withheld pods are left out'],
    }),
  };
}
