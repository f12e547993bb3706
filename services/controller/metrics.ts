/** What the controller measures. Docs are generated from here. */
import { defineMetrics } from '@kubervisor/runtime/metrics';

export const controllerMetrics = defineMetrics({
  leader: { type: 'gauge', name: 'kubervisor_leader_info', help: '1 on the controller that leads, 0 on the others.' },
  pods: {
    type: 'gauge',
    name: 'kubervisor_fleet_pods',
    help: 'Pods of the fleet by state: available, unready, out, paused.',
    labels: ['namespace', 'name', 'state'],
  },
  floor: {
    type: 'gauge',
    name: 'kubervisor_floor_pods',
    help: 'The highest enforced floor.',
    labels: ['namespace', 'name'],
  },
  lastEvaluation: {
    type: 'gauge',
    name: 'kubervisor_last_evaluation_timestamp_seconds',
    help: 'When the last evaluation of the breaker came to a decision: Unix time.',
    labels: ['namespace', 'name', 'breaker'],
  },
  evaluationPeriod: {
    type: 'gauge',
    name: 'kubervisor_evaluation_period_seconds',
    help: 'How often the breaker is to be evaluated; of one that is disabled there is none.',
    labels: ['namespace', 'name', 'breaker'],
  },
  rounds: {
    type: 'counter',
    name: 'kubervisor_rounds_total',
    help: 'Rounds by kind and by how they ended; missing: no fact came.',
    labels: ['kind', 'outcome'],
  },
  published: {
    type: 'counter',
    name: 'kubervisor_work_published_total',
    help: 'Work messages by kind and result.',
    labels: ['kind', 'result'],
  },
  membership: {
    type: 'counter',
    name: 'kubervisor_membership_changes_total',
    help: 'Pods adopted, let in and released, by reason and result.',
    labels: ['reason', 'result'],
  },
  missedWatchEvents: {
    type: 'gauge',
    name: 'kubervisor_missed_watch_events_count',
    help: 'Changes that a list showed and no watch had told, nor ever will, since the start.',
    labels: ['collection'],
  },
  watchHeard: {
    type: 'gauge',
    name: 'kubervisor_watch_heard_timestamp_seconds',
    help: 'When the API server last gave a sign of life on the watch, of several namespaces on the quietest: Unix time. At rest at most about a minute ago; older than three minutes, what the controller knows is stale.',
    labels: ['collection'],
  },
  statusWrites: {
    type: 'counter',
    name: 'kubervisor_status_writes_total',
    help: 'Writes of a status, by result.',
    labels: ['result'],
  },
  poison: {
    type: 'counter',
    name: 'kubervisor_poison_messages_total',
    help: 'Messages that did not parse, by what they should have been.',
    labels: ['kind'],
  },
});
