/** Pieces that several events share. */
import * as z from 'zod';
import { spec } from '../crd/kubervisor-service.ts';
import { TRANSITIONS, WITHHELD, type TransitionReason, type WithheldReason } from '../reasons.ts';

export const time = z.iso.datetime({ offset: true });
/** `<random id of the leader's process>-<counter>`: a name for facts and logs. Nothing compares rounds (W2). */
export const round = z.string().min(1).max(128);

export const resource = z.object({ namespace: z.string(), name: z.string(), uid: z.string(), generation: z.int() });
export const selector = z.record(z.string(), z.string());

export const withheldReason = z.enum(Object.keys(WITHHELD) as [WithheldReason, ...WithheldReason[]]);
export const transitionReason = z.enum(Object.keys(TRANSITIONS) as [TransitionReason, ...TransitionReason[]]);

/** Which bucket of claims it is: whoever deletes it and makes it anew makes another (W3). To be compared, never read. */
export const claimBucket = z.string().min(1).max(64);

/**
 * How far the claim of a round came (W3). `revision`: of the claim made, or the one found where it was refused. `bucket`: the one that the
 * message named, for revisions of another say nothing.
 */
export const claim = z.object({
  outcome: z.enum(['claimed', 'refused', 'notTried']),
  revision: z.int().min(0),
  bucket: claimBucket.optional(),
});

/** `completed`: acted on what it found; `refused`: another holds the claim; `givenUp`: too late; `failed`: see errors. */
export const roundOutcome = z.enum(['completed', 'refused', 'givenUp', 'failed']);

export const podRef = z.object({ pod: z.string(), uid: z.string() });

export const withheld = podRef.extend({
  breaker: z.string().optional(),
  reason: withheldReason,
  message: z.string().max(1024).optional(),
  enforced: z.boolean(),
});

/**
 * What a dry run believes of a pod (A6): the labels and annotations that enforcing would have written, over the real ones. It
 * lives in the leader, fed by facts with `enforced: false`, and travels with the work.
 */
export const simulatedPod = z.object({
  uid: z.string(),
  traffic: z.enum(['yes', 'no', 'pause']),
  breaker: z.string().optional(),
  breakAt: time.optional(),
  retryCount: z.int().min(0),
  activatedAt: time.optional(),
  reason: z.string().optional(),
});

/** What every piece of work begins with. */
export const work = {
  round,
  resource,
  spec,
  /** The Service's selector without our key; never empty. */
  selector,
  /** The Service's selector holds our key. If not, every breaker runs as dry run (A6). */
  active: z.boolean(),
  /** The claim that this round supersedes; 0 = none (W3). */
  claimRevision: z.int().min(0),
  /** The bucket that `claimRevision` is of: in any other a claim does not count (W3). A leader that does not name it is older than this field. */
  claimBucket: claimBucket.optional(),
  simulated: z.array(simulatedPod),
};

export type Round = z.infer<typeof round>;
export type ResourceRef = z.infer<typeof resource>;
export type Claim = z.infer<typeof claim>;
export type RoundOutcome = z.infer<typeof roundOutcome>;
export type Withheld = z.infer<typeof withheld>;
export type SimulatedPod = z.infer<typeof simulatedPod>;
