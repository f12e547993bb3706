/** What a dry run believes of a pod, laid over what the pod says (A6), so that one decision serves enforcing and dry run. */
import type { SimulatedPod } from '../events/common.ts';
import { marksOf } from './codec.ts';
import { ANNOTATION, LABEL } from './keys.ts';
import type { Pod } from './pod.ts';

/**
 * The pod as it would be had the dry run been enforced. A pod that is out for real stays as it is: what was believed of it is
 * overtaken. `simulated` is of this pod (same uid).
 */
export function withSimulated(pod: Pod, simulated: SimulatedPod): Pod {
  if (marksOf(pod).traffic !== 'yes') return pod;
  const lay = (map: Readonly<Record<string, string>>, over: Record<string, string | undefined>) =>
    Object.fromEntries(
      Object.entries({ ...map, ...over }).filter((entry): entry is [string, string] => entry[1] !== undefined),
    );
  const { traffic, breaker, breakAt, retryCount, activatedAt, reason } = simulated;
  return {
    ...pod,
    labels: lay(pod.labels, { [LABEL.traffic]: traffic, [LABEL.strategy]: breaker }),
    annotations: lay(pod.annotations, {
      [ANNOTATION.breakAt]: breakAt,
      [ANNOTATION.retryCount]: String(retryCount),
      [ANNOTATION.activatedAt]: activatedAt,
      [ANNOTATION.reason]: reason,
    }),
    hasAnnotations: true,
  };
}
