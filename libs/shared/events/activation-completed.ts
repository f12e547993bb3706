/** Activator → controller: how an activation ended. */
import * as z from 'zod';
import * as common from './common.ts';
import { defineEvent } from './envelope.ts';

export const returnedPod = common.podRef.extend({
  breaker: z.string().optional(),
  /** What became of it. `stamped`: an unreadable breakAt was written anew (A7). */
  action: z.enum(['activated', 'paused', 'killed', 'stamped']),
  reason: common.transitionReason,
  enforced: z.boolean(),
  at: common.time,
  retryCount: z.int().min(0),
});

export const activationCompleted = defineEvent(
  'round.activate',
  1,
  z.object({
    round: common.round,
    resource: common.resource,
    claim: common.claim,
    outcome: common.roundOutcome,
    actions: z.array(returnedPod),
    withheld: z.array(common.withheld),
    errors: z.array(z.string()),
    durationMilliseconds: z.number().min(0),
  }),
);

export type ReturnedPod = z.infer<typeof returnedPod>;
export type ActivationCompleted = z.infer<typeof activationCompleted.data>;
