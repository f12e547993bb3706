/**
 * One supervisor a collection: a list, then a watch, and never an end but `stop()`. A watch alone is not to be trusted: it may
 * fall silent, break, lose its place in history (410), or leave out a change. So beside it a timer lists anew, and whatever
 * that list shows is taken over: the collection is right again within the relist time whatever happened to the watch.
 *
 * At rest there are no requests but the watches themselves (a new one every 4 to 5 minutes) and one list every `relistSeconds`.
 */
import { ApiError, pause, READ_TIMEOUT } from './api-server.ts';
import { backoffDelay } from './backoff.ts';
import type { Kubernetes } from './client.ts';
import { pathIn, type RawObject } from './resources.ts';

export interface CollectionOptions<T> {
  /** One of PATHS, or any other collection of namespaced objects. */
  path: string;
  /** One watch for each; [] = one for the whole cluster. */
  namespaces: readonly string[];
  labelSelector?: string;
  /** The few fields to keep; full objects cost memory. */
  read(raw: object): T;
  /** Unique in the collection, so it holds the namespace. */
  key(item: T): string;
  /** Default 300, and a tenth of it at random. */
  relistSeconds?: number;
  /** A watch from which nothing came for so long, bookmarks included (API servers send one about every minute), is opened anew. Default 120. */
  silenceSeconds?: number;
  /**
   * Called in order, after the collection shows the change. An object that was deleted and made anew is two changes: `after`
   * undefined, then `before` undefined, also where both were seen at once. May throw: that is logged, and goes no further.
   */
  onChange(key: string, before: T | undefined, after: T | undefined): void;
  /** Once, when the first lists of all namespaces are in. */
  onSynced?(): void;
}

export interface CollectionStats {
  /**
   * Changes that a list showed and no watch told of: the running one had left them out (it is given SETTLE, for they may merely be
   * late), or its place in history was lost, so that none ever will. What changed several times in the gap shows as one change; what
   * was deleted and made anew as two, as in `onChange`.
   */
  missed: number;
  /** Lists after the first of each namespace. */
  relists: number;
  /** Watches opened after the first of each namespace. */
  reconnects: number;
}

export interface WatchHealth {
  /** When the last sign of life came, be it a list, an opened watch, an event or a bookmark: `performance.now()`; before the first, when it began. */
  heardAt: number;
  /** Why there is no watch, in a line; undefined while there is one, or nothing is known against it. */
  problem: string | undefined;
}

export interface Collection<T> {
  readonly synced: boolean;
  get(key: string): T | undefined;
  values(): Iterable<T>;
  byNamespace(namespace: string): T[];
  readonly stats: Readonly<CollectionStats>;
  /** Of the namespace that is worst off. */
  readonly health: WatchHealth;
  /** After it no handler is called. */
  stop(): Promise<void>;
}

/** How long a change that a list showed may still be on its way through the watch. Milliseconds. */
const SETTLE = 5_000;
/** A watch that lasted this long was a good one: the next failure counts as the first. Milliseconds. */
const LASTING = 5_000;

interface Entry<T> {
  item: T;
  uid: string;
  version: string;
  namespace: string;
}

/** Resource versions are decimal numbers that may be compared (too large for a double, hence strings). */
const newer = (a: string, b: string): boolean => (a.length === b.length ? a > b : a.length > b.length);

