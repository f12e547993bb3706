/** What a round was allowed: by what its message may have known, not by what stands when its write arrives. */
import { beforeEach, describe, expect, test } from '@jest/globals';
import type { ResourceManifest, ServiceManifest, Span } from './allowed.ts';
import { Observer, type Holder, type ObservedPod } from './observer.ts';

const KEY = { 'kubervisor/traffic': 'yes' };
const OWNED = { app: 'cart', 'kubervisor/name': 'cart', 'kubervisor/traffic': 'yes' };

let time: number;
let observer: Observer;
let pods: ObservedPod[];
beforeEach(() => {
  time = 1000;
  observer = new Observer(() => time);
  pods = ['a', 'b', 'c', 'd'].map((name) => aPod(name));
  observer.resourcesAre([resource()]);
  observer.servicesAre([service('cart', { app: 'cart', ...KEY })]);
});

const aPod = (name: string, labels: Record<string, string> = OWNED): ObservedPod => ({
  metadata: { name, uid: `uid-${name}`, labels },
  status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
});
const relabelled = (pod: ObservedPod, labels: Record<string, string | undefined>): ObservedPod => ({
  ...pod,
  metadata: {
    ...pod.metadata,
    labels: Object.fromEntries(
      Object.entries({ ...pod.metadata.labels, ...labels }).filter(
        (entry): entry is [string, string] => entry[1] !== undefined,
      ),
    ),
  },
});
const out = (pod: ObservedPod, strategy = 'errors') =>
  relabelled(pod, { 'kubervisor/traffic': 'no', 'kubervisor/strategy': strategy });

const resource = (
  spec: Partial<ResourceManifest['spec']> = {},
  { name = 'cart', uid = `uid-${name}`, born = 0 }: { name?: string; uid?: string; born?: number } = {},
): ResourceManifest => ({
  metadata: { name, uid, creationTimestamp: new Date(born).toISOString() },
  spec: { service: 'cart', breakers: [{ name: 'errors' }], ...spec },
});
const service = (name: string, selector: Record<string, string>): ServiceManifest => ({
  metadata: { name },
  spec: { selector },
});

/** A round that claims, lists, and takes out the first pods, all within the time that stands. */
function breaks(count: number, { known = { from: time, to: time }, ...of }: Partial<Holder> & { known?: Span } = {}) {
  const holder: Holder = {
    ...{
      process: 'breaker-1',
      kind: 'evaluate',
      round: 'r-1',
      uid: 'uid-cart',
      name: 'cart',
      known,
      broken: new Set(),
    },
    ...of,
  };
  observer.claimSent(holder);
  observer.claimed(holder);
  observer.listed(holder, observer.sight(pods));
  for (const pod of pods.slice(0, count)) {
    const after = out(pod);
    pods = pods.map((one) => (one === pod ? after : one));
    observer.wrote(observer.left(holder, false), pod, after, pods);
  }
  return observer.violations.map(({ rule }) => rule);
}

describe('a floor that changes', () => {
  beforeEach(() => {
    time = 2000;
    observer.resourcesAre([resource({ breakers: [{ name: 'errors', minPodsAvailableCount: 3 }] })]);
    time = 3000;
  });
  test('binds the rounds whose message knew of it', () => {
    expect(breaks(2)).toEqual(['B2']);
  });
  test('does not bind the one that was published before', () => {
    expect(breaks(3, { known: { from: 1500, to: 1500 } })).toEqual([]);
  });
  test('and the one before does not bind who may have known of neither', () => {
    expect(breaks(4, { known: { from: 1500, to: 3000 } })).toEqual(['B2']);
  });
});

describe('A6: what does not enforce', () => {
  test.each<[string, () => void]>([
    ['a resource in dryRun', () => observer.resourcesAre([resource({ mode: 'dryRun' })])],
    [
      'a breaker that is disabled',
      () => observer.resourcesAre([resource({ breakers: [{ name: 'errors', mode: 'disabled' }] })]),
    ],
    ['a Service without our key', () => observer.servicesAre([service('cart', { app: 'cart' })])],
    ['a resource that is gone', () => observer.resourcesAre([])],
    ['one that was made anew', () => observer.resourcesAre([resource({}, { uid: 'uid-2' })])],
    [
      'the younger of two on a Service',
      () => observer.resourcesAre([resource({}, { born: 5 }), resource({}, { name: 'old' })]),
    ],
    ['a breaker that was removed', () => observer.resourcesAre([resource({ breakers: [{ name: 'slow' }] })])],
  ])('%s touches nothing', (_, change) => {
    time = 2000;
    change();
    const before = time - 1;
    time = 3000;
    expect(breaks(1)).not.toEqual([]);
    observer.violations.length = 0;
    pods = pods.map((pod) => relabelled(pod, OWNED));
    expect(breaks(1, { known: { from: before, to: before } })).toEqual([]);
  });
});

