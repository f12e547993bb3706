/**
 * A queue of keys: each is worked on once at a time, a key that comes while it is worked on comes again after, and a key that
 * failed comes again later. The handler looks up the present state itself; so what is queued is never stale.
 */
export interface KeyQueue {
  add(key: string): void;
  /** The end: what waits is forgotten, what is under way ends and does not come again. */
  clear(): void;
}

const RETRY_FIRST = 500;
const RETRY_LONGEST = 30_000;

/** `handle` answers whether the key is done; not done means again after 0.5, 1, 2 … s, at most 30 s. A throw is not done. */
export function createKeyQueue(concurrency: number, handle: (key: string) => Promise<boolean>): KeyQueue {
  const waiting = new Set<string>();
  const busy = new Set<string>();
  const failures = new Map<string, number>();
  const retries = new Map<string, NodeJS.Timeout>();
  let cleared = false;

  const next = (): void => {
    for (const key of waiting) {
      if (busy.size >= concurrency) return;
      if (busy.has(key)) continue;
      waiting.delete(key);
      busy.add(key);
      void run(key);
    }
  };
  const run = async (key: string): Promise<void> => {
    const done = await handle(key).catch(() => false);
    busy.delete(key);
    if (cleared) return;
    if (done) failures.delete(key);
    else {
      const count = (failures.get(key) ?? 0) + 1;
      failures.set(key, count);
      clearTimeout(retries.get(key));
      retries.set(
        key,
        setTimeout(
          () => {
            retries.delete(key);
            waiting.add(key);
            next();
          },
          Math.min(RETRY_FIRST * 2 ** (count - 1), RETRY_LONGEST),
        ),
      );
    }
    next();
  };

  return {
    add(key) {
      if (cleared) return;
      waiting.add(key);
      next();
    },
    clear() {
      cleared = true;
      waiting.clear();
      failures.clear();
      for (const timer of retries.values()) clearTimeout(timer);
      retries.clear();
    },
  };
}
