/** V4: a pod that became ready, or came back, too recently shows the cold start or the old figures, not itself. */

interface Since {
  /** Milliseconds since 1970; undefined: not ready. */
  readySince?: number | undefined;
  activatedAt?: number | undefined;
}

/**
 * Whether the grace period is over, `gracePeriod` in seconds. A time in the future, of a clock that is ahead or damaged, is not
 * over: to wait breaks nobody.
 */
export function isPastGrace({ readySince, activatedAt }: Since, gracePeriod: number, now: number): boolean {
  const over = (since: number) => now - since >= 1000 * gracePeriod;
  return readySince !== undefined && over(readySince) && (activatedAt === undefined || over(activatedAt));
}
