/** What was done is told as it happens, in the log, as a metric and as a fact: a round that dies half-way has told what it did. */
import type { ReturnedPod } from '@kubervisor/shared/events/activation-completed';
import type { FactType } from '@kubervisor/shared/events/facts';
import type { WorkActivate } from '@kubervisor/shared/events/work-activate';
import type { RoundContext, RoundPorts } from '@kubervisor/runtime/worker/round';
import { tellPodFact } from '@kubervisor/runtime/worker/tell-pod-fact';
import type { ActivatorMetrics } from './metrics.ts';

/** A stamp mends a mark and changes no pod's place: it is logged, and no fact. */
const TOLD = {
  activated: { fact: 'pod-activated', metric: 'activations' },
  paused: { fact: 'pod-paused', metric: 'pauses' },
  killed: { fact: 'pod-killed', metric: 'kills' },
  stamped: undefined,
} as const satisfies Record<
  ReturnedPod['action'],
  { fact: FactType; metric: 'activations' | 'pauses' | 'kills' } | undefined
>;

/** `message`: one line for people. */
export async function tellReturn(
  returned: ReturnedPod,
  message: string,
  { resource, round }: Pick<WorkActivate, 'resource' | 'round'>,
  ports: Pick<RoundPorts, 'bus' | 'source' | 'now'> & { activatorMetrics: ActivatorMetrics },
  context: RoundContext,
): Promise<void> {
  const { action, reason, enforced } = returned;
  context.log.info({ ...returned, why: message }, enforced ? 'pod acted on' : 'pod would have been acted on');
  const told = TOLD[action];
  if (told === undefined) return;
  ports.activatorMetrics[told.metric].inc({ reason, enforced: String(enforced) });
  const { action: _, ...rest } = returned;
  await tellPodFact(ports, told.fact, { ...rest, resource, round, actor: 'activator', message }, context);
}
