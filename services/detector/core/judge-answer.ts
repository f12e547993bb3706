/** From the answer of a source or plug-in to verdicts, by kind: pure, and of what can be copied, so that any thread may do it. */
import type { DetectorKind } from '@kubervisor/shared/crd/kubervisor-service';
import type { JudgedPod } from '@kubervisor/shared/detection/contract';
import { judgeVerdicts, readVerdicts } from '@kubervisor/shared/detection/plugin-answer';
import { failure, success, type Answer, type Judgement, type Result } from './answer.ts';
import { judgeDeviation } from './continuous-value-deviation.ts';
import { judgeDiscreteValues } from './discrete-value-out-of-list.ts';
import { judgeOutliers } from './outlier.ts';
import { judgePodList, readPodList } from './pod-list.ts';
import { readMatrix, readVector, type Sample } from './prometheus-answer.ts';
import { judgeThreshold } from './threshold.ts';
import { judgeTrends, rangeOf, type Trend } from './trend.ts';

export interface Answered {
  kind: DetectorKind;
  /** The breaker's, as the schema of the kind gave it; a plug-in's answer is judged without. */
  stanza?: unknown;
  namespace: string;
  /** Of each its name and uid are enough. */
  pods: readonly JudgedPod[];
  status: number;
  text: string;
}

type Judge = (answered: Answered) => Result<Answer>;

export const judgeAnswer: Judge = (answered) => JUDGES[answered.kind](answered);

const JUDGES: Record<DetectorKind, Judge> = {
  discreteValueOutOfList: ofVector(judgeDiscreteValues),
  continuousValueDeviation: ofVector(judgeDeviation),
  threshold: ofVector(judgeThreshold),
  outlier: ofVector(judgeOutliers),
  trend({ stanza, status, text, pods }) {
    const trend = stanza as Trend;
    // One more than both ends included: some that speak this API align the range to the step.
    const matrix = readMatrix(status, text, rangeOf(trend).steps + 2);
    return matrix.ok ? success(answerOf(judgeTrends(trend, matrix.value.series, pods), matrix.value)) : matrix;
  },
  customService: ofPlugin(({ text, namespace, pods }) => {
    const named = readPodList(text);
    return named.ok ? success({ ...judgePodList(named.value, namespace, pods), warnings: [] }) : named;
  }),
  detector: ofPlugin(({ text, pods }) => {
    const read = readVerdicts(text);
    if ('problem' in read) return failure('BadAnswer', `the answer of the plug-in ${read.problem}`);
    return success({ ...judgeVerdicts(read.value, pods), warnings: [] });
  }),
};

/** The stanza was checked by the schema of its kind: that is what makes the narrower type safe. */
function ofVector<T>(judge: (stanza: T, samples: readonly Sample[], fleet: Answered['pods']) => Judgement): Judge {
  return ({ stanza, status, text, pods }) => {
    const vector = readVector(status, text);
    return vector.ok ? success(answerOf(judge(stanza as T, vector.value.samples, pods), vector.value)) : vector;
  };
}

function ofPlugin(judge: Judge): Judge {
  return (answered) =>
    answered.status < 200 || answered.status > 299
      ? failure('BadStatus', `the plug-in answered ${answered.status}`)
      : judge(answered);
}

/** As the answer of the service holds them. */
const MAX_WARNINGS = 20;

/** What a judge found, with what the source said and what of its answer has no single value. */
function answerOf(
  { verdicts, ignored, warnings = [] }: Judgement,
  read: { histograms: number; warnings: readonly string[] },
): Answer {
  return {
    verdicts,
    ignored: { ...ignored, ...(read.histograms > 0 && { nativeHistogram: read.histograms }) },
    warnings: [...warnings, ...read.warnings].slice(0, MAX_WARNINGS),
  };
}
