/**
 * `continuousValueDeviation`, as in 2018: the query itself gives the ratio of each pod's value to the fleet's, 1 = no deviation,
 * 0.2 = 80 % down, 1.7 = 70 % up. A pod is bad where the ratio is more than `maxDeviationPercent` away from 1, up or down.
 */
import type * as z from 'zod';
import type { continuousValueDeviation } from '@kubervisor/shared/crd/kubervisor-service';
import type { JudgedPod } from '@kubervisor/shared/detection/contract';
import { count, type Ignored, type Judgement } from './answer.ts';
import { score, settle, shown, shownApart } from './figures.ts';
import type { Sample } from './prometheus-answer.ts';
import { readPods, readSample, verdictsOf, type Finding, type Reading } from './readings.ts';

export type ContinuousValueDeviation = z.infer<typeof continuousValueDeviation>;

export function judgeDeviation(
  stanza: ContinuousValueDeviation,
  samples: readonly Sample[],
  fleet: readonly JudgedPod[],
): Judgement {
  const ignored: Ignored = {};
  const readings = readPods(stanza, samples, fleet, ignored, readRatio(ignored));
  return { verdicts: verdictsOf(fleet, readings, (ratio) => judge(stanza, ratio)), ignored };
}

/** A ratio of amounts is not negative; one that is compares what cannot be compared. Ignored: `negativeSample`. */
const readRatio =
  (ignored: Ignored) =>
  (sample: Sample): Reading => {
    if (!Number.isFinite(sample.value) || sample.value >= 0) return readSample(ignored)(sample);
    count(ignored, 'negativeSample');
    return { missing: 'the ratio of the pod is negative' };
  };

function judge({ maxDeviationPercent: limit }: ContinuousValueDeviation, ratio: number): Finding {
  const observed = settle(Math.abs(ratio - 1) * 100);
  const figures = { score: score(observed / limit), observed, limit };
  if (observed <= limit) return { outcome: 'ok', ...figures };
  const [percent, tolerated] = shownApart(observed, limit);
  const side = ratio > 1 ? 'above' : 'below';
  const reason = `${percent} % ${side} the fleet (ratio ${shown(ratio)}), tolerated ${tolerated} %`;
  return { outcome: 'anomalous', ...figures, reason };
}
