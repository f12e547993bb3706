/**
 * The status: who is out, why, until when, what holds it. Written by the controller alone. All of it is optional, for it grows
 * as facts come in; the bounds are those of the CRD, and the writer keeps to them. Times are RFC 3339.
 */
import * as z from 'zod';

/** Pods listed in status; the fleet may have more that are out, `podCount` counts them all. */
export const MAX_STATUS_PODS = 50;
/** Characters of a message in status. */
export const MAX_STATUS_MESSAGE = 4096;

const line = (max: number) => z.string().max(max);
const time = z.string().meta({ format: 'date-time' });
const count = z.int().min(0);

export const condition = z.object({
  type: line(316).describe('Ready, Active or Degraded.'),
  status: z.enum(['True', 'False', 'Unknown']).describe('Whether the condition holds.'),
  reason: line(1024).describe('One word for machines.'),
  message: line(MAX_STATUS_MESSAGE).optional().describe('A sentence for people.'),
  lastTransitionTime: time.describe('When the status last changed.'),
  observedGeneration: count.optional().describe('The generation of the spec that it was seen on.'),
});

export const podCount = z.object({
  nbPodsManaged: count.optional().describe('Ready pods of the fleet, whether in traffic or not.'),
  nbPodsBreaked: count.optional().describe('Pods that a breaker took out.'),
  nbPodsPaused: count.optional().describe('Pods that wait for a person.'),
  nbPodsUnknown: count.optional().describe('Pods whose traffic label is missing or not ours.'),
  lastProbeTime: time.optional().describe('When they were counted.'),
});

export const breakerStatus = z.object({
  name: line(63).describe('Name of the breaker.'),
  floor: count.optional().describe('Fewest pods that its breaks leave available, of the fleet as it is.'),
  lastEvaluationTime: time.optional().describe('When its last evaluation ended.'),
  result: line(64).optional().describe('How the last evaluation ended.'),
  anomalous: count.optional().describe('Pods that were bad in it, confirmed or not.'),
  broken: count.optional().describe('Pods that it took out in it, or would have.'),
  withheld: count.optional().describe('Bad pods that it did not take out.'),
  consecutiveErrors: count.optional().describe('Evaluations without an answer since the last good one.'),
  message: line(MAX_STATUS_MESSAGE).optional().describe('What went wrong, or why pods were withheld.'),
});

export const podStatus = z.object({
  name: line(253).describe('Name of the pod.'),
  uid: line(64).optional().describe('Its uid.'),
  state: z
    .enum(['broken', 'paused', 'wouldBeBroken', 'wouldBePaused'])
    .optional()
    .describe('broken waits for its time; paused waits for a person. The other two are a dry run.'),
  breaker: line(63).optional().describe('The breaker that took it out.'),
  since: time.optional().describe('When it was taken out.'),
  retryCount: count.optional().describe('How often it was taken out, less what was forgiven.'),
  reason: line(1024).optional().describe('What was observed, in one line.'),
  observed: z.number().optional().describe('The value that was observed.'),
  limit: z.number().optional().describe('The limit that it broke.'),
  nextActionTime: time.optional().describe('When it comes back, is killed, or is paused.'),
  heldBy: line(1024).optional().describe('What keeps that from happening now.'),
});

export const status = z.object({
  observedGeneration: count.optional().describe('The generation of the spec that the status speaks of.'),
  startTime: time.optional().describe('When the controller first saw the resource.'),
  conditions: z
    .array(condition)
    .max(16)
    .optional()
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] })
    .describe(
      'Ready: valid, and its Service was found. Active: the Service takes part. Degraded: something keeps it from working.',
    ),
  podCount: podCount.optional().describe('The fleet in figures.'),
  available: count.optional().describe('Pods that are ready and in traffic.'),
  floor: count.optional().describe('The highest floor that is enforced.'),
  breakers: z
    .array(breakerStatus)
    .max(64)
    .optional()
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] })
    .describe('The last evaluation of each breaker.'),
  pods: z
    .array(podStatus)
    .max(MAX_STATUS_PODS)
    .optional()
    .describe(`Pods that are out of traffic, at most ${MAX_STATUS_PODS}.`),
});

export type KubervisorServiceStatus = z.infer<typeof status>;
export type StatusCondition = z.infer<typeof condition>;
export type BreakerStatus = z.infer<typeof breakerStatus>;
export type PodStatus = z.infer<typeof podStatus>;
