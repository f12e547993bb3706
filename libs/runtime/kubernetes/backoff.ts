/** How long to wait before the next try. Half of it is random, so that those who failed together do not come back together. */
export const BACKOFF = { first: 500, cap: 10_000 } as const;

/**
 * Milliseconds before the next try after so many failures in a row (0: at once), doubling up to the cap. `random` in [0, 1).
 * Where the server asked for a wait (Retry-After) it is at least that, up to a minute.
 */
export function backoffDelay(failures: number, random: number, retryAfterSeconds = 0): number {
  if (failures === 0) return 0;
  const full = Math.min(BACKOFF.cap, BACKOFF.first * 2 ** Math.min(failures - 1, 30));
  return Math.max((full / 2) * (1 + random), Math.min(retryAfterSeconds, 60) * 1000);
}
