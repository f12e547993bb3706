/** What a plug-in that is made with the kit counts. */
import { defineMetrics } from '@kubervisor/runtime/metrics';

export const pluginMetrics = defineMetrics({
  evaluations: {
    type: 'counter',
    name: 'kubervisor_plugin_evaluations_total',
    help: 'Evaluations asked for, by how they ended: answered, or the code of the error.',
    labels: ['result'],
  },
  verdicts: {
    type: 'counter',
    name: 'kubervisor_plugin_verdicts_total',
    help: 'Verdicts given, by outcome.',
    labels: ['outcome'],
  },
  ignored: {
    type: 'counter',
    name: 'kubervisor_plugin_ignored_total',
    help: 'Verdicts of evaluate that do not count, by reason: notAsked, otherUid, duplicateVerdict.',
    labels: ['reason'],
  },
});
