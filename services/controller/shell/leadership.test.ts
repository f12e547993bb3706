import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { Kubernetes } from '@kubervisor/runtime/kubernetes/client';
import type { RecordedEvent } from '@kubervisor/runtime/kubernetes/events';
import { createMetrics, type Metrics } from '@kubervisor/runtime/metrics';
import { NotConnected, type Bus, type ClaimWatcher } from '@kubervisor/runtime/nats/bus';
import type { KubervisorServiceStatus } from '@kubervisor/shared/crd/status';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { CLAIM_EXPIRY } from '@kubervisor/shared/policy/claim';
import { ACTIVATED, NOW, pod, resource, service, spec } from '../core/fixtures.ts';
import { controllerMetrics } from '../metrics.ts';
import { lead, type Leadership } from './leadership.ts';
import { evaluated, FakeBus, FakeCaches, listening } from './world.fixture.ts';

let bus: FakeBus;
let caches: FakeCaches;
let registry: Metrics['registry'];
let leadership: Leadership;
let leading: boolean;
let events: RecordedEvent[];
let statuses: Map<string, KubervisorServiceStatus>;
let rounds: (message: { subject: string; text: string }) => void;
let bucket: string;
let ensure: () => Promise<{ bucketMade: boolean }>;
let watcher: ClaimWatcher;
let ensured: number;
let lines: Record<string, unknown>[];
const pass = (milliseconds: number) => jest.advanceTimersByTimeAsync(milliseconds);
const owned = (name: string) => pod(name, { labels: { 'kubervisor/name': 'cart', 'kubervisor/traffic': 'yes' } });
const metric = async (name: string): Promise<string[]> =>
  (await registry.metrics()).split('\n').filter((line) => line.startsWith(name));
const reasons = () => events.map(({ involved, reason }) => `${involved.kind} ${involved.name} ${reason}`);
const degraded = () => statuses.get('cart')?.conditions?.find(({ type }) => type === 'Degraded');

function start(): Leadership {
  const metrics = createMetrics('controller');
  registry = metrics.registry;
  const listener = listening();
  lines = listener.lines;
  const consumption = { stop: async () => {} };
  return (leadership = lead({
    kubernetes: {
      patchStatus: async (_namespace: string, name: string, status: KubervisorServiceStatus) => {
        statuses.set(name, status);
        return { result: 'written', resourceVersion: '1' };
      },
      patchPod: async (one: Pod) => ({ result: 'patched', pod: one }),
      getKubervisorService: async () => undefined,
    } as unknown as Kubernetes,
    bus: {
      publish: bus.publish,
      subscribeRounds: (handler: typeof rounds) => {
        rounds = handler;
        return consumption;
      },
      subscribeFacts: () => consumption,
      claims: {
        bucket: () => bucket,
        watch: (on: ClaimWatcher) => {
          watcher = on;
          const { begun, claim, current } = on;
          void Promise.resolve().then(() => {
            begun?.(bucket);
            claim('another.evaluate', 1);
            current?.();
          });
          return consumption;
        },
      },
      ensure: () => {
        ensured += 1;
        return ensure();
      },
    } as unknown as Bus,
    caches,
    recorder: {
      record: (event) => void events.push(event),
      stats: { written: 0, dropped: 0, failed: 0 },
      stop: async () => {},
    },
    log: listener.log,
    metrics: metrics.declare(controllerMetrics),
    isLeader: () => leading,
    natsReplicas: 1,
  }));
}

beforeEach(() => {
  jest.useFakeTimers({ now: NOW });
  leading = true;
  bucket = 'bucket';
  [events, statuses, ensured] = [[], new Map(), 0];
  ensure = async () => ({ bucketMade: false });
  bus = new FakeBus();
  caches = new FakeCaches().add({ resource: resource('cart'), service: service('cart', ACTIVATED) });
  for (const name of ['a', 'b', 'c']) caches.add({ pod: owned(name) });
});
afterEach(async () => {
  await leadership.stop();
  jest.useRealTimers();
});

/** Answers every evaluation. */
const answering = (change: Parameters<typeof evaluated>[1] = {}): void => {
  bus.answer = ({ subject, event }) => {
    if (subject.includes('.evaluate.')) setTimeout(() => rounds(evaluated(event.data as never, change)), 5);
  };
};
const report = (change: object) => ({
  name: 'errors',
  counts: { ok: 0, anomalous: 3, inconclusive: 0, error: 0 },
  ignored: {},
  warnings: [],
  ...change,
});

