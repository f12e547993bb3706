import { encodeEvent } from '@kubervisor/shared/events/envelope';
import { FACTS, type FactType, type PodFact } from '@kubervisor/shared/events/facts';
import { factSubject } from '@kubervisor/shared/events/subjects';
import type { RoundContext, RoundPorts } from './round.ts';

/** Publishes what happened to a pod. Best effort, never throws: what stands on the pod is the truth, this is the audit trail. */
export async function tellPodFact(
  { bus, source, now }: Pick<RoundPorts, 'bus' | 'source' | 'now'>,
  type: FactType,
  fact: PodFact,
  { log }: RoundContext,
): Promise<void> {
  const { namespace, name } = fact.resource;
  const id = `${fact.round ?? fact.at}.${type}.${fact.uid}`;
  try {
    const event = encodeEvent(FACTS[type], `${namespace}/${name}`, fact, { id, source, time: now() });
    await bus.publish(factSubject(type, fact.resource), event, { messageId: id });
  } catch (error) {
    log.warn({ err: error, pod: fact.pod, breaker: fact.breaker, fact: type }, 'fact of a pod could not be published');
  }
}
