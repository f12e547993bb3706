/**
 * What the breaker asks our own detector service, and what that answers: contract v1 with the breaker's stanza beside it, for the
 * built-in kinds are answered by the service itself and `customService` and `detector` are forwarded.
 */
import * as z from 'zod';
import { DETECTOR_KINDS } from '../crd/kubervisor-service.ts';
import { DETECTOR_ERRORS, type DetectorErrorReason } from '../reasons.ts';
import { verdictRequest, verdictResponse } from './contract.ts';

export const evaluationRequest = verdictRequest.extend({
  kind: z.enum(DETECTOR_KINDS),
  /** The value of the breaker's field of that name; checked by the kind that answers. */
  detector: z.unknown(),
});

/** A provider never throws: a detector that could not answer is a measurement like any other (200 with `error`). */
export const evaluationResponse = verdictResponse.extend({
  error: z
    .object({
      reason: z.enum(Object.keys(DETECTOR_ERRORS) as [DetectorErrorReason, ...DetectorErrorReason[]]),
      /** One line; never a piece of a foreign body. */
      message: z.string().max(1024),
    })
    .optional(),
  /** What was left out of the figures and why, by a counted reason (`negativeSample`, `notAsked`, `duplicateSeries` …). */
  ignored: z.record(z.string(), z.int()).default({}),
  /** What the source said beside its answer; shown in status. */
  warnings: z.array(z.string().max(512)).max(20).default([]),
});

export type EvaluationRequest = z.infer<typeof evaluationRequest>;
export type EvaluationResponse = z.infer<typeof evaluationResponse>;
