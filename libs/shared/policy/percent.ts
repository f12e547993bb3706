/** Percentages of fleets, in integers where it matters: 67 % of 3 is ⌈2.01⌉ = 3, and floating point must not make 60 % of 5 a 4. */

/** ⌈total × percent / 100⌉. A billionth is forgiven, so that a percentage with decimals cannot round an exact share up. */
export function ceilPercent(total: number, percent: number): number {
  return Math.max(0, Math.ceil((total * percent) / 100 - 1e-9));
}

/** B1: the fewest pods that must stay available for a breaker, of a fleet of `total`. */
export function floorOf(
  total: number,
  limits: { minPodsAvailableCount: number; minPodsAvailableRatio?: number | undefined },
): number {
  const share = limits.minPodsAvailableRatio === undefined ? 0 : ceilPercent(total, limits.minPodsAvailableRatio);
  return Math.max(limits.minPodsAvailableCount, share);
}

/** B2: how many more pods may leave traffic. */
export const budgetOf = (available: number, floor: number): number => Math.max(0, available - floor);

/** P: is `bad` of `judged` more than `threshold` %? 100 switches panic off, for no share is larger. */
export const exceedsPercent = (bad: number, judged: number, threshold: number): boolean =>
  bad * 100 > threshold * judged;

/** A count or a share such as `"25%"` of `total`; a share is rounded up, so that it never means none. */
export function intOrPercent(value: number | string, total: number): number {
  return typeof value === 'number' ? value : Math.max(1, ceilPercent(total, Number.parseFloat(value)));
}
