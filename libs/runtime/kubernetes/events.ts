/**
 * Kubernetes Events. They are for people, so they may be lost and must never hold up a decision: `record` returns at once and
 * throws nothing; behind it a bounded queue is written out a little at a time.
 */
import { randomBytes } from 'node:crypto';
import { ApiError, DeadlinePassed, MEDIA_TYPE, pause } from './api-server.ts';
import type { Kubernetes } from './client.ts';
import { pathIn } from './resources.ts';

export interface InvolvedObject {
  apiVersion: string;
  kind: string;
  namespace: string;
  name: string;
  uid: string;
}

export interface RecordedEvent {
  involved: InvolvedObject;
  type: 'Normal' | 'Warning';
  /** UpperCamelCase, of libs/shared/reasons. */
  reason: string;
  message: string;
  /** What was done, UpperCamelCase. */
  action?: string;
  /** Milliseconds since 1970. */
  at: number;
}

export interface EventRecorder {
  record(event: RecordedEvent): void;
  /** Events, repeats included: written (or counted onto a written one), left out by the bounds, refused by the API server. */
  readonly stats: Readonly<{ written: number; dropped: number; failed: number }>;
  /** Writes out what waits, for at most two seconds. */
  stop(): Promise<void>;
}

/**
 * An object gets 50 events at once and then one in ten seconds; all together get 100 at once and then 10 a second. client-go's
 * 25 and one in five minutes would show a fraction of a single round over a large fleet and then nothing for the hour in which
 * somebody looks; and more than this nobody reads, while status and the facts tell all of it anyway.
 */
const OF_AN_OBJECT = { burst: 50, perSecond: 0.1 };
const OF_ALL = { burst: 100, perSecond: 10 };
const QUEUE_LIMIT = 1_000;
const TIMEOUT = 2_000;
/** Series (same object, type, reason and message) and objects that are remembered. */
const MEMORY_LIMIT = 4_096;

interface Series {
  event: RecordedEvent;
  firstAt: number;
  count: number;
  /** Name of the Event object that was written for it. */
  name?: string;
  queued: boolean;
  /** Events since the last write. */
  unwritten: number;
}

/** `now`: monotonic milliseconds. */
export function createEventRecorder(
  { api, log }: Pick<Kubernetes, 'api' | 'log'>,
  { component, instance }: { component: string; instance: string },
  now: () => number = () => performance.now(),
): EventRecorder {
  const stats = { written: 0, dropped: 0, failed: 0 };
  const series = createRecent<Series>(MEMORY_LIMIT);
  const buckets = createRecent<TokenBucket>(MEMORY_LIMIT);
  const everything = createTokenBucket(OF_ALL, now());
  const queue: Series[] = [];
  const stopping = new AbortController();
  let stopBy = Infinity;
  let failing = false;
  let busy = false;
  let draining: Promise<void> | undefined;

  async function write(item: Series) {
    const { event, unwritten, count } = item;
    const { involved, type, reason, message, action, at } = event;
    item.queued = false;
    item.unwritten = 0;
    const events = pathIn('/api/v1/events', involved.namespace);
    const lastTimestamp = wholeSeconds(at);
    if (item.name !== undefined) {
      try {
        const body = { count, lastTimestamp };
        await api.request('PATCH', `${events}/${item.name}`, {
          body,
          contentType: MEDIA_TYPE.mergePatch,
          timeout: TIMEOUT,
        });
        return;
      } catch (error) {
        // Events live for an hour or so: the series begins anew.
        if (!(error instanceof ApiError) || error.status !== 404) throw error;
        item.firstAt = at;
        item.count = unwritten;
      }
    }
    // A long name may have been cut at a dot or a dash, with which no part of a name may end.
    const name = `${involved.name.slice(0, 230).replace(/[.-]+$/, '')}.${randomBytes(8).toString('hex')}`;
    await api.request('POST', events, {
      timeout: TIMEOUT,
      body: {
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { namespace: involved.namespace, name },
        involvedObject: involved,
        type,
        reason,
        message: message.slice(0, 1024),
        ...(action !== undefined && { action }),
        count: item.count,
        firstTimestamp: wholeSeconds(item.firstAt),
        lastTimestamp,
        source: { component, host: instance },
        reportingComponent: component,
        reportingInstance: instance,
      },
    });
    item.name = name;
  }

  async function drain() {
    busy = true;
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
      if (now() > stopBy) {
        stats.dropped += item.unwritten;
        continue;
      }
      const wait = everything.waitFor(now());
      if (wait > 0) await pause(Math.min(wait, stopBy - now()), stopping.signal);
      everything.take(now());
      const { unwritten, event } = item;
      try {
        await write(item);
        stats.written += unwritten;
        failing = false;
      } catch (error) {
        // Who wrote it leads no more: the next leader tells of what it finds.
        if (error instanceof DeadlinePassed) {
          stats.dropped += unwritten;
          continue;
        }
        stats.failed += unwritten;
        // A namespace that is going away refuses them all: that is no news.
        log[failing ? 'debug' : 'warn'](
          { namespace: event.involved.namespace, reason: event.reason, message: (error as Error).message },
          'event could not be written',
        );
        failing = true;
      }
    }
    busy = false;
  }

  return {
    stats,
    record(event) {
      const { involved, type, reason, message } = event;
      const object = `${involved.kind}/${involved.namespace}/${involved.name}/${involved.uid}`;
      const bucket = buckets.get(object) ?? createTokenBucket(OF_AN_OBJECT, now());
      buckets.set(object, bucket);
      const key = `${object}/${type}/${reason}/${message}`;
      const item: Series = series.get(key) ?? { event, firstAt: event.at, count: 0, queued: false, unwritten: 0 };
      series.set(key, item);
      item.event = event;
      item.count++;
      if (stopping.signal.aborted || (!item.queued && (queue.length >= QUEUE_LIMIT || !bucket.take(now())))) {
        stats.dropped++;
        return;
      }
      item.unwritten++;
      if (item.queued) return;
      item.queued = true;
      queue.push(item);
      if (!busy) draining = drain();
    },
    async stop() {
      stopBy = now() + 2_000;
      stopping.abort();
      await draining;
    },
  };
}

/** Kubernetes keeps these times in whole seconds. */
const wholeSeconds = (at: number): string => new Date(at).toISOString().replace(/\.\d+Z$/, 'Z');

interface TokenBucket {
  /** Milliseconds until there is a token. */
  waitFor(now: number): number;
  /** False where there is none. */
  take(now: number): boolean;
}

function createTokenBucket({ burst, perSecond }: { burst: number; perSecond: number }, start: number): TokenBucket {
  let tokens = burst;
  let filledAt = start;
  const fill = (now: number) => {
    tokens = Math.min(burst, tokens + ((now - filledAt) / 1000) * perSecond);
    filledAt = now;
  };
  return {
    waitFor(now) {
      fill(now);
      return tokens >= 1 ? 0 : ((1 - tokens) / perSecond) * 1000;
    },
    take(now) {
      fill(now);
      if (tokens < 1) return false;
      tokens -= 1;
      return true;
    },
  };
}

/** A map that forgets what was not used for longest. */
function createRecent<V>(limit: number) {
  const map = new Map<string, V>();
  return {
    get: (key: string) => map.get(key),
    set(key: string, value: V) {
      map.delete(key);
      map.set(key, value);
      for (const oldest of map.keys()) {
        if (map.size <= limit) break;
        map.delete(oldest);
      }
    },
  };
}
