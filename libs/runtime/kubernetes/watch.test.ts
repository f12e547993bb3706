/** The supervisor against an API that does what a healthy API server hardly ever does. */
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { getEventListeners } from 'node:events';
import { ApiError, type ApiServer } from './api-server.ts';
import { createLogger } from '../logs.ts';
import { watchCollection, type Collection } from './watch.ts';

const silent = createLogger('test', 'silent');

interface Item {
  name: string;
  uid: string;
  version: string;
}
const raw = (name: string, version: number, uid = `uid-${name}`) => ({
  metadata: { name, namespace: 'n', uid, resourceVersion: String(version) },
});
type Raw = ReturnType<typeof raw>;

function fakeApi() {
  const api = {
    version: 100,
    items: new Map<string, Raw>(),
    lists: 0,
    watches: 0,
    /** Resource versions that watches were opened from. */
    openedFrom: [] as string[],
    listFails: undefined as ApiError | undefined,
    watchFails: undefined as ApiError | undefined,
    /** Watches are agreed to and end at once. */
    watchEmpty: false,
    /** Lists wait for this. */
    listGate: undefined as Promise<void> | undefined,
    /** Ends the watch under way: with an error, or as the server does after a while. */
    end: (_error?: ApiError) => {},
    /** Says something on the watch under way. */
    say: (_type: string, _object: object) => {},
    /** Changes the world, and tells of it unless told not to. */
    set(name: string, { told = true, uid = `uid-${name}` } = {}) {
      const object = raw(name, ++api.version, uid);
      const type = api.items.has(name) ? 'MODIFIED' : 'ADDED';
      api.items.set(name, object);
      if (told) api.say(type, object);
      return object;
    },
    drop(name: string, { told = true } = {}) {
      const object = api.items.get(name);
      api.items.delete(name);
      const gone = { metadata: { ...object?.metadata, resourceVersion: String(++api.version) } };
      if (told) api.say('DELETED', gone);
      return gone;
    },
  };
  const server = {
    async read() {
      api.lists++;
      if (api.listFails) throw api.listFails;
      const answer = { metadata: { resourceVersion: String(api.version) }, items: [...api.items.values()] };
      await api.listGate;
      return answer;
    },
    async *lines(
      _path: string,
      {
        query,
        signal,
        opened,
      }: { query: { resourceVersion: string }; signal: AbortSignal; opened?: (() => void) | undefined },
    ) {
      api.watches++;
      api.openedFrom.push(query.resourceVersion);
      if (api.watchFails) throw api.watchFails;
      opened?.();
      if (api.watchEmpty) return;
      const said: string[] = [];
      let ended: { error?: ApiError | undefined } | undefined;
      let wake = () => {};
      api.say = (type, object) => (said.push(JSON.stringify({ type, object })), wake());
      api.end = (error) => ((ended = { error }), wake());
      const stop = () => wake();
      signal.addEventListener('abort', stop);
      try {
        for (;;) {
          while (said.length > 0) yield said.shift() as string;
          if (signal.aborted) return;
          if (ended?.error) throw ended.error;
          if (ended) return;
          await new Promise<void>((resolve) => (wake = resolve));
        }
      } finally {
        signal.removeEventListener('abort', stop);
        api.say = () => {};
      }
    },
  } as unknown as ApiServer;
  return Object.assign(api, { server });
}

let collection: Collection<Item>;
let changes: string[];
function start(
  api: ReturnType<typeof fakeApi>,
  onChange?: () => void,
  namespaces: string[] = [],
  onRead: (raw: Raw) => void = () => {},
) {
  changes = [];
  collection = watchCollection<Item>(
    { api: api.server, log: silent },
    {
      path: '/api/v1/pods',
      namespaces,
      read: (object) => {
        onRead(object as Raw);
        const { name, uid, resourceVersion } = (object as Raw).metadata;
        return { name, uid, version: resourceVersion };
      },
      key: ({ name }) => name,
      onChange(key, before, after) {
        changes.push(
          `${key}: ${before?.uid ?? '-'}@${before?.version ?? ''} → ${after?.uid ?? '-'}@${after?.version ?? ''}`,
        );
        onChange?.();
      },
    },
  );
  return pass(0);
}
const pass = (seconds: number) => jest.advanceTimersByTimeAsync(seconds * 1000);
const names = () => [...collection.values()].map(({ name }) => name).sort();

