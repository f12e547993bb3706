import { defineMetrics, LATENCY_BUCKETS } from '@kubervisor/runtime/metrics';

export const detectorMetrics = defineMetrics({
  evaluations: {
    type: 'counter',
    name: 'kubervisor_detector_evaluations_total',
    help: 'Evaluations asked for, by kind of detector and result: answered, or the reason of the error.',
    labels: ['kind', 'result'],
  },
  duration: {
    type: 'histogram',
    name: 'kubervisor_detector_evaluation_duration_seconds',
    help: 'Time to answer an evaluation, by kind of detector.',
    labels: ['kind'],
    buckets: LATENCY_BUCKETS,
  },
  verdicts: {
    type: 'counter',
    name: 'kubervisor_detector_verdicts_total',
    help: 'Verdicts given, by kind of detector and outcome.',
    labels: ['kind', 'outcome'],
  },
  ignored: {
    type: 'counter',
    name: 'kubervisor_detector_ignored_total',
    help: 'Samples and named pods that did not count, by kind of detector and reason.',
    labels: ['kind', 'reason'],
  },
  sourceRequests: {
    type: 'histogram',
    name: 'kubervisor_detector_source_request_duration_seconds',
    help: 'Time of requests to sources (prometheus) and plug-ins (customService, detector), by result: ok, or the reason of the error.',
    labels: ['source', 'result'],
    buckets: LATENCY_BUCKETS,
  },
  sources: {
    type: 'gauge',
    name: 'kubervisor_detector_sources_count',
    help: 'Sources by state: well; resting: failed too often; unusable: one of its files cannot be used. Of those that resources name by address, source="", only how many rest.',
    labels: ['source', 'state'],
  },
  sharedQueries: {
    type: 'counter',
    name: 'kubervisor_detector_shared_queries_total',
    help: 'Queries that were not asked because an identical one was under way.',
  },
});
