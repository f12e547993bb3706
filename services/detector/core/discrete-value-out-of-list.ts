/**
 * `discreteValueOutOfList`: which share of a pod's activity has a bad value (an HTTP code out of a list, say). The query gives an
 * amount for each pod and value; a pod is bad where more than `tolerance` % of its amount is of bad values.
 */
import type * as z from 'zod';
import type { discreteValueOutOfList } from '@kubervisor/shared/crd/kubervisor-service';
import type { JudgedPod, Verdict } from '@kubervisor/shared/detection/contract';
import { count, type Ignored, type Judgement } from './answer.ts';
import { settle, shown } from './figures.ts';
import type { Sample } from './prometheus-answer.ts';

export type DiscreteValueOutOfList = z.infer<typeof discreteValueOutOfList>;

interface Activity {
  total: number;
  bad: number;
  /** Whether there are amounts of such values that are no amounts (NaN, infinite, negative), and are not in the sums. */
  unknown: { good: boolean; bad: boolean };
}

const nothing = (): Activity => ({ total: 0, bad: 0, unknown: { good: false, bad: false } });

/**
 * Ignored, by reason: `notANumber` (NaN, infinite), `negativeSample`, `noPodLabel`, `noKeyLabel`, `notAsked`. Several series
 * of one pod and value are summed. Without an amount that cannot be read the share of the others would be too large: a verdict that
 * the missing amount could turn is inconclusive.
 */
export function judgeDiscreteValues(
  stanza: DiscreteValueOutOfList,
  samples: readonly Sample[],
  fleet: readonly JudgedPod[],
): Judgement {
  const ignored: Ignored = {};
  const activities = new Map<string, Activity>(fleet.map((pod) => [pod.name, nothing()]));
  const isBad = badness(stanza);
  for (const { labels, value } of samples) {
    const pod = labels[stanza.podNamekey];
    const keyValue = labels[stanza.key];
    const activity = pod === undefined ? undefined : activities.get(pod);
    const isAmount = Number.isFinite(value) && value >= 0;
    if (!isAmount) {
      count(ignored, value < 0 && Number.isFinite(value) ? 'negativeSample' : 'notANumber');
      if (activity !== undefined && keyValue) activity.unknown[isBad(keyValue) ? 'bad' : 'good'] = true;
    } else if (!pod) count(ignored, 'noPodLabel');
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
    ...judge(stanza, activities.get(pod.name) ?? nothing()),
  }));
  return { verdicts, ignored };
}

function badness({ goodValues, badValues }: DiscreteValueOutOfList): (value: string) => boolean {
  const good = new Set(goodValues);
  const bad = new Set(badValues);
  return goodValues === undefined ? (value) => bad.has(value) : (value) => !good.has(value);
}

function judge(stanza: DiscreteValueOutOfList, { total, bad, unknown }: Activity): Omit<Verdict, 'pod' | 'uid'> {
  const { tolerance, minActivity, key } = stanza;
  if (!Number.isFinite(total)) return { outcome: 'inconclusive', reason: 'the amounts are too large to be added' };
  if (total === 0 || settle(total) < minActivity) {
    return {
      outcome: 'inconclusive',
      reason: `too little activity: ${shown(total)}, at least ${minActivity} is needed`,
    };
  }
  const observed = settle((bad / total) * 100);
  // A good amount more could only make the share smaller, a bad one only larger.
  const open = observed > tolerance ? unknown.good && 'good' : unknown.bad && 'bad';
  if (open) {
    const reason = `an amount of a ${open} value of ${key} is negative or not a number: the share of bad ones is not known`;
    return { outcome: 'inconclusive', reason };
  }
  const figures = { score: score(observed, tolerance), observed, limit: tolerance };
  if (observed <= tolerance) return { outcome: 'ok', ...figures };
  const share = apartFrom(observed, tolerance);
  return {
    outcome: 'anomalous',
    ...figures,
    reason: `${share} % bad values of ${key}, tolerated ${tolerance} % (${shown(bad)} of ${shown(total)} requests)`,
  };
}

/**
 * How bad `observed` % is: 1 at the limit, and so many times the limit above it (62 % where 50 % are tolerated: 1.24). A limit under
 * 1 % counts as a step of 1 %, or there would be no scale where nothing at all is tolerated: score = 1 + (observed − t) / max(t, 1).
 */
export function score(observed: number, tolerance: number): number {
  return 1 + (observed - tolerance) / Math.max(tolerance, 1);
}

/** As few decimals as still show on which side of the limit the value is. */
function apartFrom(value: number, limit: number): string {
  for (let decimals = 0; decimals < 6; decimals++) {
    const text = value.toFixed(decimals);
    if (Number(text) > limit) return String(Number(text));
  }
  return String(value);
}
