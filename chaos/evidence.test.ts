/** Histories that never happened, so that it is known what the observer would say if they did. */
import { beforeEach, describe, expect, test } from '@jest/globals';
import { Evidence, podWriteOf, type RawPod } from './evidence.ts';

const ORIGIN = Date.parse('2026-01-01T00:00:00Z');
const UID = 'uid-cart';
const BREAKER = { name: 'breaker-0', role: 'breaker' } as const;
const OTHER = { name: 'breaker-1', role: 'breaker' } as const;
const ACTIVATOR = { name: 'activator-0', role: 'activator' } as const;
const CONTROLLER = { name: 'controller-0', role: 'controller' } as const;

let now: number;
/** Of the wall clock of the services. */
let drift: number;
let version: number;
let evidence: Evidence;
/** The API server's. */
let pods: Map<string, RawPod>;

beforeEach(() => {
  now = 100_000;
  drift = 0;
  version = 100;
  pods = new Map();
  evidence = new Evidence(() => now);
  stands({});
  for (let index = 0; index < 4; index++) {
    const name = `cart-${index}`;
    pods.set(name, {
      metadata: {
        ...{ name, uid: `uid-${name}`, resourceVersion: '1' },
        labels: { app: 'cart', 'kubervisor/name': 'cart', 'kubervisor/traffic': 'yes' },
        ownerReferences: [{}],
      },
      status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
    });
  }
  knows();
});

/** Our own list. */
function knows(): void {
  evidence.podsAre([...pods.values()], String(version));
  now += 2000;
  evidence.judge(version);
}
function stands({ mode }: { mode?: string }): void {
  evidence.resourcesAre([
    {
      metadata: { name: 'cart', uid: UID, creationTimestamp: '2026-01-01T00:00:00Z' },
      spec: {
        service: 'cart',
        ...(mode !== undefined && { mode }),
        breakers: [{ name: 'errors', minPodsAvailableCount: 3 }],
      },
    },
  ]);
  evidence.servicesAre([
    { metadata: { name: 'cart' }, spec: { selector: { app: 'cart', 'kubervisor/traffic': 'yes' } } },
  ]);
}

const kindOf = ({ role }: { role: string }) => (role === 'breaker' ? 'evaluate' : 'activate');
/** Claims of a message that was sent just before, or that had been on its way for long. */
function claims(process: typeof BREAKER | typeof OTHER | typeof ACTIVATOR, round: string, sentBefore = false): void {
  const key = `${UID}.${kindOf(process)}`;
  if (!sentBefore) evidence.workPublished(round, Date.parse(stamp()));
  evidence.claimSent(process, { round });
  evidence.claimStored(process, { key, round });
}
/** What is served now; `at`: a version of before, as a cache would serve it. */
function lists(
  process: typeof BREAKER | typeof OTHER | typeof ACTIVATOR,
  served = [...pods.values()],
  at = version,
): void {
  evidence.listed(process, 'cart', String(at), structuredClone(served));
  now += 1;
}
type Change = { labels?: Record<string, string | null>; annotations?: Record<string, string | null> };
const escaped = (key: string): string => key.replaceAll('/', '~1');
function asks(process: Parameters<Evidence['requested']>[0], pod: string, change: Change): () => void {
  const before = pods.get(pod)!;
  const { uid, labels = {} } = before.metadata;
  const operations = [
    { op: 'test', path: '/metadata/uid', value: uid },
    { op: 'test', path: '/metadata/labels/kubervisor~1name', value: labels['kubervisor/name'] ?? null },
    ...(['labels', 'annotations'] as const).flatMap((map) =>
      Object.entries(change[map] ?? {}).map(([key, value]) =>
        value === null
          ? { op: 'remove', path: `/metadata/${map}/${escaped(key)}` }
          : { op: 'add', path: `/metadata/${map}/${escaped(key)}`, value },
      ),
    ),
  ];
  const write = podWriteOf('PATCH', `/api/v1/namespaces/shop/pods/${pod}`, JSON.stringify(operations))!;
  evidence.requested(process, write, () => false);
  return () => changes(pod, change);
}
function changes(pod: string, change: Change): void {
  const after = structuredClone(pods.get(pod)!);
  for (const map of ['labels', 'annotations'] as const)
    for (const [key, value] of Object.entries(change[map] ?? {})) {
      const into = (after.metadata[map] ??= {});
      if (value === null) delete into[key];
      else into[key] = value;
    }
  after.metadata.resourceVersion = String((version += 1));
  pods.set(pod, after);
  evidence.podChanged({ type: 'MODIFIED', pod: after });
}
const stamp = (): string => new Date(ORIGIN + now + drift).toISOString();
const breaks = (process: typeof BREAKER | typeof OTHER, pod: string): (() => void) =>
  asks(process, pod, {
    labels: { 'kubervisor/traffic': 'no', 'kubervisor/strategy': 'errors' },
    annotations: { 'breaker/breakAt': stamp() },
  });
const found = (): string[] => {
  now += 5000;
  evidence.judge(version);
  return evidence.takeViolations().map(({ rule }) => rule);
};

