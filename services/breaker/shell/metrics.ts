import { defineMetrics, type MetricsOf } from '@kubervisor/runtime/metrics';

export const breakerMetrics = defineMetrics({
  evaluations: {
    type: 'counter',
    name: 'kubervisor_evaluations_total',
    help: 'Evaluations of a breaker by what they came to: ok, anomalous, panic, inconclusive, error.',
    labels: ['result'],
  },
  breaks: {
    type: 'counter',
    name: 'kubervisor_breaks_total',
    help: 'Pods taken out of traffic; enforced=false: by a dry run, that is, not really.',
    labels: ['enforced'],
  },
  withheld: {
    type: 'counter',
    name: 'kubervisor_breaks_withheld_total',
    help: 'Bad pods that were not taken out of traffic, by reason.',
    labels: ['reason', 'enforced'],
  },
  reaction: {
    type: 'histogram',
    name: 'kubervisor_reaction_duration_seconds',
    help: 'Time from the last verdict of a round to the patch of a pod.',
  },
});

export type BreakerMetrics = MetricsOf<typeof breakerMetrics>;
