import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import * as crd from '../crd/kubervisor-service.ts';
import { resolveSpec, type ResolvedActivator, type ResolvedSpec } from '../crd/resolve.ts';
import { readPod } from '../pods/codec.ts';
import type { RawPod } from '../pods/pod.ts';
import {
  activatorOf,
  comesBackAt,
  dueAt,
  enforcementOf,
  floorRepairs,
  isExhausted,
  killRetryMilliseconds,
  nextActionTime,
  onProbation,
  stateOf,
  waitMilliseconds,
} from './return.ts';

const NOW = Date.parse('2026-03-01T12:00:00.000Z');
const threshold = { prometheusService: 'p', promQL: 'latency', podNamekey: 'pod', max: 1 };

function spec(activator: Partial<crd.ActivatorSpec> = {}, breaker: object = {}): ResolvedSpec {
  return resolveSpec(
    crd.spec.parse({
      service: 'cart',
      breakers: [
        { name: 'slow', threshold, activator: { jitter: 0, ...activator }, ...breaker },
        { name: 'errors', threshold, minPodsAvailableCount: 2 },
      ],
    }),
  );
}
const activator = (given: Partial<crd.ActivatorSpec> = {}): ResolvedActivator =>
  activatorOf({ strategy: 'slow' }, spec(given)).activator;
const marks = (retryCount: number, breakAt = NOW) => ({ retryCount, breakAt });

describe('A1: one activator a pod', () => {
  const resolved = resolveSpec(
    crd.spec.parse({
      service: 'cart',
      breakers: [{ name: 'slow', threshold, activator: { period: 7 } }],
      defaultActivator: { period: 99 },
    }),
  );
  test.each([
    ['slow', 'slow', 7],
    ['removed', undefined, 99],
    [undefined, undefined, 99],
  ])('strategy %s: breaker %s, period %s', (strategy, breaker, period) => {
    const found = activatorOf(strategy === undefined ? {} : { strategy }, resolved);
    expect(found.breaker?.name).toBe(breaker);
    expect(found.activator.period).toBe(period);
  });
});

describe('A2: the wait', () => {
  test.each<[Partial<crd.ActivatorSpec>, number, number]>([
    [{ mode: 'periodic', period: 10 }, 4, 10],
    [{ mode: 'retryAndKill', period: 10 }, 1, 10],
    [{ mode: 'retryAndKill', period: 10 }, 3, 30],
    [{ mode: 'retryAndPause', period: 10 }, 3, 30],
    // A count that is missing or damaged is that of a first break: never no wait at all.
    [{ mode: 'retryAndKill', period: 10 }, 0, 10],
    [{ mode: 'retryAndKill', period: 10, maxPeriod: 25 }, 3, 25],
    [{ mode: 'retryAndKill', period: 10 }, 999_999_999, 300],
    // Written in 2018, when there was no maxPeriod: an hour is an hour, though maxPeriod is 300 by default.
    [{ mode: 'periodic', period: 3600 }, 1, 3600],
    [{ mode: 'retryAndKill', period: 3600 }, 3, 3600],
  ])('%j, broken %d times: %d s', (given, retryCount, seconds) => {
    expect(waitMilliseconds({ retryCount }, 'uid', activator(given))).toBe(seconds * 1000);
  });

  test('is the same at every look, differs between pods, and is at most (1 + jitter) times the wait', () => {
    const given = activator({ mode: 'retryAndKill', period: 10, jitter: 0.5 });
    fc.assert(
      fc.property(fc.uuid(), fc.nat(1000), (uid, retryCount) => {
        const wait = waitMilliseconds({ retryCount }, uid, given);
        const bare = waitMilliseconds({ retryCount }, uid, { ...given, jitter: 0 });
        expect(wait).toBeGreaterThanOrEqual(bare);
        expect(wait).toBeLessThanOrEqual(bare * 1.5);
        expect(waitMilliseconds({ retryCount }, uid, given)).toBe(wait);
      }),
    );
    const waits = Array.from({ length: 50 }, (_, n) => waitMilliseconds({ retryCount: 1 }, `uid-${n}`, given));
    expect(new Set(waits).size).toBeGreaterThan(45);
  });
});

