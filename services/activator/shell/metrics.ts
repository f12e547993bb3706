import { defineMetrics, type MetricsOf } from '@kubervisor/runtime/metrics';

/** `enforced=false`: by a dry run, that is, not really. */
export const activatorMetrics = defineMetrics({
  activations: {
    type: 'counter',
    name: 'kubervisor_activations_total',
    help: 'Pods brought back into traffic, by why: WaitOver, FloorRestored, KillNotPossible.',
    labels: ['reason', 'enforced'],
  },
  pauses: {
    type: 'counter',
    name: 'kubervisor_pauses_total',
    help: 'Pods set aside for a person, by why.',
    labels: ['reason', 'enforced'],
  },
  kills: {
    type: 'counter',
    name: 'kubervisor_kills_total',
    help: 'Pods evicted or deleted, by why: RetriesExhausted, PauseOverflow.',
    labels: ['reason', 'enforced'],
  },
  withheld: {
    type: 'counter',
    name: 'kubervisor_activations_withheld_total',
    help: 'Pods that a round left out of traffic, by what held them.',
    labels: ['reason', 'enforced'],
  },
  floorRepairs: {
    type: 'counter',
    name: 'kubervisor_floor_repairs_total',
    help: 'Rounds that brought pods back early because fewer were available than a floor.',
  },
});

export type ActivatorMetrics = MetricsOf<typeof activatorMetrics>;
