/** What becomes a Kubernetes Event, on whom, and in which words. */
import type { FactType, PodFact } from '@kubervisor/shared/events/facts';
import { EVENTS, TRANSITIONS, type EventReason } from '@kubervisor/shared/reasons';

export interface Announcement {
  on: 'resource' | 'pod';
  type: 'Normal' | 'Warning';
  reason: EventReason;
  message: string;
}

const REASONS: Record<FactType, { reason: EventReason; type: Announcement['type']; done: string; would: string }> = {
  'pod-broken': {
    reason: 'PodBroken',
    type: 'Warning',
    done: 'was taken out of traffic',
    would: 'would be taken out of traffic',
  },
  'pod-activated': {
    reason: 'PodActivated',
    type: 'Normal',
    done: 'came back into traffic',
    would: 'would come back into traffic',
  },
  'pod-paused': { reason: 'PodPaused', type: 'Warning', done: 'was set aside', would: 'would be set aside' },
  'pod-killed': { reason: 'PodKilled', type: 'Warning', done: 'was killed', would: 'would be killed' },
  'pod-released': {
    reason: 'PodReleased',
    type: 'Normal',
    done: 'was released into traffic',
    would: 'would be released',
  },
};

/** On the resource always; on the pod only what really happened to it, so that nobody looks for a change that is not there. */
export function announce(type: FactType, fact: PodFact): Announcement[] {
  const words = REASONS[type];
  const by = fact.breaker === undefined ? '' : ` by ${fact.breaker}`;
  const detail = fact.message === '' ? TRANSITIONS[fact.reason] : fact.message;
  const common = { type: words.type, reason: words.reason };
  const onResource: Announcement = {
    ...common,
    on: 'resource',
    message: `${fact.enforced ? '' : 'Dry run: '}pod ${fact.pod} ${fact.enforced ? words.done : words.would}${by} (${fact.reason}): ${detail}`,
  };
  if (!fact.enforced) return [onResource];
  return [onResource, { ...common, on: 'pod', message: `The pod ${words.done}${by} (${fact.reason}): ${detail}` }];
}

export const templateWithoutLabel = (owner: string): Announcement => ({
  on: 'resource',
  type: 'Warning',
  reason: 'TemplateWithoutLabel',
  message: `${owner}: ${EVENTS.TemplateWithoutLabel}`,
});

export const fleetAnomalous = (breaker: string, message: string): Announcement => ({
  on: 'resource',
  type: 'Warning',
  reason: 'FleetAnomalous',
  message: `${breaker}: ${message}`,
});
