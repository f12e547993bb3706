/** V4: a pod that became ready, or came back, too recently shows the cold start or the old figures, not itself. */

interface Since {
  /** Milliseconds since 1970; undefined: not ready. */
  readySince?: number | undefined;
  activatedAt?: number | undefined;
}

/** The leader's clock and our own; which of the two is right nobody knows. Milliseconds since 1970. */
export interface Clocks {
  earlier: number;
  later: number;
}

export const clocksOf = (one: number, other = one): Clocks => ({
  earlier: Math.min(one, other),
  later: Math.max(one, other),
});

/** No clock is so far ahead that ours should wait for it: such a time was written by hand, and would keep a pod from judgement for ever. */
const DAMAGED_MILLISECONDS = 86_400_000;

/**
 * Whether the grace period is over, `gracePeriod` in seconds: by both clocks, so that neither alone, being ahead, gets a pod judged by
 * its cold start. A time in the future, of a clock that is ahead, is not over: to wait breaks nobody. An activatedAt more than a day
 * ahead of both is damaged, and counts as missing (A7).
 */
export function isPastGrace({ readySince, activatedAt }: Since, gracePeriod: number, clocks: Clocks): boolean {
  const over = (since: number) => clocks.earlier - since >= 1000 * gracePeriod;
  const isReadable = activatedAt !== undefined && activatedAt <= clocks.later + DAMAGED_MILLISECONDS;
  return readySince !== undefined && over(readySince) && (!isReadable || over(activatedAt));
}