beforeEach(() => {
  jest.useFakeTimers();
  // The longest relist time, the shortest waits.
  jest.spyOn(Math, 'random').mockReturnValue(0);
});
afterEach(async () => {
  await collection.stop();
  jest.useRealTimers();
  jest.restoreAllMocks();
});

test('a list, then what the watch tells', async () => {
  const api = fakeApi();
  api.set('a');
  await start(api);
  expect([collection.synced, names(), collection.get('a')?.version]).toEqual([true, ['a'], '101']);
  api.set('b');
  api.set('a');
  api.drop('b');
  await pass(0);
  expect(names()).toEqual(['a']);
  expect(collection.byNamespace('n')).toEqual([{ name: 'a', uid: 'uid-a', version: '103' }]);
  expect(collection.byNamespace('elsewhere')).toEqual([]);
  expect(changes).toEqual(['a: -@ → uid-a@101', 'b: -@ → uid-b@102', 'a: uid-a@101 → uid-a@103', 'b: uid-b@102 → -@']);
});

describe('W7: what the watch leaves out', () => {
  test('is found by the next list, counted as missed, and the watch is opened anew', async () => {
    const api = fakeApi();
    api.set('kept');
    api.set('gone');
    await start(api);
    api.set('kept', { told: false });
    api.set('new', { told: false });
    api.drop('gone', { told: false });
    await pass(301);
    expect(names()).toEqual(['kept', 'new']);
    expect(collection.get('kept')?.version).toBe('103');
    await pass(5);
    expect(collection.stats).toEqual({ missed: 3, relists: 1, reconnects: 1 });
    expect(api.openedFrom.at(-1)).toBe('105');
  });

  test('but what was merely on its way is not missed, nor told twice', async () => {
    const api = fakeApi();
    api.set('a');
    api.set('b');
    await start(api);
    const change = api.set('a', { told: false });
    const deletion = api.drop('b', { told: false });
    const addition = api.set('c', { told: false });
    await pass(301);
    const known = changes.length;
    api.say('MODIFIED', change);
    api.say('DELETED', deletion);
    api.say('ADDED', addition);
    await pass(10);
    expect(changes).toHaveLength(known);
    expect(names()).toEqual(['a', 'c']);
    expect(collection.stats).toEqual({ missed: 0, relists: 1, reconnects: 0 });
  });

  test('deleted and made anew in a gap is two changes with two uids', async () => {
    const api = fakeApi();
    api.set('a');
    await start(api);
    api.drop('a', { told: false });
    api.set('a', { told: false, uid: 'another' });
    await pass(301);
    expect(changes.slice(1)).toEqual(['a: uid-a@101 → -@', 'a: -@ → another@103']);
    await pass(5);
    expect(collection.stats.missed).toBe(2);
  });

  test('deleted and made anew, and merely late: neither is missed', async () => {
    const api = fakeApi();
    api.set('a');
    await start(api);
    const deletion = api.drop('a', { told: false });
    const creation = api.set('a', { told: false, uid: 'another' });
    await pass(301);
    const known = changes.length;
    api.say('DELETED', deletion);
    api.say('ADDED', creation);
    await pass(10);
    expect(changes).toHaveLength(known);
    expect([names(), collection.stats.missed]).toEqual([['a'], 0]);
  });

  test('a watch that breaks before it could tell what a list showed: the next one goes on from before, and tells it', async () => {
    const api = fakeApi();
    await start(api);
    const late = api.set('a', { told: false });
    await pass(301);
    api.end(new ApiError(0, 'ECONNRESET', 'no answer'));
    await pass(1);
    expect(api.openedFrom).toEqual(['100', '100']);
    api.say('ADDED', late);
    await pass(600);
    expect([changes.length, collection.stats.missed]).toEqual([1, 0]);
  });

  test('and where that one does not tell it either, it is counted with the next list', async () => {
    const api = fakeApi();
    await start(api);
    api.set('a', { told: false });
    await pass(301);
    api.end(new ApiError(0, 'ECONNRESET', 'no answer'));
    await pass(310);
    expect([collection.stats.missed, api.openedFrom.at(-1)]).toEqual([1, '101']);
  });

  test('a place in history that was lost (410): what its list shows is counted at once, what was told before is not', async () => {
    const api = fakeApi();
    api.set('told');
    api.set('gone');
    await start(api);
    await pass(60);
    api.set('told');
    await pass(1);
    api.drop('gone', { told: false });
    api.set('new', { told: false });
    api.say('ERROR', { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' });
    await pass(0);
    expect(names()).toEqual(['new', 'told']);
    expect(collection.stats).toEqual({ missed: 2, relists: 1, reconnects: 1 });
    await pass(600);
    expect(collection.stats.missed).toBe(2);
  });
});

describe('a list that is older than what the watch told meanwhile', () => {
  test.each(['takes nothing back', 'raises nothing from the dead'] as const)('%s', async (title) => {
    const api = fakeApi();
    api.set('a');
    await start(api);
    let open = () => {};
    api.listGate = new Promise((resolve) => (open = resolve));
    await pass(301);
    if (title === 'takes nothing back') {
      api.set('a');
      api.set('new');
    } else api.drop('a');
    await pass(0);
    const expected = names();
    open();
    await pass(0);
    expect(names()).toEqual(expected);
    expect(collection.get('a')?.version).toBe(title === 'takes nothing back' ? '102' : undefined);
    await pass(10);
    expect(collection.stats.missed).toBe(0);
  });
});

describe('W7: trouble', () => {
  test('a watch that the server ends goes on where it was', async () => {
    const api = fakeApi();
    await start(api);
    api.set('a');
    await pass(60);
    api.say('BOOKMARK', { metadata: { resourceVersion: '150' } });
    await pass(60);
    api.end();
    await pass(1);
    expect(api.openedFrom).toEqual(['100', '150']);
    expect([api.lists, collection.stats.reconnects]).toEqual([1, 1]);
  });

  test('a broken connection goes on where it was; one that breaks again asks for a list', async () => {
    const api = fakeApi();
    await start(api);
    await pass(60);
    api.end(new ApiError(0, 'ECONNRESET', 'no answer'));
    await pass(1);
    expect([api.watches, api.lists]).toEqual([2, 1]);
    api.end(new ApiError(0, 'ECONNRESET', 'no answer'));
    await pass(1);
    expect([api.watches, api.lists]).toEqual([3, 2]);
  });

  test.each(['as an event', 'as the answer'])('410 %s: lists at once', async (how) => {
    const api = fakeApi();
    await start(api);
    await pass(60);
    api.set('a', { told: false });
    if (how === 'as an event') api.say('ERROR', { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' });
    else {
      api.watchFails = new ApiError(410, 'Expired', 'too old');
      api.end();
      await pass(0);
      api.watchFails = undefined;
    }
    await pass(how === 'as an event' ? 0 : 1);
    expect(names()).toEqual(['a']);
    expect(collection.stats.missed).toBe(1);
  });

  test('429 waits as long as it was told', async () => {
    const api = fakeApi();
    await start(api);
    await pass(60);
    api.watchFails = new ApiError(429, 'TooManyRequests', 'busy', 20);
    api.end();
    await pass(19);
    expect(api.watches).toBe(2);
    api.watchFails = undefined;
    await pass(2);
    expect(api.watches).toBe(3);
  });

  test('a server that is away for an hour is asked every ten seconds at most, and seen when it is back', async () => {
    const api = fakeApi();
    api.set('a');
    await start(api);
    await pass(60);
    api.listFails = api.watchFails = new ApiError(0, 'ECONNREFUSED', 'no answer');
    api.end(api.watchFails);
    await pass(60);
    const before = api.lists + api.watches;
    await pass(3600);
    // Two loops: the watch and the timer of the lists.
    expect(api.lists + api.watches - before).toBeLessThanOrEqual(2 * (3600 / 5));
    expect(names()).toEqual(['a']);
    api.set('b', { told: false });
    api.listFails = undefined;
    api.watchFails = undefined;
    await pass(10);
    expect(names()).toEqual(['a', 'b']);
  });

  test('the first list is tried until it is there; synced only then', async () => {
    const api = fakeApi();
    api.set('a');
    api.listFails = new ApiError(500, 'InternalError', 'etcd');
    await start(api);
    await pass(100);
    expect(collection.synced).toBe(false);
    api.listFails = undefined;
    await pass(10);
    expect([collection.synced, names()]).toEqual([true, ['a']]);
  });

  test('a server whose history went back is taken at its word', async () => {
    const api = fakeApi();
    api.version = 5000;
    api.set('a');
    api.set('b');
    await start(api);
    api.version = 10;
    api.items.clear();
    api.set('a', { told: false });
    await pass(301);
    expect(names()).toEqual(['a']);
    expect(collection.get('a')?.version).toBe('11');
    await pass(10);
    api.set('c');
    await pass(0);
    expect(names()).toEqual(['a', 'c']);
    // a is another, b is gone.
    expect(collection.stats.missed).toBe(2);
  });

  test('a line that cannot be read ends the watch, not the collection', async () => {
    const api = fakeApi();
    await start(api);
    await pass(60);
    api.say('ADDED', { metadata: null } as never);
    await pass(1);
    api.set('a');
    await pass(1);
    expect(names()).toContain('a');
  });

  test('a change that could not be read has not been told: it is asked for again', async () => {
    const api = fakeApi();
    let readable = false;
    await start(api, undefined, [], () => {
      if (!readable) throw new Error('unreadable');
    });
    await pass(60);
    api.set('a');
    await pass(0);
    readable = true;
    await pass(1);
    expect(api.openedFrom).toEqual(['100', '100']);
  });

  test('a server that agrees to watches and ends them at once, with nothing in them, is asked ever more seldom', async () => {
    const api = fakeApi();
    api.set('a');
    await start(api);
    api.watchEmpty = true;
    api.end();
    await pass(60);
    const before = api.watches;
    await pass(600);
    expect(api.watches - before).toBeLessThanOrEqual(600 / 5);
    // Meanwhile the lists keep the collection right.
    api.set('b', { told: false });
    await pass(301);
    expect(names()).toEqual(['a', 'b']);
    await pass(301);
    expect(collection.stats.missed).toBe(1);
    api.watchEmpty = false;
    await pass(10);
    api.set('c');
    await pass(0);
    expect(names()).toEqual(['a', 'b', 'c']);
  });

  test('one to whom the list is forbidden (403) keeps what is known, says so, and goes on when it is allowed', async () => {
    const api = fakeApi();
    api.set('a');
    await start(api);
    await pass(60);
    api.listFails = api.watchFails = new ApiError(403, 'Forbidden', 'pods is forbidden');
    api.end();
    await pass(60);
    const before = api.lists + api.watches;
    api.set('b', { told: false });
    await pass(600);
    expect(api.lists + api.watches - before).toBeLessThanOrEqual(2 * (600 / 5));
    expect([names(), collection.synced, collection.health.problem]).toEqual([['a'], true, 'pods is forbidden']);
    expect(performance.now() - collection.health.heardAt).toBeGreaterThan(600_000);
    api.listFails = api.watchFails = undefined;
    await pass(10);
    expect([names(), collection.health.problem, collection.stats.missed]).toEqual([['a', 'b'], undefined, 1]);
  });

  test('one that may list but not watch lists instead, every ten seconds at most', async () => {
    const api = fakeApi();
    api.watchFails = new ApiError(403, 'Forbidden', 'cannot watch pods');
    await start(api);
    await pass(60);
    const before = api.lists;
    api.set('a', { told: false });
    await pass(11);
    expect(names()).toEqual(['a']);
    await pass(589);
    expect(api.lists - before).toBeLessThanOrEqual(600 / 5 + 2);
    expect(collection.health.problem).toBe('cannot watch pods');
  });

  test('a list that fails with Retry-After is not asked for again before', async () => {
    const api = fakeApi();
    await start(api);
    api.listFails = new ApiError(503, 'ServiceUnavailable', 'shutting down', 40);
    await pass(301);
    expect(api.lists).toBe(2);
    await pass(38);
    expect(api.lists).toBe(2);
    api.listFails = undefined;
    await pass(2);
    expect(api.lists).toBe(3);
  });

  test('handlers that throw end nothing', async () => {
    const api = fakeApi();
    api.set('a');
    await start(api, () => {
      throw new Error('handler');
    });
    api.set('b');
    api.drop('a');
    await pass(0);
    expect([names(), changes.length, api.watches]).toEqual([['b'], 3, 1]);
  });

  test('1,000 watches later nothing is left of the 999', async () => {
    const api = fakeApi();
    const addListener = jest.spyOn(AbortSignal.prototype, 'addEventListener');
    await start(api);
    for (let times = 0; times < 1000; times++) {
      await pass(6);
      api.end(times % 3 === 0 ? new ApiError(0, 'ECONNRESET', 'no answer') : undefined);
      await pass(1);
    }
    expect(collection.stats.reconnects).toBeGreaterThanOrEqual(990);
    const signals = new Set(addListener.mock.contexts);
    const listeners = [...signals].map((signal) => getEventListeners(signal as AbortSignal, 'abort').length);
    addListener.mockRestore();
    expect(Math.max(...listeners)).toBeLessThanOrEqual(4);
    expect(jest.getTimerCount()).toBeLessThanOrEqual(2);
  });
});

test('at rest there is one list in relistSeconds and nothing else beside the watch', async () => {
  const api = fakeApi();
  await start(api);
  await pass(3600);
  expect(api.watches).toBe(1);
  expect(api.lists - 1).toBeGreaterThanOrEqual(12);
  expect(api.lists - 1).toBeLessThanOrEqual(14);
});

test('W7: a quiet watch lives by its bookmarks; each is a sign of life', async () => {
  const api = fakeApi();
  await start(api);
  for (let minute = 1; minute <= 60; minute++) {
    await pass(60);
    api.say('BOOKMARK', { metadata: { resourceVersion: String(1000 + minute) } });
    await pass(0);
    expect(performance.now() - collection.health.heardAt).toBe(0);
  }
  expect([api.watches, collection.health.problem]).toEqual([1, undefined]);
  api.end();
  await pass(1);
  expect(api.openedFrom).toEqual(['100', '1060']);
});

test('replicas that began at once list anew at different times, over a tenth of relistSeconds', async () => {
  const listedAt: number[] = [];
  for (const random of [0, 0.3, 0.6, 0.99]) {
    jest.spyOn(Math, 'random').mockReturnValue(random);
    const api = fakeApi();
    await start(api);
    const from = performance.now();
    while (api.lists < 2) await pass(1);
    listedAt.push(performance.now() - from);
    await collection.stop();
  }
  const apart = listedAt.slice(1).map((at, index) => (listedAt[index] ?? NaN) - at);
  expect(Math.min(...apart)).toBeGreaterThan(5000);
  expect(Math.max(...listedAt)).toBeLessThanOrEqual(301_000);
});

test('a namespace each has a list and a watch; synced when all are in; no handler after stop', async () => {
  const api = fakeApi();
  api.set('a');
  await start(api, undefined, ['n', 'm', 'n']);
  expect([api.lists, api.watches, collection.synced]).toEqual([2, 2, true]);
  const known = changes.length;
  const say = api.say;
  await collection.stop();
  say('ADDED', raw('late', 500));
  await pass(600);
  expect(changes).toHaveLength(known);
  expect([api.lists, api.watches]).toEqual([2, 2]);
});