test('a round that keeps the rules is no violation, and is counted', () => {
  claims(BREAKER, 'r-1');
  lists(BREAKER);
  breaks(BREAKER, 'cart-0')();
  expect(found()).toEqual([]);
  expect(evidence.observer.counts).toMatchObject({ claims: 1, lists: 1, breaks: 1 });
});

test('a wall clock that is turned back does not make a write one of an earlier round', () => {
  claims(BREAKER, 'r-1');
  lists(BREAKER);
  now += 5000;
  drift = -60_000;
  claims(BREAKER, 'r-2');
  lists(BREAKER);
  breaks(BREAKER, 'cart-0')();
  expect(found()).toEqual([]);
});

test('work that lay in a leader or a worker that stood still is stamped as of when it was made, and still is of its own round', () => {
  claims(BREAKER, 'r-1');
  now += 3000;
  const sent = stamp();
  now += 2000;
  evidence.workPublished('r-2', Date.parse(sent));
  now += 1000;
  claims(OTHER, 'r-3');
  now += 4000;
  claims(BREAKER, 'r-2', true);
  lists(BREAKER);
  asks(BREAKER, 'cart-0', {
    labels: { 'kubervisor/traffic': 'no', 'kubervisor/strategy': 'errors' },
    annotations: { 'breaker/breakAt': sent },
  })();
  expect(found()).toEqual([]);
});

test('a write that was in vain is not taken for the next change of its pod', () => {
  pods.get('cart-0')!.metadata.labels = { app: 'cart', 'kubervisor/traffic': 'yes' };
  knows();
  const adoption = { labels: { 'kubervisor/name': 'cart' } };
  const applied = asks(CONTROLLER, 'cart-0', adoption);
  // Its answer was lost, and it was asked for once more.
  asks(CONTROLLER, 'cart-0', adoption);
  applied();
  claims(BREAKER, 'r-1');
  lists(BREAKER);
  breaks(BREAKER, 'cart-0')();
  expect(found()).toEqual([]);
  expect(evidence.observer.counts).toMatchObject({ breaks: 1 });
});

describe('what must not be', () => {
  test('B2: a break under the floor that held when the breaker listed', () => {
    claims(BREAKER, 'r-1');
    lists(BREAKER);
    breaks(BREAKER, 'cart-0')();
    breaks(BREAKER, 'cart-1')();
    expect(found()).toEqual(['B2']);
  });

  test('B2, B5: the same by a list of a cache that is behind', () => {
    claims(BREAKER, 'r-1');
    lists(BREAKER);
    const old = [...pods.values()];
    breaks(BREAKER, 'cart-0')();
    now += 1000;
    claims(BREAKER, 'r-2');
    lists(BREAKER, old, version - 1);
    breaks(BREAKER, 'cart-1')();
    expect(found()).toContain('B2');
  });

  test('W3: lists and writes without a claim', () => {
    lists(BREAKER);
    breaks(BREAKER, 'cart-0')();
    expect(found()).toEqual(expect.arrayContaining(['W3']));
  });

  test('W3: a write after the holder of a later claim has listed: by the versions of the API server, not by when it was heard of', () => {
    claims(BREAKER, 'r-1');
    lists(BREAKER);
    const arrive = breaks(BREAKER, 'cart-0');
    claims(OTHER, 'r-2');
    lists(OTHER);
    arrive();
    expect(found()).toContain('W3 overlap');
  });

  test('W3: … and a write that came before that list is none, though it is heard of later', () => {
    claims(BREAKER, 'r-1');
    lists(BREAKER);
    breaks(BREAKER, 'cart-0');
    claims(OTHER, 'r-2');
    // The list has the break in it; the watch tells of it afterwards.
    lists(OTHER, [...pods.values()], version + 1);
    changes('cart-0', {
      labels: { 'kubervisor/traffic': 'no', 'kubervisor/strategy': 'errors' },
      annotations: { 'breaker/breakAt': stamp() },
    });
    expect(found()).not.toContain('W3 overlap');
  });

  test('W3: a write that starts long after its claim', () => {
    claims(BREAKER, 'r-1');
    lists(BREAKER);
    const decided = stamp();
    now += 6000;
    asks(BREAKER, 'cart-0', {
      labels: { 'kubervisor/traffic': 'no', 'kubervisor/strategy': 'errors' },
      annotations: { 'breaker/breakAt': decided },
    })();
    expect(found()).toEqual(['W3 late']);
  });

  test('F3, A6: a break of a pod that was not Ready; of a resource that does not enforce', () => {
    pods.get('cart-0')!.status!.conditions = [{ type: 'Ready', status: 'False' }];
    knows();
    claims(BREAKER, 'r-1');
    lists(BREAKER);
    breaks(BREAKER, 'cart-0')();
    expect(found()).toContain('F3');
    now += 60_000;
    stands({ mode: 'dryRun' });
    now += 60_000;
    claims(BREAKER, 'r-2');
    lists(BREAKER);
    breaks(BREAKER, 'cart-1')();
    expect(found()).toContain('A6');
  });

  test('F1: an adoption for a resource that our own watch tells of a moment later is none', () => {
    const uid = 'uid-late';
    pods.get('cart-0')!.metadata.labels = { app: 'late', 'kubervisor/traffic': 'yes' };
    knows();
    asks(CONTROLLER, 'cart-0', { labels: { 'kubervisor/name': 'late' } })();
    now += 100;
    evidence.resourcesAre([
      {
        metadata: { name: 'late', uid, creationTimestamp: '2026-01-01T00:00:00Z' },
        spec: { service: 'late', breakers: [] },
      },
    ]);
    evidence.servicesAre([{ metadata: { name: 'late' }, spec: { selector: { app: 'late' } } }]);
    expect(found()).toEqual([]);
  });

  test('A6: but a change of mode under way explains it', () => {
    claims(BREAKER, 'r-1');
    stands({ mode: 'dryRun' });
    lists(BREAKER);
    breaks(BREAKER, 'cart-0')();
    expect(found()).toEqual([]);
  });

  test('A5: a kill of a pod in traffic', () => {
    claims(ACTIVATOR, 'r-1');
    lists(ACTIVATOR);
    const body = JSON.stringify({ deleteOptions: { preconditions: { uid: 'uid-cart-0' } } });
    evidence.requested(
      ACTIVATOR,
      podWriteOf('POST', '/api/v1/namespaces/shop/pods/cart-0/eviction', body)!,
      () => false,
    );
    const ending = structuredClone(pods.get('cart-0')!);
    ending.metadata.deletionTimestamp = stamp();
    ending.metadata.resourceVersion = String((version += 1));
    evidence.podChanged({ type: 'MODIFIED', pod: ending });
    expect(found()).toContain('A5');
  });

  test('F1: a controller that takes a pod out of traffic', () => {
    asks(CONTROLLER, 'cart-0', { labels: { 'kubervisor/traffic': 'no' } })();
    expect(found()).toEqual(['F1']);
  });

  test('a change of a label of ours that nobody was seen to ask for; a person may', () => {
    evidence.person('cart-1');
    changes('cart-1', { labels: { 'kubervisor/traffic': 'pause' } });
    expect(found()).toEqual([]);
    changes('cart-0', { labels: { 'kubervisor/traffic': 'pause' } });
    expect(found()).toEqual(['evidence']);
  });
});