export function watchCollection<T>(
  { api, log: parent }: Pick<Kubernetes, 'api' | 'log'>,
  options: CollectionOptions<T>,
): Collection<T> {
  const { path, labelSelector, relistSeconds = 300, silenceSeconds = 120 } = options;
  const log = parent.child({ collection: path });
  const entries = new Map<string, Entry<T>>();
  const keysIn = new Map<string, Set<string>>();
  const stats: CollectionStats = { missed: 0, relists: 0, reconnects: 0 };
  const stopping = new AbortController();
  const { signal } = stopping;
  const stopped = () => signal.aborted;

  const call = (handler: () => void) => {
    if (stopped()) return;
    try {
      handler();
    } catch (error) {
      log.error({ err: error }, 'a handler of watched changes threw');
    }
  };

  const put = (key: string, entry: Entry<T>) => {
    const before = entries.get(key);
    if (before !== undefined && before.uid !== entry.uid) {
      remove(key);
      return put(key, entry);
    }
    entries.set(key, entry);
    const keys = keysIn.get(entry.namespace);
    if (keys === undefined) keysIn.set(entry.namespace, new Set([key]));
    else keys.add(key);
    call(() => options.onChange(key, before?.item, entry.item));
  };
  const remove = (key: string) => {
    const before = entries.get(key);
    if (before === undefined) return;
    entries.delete(key);
    const keys = keysIn.get(before.namespace);
    keys?.delete(key);
    if (keys?.size === 0) keysIn.delete(before.namespace);
    call(() => options.onChange(key, before.item, undefined));
  };

  const entryOf = (raw: RawObject): [key: string, entry: Entry<T>] => {
    const item = options.read(raw);
    const { uid = '', resourceVersion = '', namespace = '' } = raw.metadata ?? {};
    return [options.key(item), { item, uid, version: resourceVersion, namespace }];
  };

  const begun = performance.now();
  const healths: WatchHealth[] = [];
  const unsynced = new Set<string>();
  const markSynced = (scope: string) => {
    if (!unsynced.delete(scope) || unsynced.size > 0) return;
    call(() => options.onSynced?.());
  };

  /** List and watch of one namespace ('' = the cluster). */
  function follow(scope: string): Promise<unknown> {
    const scopedPath = scope === '' ? path : pathIn(path, scope);
    /** Version of the last list: what the watch tells of before it is known already. */
    let listed = '';
    /** Where the watch goes on; undefined: history is lost, list first. */
    let position: string | undefined;
    let watch: AbortController | undefined;
    /** By uid, what a list showed and the watch, which goes on from before it, has still to tell; a deletion has the version of the list. */
    const untold = new Map<string, string>();
    /** Deletions that the watch told of while a list was under way, which may be older than they are. */
    let deletedMeanwhile: Map<string, string> | undefined;
    let listing: Promise<void> | undefined;
    const health: WatchHealth = { heardAt: begun, problem: undefined };
    healths.push(health);
    /** The problem that the log tells of; a server that is away for an hour is told of once. */
    let lamented: string | undefined;

    const heard = () => {
      health.heardAt = performance.now();
      health.problem = undefined;
      if (lamented !== undefined) log.info({ namespace: scope, problem: lamented }, 'heard of the API server again');
      lamented = undefined;
    };
    const losePlace = () => {
      position = undefined;
      stats.missed += untold.size;
      untold.clear();
    };

    const list = (): Promise<void> => (listing ??= listOnce().finally(() => (listing = undefined)));
    async function listOnce() {
      deletedMeanwhile = new Map();
      try {
        const answer = await api.read<{ metadata: { resourceVersion: string }; items: RawObject[] }>(scopedPath, {
          query: { labelSelector },
          timeout: 3 * READ_TIMEOUT,
          signal,
        });
        if (stopped()) return;
        heard();
        takeOver(answer.metadata.resourceVersion, answer.items, deletedMeanwhile);
      } finally {
        deletedMeanwhile = undefined;
      }
    }

    function takeOver(version: string, items: RawObject[], deleted: ReadonlyMap<string, string>) {
      if (listed !== '') stats.relists++;
      // The server's history went back (restored from a backup): versions from before say nothing any more.
      const rewound = listed !== '' && newer(listed, version);
      if (rewound) losePlace();
      const isFirst = listed === '';
      const present = new Set<string>();
      const differs = (uid: string, at: string) => {
        if (position !== undefined) untold.set(uid, at);
        else if (!isFirst) stats.missed++;
      };
      for (const raw of items) {
        const [key, entry] = entryOf(raw);
        present.add(key);
        const before = entries.get(key);
        if (before?.version === entry.version && before.uid === entry.uid) continue;
        if (!rewound) {
          if (before !== undefined && newer(before.version, entry.version)) continue;
          if (newer(deleted.get(key) ?? '', version)) continue;
        }
        if (before !== undefined && before.uid !== entry.uid) differs(before.uid, version);
        differs(entry.uid, entry.version);
        put(key, entry);
      }
      for (const key of scope === '' ? [...entries.keys()] : [...(keysIn.get(scope) ?? [])]) {
        const entry = entries.get(key);
        if (entry === undefined || present.has(key) || (!rewound && newer(entry.version, version))) continue;
        differs(entry.uid, version);
        remove(key);
      }
      listed = version;
      position ??= version;
      if (rewound) watch?.abort();
      markSynced(scope);
    }

    function onEvent(type: string, raw: RawObject) {
      const version = raw.metadata?.resourceVersion ?? '';
      if (type === 'ERROR') {
        const { code = 500, reason = '', message = '' } = raw as { code?: number; reason?: string; message?: string };
        throw new ApiError(code, reason, message);
      }
      if (type !== 'BOOKMARK') takeIn(type, raw, version);
      // Only now, for an event that could not be read has not been told.
      if (position === undefined || newer(version, position)) position = version;
    }

    function takeIn(type: string, raw: RawObject, version: string) {
      const [key, entry] = entryOf(raw);
      const expected = untold.get(entry.uid);
      if (expected !== undefined && (type === 'DELETED' || !newer(expected, version))) untold.delete(entry.uid);
      if (!newer(version, listed)) return;
      const before = entries.get(key);
      if (before !== undefined && newer(before.version, version)) return;
      if (type !== 'DELETED') return put(key, entry);
      deletedMeanwhile?.set(key, version);
      remove(key);
    }

    async function watchOnce(from: string) {
      const current = (watch = new AbortController());
      const stop = () => current.abort();
      signal.addEventListener('abort', stop, { once: true });
      try {
        const query = {
          watch: true,
          allowWatchBookmarks: true,
          resourceVersion: from,
          timeoutSeconds: Math.round(240 + 60 * Math.random()),
          labelSelector,
        };
        for await (const line of api.lines(scopedPath, {
          query,
          silence: silenceSeconds * 1000,
          signal: current.signal,
          opened: heard,
        })) {
          heard();
          const { type, object } = JSON.parse(line) as { type: string; object: RawObject };
          onEvent(type, object);
          if (current.signal.aborted) return;
        }
      } finally {
        signal.removeEventListener('abort', stop);
        watch = undefined;
      }
    }

    async function keepWatching() {
      for (let failures = 0, opened = 0; !stopped();) {
        const start = performance.now();
        let retryAfter: number | undefined;
        try {
          if (position === undefined) await list();
          if (stopped() || position === undefined) continue;
          if (opened++ > 0) stats.reconnects++;
          await watchOnce(position);
          failures = performance.now() - start < LASTING ? failures + 1 : 0;
        } catch (error) {
          if (stopped()) return;
          const { status, reason, message, retryAfterSeconds } =
            error instanceof ApiError ? error : new ApiError(0, 'Unreadable', String(error));
          failures = performance.now() - start < LASTING ? failures + 1 : 1;
          retryAfter = retryAfterSeconds;
          // A broken connection can be resumed. Everything else, and a break that repeats, asks for a fresh view.
          if (status !== 0 || failures > 1) losePlace();
          const lost = { namespace: scope, status, reason, message, failures };
          if (status === 410 && failures === 1) {
            log.debug(lost, 'history lost, listing anew');
            continue;
          }
          health.problem = message;
          const isNews = failures > 1 && message !== lamented;
          log[isNews ? 'warn' : 'debug'](lost, 'watch broke');
          if (isNews) lamented = message;
        }
        await pause(backoffDelay(failures, Math.random(), retryAfter), signal);
      }
    }

    /** What was untold for so long is not on its way any more. The next watch goes on from the list. */
    function giveUpUntold() {
      if (untold.size === 0) return;
      stats.missed += untold.size;
      log.warn({ namespace: scope, missed: untold.size }, 'the watch had left out changes: opened anew');
      untold.clear();
      if (position !== undefined && newer(listed, position)) position = listed;
      watch?.abort();
    }

    async function keepRelisting() {
      for (let failures = 0, retryAfter: number | undefined; !stopped();) {
        const wait =
          failures > 0
            ? backoffDelay(failures, Math.random(), retryAfter)
            : relistSeconds * 1000 * (1 - 0.1 * Math.random());
        await pause(Math.min(wait, relistSeconds * 1000), signal);
        // Without a first list there is nothing to compare with: the watch is after that one.
        if (stopped() || listed === '') continue;
        // Of the list before, where no watch lasted long enough to be asked for it.
        giveUpUntold();
        try {
          await list();
          failures = 0;
        } catch (error) {
          failures++;
          retryAfter = error instanceof ApiError ? error.retryAfterSeconds : undefined;
          log.debug({ namespace: scope, message: (error as Error).message }, 'relist failed');
        }
        if (untold.size === 0) continue;
        const suspected = watch;
        await pause(SETTLE, signal);
        if (!stopped() && suspected !== undefined && watch === suspected) giveUpUntold();
      }
    }

    return Promise.all([keepWatching(), keepRelisting()]);
  }

  const scopes = options.namespaces.length === 0 ? [''] : [...new Set(options.namespaces)];
  for (const scope of scopes) unsynced.add(scope);
  const running = scopes.map(follow);

  return {
    get synced() {
      return unsynced.size === 0;
    },
    get: (key) => entries.get(key)?.item,
    *values() {
      for (const { item } of entries.values()) yield item;
    },
    byNamespace: (namespace) => [...(keysIn.get(namespace) ?? [])].flatMap((key) => entries.get(key)?.item ?? []),
    stats,
    get health() {
      return {
        heardAt: Math.min(...healths.map(({ heardAt }) => heardAt)),
        problem: healths.find(({ problem }) => problem !== undefined)?.problem,
      };
    },
    async stop() {
      stopping.abort();
      await Promise.all(running);
    },
  };
}
