/**
 * The HTTP contract of detectors, version 1 (design §7): what a team's plug-in is asked and answers. Anyone who implements it in
 * any language owes only what the comments here say. It grows by optional fields; anything else would be a v2 beside it.
 */
import * as z from 'zod';

export const DETECTOR_API_VERSION = 'detector.kubervisor.io/v1';

/** Of an answer of `/v1/verdicts`, and of the text of `/v1/info`. What is larger is not read. */
export const MAX_ANSWER_BYTES = 8 * 1024 * 1024;
export const MAX_INFO_LENGTH = 256 * 1024;
/** So long `/v1/info` is waited for. */
export const MAX_INFO_MILLISECONDS = 2000;
/**
 * Of a regular expression in the schema of `/v1/info`. A foreign one is read in one go, which no time-out ends: of 200 KB that takes seconds
 * and 600 MB, of so much a fraction of a second.
 */
export const MAX_PATTERN_LENGTH = 1000;

const short = (max: number) => z.string().max(max);

/** A pod to be judged: Ready, in traffic, past its grace period. Pods that are out or young are never sent. */
export const judgedPod = z.object({
  name: short(253),
  uid: short(64),
  ip: short(64).optional(),
  node: short(253).optional(),
  /** The release the pod is of: its pod-template-hash or controller-revision-hash. */
  revision: short(63).optional(),
  readySince: z.iso.datetime({ offset: true }).optional(),
});

export const verdictRequest = z.object({
  apiVersion: z.literal(DETECTOR_API_VERSION),
  /** A name for logs; the same evaluation asked twice has the same. */
  evaluationId: short(256),
  /** How long the caller waits. An answer that comes later is thrown away. */
  timeoutMilliseconds: z.int().min(1).max(60_000),
  service: z.object({ namespace: short(63), name: short(63) }),
  breaker: short(63),
  parameters: z.record(z.string(), z.unknown()).default({}),
  pods: z.array(judgedPod).max(20_000),
});

/**
 * `ok`; `anomalous`: the only outcome that may break; `inconclusive`: too little data; `error`: could not be answered.
 * V1: all but `anomalous` leave the pod as it is.
 */
export const outcome = z.enum(['ok', 'anomalous', 'inconclusive', 'error']);

export const verdict = z.object({
  pod: short(253),
  /** Where given, it must be the pod's; a verdict for an earlier pod of the same name then does not count (V2). */
  uid: short(64).optional(),
  outcome,
  /** 1 = at the limit, larger = worse. The worst are broken first. A missing score counts as 1. */
  score: z.number().min(0).optional(),
  /** One line for people. */
  reason: short(512).optional(),
  observed: z.number().optional(),
  limit: z.number().optional(),
});

/** Pods left out of the answer are `inconclusive`. */
export const verdictResponse = z.object({
  verdicts: z.array(verdict).max(20_000),
});

export const detectorInfo = z.object({
  name: short(128),
  version: short(64),
  /** JSON Schema of `parameters`. */
  parameters: z.record(z.string(), z.unknown()),
});

export type JudgedPod = z.infer<typeof judgedPod>;
export type VerdictRequest = z.infer<typeof verdictRequest>;
export type Outcome = z.infer<typeof outcome>;
export type Verdict = z.infer<typeof verdict>;
export type DetectorInfo = z.infer<typeof detectorInfo>;