describe('W8: what cannot be recalled', () => {
  test('a standstill explains a late write, which is counted', () => {
    claims(BREAKER, 'r-1');
    lists(BREAKER);
    const thaw = evidence.freezes(BREAKER.name);
    const decided = stamp();
    now += 6000;
    thaw();
    asks(BREAKER, 'cart-0', {
      labels: { 'kubervisor/traffic': 'no', 'kubervisor/strategy': 'errors' },
      annotations: { 'breaker/breakAt': decided },
    })();
    expect(found()).toEqual([]);
    expect(evidence.observer.counts.lateWrites).toBe(1);
  });

  test('the standstill of another does not', () => {
    claims(BREAKER, 'r-1');
    lists(BREAKER);
    evidence.freezes(OTHER.name);
    now += 6000;
    breaks(BREAKER, 'cart-0')();
    expect(found()).toContain('W3 late');
  });

  test('a standstill of the API server with the write in its hands does, also where it comes after a later list; a crossing is counted', () => {
    claims(BREAKER, 'r-1');
    lists(BREAKER);
    const arrive = breaks(BREAKER, 'cart-0');
    const moves = evidence.stalls();
    now += 6000;
    moves();
    claims(OTHER, 'r-2');
    lists(OTHER);
    breaks(OTHER, 'cart-1')();
    arrive();
    expect(found()).toEqual([]);
    expect(evidence.counts.heldBack).toBe(1);
    expect(evidence.observer.counts.floorCrossings).toBe(1);
  });
});

test('history that was lost: what a list of our own shows replaces what was known, in its place among the changes', () => {
  changes('cart-0', { labels: { other: 'x' } });
  const listed = [...pods.values()].slice(1);
  evidence.podsAre(listed, String(version + 1));
  version += 1;
  expect(found()).toEqual([]);
  expect([...evidence.pods.keys()]).toEqual(['cart-1', 'cart-2', 'cart-3']);
});

test('nothing is judged before all that came before it has been heard of', () => {
  claims(BREAKER, 'r-1');
  lists(BREAKER, [...pods.values()], version + 10);
  now += 60_000;
  evidence.judge(version + 9);
  expect(evidence.observer.counts.lists).toBe(0);
  evidence.judge(version + 10);
  expect(evidence.observer.counts.lists).toBe(1);
});

test('only requests that may change a pod are writes', () => {
  const path = '/api/v1/namespaces/shop/pods/cart-0';
  expect(podWriteOf('GET', path, '')).toBeUndefined();
  expect(podWriteOf('PATCH', '/api/v1/namespaces/shop/services/cart', '[]')).toBeUndefined();
  expect(podWriteOf('PATCH', path, '[]')).toMatchObject({ kind: 'patch', pod: 'cart-0' });
  expect(podWriteOf('DELETE', path, '{"preconditions":{"uid":"u"}}')).toMatchObject({
    kind: 'kill',
    preconditions: { uid: 'u' },
  });
});
