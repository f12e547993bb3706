/** Whether what is sampled goes up in the long run, whatever it does in between. Pure. */
import { theilSenSlope } from '../services/detector/core/trend.ts';

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

/**
 * By the slope of Theil and Sen, as the detector's `trend` has it: no wild sample moves it, and a sawtooth has the slope of its middle.
 * Throws where there is nothing to compare, or something that is not a number.
 */
export function trendOf(points: readonly Point[]): Trend {
  if (points.length < 2) throw new Error('there is no trend of less than two points');
  if (!points.every(({ value }) => Number.isFinite(value)))
    throw new Error('there is no trend of what is not a number');
  const slope = theilSenSlope(points.map(({ at, value }) => ({ atSeconds: at / 1000, value }))) * 3600;
  const mean = points.reduce((sum, { value }) => sum + value, 0) / points.length;
  const times = points.map(({ at }) => at);
  return {
    mean,
    perHour: slope,
    percentPerHour: mean === 0 ? 0 : (slope * 100) / mean,
    growth: (slope * (Math.max(...times) - Math.min(...times))) / HOUR,
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
