import { defineMetrics, type MetricsOf } from '../metrics.ts';

/** What every worker counts about its rounds. `kind`: `evaluate` or `activate`. */
export const roundMetrics = defineMetrics({
  rounds: {
    type: 'counter',
    name: 'kubervisor_rounds_total',
    help: 'Rounds by how they ended: completed, refused, givenUp, failed.',
    labels: ['kind', 'outcome'],
  },
  duration: {
    type: 'histogram',
    name: 'kubervisor_round_duration_seconds',
    help: 'Time from the receipt of the work to the end of the round.',
    labels: ['kind'],
  },
  queueAge: {
    type: 'histogram',
    name: 'kubervisor_work_queue_age_seconds',
    help: 'Age of the work when it was taken up, by the clocks of the leader and of the worker.',
    labels: ['kind'],
  },
  clockOffset: {
    type: 'gauge',
    name: 'kubervisor_clock_offset_seconds',
    help: "How far the clock of this machine is ahead of the leading controller's, the time that the last work took to come included.",
  },
  poison: {
    type: 'counter',
    name: 'kubervisor_poison_messages_total',
    help: 'Work that could not be read and was terminated.',
    labels: ['kind'],
  },
  untold: {
    type: 'counter',
    name: 'kubervisor_untold_rounds_total',
    help: 'Rounds whose fact could not be published.',
    labels: ['kind'],
  },
});

export type RoundMetrics = MetricsOf<typeof roundMetrics>;
