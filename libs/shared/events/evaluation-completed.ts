/** Breaker → controller: how an evaluation ended, whatever way it ended. */
import * as z from 'zod';
import { verdict } from '../detection/contract.ts';
import { DETECTOR_ERRORS, type DetectorErrorReason } from '../reasons.ts';
import * as common from './common.ts';
import { defineEvent } from './envelope.ts';

export const breakerReport = z.object({
  name: z.string(),
  /** `panic`: anomalous, and too much of the fleet at once (P). */
  result: z.enum(['ok', 'anomalous', 'inconclusive', 'error', 'panic']),
  /** Of the pods that were sent to the detector. */
  counts: z.object({ ok: z.int(), anomalous: z.int(), inconclusive: z.int(), error: z.int() }),
  /** Verdicts and samples that did not count, by reason (V2: `unknownPod`, `otherUid`, `notInTraffic` …). */
  ignored: z.record(z.string(), z.int()),
  error: z
    .object({
      reason: z.enum(Object.keys(DETECTOR_ERRORS) as [DetectorErrorReason, ...DetectorErrorReason[]]),
      message: z.string(),
    })
    .optional(),
  /** One line for people: what the bad pods share in a panic, and the like. */
  message: z.string().max(1024).optional(),
  warnings: z.array(z.string()),
  /** Only where pods were listed: what the decision rested on. */
  budget: z.object({ available: z.int(), total: z.int(), floor: z.int(), budget: z.int() }).optional(),
});

export const brokenPod = common.podRef.extend({
  breaker: z.string(),
  enforced: z.boolean(),
  at: common.time,
  retryCount: z.int().min(1),
  score: z.number(),
  reason: z.string(),
  observed: z.number().optional(),
  limit: z.number().optional(),
});

export const evaluationCompleted = defineEvent(
  'round.evaluate',
  1,
  z.object({
    round: common.round,
    resource: common.resource,
    claim: common.claim,
    outcome: common.roundOutcome,
    due: z.array(z.string()),
    breakers: z.array(breakerReport),
    /** Every outcome that is not `ok`; pods that were judged and are missing here were ok (V3 rests on it). */
    outcomes: z.array(verdict.extend({ uid: z.string(), breaker: z.string() })),
    /** uids that were sent to the detectors, by breaker: whom the history of `confirm` counts. Only of breakers that confirm. */
    judged: z.record(z.string(), z.array(z.string())),
    breaks: z.array(brokenPod),
    withheld: z.array(common.withheld),
    errors: z.array(z.string()),
    durationMilliseconds: z.number().min(0),
  }),
);

export type BreakerReport = z.infer<typeof breakerReport>;
export type BrokenPod = z.infer<typeof brokenPod>;
export type EvaluationCompleted = z.infer<typeof evaluationCompleted.data>;