describe('a namespace whose resources change', () => {
  test('is looked at at once, and again for all that follow together', async () => {
    start();
    await pass(1000);
    caches.looks = 0;
    for (let n = 0; n < 200; n++) {
      const name = `s${n}`;
      caches.add({ resource: resource(name, { spec: spec({ service: name }) }) });
      caches.add({ service: service(name, { app: name, 'kubervisor/traffic': 'yes' }) });
      leadership.namespaceChanged('shop');
      await pass(1);
    }
    await pass(100);
    expect(caches.looks).toBeLessThanOrEqual(4);
    await pass(1000);
    // The last one too.
    expect(statuses.get('s199')?.conditions).toBeDefined();
  });
});

describe('metrics', () => {
  test('pods by state, the highest enforced floor, and when each breaker was last evaluated', async () => {
    const breakers = [{ name: 'errors', customService: 'judge', minPodsAvailableRatio: 60 }];
    caches.add({ resource: resource('cart', { spec: spec({ breakers }) }) });
    answering();
    start();
    await pass(6000);
    expect(await metric('kubervisor_fleet_pods')).toContain(
      'kubervisor_fleet_pods{namespace="shop",name="cart",state="available"} 3',
    );
    expect(await metric('kubervisor_floor_pods')).toEqual(['kubervisor_floor_pods{namespace="shop",name="cart"} 2']);
    expect(await metric('kubervisor_last_evaluation')).toHaveLength(1);
    expect(await metric('kubervisor_evaluation_period')).toEqual([
      'kubervisor_evaluation_period_seconds{namespace="shop",name="cart",breaker="errors"} 5',
    ]);
  });

  test('while a detector fails, the time of the last decision stays', async () => {
    answering();
    start();
    await pass(6000);
    const decided = await metric('kubervisor_last_evaluation');
    answering({ breakers: [report({ result: 'error', error: { reason: 'Timeout', message: 'late' } })] as never });
    await pass(11_000);
    expect(await metric('kubervisor_last_evaluation')).toEqual(decided);
    answering();
    await pass(6000);
    expect(await metric('kubervisor_last_evaluation')).not.toEqual(decided);
  });

  const series = async () => [
    ...(await metric('kubervisor_fleet_pods')),
    ...(await metric('kubervisor_floor_pods{')),
    ...(await metric('kubervisor_last_evaluation')),
    ...(await metric('kubervisor_evaluation_period')),
  ];
  test('of a resource that was deleted nothing is left, also when facts of it come later', async () => {
    answering();
    start();
    await pass(6000);
    expect(await series()).toHaveLength(7);
    caches.resources.clear();
    leadership.namespaceChanged('shop');
    await pass(20_000);
    expect(await series()).toEqual([]);
  });

  test('nor of one that is not Ready any more, nor on a controller that leads no more', async () => {
    answering();
    start();
    await pass(6000);
    caches.services.clear();
    leadership.namespaceChanged('shop');
    await pass(1000);
    expect(await series()).toEqual([]);
    caches.add({ service: service('cart', ACTIVATED) });
    leadership.namespaceChanged('shop');
    await pass(6000);
    expect(await series()).toHaveLength(7);
    await leadership.stop();
    expect(await series()).toEqual([]);
  });

  test('nor of a breaker that was removed', async () => {
    answering();
    start();
    await pass(6000);
    caches.add({
      resource: resource('cart', {
        generation: 2,
        spec: spec({ breakers: [{ name: 'other', customService: 'judge' }] }),
      }),
    });
    leadership.namespaceChanged('shop');
    await pass(1000);
    expect((await series()).filter((line) => line.includes('errors'))).toEqual([]);
  });
});

