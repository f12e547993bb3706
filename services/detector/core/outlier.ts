/**
 * `outlier`: a value a pod against those of the whole fleet. Median and quartiles do not move with the outliers themselves, as mean
 * and standard deviation do: of n pods almost half may be bad (`mad`), or almost a quarter (`iqr`), before they hide one another.
 *
 * `mad`: the modified z-score of Iglewicz and Hoaglin (How to Detect and Handle Outliers, 1993), 0.6745 × |x − median| / MAD, where
 * MAD is the median of the |x − median|; they call a score over 3.5 an outlier.
 * `iqr`: the fences of Tukey (Exploratory Data Analysis, 1977), Q1 − 1.5 × IQR and Q3 + 1.5 × IQR, where IQR = Q3 − Q1.
 *
 * Whoever is judged and has a value is in the baseline. Pods that are out, unready or young are not asked about, and a pod without
 * enough activity has no value where the query says so: none of them moves the median.
 */
import type * as z from 'zod';
import type { outlier } from '@kubervisor/shared/crd/kubervisor-service';
import { OUTLIER_FACTOR } from '@kubervisor/shared/crd/resolve';
import type { JudgedPod } from '@kubervisor/shared/detection/contract';
import type { Ignored, Judgement } from './answer.ts';
import { score, settle, shown, shownApart } from './figures.ts';
import type { Sample } from './prometheus-answer.ts';
import { readPods, readSample, verdictsOf, type Finding } from './readings.ts';

export type Outlier = z.infer<typeof outlier>;
type Method = Pick<Outlier, 'method' | 'factor' | 'minDeviationPercent'>;

/** The share of a normal distribution's standard deviation that its MAD is: its third quartile. */
const MAD_OF_NORMAL = 0.6745;
/** √(π/2): a normal distribution's standard deviation in mean absolute deviations. */
const NORMAL_OF_MEAN_DEVIATION = 1.253314;

export function judgeOutliers(stanza: Outlier, samples: readonly Sample[], fleet: readonly JudgedPod[]): Judgement {
  const ignored: Ignored = {};
  const readings = readPods(stanza, samples, fleet, ignored, readSample(ignored));
  const values = [...readings.values()].flatMap((reading) => ('value' in reading ? [reading.value] : []));
  if (values.length < stanza.minFleet) {
    const reason = `${values.length} pods with a value, at least ${stanza.minFleet} are needed to tell an outlier`;
    return { verdicts: verdictsOf(fleet, readings, () => ({ outcome: 'inconclusive', reason })), ignored };
  }
  const baseline = baselineOf(values, stanza);
  const verdicts = verdictsOf(fleet, readings, (value) => judge(stanza, baseline, values.length, value));
  const unscaled = verdicts.some(({ outcome, limit }) => outcome === 'anomalous' && limit === baseline.median);
  return { verdicts, ignored, ...(unscaled && { warnings: [UNSCALED] }) };
}

/** Shown in status where a verdict rests on nothing but that most are alike: the smallest difference then breaks. */
const UNSCALED =
  'outlier: most pods have one and the same value, and minDeviationPercent of it is 0, so that any other value is an outlier; ' +
  'give the query a floor, such as clamp_min(…, 0.01), or set minDeviationPercent';

export interface Baseline {
  median: number;
  /** How far from the median a value is at the limit, on either side. */
  above: number;
  below: number;
  /** Mean of the |x − median|: what distances are measured in where the limit is the median itself. */
  meanDeviation: number;
}

/**
 * The limits of a fleet, at least `minDeviationPercent` of the median away from it. `values`: at least one.
 *
 * Where the MAD (or the IQR) is 0 more than half of the fleet have the very same value, and `minDeviationPercent` alone decides.
 * The fallback that is often taken there, the mean absolute deviation × 1.253314, cannot: k equal outliers of n are at most
 * n / (1.253314 × k) of it away, which is under 3.5 from k/n = 0.23 on. It only gives the score a measure, where there is no other.
 */
export function baselineOf(values: readonly number[], { method, factor, minDeviationPercent }: Method): Baseline {
  const sorted = ascending(values);
  const median = quantile(sorted, 0.5);
  const deviations = values.map((value) => Math.abs(value - median));
  const times = factor ?? OUTLIER_FACTOR[method];
  const least = settle((Math.abs(median) * minDeviationPercent) / 100);
  const meanDeviation = deviations.reduce((sum, one) => sum + one, 0) / deviations.length;
  const atLeast = (distance: number) => Math.max(settle(distance), least);
  if (method === 'mad') {
    const distance = atLeast((times * quantile(ascending(deviations), 0.5)) / MAD_OF_NORMAL);
    return { median, above: distance, below: distance, meanDeviation };
  }
  const [low, high] = [quantile(sorted, 0.25), quantile(sorted, 0.75)];
  const reach = times * (high - low);
  return { median, above: atLeast(high + reach - median), below: atLeast(median - (low - reach)), meanDeviation };
}

/** By linear interpolation (type 7 of Hyndman and Fan 1996), with which k < n/4 outliers never move a quartile into them. */
function quantile(sorted: Float64Array, share: number): number {
  const place = (sorted.length - 1) * share;
  const [low, high] = [sorted[Math.floor(place)] ?? NaN, sorted[Math.ceil(place)] ?? NaN];
  return settle(low + (high - low) * (place - Math.floor(place)));
}

const ascending = (values: readonly number[]): Float64Array => Float64Array.from(values).sort();

function judge({ direction }: Outlier, baseline: Baseline, pods: number, observed: number): Finding {
  const { median } = baseline;
  // At the median itself it is on neither side, and reported against the one that is bad.
  const isAbove = observed > median || (observed === median && direction !== 'below');
  const distance = Math.abs(settle(observed - median));
  const allowed = isAbove ? baseline.above : baseline.below;
  const limit = settle(isAbove ? median + allowed : median - allowed);
  const isBadSide = direction === 'both' || (direction === 'above') === isAbove;
  if (!isBadSide) return { outcome: 'ok', score: 0, observed };
  const figures = { score: scoreOf(distance, allowed, baseline), observed, limit };
  if (distance <= allowed) return { outcome: 'ok', ...figures };
  const [value, bound] = shownApart(observed, limit);
  const reason = `value ${value}, limit ${bound}, median of the fleet ${shown(median)} (${pods} pods)`;
  return { outcome: 'anomalous', ...figures, reason };
}

/** 1 at the limit, in distances of the limit from the median. */
function scoreOf(distance: number, allowed: number, { meanDeviation }: Baseline): number {
  if (allowed > 0) return score(distance / allowed);
  return distance === 0 ? 0 : score(1 + distance / (NORMAL_OF_MEAN_DEVIATION * meanDeviation));
}