describe('A7: breakAt that cannot be read', () => {
  test.each<[string, number | undefined, boolean]>([
    ['missing', undefined, false],
    ['an hour in the future', NOW + 3_600_000, false],
    ['61 s in the future', NOW + 61_000, false],
    ['a clock that is 30 s ahead', NOW + 30_000, true],
    ['now', NOW, true],
    ['a year ago', NOW - 365 * 86_400_000, true],
  ])('%s', (_, breakAt, readable) => {
    const due = dueAt({ retryCount: 1, ...(breakAt !== undefined && { breakAt }) }, 'uid', activator(), NOW);
    expect(due).toBe(readable ? (breakAt ?? 0) + 10_000 : undefined);
  });
});

describe('A7: what may not be killed comes back', () => {
  const given = activator({ mode: 'retryAndKill', period: 10, maxPeriod: 100 });
  test('after maxPeriod where it never may', () => {
    expect(comesBackAt(marks(4), 'uid', given, NOW, 'never')).toBe(NOW + 100_000);
  });
  test('maxPeriod after it became due where it only cannot be now, so that its turn may come first', () => {
    expect(comesBackAt(marks(4), 'uid', given, NOW, 'passing')).toBe(NOW + 40_000 + 100_000);
  });
  test('a refused eviction is tried again ever later, up to maxPeriod', () => {
    const waits = [1, 2, 3, 4, 5, 6, 2000].map((refusals) => killRetryMilliseconds(refusals, given) / 1000);
    expect(waits).toEqual([10, 20, 40, 80, 100, 100, 100]);
    expect(killRetryMilliseconds(1, activator({ period: 0.02 }))).toBe(1000);
  });
});

describe('A7: probation ends with time alone', () => {
  // gracePeriod 2 × 5 s + 1 × 5 s.
  const given = activator();
  test.each<[string, number | undefined, boolean]>([
    ['never brought back', undefined, false],
    ['just now', NOW, true],
    ['14.9 s ago', NOW - 14_900, true],
    ['15 s ago', NOW - 15_000, false],
    ['by a machine whose clock is 5 s ahead', NOW + 5000, true],
    ['in a far future', NOW + 3_600_000, false],
  ])('%s: on probation %s', (_, activatedAt, expected) => {
    const of = (traffic: 'yes' | 'no') => ({ traffic, ...(activatedAt !== undefined && { activatedAt }) });
    expect(onProbation(of('yes'), given, NOW)).toBe(expected);
    expect(onProbation(of('no'), given, NOW)).toBe(false);
    expect(stateOf({ ...of('yes'), retryCount: 1, exempt: false }, spec(), NOW)).toBe(
      expected ? 'half-open' : 'closed',
    );
  });
});

test('A4: exhausted are those broken more often than maxRetryCount, and never with periodic', () => {
  const count = (retryCount: number, mode: crd.ActivatorSpec['mode']) =>
    isExhausted({ retryCount }, activator({ mode, maxRetryCount: 3 }));
  expect([3, 4].map((retries) => count(retries, 'retryAndKill'))).toEqual([false, true]);
  expect([3, 4].map((retries) => count(retries, 'retryAndPause'))).toEqual([false, true]);
  expect(count(1000, 'periodic')).toBe(false);
});

test.each<[crd.Mode, boolean, string]>([
  ['enforce', true, 'enforced'],
  ['enforce', false, 'simulated'],
  ['dryRun', true, 'simulated'],
  ['dryRun', false, 'simulated'],
  ['disabled', true, 'off'],
  ['disabled', false, 'off'],
])('A6: %s with active %s is %s', (mode, active, expected) => {
  expect(enforcementOf(mode, active)).toBe(expected);
});

