/** Follows a collection of the API server on its own, without the code that is watched: each change in its order, across every outage. */
import { setTimeout as delay } from 'node:timers/promises';
import type { ApiClient } from '@kubervisor/kube-sandbox/client';

export interface Followed<T> {
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  object: T;
}

export interface Follower {
  /** Every change up to this resource version was told. */
  readonly position: number;
  /** Lists after the first: what happened before such a one was not seen. */
  readonly gaps: number;
  stop(): Promise<void>;
}

/** An open watch that says nothing for so long, bookmarks asked for, may be of a server that was killed. */
const SILENCE = 15_000;

export function follow<T>(
  client: ApiClient,
  path: string,
  on: { listed(objects: T[], version: string): void; changed(event: Followed<T>): void },
): Follower {
  const stopping = new AbortController();
  let gaps = -1;
  let position: string | undefined;

  async function once(): Promise<void> {
    if (position === undefined) {
      const list = await client.call('GET', path, { signal: AbortSignal.timeout(5000) });
      gaps += 1;
      on.listed((list.items ?? []) as unknown as T[], list.metadata.resourceVersion);
      position = list.metadata.resourceVersion;
    }
    const ending = new AbortController();
    const stop = (): void => ending.abort();
    stopping.signal.addEventListener('abort', stop);
    let silent = setTimeout(stop, SILENCE);
    try {
      // Short, so that a frozen server is found out.
      const query = { resourceVersion: position, allowWatchBookmarks: true, timeoutSeconds: 10 };
      for await (const { type, object } of client.watch(path, query, ending.signal)) {
        clearTimeout(silent);
        silent = setTimeout(stop, SILENCE);
        if (type === 'ERROR') {
          position = undefined;
          return;
        }
        if (type !== 'BOOKMARK') on.changed({ type, object: object as unknown as T });
        position = object.metadata.resourceVersion;
      }
    } finally {
      clearTimeout(silent);
      stopping.signal.removeEventListener('abort', stop);
      ending.abort();
    }
  }
  const running = (async () => {
    while (!stopping.signal.aborted)
      try {
        await once();
      } catch (error) {
        if ((error as { code?: unknown }).code === 410) position = undefined;
        await delay(200);
      }
  })();
  return {
    get position() {
      return Number(position ?? 0);
    },
    get gaps() {
      return Math.max(0, gaps);
    },
    async stop() {
      stopping.abort();
      await running;
    },
  };
}
