/** Controller → one breaker: judge these breakers of this Service now. */
import * as z from 'zod';
import { spec } from '../crd/kubervisor-service.ts';
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
    round: common.round,
    resource: common.resource,
    spec,
    /** The Service's selector without our key; never empty. */
    selector: common.selector,
    /** The Service's selector holds our key. If not, every breaker runs as dry run (A6). */
    active: z.boolean(),
    /** Names of the breakers to evaluate in this round. */
    due: z.array(z.string()).min(1),
    /** The claim that this round supersedes; 0 = none (W3). */
    claimRevision: z.int().min(0),
    fleet: z.array(fleetPod),
    /** V3: breaker → uid → the last outcomes, oldest first, `1` anomalous and `0` not, at most m − 1 of them. */
    history: z.record(z.string(), z.record(z.string(), z.string().regex(/^[01]*$/))),
    simulated: z.array(common.simulatedPod),
    /** F5: selectors (without our key) of the other enforcing, active resources of the namespace. */
    others: z.array(z.object({ name: z.string(), selector: common.selector })),
  }),
);

export type WorkEvaluate = z.infer<typeof workEvaluate.data>;
export type FleetPod = z.infer<typeof fleetPod>;
