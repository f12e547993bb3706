/** An evaluation as a round: what the frame of libs/runtime/worker plays. */
import { evaluationCompleted, type EvaluationCompleted } from '@kubervisor/shared/events/evaluation-completed';
import { workEvaluate, type WorkEvaluate } from '@kubervisor/shared/events/work-evaluate';
import type { Ending, RoundShape } from '@kubervisor/runtime/worker/round';
import { NOTHING_DONE, reportEvaluations, type RoundResult } from '../core/report.ts';
import { breakPods, type BreakPorts } from './break-pods.ts';
import { gather, longestTimeout, type AskDetector, type Gathered } from './gather.ts';

export interface EvaluationPorts extends BreakPorts {
  ask: AskDetector;
}

export function evaluationRound(
  ports: EvaluationPorts,
): RoundShape<WorkEvaluate, EvaluationCompleted, Gathered, RoundResult> {
  const { breakerMetrics } = ports;
  return {
    kind: 'evaluate',
    work: workEvaluate,
    fact: evaluationCompleted,
    longestTimeout,
    gather: (work, context) => gather(work, ports, context),
    act: (work, gathered, context) => breakPods(work, gathered, ports, context),

    report(work, ending, { gathered, done }) {
      const report = reportEvaluations(gathered?.evaluations ?? [], done ?? NOTHING_DONE);
      for (const { result } of report.breakers) breakerMetrics.evaluations.inc({ result });
      for (const { reason, enforced } of report.withheld)
        breakerMetrics.withheld.inc({ reason, enforced: String(enforced) });
      return factOf(work, ending, report);
    },

    // The outcomes go first with whom they are of: history must not count as good whose outcome was left out.
    compact: (fact) => ({
      ...fact,
      outcomes: [],
      judged: {},
      withheld: [],
      errors: [...fact.errors, 'the fact was too large: outcomes and withheld pods are left out'],
    }),
  };
}

const factOf = (
  { round, resource, due }: WorkEvaluate,
  ending: Ending,
  report: ReturnType<typeof reportEvaluations>,
): EvaluationCompleted => ({ round, resource, ...ending, due, ...report });
