/** Controller → one breaker: judge these breakers of this Service now. */
import * as z from 'zod';
import * as common from './common.ts';
import { defineEvent } from './envelope.ts';

/** A pod as the controller's cache has it. It says whom to judge; what may be done is decided on a fresh list (B5). */
export const fleetPod = z.object({
  name: z.string(),
  uid: z.string(),
  traffic: z.enum(['yes', 'no', 'pause']).optional(),
  ready: z.boolean(),
  readySince: common.time.optional(),
  activatedAt: common.time.optional(),
  exempt: z.boolean().optional(),
  ip: z.string().optional(),
  node: z.string().optional(),
  revision: z.string().optional(),
  zone: z.string().optional(),
});

export const workEvaluate = defineEvent(
  'work.evaluate',
  1,
  z.object({
    ...common.work,
    /** Names of the breakers to evaluate in this round. */
    due: z.array(z.string()).min(1),
    fleet: z.array(fleetPod),
    /** V3: breaker → uid → the last outcomes, oldest first, `1` anomalous and `0` not, at most m − 1 of them. */
    history: z.record(z.string(), z.record(z.string(), z.string().regex(/^[01]*$/))),
    /** F5: selectors (without our key) of the other enforcing, active resources of the namespace. */
    others: z.array(z.object({ name: z.string(), selector: common.selector })),
  }),
);

export type WorkEvaluate = z.infer<typeof workEvaluate.data>;
export type FleetPod = z.infer<typeof fleetPod>;
