import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { Kubernetes, PatchResult } from '@kubervisor/runtime/kubernetes/client';
import type { JsonPatchOperation } from '@kubervisor/shared/pods/codec';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { ACTIVATED, pod, resource, service } from '../core/fixtures.ts';
import type { KeyQueue } from './key-queue.ts';
import { createMembership, type MembershipReport } from './membership.ts';
import { FakeCaches, listening } from './world.fixture.ts';

let caches: FakeCaches;
let patches: { at: number; pod: string; operations: readonly JsonPatchOperation[] }[];
let looks: string[];
/** What a look at the API finds. */
let find: () => unknown;
let patch: (pod: Pod) => PatchResult | Promise<PatchResult>;
let applied: MembershipReport[];
let leading: boolean;
let membership: KeyQueue;
let lines: Record<string, unknown>[];
const pass = (milliseconds: number) => jest.advanceTimersByTimeAsync(milliseconds);
const out = { 'kubervisor/name': 'cart', 'kubervisor/traffic': 'no', 'kubervisor/strategy': 'errors' };

beforeEach(() => {
  jest.useFakeTimers();
  caches = new FakeCaches();
  [patches, looks, applied, leading] = [[], [], [], true];
  find = () => undefined;
  patch = (one) => ({ result: 'patched', pod: one });
  const listener = listening();
  lines = listener.lines;
  membership = createMembership({
    kubernetes: {
      getKubervisorService: async (namespace: string, name: string) => {
        looks.push(`${namespace}/${name}`);
        return find();
      },
      patchPod: async (one: Pod, operations: readonly JsonPatchOperation[]) => {
        patches.push({ at: performance.now(), pod: one.name, operations });
        return patch(one);
      },
    } as unknown as Kubernetes,
    caches,
    log: listener.log,
    isLeader: () => leading,
    now: () => Date.now(),
    applied: (report) => void applied.push(report),
    count: () => {},
  });
});
afterEach(() => {
  membership.clear();
  jest.useRealTimers();
});

describe('F2: a resource counts as gone when two looks at the API miss it', () => {
  beforeEach(() => void caches.add({ pod: pod('a', { labels: out }) }, { pod: pod('b', { labels: out }) }));

  test('then its pods are released; all of them share the two looks', async () => {
    membership.add('shop/a');
    membership.add('shop/b');
    await pass(499);
    expect(patches).toEqual([]);
    await pass(1);
    expect(patches.map((one) => one.pod)).toEqual(['a', 'b']);
    expect(looks).toHaveLength(2);
  });

  test.each([
    ['is there at the first look', [{}, undefined]],
    ['is there at the second', [undefined, {}]],
    ['the first is not answered', [new Error('no answer'), undefined]],
    ['the second is refused (429)', [undefined, new Error('429')]],
  ])('not where it %s: the pod stays as it is, and is asked about again', async (_, answers) => {
    const left = [...answers];
    find = () => {
      const next = left.length > 0 ? left.shift() : {};
      if (next instanceof Error) throw next;
      return next;
    };
    membership.add('shop/a');
    await pass(10_000);
    expect(patches).toEqual([]);
    expect(looks.length).toBeGreaterThan(2);
  });

  test('while no leader, nothing: also where the lease was lost between the looks and the patch', async () => {
    membership.add('shop/a');
    await pass(100);
    leading = false;
    await pass(60_000);
    expect(patches).toEqual([]);
  });
});

describe('F1: adoption', () => {
  beforeEach(() => void caches.add({ resource: resource('cart'), service: service('cart', ACTIVATED), pod: pod('a') }));

  test('what was changed is told, with namespace, service, resource and pod in the log', async () => {
    membership.add('shop/a');
    await pass(0);
    expect(applied).toMatchObject([{ pod: { name: 'a' }, change: { reason: 'Adopted' } }]);
    expect(lines).toMatchObject([
      { namespace: 'shop', service: 'cart', resource: 'cart', pod: 'a', reason: 'Adopted' },
    ]);
  });

  test.each(['gone', 'changed'] as const)('%s is a result: the watch tells the rest', async (result) => {
    patch = () => ({ result });
    membership.add('shop/a');
    await pass(60_000);
    expect(patches).toHaveLength(1);
    expect(applied).toEqual([]);
  });

  test('a refused or unanswered patch is tried again, ever more seldom', async () => {
    patch = () => ({ result: 'failed', message: 'no answer' });
    membership.add('shop/a');
    await pass(60_000);
    expect(patches.length).toBeGreaterThanOrEqual(6);
    expect(patches.length).toBeLessThanOrEqual(9);
  });

  test('a pod whose labels somebody takes away all the time is not relabelled all the time', async () => {
    // The other is at it again as soon as the watch shows our patch.
    patch = (one) => {
      setTimeout(() => membership.add('shop/a'), 5);
      return { result: 'patched', pod: one };
    };
    membership.add('shop/a');
    await pass(60_000);
    expect(patches.length).toBeLessThan(100);
    expect(patches.length).toBeGreaterThan(5);
  });
});
