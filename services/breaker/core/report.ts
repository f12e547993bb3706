/** What the controller is told of a round: every outcome that is not `ok`, and why what was not done was not done. */
import type { Outcome } from '@kubervisor/shared/detection/contract';
import type { Withheld } from '@kubervisor/shared/events/common';
import type { BreakerReport, BrokenPod, EvaluationCompleted } from '@kubervisor/shared/events/evaluation-completed';
import { writeTime } from '@kubervisor/shared/pods/codec';
import type { Break, BreakDecision } from './decide-breaks.ts';
import type { Evaluation } from './nominate.ts';

/** What a round came to: of breakers that enforce and of those that do not. */
export interface RoundResult {
  breaks: BrokenPod[];
  withheld: Withheld[];
  budgets: BreakDecision['budgets'];
  panics: BreakDecision['panics'];
}

export const NOTHING_DONE: RoundResult = { breaks: [], withheld: [], budgets: {}, panics: {} };

export const brokenPod = ({ pod, breaker, enforced, retryCount, observation }: Break, at: number): BrokenPod => ({
  pod: pod.name,
  uid: pod.uid,
  breaker,
  enforced,
  at: writeTime(at),
  retryCount,
  ...observation,
});

export function reportEvaluations(
  evaluations: readonly Evaluation[],
  { breaks, withheld, budgets, panics }: RoundResult,
): Pick<EvaluationCompleted, 'breakers' | 'outcomes' | 'judged' | 'breaks' | 'withheld'> {
  return {
    breakers: evaluations.map((evaluation) =>
      reportBreaker(evaluation, panics[evaluation.breaker.name], budgets[evaluation.breaker.name]),
    ),
    outcomes: evaluations.flatMap(({ breaker, judgement }) =>
      [...judgement.verdicts.values()]
        .filter(({ outcome }) => outcome !== 'ok')
        .map((verdict) => ({ ...verdict, breaker: breaker.name })),
    ),
    // An evaluation that got no answer says nothing of anyone: it is no evaluation that `confirm` could count (V1, V3).
    // Where one evaluation is enough nobody counts, and the uids of a large fleet are most of what a fact weighs.
    judged: Object.fromEntries(
      evaluations
        .filter(({ breaker }) => breaker.confirm.of > 1)
        .map(({ breaker, judgement }) => [breaker.name, [...judgement.verdicts.keys()]]),
    ),
    breaks,
    withheld: [...evaluations.flatMap((evaluation) => evaluation.withheld), ...withheld],
  };
}

function reportBreaker(
  { breaker, sent, judgement, panic: early }: Evaluation,
  late: string | undefined,
  budget: BreakerReport['budget'],
): BreakerReport {
  const { counts, ignored, error, warnings } = judgement;
  const panic = late ?? early;
  const result = resultOf(counts, panic !== undefined);
  const message =
    result === 'panic'
      ? panic
      : sent.length === 0
        ? 'no pod to judge: none is in traffic, ready, and past its gracePeriod'
        : undefined;
  return {
    name: breaker.name,
    result,
    counts,
    ignored,
    ...(error !== undefined && { error }),
    ...(message !== undefined && { message }),
    warnings,
    ...(budget !== undefined && { budget }),
  };
}

/** The one word for a whole evaluation: what matters most to whoever reads it. Where nobody was judged nothing is known. */
function resultOf(counts: Record<Outcome, number>, panic: boolean): BreakerReport['result'] {
  if (counts.anomalous > 0) return panic ? 'panic' : 'anomalous';
  if (counts.error > 0) return 'error';
  return counts.ok > 0 ? 'ok' : 'inconclusive';
}