interface Text {
  traffic?: string;
  strategy?: string;
  score?: number;
  retryCount?: number;
  breakAt?: number;
  exempt?: boolean;
  ready?: boolean;
  owner?: boolean;
  everReady?: boolean;
}
function pod(name: string, text: Text = {}) {
  const {
    traffic = 'yes',
    strategy = 'slow',
    score,
    retryCount = 1,
    breakAt = NOW - 1000,
    exempt,
    ready = true,
  } = text;
  const raw: RawPod = {
    metadata: {
      name,
      uid: name,
      creationTimestamp: new Date(NOW - 86_400_000),
      labels: { 'kubervisor/traffic': traffic, ...(traffic !== 'yes' && { 'kubervisor/strategy': strategy }) },
      annotations:
        traffic === 'yes'
          ? {}
          : {
              'breaker/breakAt': new Date(breakAt).toISOString(),
              'breaker/retryCount': String(retryCount),
              ...(score !== undefined && { 'kubervisor/reason': `slow (score=${score})` }),
              ...(exempt === true && { 'kubervisor/exempt': 'true' }),
            },
      ...(text.owner !== false && { ownerReferences: [{ kind: 'ReplicaSet', name: 'r', uid: 'r', controller: true }] }),
    },
    status: { conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  };
  return readPod(raw);
}

describe('the next moment of a pod, for status and for the clock', () => {
  const kill = spec({ mode: 'retryAndKill', maxRetryCount: 3, maxPeriod: 100 });
  test.each<[string, Text, Parameters<typeof nextActionTime>[3], number | undefined]>([
    ['in traffic: none', {}, {}, undefined],
    ['paused: a person', { traffic: 'pause' }, {}, undefined],
    ['A2: out: when its wait is over', { traffic: 'no', breakAt: NOW }, {}, NOW + 10_000],
    ['A7: an unreadable breakAt: now', { traffic: 'no', breakAt: NOW + 3_600_000 }, {}, NOW],
    ['due: earlier than now', { traffic: 'no', breakAt: NOW - 60_000 }, {}, NOW - 50_000],
    ['due but held: a period later', { traffic: 'no', breakAt: NOW - 60_000 }, { withheld: true }, NOW + 10_000],
    ['A4: to be killed', { traffic: 'no', breakAt: NOW, retryCount: 4 }, {}, NOW + 40_000],
    ['A7: no owner', { traffic: 'no', breakAt: NOW, retryCount: 4, owner: false }, {}, NOW + 100_000],
    ['A7: exempt', { traffic: 'no', breakAt: NOW, retryCount: 4, exempt: true }, {}, NOW + 100_000],
    [
      'A5: refused',
      { traffic: 'no', breakAt: NOW - 60_000, retryCount: 4 },
      { withheld: true, refusedKill: NOW + 7000 },
      NOW + 7000,
    ],
  ])('%s', (_, text, last, expected) => {
    expect(nextActionTime(pod('a', text), kill, NOW, last)).toBe(expected);
  });
});

describe('B7: who comes back early', () => {
  const names = (pods: readonly { name: string }[]) => pods.map(({ name }) => name);
  const out = (name: string, text: Text = {}) => pod(name, { traffic: 'no', score: 2, ...text });

  test('as many as the floor lacks, least bad first: score, then breaks, then uid; an unknown score last', () => {
    const pods = [
      out('unknown', { score: NaN }),
      out('z', { score: 2 }),
      out('y', { score: 2 }),
      out('often', { score: 2, retryCount: 3 }),
      out('mild', { score: 1.1, retryCount: 9 }),
    ];
    for (const [floor, expected] of [
      [0, []],
      [1, ['mild']],
      [3, ['mild', 'y', 'z']],
      [9, ['mild', 'y', 'z', 'often', 'unknown']],
    ] as const) {
      const { breakers } = spec({}, { minPodsAvailableCount: floor });
      expect(names(floorRepairs(pods, breakers.slice(0, 1)))).toEqual(expected);
    }
  });

  test('neither paused nor exempt, nor unready, nor those of another breaker', () => {
    const { breakers } = spec({}, { minPodsAvailableCount: 9 });
    const pods = [
      pod('paused', { traffic: 'pause' }),
      out('exempt', { exempt: true }),
      out('unready', { ready: false }),
      out('other', { strategy: 'errors' }),
      out('removed', { strategy: 'removed' }),
      out('mine'),
    ];
    expect(names(floorRepairs(pods, breakers.slice(0, 1)))).toEqual(['mine']);
  });

  test('nor those that cannot be brought back now: the next least bad takes the place', () => {
    const { breakers } = spec({}, { minPodsAvailableCount: 1 });
    const pods = [out('mild', { score: 1 }), out('bad', { score: 2 })];
    expect(names(floorRepairs(pods, breakers.slice(0, 1), ({ name }) => name !== 'mild'))).toEqual(['bad']);
  });

  test('the highest floor first, for what it brings back counts for the lower ones', () => {
    const { breakers } = spec({}, { minPodsAvailableCount: 3 });
    const pods = ['a', 'b', 'c'].map((name) => out(name));
    pods.push(out('d', { strategy: 'errors' }));
    expect(names(floorRepairs(pods, breakers))).toEqual(['a', 'b', 'c']);
    expect(names(floorRepairs(pods, [...breakers].reverse()))).toEqual(['a', 'b', 'c']);
  });
});
