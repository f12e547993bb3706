/**
 * `threshold`: a value a pod, and a fixed `max` and/or `min` that it must not be beyond. A negative value is a value here (a
 * temperature, a balance, a derivative), as a limit may be negative too.
 */
import type * as z from 'zod';
import type { threshold } from '@kubervisor/shared/crd/kubervisor-service';
import type { JudgedPod } from '@kubervisor/shared/detection/contract';
import type { Ignored, Judgement } from './answer.ts';
import { score, shownApart } from './figures.ts';
import type { Sample } from './prometheus-answer.ts';
import { readPods, readSample, verdictsOf, type Finding } from './readings.ts';

export type Threshold = z.infer<typeof threshold>;

export function judgeThreshold(stanza: Threshold, samples: readonly Sample[], fleet: readonly JudgedPod[]): Judgement {
  const ignored: Ignored = {};
  const readings = readPods(stanza, samples, fleet, ignored, readSample(ignored));
  return { verdicts: verdictsOf(fleet, readings, (value) => judge(stanza, value)), ignored };
}

function judge({ max, min }: Threshold, observed: number): Finding {
  const upper = max === undefined ? undefined : { limit: max, excess: observed - max, wanted: 'at most' };
  const lower = min === undefined ? undefined : { limit: min, excess: min - observed, wanted: 'at least' };
  // Of the two the one that the value is beyond, or else is nearer to.
  const nearer = upper === undefined || (lower !== undefined && scoreOf(lower) > scoreOf(upper)) ? lower : upper;
  if (nearer === undefined) return { outcome: 'inconclusive', reason: 'neither max nor min is given' };
  const { limit, excess, wanted } = nearer;
  const figures = { score: scoreOf(nearer), observed, limit };
  if (excess <= 0) return { outcome: 'ok', ...figures };
  const [value, bound] = shownApart(observed, limit);
  return { outcome: 'anomalous', ...figures, reason: `value ${value}, ${wanted} ${bound}` };
}

/** 1 at the limit, and so many times the limit beyond it: 2.4 where 1 is allowed is 2.4. A limit of 0 has steps of 1. */
const scoreOf = ({ limit, excess }: { limit: number; excess: number }): number =>
  score(1 + excess / (Math.abs(limit) || 1));