describe('Events', () => {
  test('F1: a selector with our key and no supervisor: once, on the Service', async () => {
    caches = new FakeCaches().add(
      { service: service('lonely', ACTIVATED) },
      ...['a', 'b'].map((name) => ({ pod: pod(name) })),
    );
    start();
    await pass(100);
    expect(reasons()).toEqual(['Service lonely SelectorWithoutSupervisor']);
    // Supervised for a while, then no more: it is told anew.
    caches.add({ resource: resource('lonely', { spec: spec({ service: 'lonely' }) }) });
    leadership.namespaceChanged('shop');
    await pass(100);
    caches.resources.clear();
    leadership.namespaceChanged('shop');
    await pass(100);
    expect(reasons().filter((one) => one.includes('SelectorWithoutSupervisor'))).toHaveLength(2);
  });

  test('F1: a template without the label: once an owner, and in status as long as pods of it are there', async () => {
    caches.add({ pod: pod('d') }, { pod: pod('e') });
    start();
    await pass(100);
    expect(reasons()).toEqual(['KubervisorService cart TemplateWithoutLabel']);
    for (const name of ['d', 'e']) {
      caches.add({ pod: owned(name) });
      leadership.podChanged(owned(name), pod(name));
    }
    await pass(2000);
    const ready = () => statuses.get('cart')?.conditions?.find(({ type }) => type === 'Ready')?.message;
    expect(ready()).toContain('TemplateWithoutLabel');
  });

  test('P: a panic is told when it begins, not with each evaluation', async () => {
    answering({ breakers: [report({ result: 'panic', message: 'all run release 7' }) as never] });
    start();
    await pass(30_000);
    expect(reasons()).toEqual(['KubervisorService cart FleetAnomalous']);
    expect(degraded()).toMatchObject({ status: 'True', reason: 'FleetAnomalous' });
  });
});

describe('what status says when others are away', () => {
  test('no breaker, or no NATS: RoundsMissing', async () => {
    bus.answer = () => {};
    start();
    await pass(60_000);
    expect(degraded()).toMatchObject({ status: 'True', reason: 'RoundsMissing' });
    answering();
    await pass(20_000);
    expect(degraded()).toMatchObject({ status: 'False', reason: 'Healthy' });
  });

  test('no activator: RoundsMissing as well, for nobody comes back', async () => {
    const labels = { 'kubervisor/name': 'cart', 'kubervisor/traffic': 'no', 'kubervisor/strategy': 'errors' };
    caches.add({ pod: pod('a', { labels, annotations: { 'breaker/breakAt': '2020-01-01T00:00:00Z' } }) });
    answering();
    start();
    await pass(30_000);
    expect(degraded()).toMatchObject({ status: 'True', reason: 'RoundsMissing' });
  });
});

describe('streams', () => {
  test('are ensured at the start, every 10 s, and no more by one that leads no more', async () => {
    start();
    await pass(25_000);
    expect(ensured).toBe(3);
    await leadership.stop();
    leadership.connected();
    await pass(60_000);
    expect(ensured).toBe(3);
  });

  test('W3: a bucket that had to be made holds all work for 5 s', async () => {
    caches.add({
      resource: resource('cart', {
        spec: spec({ breakers: [{ name: 'e', customService: 'j', evaluationPeriod: 0.1 }] }),
      }),
    });
    ensure = async () => ({ bucketMade: true });
    start();
    await pass(CLAIM_EXPIRY - 50);
    expect(bus.published).toEqual([]);
    await pass(500);
    expect(bus.published).toHaveLength(1);
  });

  test('W3: where the watch finds another bucket than before, nothing is published for the life of a claim', async () => {
    answering();
    start();
    await pass(CLAIM_EXPIRY + 2000);
    const before = bus.published.length;
    expect(before).toBeGreaterThan(0);
    bucket = 'another bucket';
    watcher.forgotten?.(bucket);
    await pass(CLAIM_EXPIRY - 50);
    expect(bus.published).toHaveLength(before);
    await pass(2000);
    expect(bus.published.length).toBeGreaterThan(before);
    expect(bus.of('evaluate').at(-1)?.work).toMatchObject({ claimRevision: 0, claimBucket: 'another bucket' });
  });

  test('a fault of NATS is told by the bus; another fault is told here', async () => {
    ensure = () => Promise.reject(new NotConnected());
    start();
    await pass(25_000);
    expect(lines.filter(({ msg }) => String(msg).includes('ensured'))).toEqual([]);
    ensure = () => Promise.reject(new Error('no answer'));
    await pass(10_000);
    expect(lines.filter(({ msg }) => String(msg).includes('ensured'))).toHaveLength(1);
  });
});

test('a pod that was released is missing from its old resource at once', async () => {
  start();
  await pass(2000);
  expect(statuses.get('cart')?.available).toBe(3);
  const released = pod('a', { labels: { 'kubervisor/traffic': 'yes', app: 'moved' } });
  caches.add({ pod: released });
  leadership.podChanged(released, owned('a'));
  await pass(1100);
  expect(statuses.get('cart')?.available).toBe(2);
});
