/** Whether what the controller knows of the cluster is fresh: for /readyz. */

export interface WatchedCollection {
  /** Of the last sign of life; milliseconds on the clock of `now`. */
  heardAt: number;
  /** Why there is no watch; undefined while there is one. */
  problem: string | undefined;
}

/** An API server that restarts is back by then; a leader that cannot renew its lease of 15 s has long stopped. Milliseconds. */
export const STALE_AFTER = 30_000;

/** In a line, the collection that is worst off; undefined where all is well. `now`: monotonic. */
export function problemOfCaches(
  synced: boolean,
  collections: Readonly<Record<string, WatchedCollection>>,
  now: number,
): string | undefined {
  const [worst] = Object.entries(collections)
    .filter(([, { problem }]) => problem !== undefined)
    .sort(([, one], [, other]) => one.heardAt - other.heardAt);
  const why = worst === undefined ? '' : `: ${worst[0]}: ${worst[1].problem}`;
  if (!synced) return `the first lists of pods, Services and KubervisorServices are not in yet${why}`;
  if (worst === undefined || now - worst[1].heardAt < STALE_AFTER) return undefined;
  return `nothing heard for ${Math.floor((now - worst[1].heardAt) / 1000)} s, so what is known is stale${why}`;
}
