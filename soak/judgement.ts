/** What a soak is judged by. Pure. */
import { shown } from '../bench/figures.ts';
import { isFlat, tolerated, trendOf, type Point, type Tolerance, type Trend } from './trend.ts';

/**
 * What must not rise, and by how much it may all the same: no two samples are alike, and a connection more at a busy moment is no leak.
 * A megabyte a minute is found in each of the two memories, in a run of half an hour.
 */
export const RISES = {
  /**
   * What of the heap is left after a collection: here a leak shows first. It rises a little all the same, for a pod that was out once
   * has annotations that the caches of the controllers keep, and not all have been out when the warm-up ends.
   */
  'live heap': { unit: 'MB', tolerance: { atLeast: 1.5, percent: 8 } },
  /** What the process takes from the machine; with what the collector has not given back yet. */
  resident: { unit: 'MB', tolerance: { atLeast: 5, percent: 8 } },
  'open files': { unit: '', tolerance: { atLeast: 2, percent: 5 } },
  sockets: { unit: '', tolerance: { atLeast: 2, percent: 5 } },
  /** Servers, sockets, timers and requests that Node waits for. */
  'active resources': { unit: '', tolerance: { atLeast: 3, percent: 5 } },
  /** That a server has, with those of everybody: pools follow the load. */
  connections: { unit: '', tolerance: { atLeast: 4, percent: 10 } },
  subscriptions: { unit: '', tolerance: { atLeast: 2, percent: 5 } },
  consumers: { unit: '', tolerance: { atLeast: 1, percent: 5 } },
} as const satisfies Record<string, { unit: string; tolerance: Tolerance }>;
export type Rising = keyof typeof RISES;

/** Samples of one figure of one process, those of the warm-up left out. */
export interface Measured {
  subject: string;
  figure: Rising;
  points: readonly Point[];
}

export interface JudgedTrend extends Trend {
  subject: string;
  figure: Rising;
  unit: string;
  tolerated: number;
  ok: boolean;
}

/** What was not measured must not pass. */
export function judgeTrend({ subject, figure, points }: Measured): JudgedTrend {
  const { unit, tolerance } = RISES[figure];
  if (points.length < 2 || !points.every(({ value }) => Number.isFinite(value))) {
    const unknown = { mean: Number.NaN, perHour: Number.NaN, percentPerHour: Number.NaN, growth: Number.NaN };
    return { subject, figure, unit, ...unknown, tolerated: tolerance.atLeast, ok: false };
  }
  const trend = trendOf(points);
  return { subject, figure, unit, ...trend, tolerated: tolerated(trend, tolerance), ok: isFlat(trend, tolerance) };
}

/** A count, and what it may be. */
export interface Check {
  what: string;
  value: number;
  atMost?: number;
  atLeast?: number;
  /** Shown where it fails. */
  details?: readonly string[];
}

export const holds = ({ value, atMost = Infinity, atLeast = -Infinity }: Check): boolean =>
  value <= atMost && value >= atLeast;

const sign = (value: number): string => (value > 0 ? '+' : '') + shown(value);
const verdict = (ok: boolean): string => (ok ? 'ok' : 'FAILED');

export const trendRows = (trends: readonly JudgedTrend[]): string[][] => [
  ['what must not rise', '', 'mean', 'slope', 'of the mean', 'rise in this run', 'tolerated', ''],
  ...trends.map(({ subject, figure, unit, mean, perHour, percentPerHour, growth, tolerated: limit, ok }) => [
    subject,
    figure,
    `${shown(mean)} ${unit}`.trim(),
    `${sign(perHour)} ${unit}/h`.replace(' /h', ' /h'),
    `${sign(percentPerHour)} %/h`,
    sign(growth),
    `≤ ${shown(limit)}`,
    verdict(ok),
  ]),
];

const count = (value: number): string => (Number.isInteger(value) ? String(value) : shown(value));
const limitOf = ({ atMost, atLeast }: Check): string =>
  [...(atMost === undefined ? [] : [`≤ ${atMost}`]), ...(atLeast === undefined ? [] : [`≥ ${atLeast}`])].join(', ');

export const checkRows = (checks: readonly Check[]): string[][] => [
  ['what else is asked', '', '', ''],
  ...checks.map((check) => [check.what, count(check.value), limitOf(check), verdict(holds(check))]),
];
