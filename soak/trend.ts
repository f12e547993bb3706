/** Whether what is sampled goes up in the long run, whatever it does in between. Pure. */

export interface Point {
  /** Milliseconds on any one clock. */
  at: number;
  value: number;
}

export interface Trend {
  mean: number;
  perHour: number;
  /** Of the mean. */
  percentPerHour: number;
  /** What the slope makes of the time that was looked at. */
  growth: number;
}

const HOUR = 3_600_000;

function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? Number.NaN) + (sorted[Math.floor(middle)] ?? Number.NaN)) / 2;
}

/**
 * Theil–Sen: the median of the slopes between all pairs of points, so that not one wild sample in four moves it, and a sawtooth has the
 * slope of its middle. Throws where there is nothing to compare.
 */
export function trendOf(points: readonly Point[]): Trend {
  const slopes = points.flatMap((one, index) =>
    points
      .slice(index + 1)
      .filter((other) => other.at !== one.at)
      .map((other) => (other.value - one.value) / (other.at - one.at)),
  );
  if (slopes.length === 0) throw new Error('there is no trend of less than two points');
  const mean = points.reduce((sum, { value }) => sum + value, 0) / points.length;
  const slope = median(slopes);
  const times = points.map(({ at }) => at);
  return {
    mean,
    perHour: slope * HOUR,
    percentPerHour: mean === 0 ? 0 : (slope * HOUR * 100) / mean,
    growth: slope * (Math.max(...times) - Math.min(...times)),
  };
}

/** How much the time that was looked at may add: so much, or that share of the mean where it is more. */
export interface Tolerance {
  atLeast: number;
  percent: number;
}

export const tolerated = ({ mean }: Trend, { atLeast, percent }: Tolerance): number =>
  Math.max(atLeast, (mean * percent) / 100);

export const isFlat = (trend: Trend, tolerance: Tolerance): boolean => trend.growth <= tolerated(trend, tolerance);
