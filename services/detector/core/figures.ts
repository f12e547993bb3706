/** What the kinds that judge one figure of a pod have in common: how figures are rounded, shown and scored. */

/** Sums and quotients end in noise (0.1 + 0.2), which must not carry a pod that is exactly at a limit over it. */
export function settle(value: number): number {
  return Number(value.toPrecision(12));
}

/**
 * A figure beyond this is not judged: differences, and their multiples by a factor or a percentage, would be infinite, which is no
 * number that JSON could hold.
 */
export const LARGEST_FIGURE = 1e300;

export const isFigure = (value: number): boolean => Math.abs(value) <= LARGEST_FIGURE;

/** Beyond it a pod is as bad as can be. */
const LARGEST_SCORE = 1e9;

/** V5: 1 at the limit, larger = worse, never negative. */
export const score = (value: number): number => Math.min(Math.max(value, 0), LARGEST_SCORE);

export const shown = (value: number): string => String(Number(value.toPrecision(3)));

/** A figure and its limit, with as few digits as still show on which side of it the figure is. */
export function shownApart(value: number, limit: number): [value: string, limit: string] {
  const order = Math.sign(value - limit);
  for (let digits = 3; digits < 17; digits++) {
    const [one, other] = [Number(value.toPrecision(digits)), Number(limit.toPrecision(digits))];
    if (Math.sign(one - other) === order) return [String(one), String(other)];
  }
  return [String(value), String(limit)];
}
