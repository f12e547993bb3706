/** A break is told as it happens, in the log, as a metric and as a fact: a round that dies half-way has told what it did. */
import type { BrokenPod } from '@kubervisor/shared/events/evaluation-completed';
import type { WorkEvaluate } from '@kubervisor/shared/events/work-evaluate';
import { writeReason } from '@kubervisor/shared/pods/codec';
import type { RoundContext, RoundPorts } from '@kubervisor/runtime/worker/round';
import { tellPodFact } from '@kubervisor/runtime/worker/tell-pod-fact';
import type { BreakerMetrics } from './metrics.ts';

export async function tellBreak(
  broken: BrokenPod,
  { resource, round }: Pick<WorkEvaluate, 'resource' | 'round'>,
  ports: Pick<RoundPorts, 'bus' | 'source' | 'now'> & { breakerMetrics: BreakerMetrics },
  context: RoundContext,
): Promise<void> {
  ports.breakerMetrics.breaks.inc({ enforced: String(broken.enforced) });
  context.log.info({ ...broken }, broken.enforced ? 'pod broken' : 'pod would have been broken');
  const message = writeReason(broken);
  const fact = { ...broken, resource, round, actor: 'breaker', reason: 'Anomalous', message } as const;
  await tellPodFact(ports, 'pod-broken', fact, context);
}
