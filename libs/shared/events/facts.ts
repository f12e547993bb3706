/** What happened to pods: the audit trail. One event type a transition, all of one shape. */
import * as z from 'zod';
import * as common from './common.ts';
import { defineEvent } from './envelope.ts';

export const podFact = common.podRef.extend({
  resource: common.resource,
  /** False: a dry run, or a Service whose selector lacks our key; nothing was touched. */
  enforced: z.boolean(),
  /** Which service did it. */
  actor: z.enum(['controller', 'breaker', 'activator']),
  /** The round it happened in; the controller's own acts have none. */
  round: common.round.optional(),
  breaker: z.string().optional(),
  reason: common.transitionReason,
  /** One line for people. */
  message: z.string().max(1024),
  at: common.time,
  retryCount: z.int().min(0).optional(),
  score: z.number().optional(),
  observed: z.number().optional(),
  limit: z.number().optional(),
});

export const FACTS = {
  'pod-broken': defineEvent('fact.pod-broken', 1, podFact),
  'pod-activated': defineEvent('fact.pod-activated', 1, podFact),
  'pod-paused': defineEvent('fact.pod-paused', 1, podFact),
  'pod-killed': defineEvent('fact.pod-killed', 1, podFact),
  'pod-released': defineEvent('fact.pod-released', 1, podFact),
} as const;

export type FactType = keyof typeof FACTS;
export type PodFact = z.infer<typeof podFact>;
