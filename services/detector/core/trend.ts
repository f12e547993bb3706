/**
 * `trend`: how fast a value of a pod rises or falls, as the slope of Theil (1950) and Sen (1968): the median of the slopes of all
 * pairs of points. Up to 29 % of the points may be anything without carrying it away; a line by least squares follows a single one.
 *
 * The window is asked for in STEPS steps, whatever it is: at most 120 pairs a pod, and 10,000 series (6.5 MB) within the size that an
 * answer may have.
 */
import type * as z from 'zod';
import type { trend } from '@kubervisor/shared/crd/kubervisor-service';
import type { JudgedPod } from '@kubervisor/shared/detection/contract';
import { count, type Ignored, type Judgement } from './answer.ts';
import { isFigure, medianOf, score, settle, shown, shownApart } from './figures.ts';
import type { Series } from './prometheus-answer.ts';
import { readPods, verdictsOf, type Finding, type Reading } from './readings.ts';

export type Trend = z.infer<typeof trend>;
type Point = Series['points'][number];

const STEPS = 15;
/** Of the STEPS + 1; with fewer the series has too many gaps. */
const LEAST_POINTS = 8;
/** Share of the window from the first point to the last. A pod that is younger has not been seen long enough. */
const LEAST_COVERAGE = 0.8;

/** Steps of whole milliseconds, for Prometheus knows no smaller ones. */
export const rangeOf = ({ window }: Pick<Trend, 'window'>): { steps: number; stepSeconds: number } => ({
  steps: STEPS,
  stepSeconds: Math.max(1, Math.round((window * 1000) / STEPS)) / 1000,
});

/** Ignored, beside what `readPods` counts: `notANumber`, a point each. A falling value is negative, and a negative value a value. */
export function judgeTrends(stanza: Trend, series: readonly Series[], fleet: readonly JudgedPod[]): Judgement {
  const ignored: Ignored = {};
  const readings = readPods(stanza, series, fleet, ignored, readSlope(stanza, ignored));
  return { verdicts: verdictsOf(fleet, readings, (perMinute) => judge(stanza, perMinute)), ignored };
}

const readSlope =
  ({ window }: Trend, ignored: Ignored) =>
  ({ points }: Series): Reading => {
    const usable = points.filter(({ value }) => isFigure(value));
    for (let dropped = usable.length; dropped < points.length; dropped++) count(ignored, 'notANumber');
    const [first, last] = [usable[0], usable.at(-1)];
    if (first === undefined || last === undefined) return { missing: 'no point in the window is a number' };
    const covered = last.atSeconds - first.atSeconds;
    if (covered < LEAST_COVERAGE * window) {
      const needed = shown(LEAST_COVERAGE * window);
      return { missing: `the points cover ${shown(covered)} s of the window, at least ${needed} s are needed` };
    }
    if (usable.length < LEAST_POINTS) {
      return { missing: `${usable.length} points in the window, at least ${LEAST_POINTS} of ${STEPS + 1} are needed` };
    }
    return { value: settle(theilSenSlope(usable) * 60) };
  };

/** Per second. At least two points, at times that differ. */
export function theilSenSlope(points: readonly Point[]): number {
  const slopes = new Float64Array((points.length * (points.length - 1)) / 2);
  let pairs = 0;
  for (let first = 0; first < points.length; first++) {
    const one = points[first]!;
    for (let second = first + 1; second < points.length; second++) {
      const other = points[second]!;
      slopes[pairs++] = (other.value - one.value) / (other.atSeconds - one.atSeconds);
    }
  }
  return medianOf(slopes);
}

function judge({ direction, maxPerMinute, window }: Trend, observed: number): Finding {
  const isFall = direction === 'below' || (direction === 'both' && observed < 0);
  // How fast it goes the way that is bad; negative where it goes the other way.
  const speed = isFall ? -observed : observed;
  const figures = {
    score: score(speed / maxPerMinute),
    observed,
    limit: isFall ? -maxPerMinute : maxPerMinute,
  };
  if (speed <= maxPerMinute) return { outcome: 'ok', ...figures };
  const [perMinute, allowed] = shownApart(speed, maxPerMinute);
  const reason = `${isFall ? 'falls' : 'rises'} by ${perMinute} a minute over ${shown(window)} s, at most ${allowed} is allowed`;
  return { outcome: 'anomalous', ...figures, reason };
}