test('F5: a pod that the Service of another enforcing resource selects as well is left alone', () => {
  observer.resourcesAre([resource(), resource({ service: 'all' }, { name: 'all' })]);
  observer.servicesAre([service('cart', { app: 'cart', ...KEY }), service('all', { app: 'cart', ...KEY })]);
  expect(breaks(1)).toEqual(['F5']);
});

test('W3: a resource that was made anew has the fleet of the one before, so their rounds must not overlap', () => {
  const first: Holder = {
    ...{ process: 'breaker-1', kind: 'evaluate', round: 'r-0', uid: 'uid-cart', name: 'cart', broken: new Set() },
    known: { from: time, to: time },
  };
  observer.claimSent(first);
  observer.claimed(first);
  observer.listed(first, observer.sight(pods));
  time = 2000;
  observer.resourcesAre([resource({}, { uid: 'uid-2' })]);
  breaks(1, { uid: 'uid-2' });
  observer.wrote(observer.left(first, false), pods[3]!, out(pods[3]!), pods);
  expect(observer.violations.map(({ rule }) => rule)).toEqual(['W3 overlap']);
});

describe('the controller', () => {
  const now = (): Span => ({ from: time, to: time });
  const problems = () => observer.violations.map(({ rule }) => rule);
  const RELEASED = { 'kubervisor/traffic': 'yes', 'kubervisor/name': undefined, 'kubervisor/strategy': undefined };

  test('F4: lets in what nobody enforces, and nothing else', () => {
    const pod = out(aPod('a'));
    observer.relabelled(now(), pod, relabelled(pod, { ...KEY, 'kubervisor/strategy': undefined }), 'controller-1');
    expect(problems()).toEqual(['F4']);
    time = 2000;
    observer.resourcesAre([resource({ mode: 'disabled' })]);
    observer.relabelled(now(), pod, relabelled(pod, { ...KEY, 'kubervisor/strategy': undefined }), 'controller-1');
    expect(problems()).toEqual(['F4']);
  });
  test('F2: releases whom nobody has, and nobody else', () => {
    time = 100_000;
    const pod = out(aPod('a'));
    observer.relabelled(now(), pod, relabelled(pod, RELEASED), 'controller-1');
    expect(problems()).toEqual(['F2']);
    observer.servicesAre([]);
    observer.relabelled(now(), pod, relabelled(pod, RELEASED), 'controller-1');
    expect(problems()).toEqual(['F2']);
  });
  test('F2: releases whose resource is gone after two looks, not after one', () => {
    const pod = out(aPod('a'));
    observer.resourcesAre([]);
    observer.lookedFor('controller-1', 'cart', false);
    observer.relabelled(now(), pod, relabelled(pod, RELEASED), 'controller-1');
    expect(problems()).toEqual(['F2']);
    observer.lookedFor('controller-1', 'cart', false);
    observer.relabelled(now(), pod, relabelled(pod, RELEASED), 'controller-1');
    expect(problems()).toEqual(['F2']);
  });
  test('acts while it has the lease', () => {
    observer.leaseIsOf('controller-1');
    observer.leads('controller-1');
    expect(problems()).toEqual([]);
    observer.leaseIsOf('controller-2');
    observer.leads('controller-1');
    expect(problems()).toEqual(['Leader']);
  });
  test('F1: adopts without a word on traffic', () => {
    const pod = aPod('a', { app: 'cart', 'kubervisor/traffic': 'pause' });
    observer.relabelled(now(), pod, relabelled(pod, { 'kubervisor/name': 'cart' }), 'controller-1');
    expect(problems()).toEqual([]);
    observer.relabelled(now(), pod, relabelled(pod, { 'kubervisor/name': 'cart', ...KEY }), 'controller-1');
    expect(problems()).toEqual(['F1']);
  });
});

describe('stranded', () => {
  const strandedNow = () => observer.stranded(pods).map(({ rule }) => rule);
  test('nobody of a fleet in traffic', () => {
    expect(strandedNow()).toEqual([]);
  });
  test('A7: whoever is still out when all is well', () => {
    pods = [out(aPod('a'))];
    expect(strandedNow()).toEqual(['A7']);
  });
  test('F4: whoever is out for what does not enforce; F2: for nobody; and marks that were left', () => {
    pods = [out(aPod('a')), relabelled(aPod('b'), { 'kubervisor/traffic': 'pause' })];
    observer.resourcesAre([resource({ mode: 'dryRun' })]);
    expect(strandedNow()).toEqual(['F4']);
    observer.resourcesAre([]);
    expect(strandedNow()).toEqual(['F2', 'F2']);
    pods = [aPod('a')];
    expect(strandedNow()).toEqual(['F2']);
  });
  test('F1: whoever gets no traffic for want of a label, or is not adopted', () => {
    pods = [aPod('a', { app: 'cart' }), aPod('b', { app: 'cart', ...KEY })];
    expect(strandedNow()).toEqual(['F1', 'F1']);
    observer.resourcesAre([]);
    expect(strandedNow()).toEqual(['F1']);
  });
});
