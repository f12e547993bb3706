/**
 * `discreteValueOutOfList`: which share of a pod's activity has a bad value (an HTTP code out of a list, say). The query gives an
 * amount for each pod and value; a pod is bad where more than `tolerance` % of its amount is of bad values.
 */
import type * as z from 'zod';
import type { discreteValueOutOfList } from '@kubervisor/shared/crd/kubervisor-service';
import type { JudgedPod, Verdict } from '@kubervisor/shared/detection/contract';
import { count, type Ignored, type Judgement } from './answer.ts';
import type { Sample } from './prometheus-answer.ts';

export type DiscreteValueOutOfList = z.infer<typeof discreteValueOutOfList>;

interface Activity {
  total: number;
  bad: number;
}

/**
 * Ignored, by reason: `notANumber` (NaN, infinite), `negativeSample`, `noPodLabel`, `noKeyLabel`, `notAsked`. Several series
 * of one pod and value are summed.
 */
export function judgeDiscreteValues(
  stanza: DiscreteValueOutOfList,
  samples: readonly Sample[],
  fleet: readonly JudgedPod[],
): Judgement {
  const ignored: Ignored = {};
  const activities = new Map<string, Activity>(fleet.map((pod) => [pod.name, { total: 0, bad: 0 }]));
  const isBad = badness(stanza);
  for (const { labels, value } of samples) {
    const pod = labels[stanza.podNamekey];
    const keyValue = labels[stanza.key];
    const activity = pod === undefined ? undefined : activities.get(pod);
    if (!Number.isFinite(value)) count(ignored, 'notANumber');
    else if (value < 0) count(ignored, 'negativeSample');
    else if (!pod) count(ignored, 'noPodLabel');
    else if (!keyValue) count(ignored, 'noKeyLabel');
    else if (activity === undefined) count(ignored, 'notAsked');
    else {
      activity.total += value;
      if (isBad(keyValue)) activity.bad += value;
    }
  }
  const verdicts = fleet.map((pod): Verdict => ({
    pod: pod.name,
    uid: pod.uid,
    ...judge(stanza, activities.get(pod.name) ?? { total: 0, bad: 0 }),
  }));
  return { verdicts, ignored };
}

function badness({ goodValues, badValues }: DiscreteValueOutOfList): (value: string) => boolean {
  const good = new Set(goodValues);
  const bad = new Set(badValues);
  return goodValues === undefined ? (value) => bad.has(value) : (value) => !good.has(value);
}

function judge(stanza: DiscreteValueOutOfList, { total, bad }: Activity): Omit<Verdict, 'pod' | 'uid'> {
  const { tolerance, minActivity, key } = stanza;
  if (!Number.isFinite(total)) return { outcome: 'inconclusive', reason: 'the amounts are too large to be added' };
  if (total === 0 || settle(total) < minActivity) {
    return {
      outcome: 'inconclusive',
      reason: `too little activity: ${amount(total)}, at least ${minActivity} is needed`,
    };
  }
  const observed = settle((bad / total) * 100);
  const figures = { score: score(observed, tolerance), observed, limit: tolerance };
  if (observed <= tolerance) return { outcome: 'ok', ...figures };
  const share = apartFrom(observed, tolerance);
  return {
    outcome: 'anomalous',
    ...figures,
    reason: `${share} % bad values of ${key}, tolerated ${tolerance} % (${amount(bad)} of ${amount(total)} requests)`,
  };
}

/**
 * How bad `observed` % is: 1 at the limit, and so many times the limit above it (62 % where 50 % are tolerated: 1.24). A limit under
 * 1 % counts as a step of 1 %, or there would be no scale where nothing at all is tolerated: score = 1 + (observed − t) / max(t, 1).
 */
export function score(observed: number, tolerance: number): number {
  return 1 + (observed - tolerance) / Math.max(tolerance, 1);
}

/** Sums of rates end in noise (0.1 + 0.2), which must not carry a pod that is exactly at a limit over it. */
function settle(value: number): number {
  return Number(value.toPrecision(12));
}

const amount = (value: number) => String(Number(value.toPrecision(3)));

/** As few decimals as still show on which side of the limit the value is. */
function apartFrom(value: number, limit: number): string {
  for (let decimals = 0; decimals < 6; decimals++) {
    const text = value.toFixed(decimals);
    if (Number(text) > limit) return String(Number(text));
  }
  return String(value);
}
