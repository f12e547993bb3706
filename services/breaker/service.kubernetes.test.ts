/** Rounds on a Kubernetes API and a real nats-server. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connectKubernetes, type Kubernetes } from '@kubervisor/runtime/kubernetes/client';
import { PATHS, pathIn } from '@kubervisor/runtime/kubernetes/resources';
import type { WorkEvaluate } from '@kubervisor/shared/events/work-evaluate';
import { marksOf, readPod } from '@kubervisor/shared/pods/codec';
import { LABEL } from '@kubervisor/shared/pods/keys';
import type { Pod, RawPod } from '@kubervisor/shared/pods/pod';
import { CLAIM_LIFE, GIVE_UP_SLACK } from '@kubervisor/shared/policy/claim';
import { startCluster, type TestCluster } from '@kubervisor/testing/kubernetes/cluster';
import { startCountingProxy, type Asked, type CountingProxy } from '@kubervisor/testing/kubernetes/counting-proxy';
import { startNats, type NatsServer } from '@kubervisor/testing/servers/nats';
import { startService } from '@kubervisor/testing/services';
import { setTimeout as sleep } from 'node:timers/promises';
import { aWork, heldOf, type WorkText } from './core/fleet.fixture.ts';
import { log, startDetector, startLeader, startLiveBreaker, type Detector, type Leader } from './live.fixture.ts';
import type { BreakerPorts } from './service.ts';

let cluster: TestCluster;
let nats: NatsServer;
let leader: Leader;
let kubernetes: Kubernetes;
let detector: Detector;
/** Before the API server, for those whose requests are counted and held. */
let proxy: CountingProxy;
let counted: Kubernetes;
beforeAll(async () => {
  [cluster, nats, detector] = await Promise.all([startCluster({ runPods: false }), startNats(), startDetector()]);
  kubernetes = connectKubernetes({ kubeconfigFile: cluster.kubeconfig, userAgent: 'kubervisor-tests' }, log);
  proxy = await startCountingProxy(readFileSync(cluster.kubeconfig, 'utf8'));
  counted = connectKubernetes({ kubeconfigFile: proxy.kubeconfig, userAgent: 'kubervisor-breaker' }, log);
  leader = await startLeader(nats);
}, 120_000);
afterAll(async () => {
  await leader?.stop();
  await Promise.all([kubernetes?.close(), counted?.close()]);
  await proxy?.close();
  await detector?.stop();
  await nats?.stop();
  await cluster?.stop();
}, 60_000);

/** A fleet of ready pods `cart-0` … in a namespace of its own; nobody but the test and the breakers changes them. */
async function aFleet(size: number) {
  const namespace = await cluster.namespace();
  const uid = randomUUID();
  const pod = async (name: string): Promise<Pod> => {
    const body = {
      metadata: { name, labels: { app: 'cart', [LABEL.name]: 'cart', [LABEL.traffic]: 'yes' } },
      spec: { schedulerName: 'nobody', containers: [{ name: 'main', image: 'registry.example/main' }] },
    };
    await kubernetes.api.request('POST', pathIn(PATHS.pods, namespace), { body });
    const lastTransitionTime = new Date(Date.now() - 600_000).toISOString().replace(/\.\d+/, '');
    const status = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True', lastTransitionTime }] };
    const raw = await kubernetes.api.request<RawPod>('PATCH', pathIn(PATHS.pods, namespace, name, 'status'), {
      ...{ body: { status }, contentType: 'application/strategic-merge-patch+json' },
    });
    return readPod(raw);
  };
  const pods = await Promise.all(Array.from({ length: size }, (_, index) => pod(`cart-${index}`)));
  let round = 0;
  return {
    namespace,
    pods,
    list: () => kubernetes.listPods(namespace, 'app=cart'),
    out: async () =>
      (await kubernetes.listPods(namespace, 'app=cart'))
        .filter((one) => marksOf(one).traffic === 'no')
        .map(({ name }) => name)
        .sort(),
    relabel: (name: string, labels: Record<string, string>) =>
      kubernetes.api.request('PATCH', pathIn(PATHS.pods, namespace, name), {
        ...{ body: { metadata: { labels } }, contentType: 'application/merge-patch+json' },
      }),
    work: (text: WorkText = {}): WorkEvaluate =>
      aWork({
        ...{ pods, round: `${uid}-${++round}`, resource: { namespace, name: 'cart', uid, generation: 1 } },
        ...text,
      }),
  };
}

/** `cart-0` the worst. */
const bad = (count: number) => ({
  slow: Object.fromEntries(Array.from({ length: count }, (_, index) => [`cart-${index}`, 100 - index])),
});

async function withBreakers<T>(use: () => Promise<T>, ...each: Partial<BreakerPorts['kubernetes']>[]): Promise<T> {
  const breakers = await Promise.all(
    each.map((over, index) => startLiveBreaker(nats, detector, { ...kubernetes, ...over }, `breaker-${index}`)),
  );
  try {
    return await use();
  } finally {
    for (const breaker of breakers) await breaker.stop();
  }
}

test('B1, W4, W6: a round takes the worst out, down to the floor, and the marks stand on the pods', async () => {
  const fleet = await aFleet(40);
  detector.verdicts = bad(40);
  await withBreakers(async () => {
    const work = fleet.work({ breakers: [{ minPodsAvailableRatio: 60 }] });
    await leader.publish(work);
    const [fact] = await leader.endings(work.round);
    expect(fact?.breaks.map(({ pod }) => pod)).toEqual(Array.from({ length: 16 }, (_, index) => `cart-${index}`));
    expect(fact?.withheld).toHaveLength(24);
    expect(await fleet.out()).toEqual(fact?.breaks.map(({ pod }) => pod).sort());
    const marks = marksOf((await kubernetes.getPod(fleet.namespace, 'cart-0')) as Pod);
    expect(marks).toMatchObject({ strategy: 'slow', retryCount: 1, breakAt: Date.parse(fact?.breaks[0]?.at ?? '') });
    expect(marks.reason).toBe('the breaker judged the pod bad (score=100)');
  }, {});
});

test('W3: of two breakers with the same message one acts, and the floor holds', async () => {
  const fleet = await aFleet(10);
  detector.verdicts = bad(10);
  detector.holding = true;
  await withBreakers(
    async () => {
      const work = fleet.work({ breakers: [{ minPodsAvailableCount: 6 }] });
      const before = detector.requests.length;
      await leader.publish(work);
      await detector.asked(before + 1);
      await leader.publish(work);
      await detector.asked(before + 2);
      detector.release();
      const facts = await leader.endings(work.round, 2);
      expect(facts.map(({ outcome }) => outcome).sort()).toEqual(['completed', 'refused']);
      expect(facts.map(({ breaks }) => breaks.length).sort()).toEqual([0, 4]);
      expect(await fleet.out()).toEqual(['cart-0', 'cart-1', 'cart-2', 'cart-3']);
    },
    {},
    {},
  );
});

const isList = ({ method, url }: Asked): boolean => method === 'GET' && url.includes('/pods?');
const isPatch = ({ method }: Asked): boolean => method === 'PATCH';

/** Holds the first request that fits, before it is handed on or before it is answered. `reached`: it is there. */
function hold(where: 'before' | 'after', fits: (asked: Asked) => boolean) {
  const reached = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  let isFirst = true;
  proxy[where] = (asked) => {
    if (!isFirst || !fits(asked)) return;
    isFirst = false;
    reached.resolve();
    return released.promise;
  };
  return {
    reached: reached.promise,
    release() {
      proxy[where] = () => {};
      released.resolve();
    },
  };
}

describe.each([
  ['the same message', 0],
  ['the next round, which supersedes the same claim', 1],
] as const)('W3: of two breakers one acts, where the second gets %s', (_, ahead) => {
  test.each([
    ['lists', 'before', isList],
    ['waits for the list', 'after', isList],
    ['patches', 'before', isPatch],
    ['waits for the answer to a patch', 'after', isPatch],
  ] as const)('while the first %s', async (_what, where, fits) => {
    const fleet = await aFleet(6);
    detector.verdicts = bad(6);
    const breakers = [{ minPodsAvailableCount: 4 }];
    const first = fleet.work({ breakers });
    const second = ahead === 0 ? first : { ...fleet.work({ breakers }), claimRevision: first.claimRevision };
    const from = proxy.asked.length;
    await withBreakers(
      async () => {
        const brake = hold(where, fits);
        await leader.publish(first);
        await brake.reached;
        await leader.publish(second);
        // The first is held, so this is the second's.
        const [refused] = await leader.endings(second.round);
        expect(refused).toMatchObject({ outcome: 'refused', breaks: [] });
        brake.release();
        const facts = await leader.endings(first.round, ahead === 0 ? 2 : 1);
        expect(facts.find(({ outcome }) => outcome === 'completed')?.breaks).toHaveLength(2);
      },
      counted,
      counted,
    );
    expect(await fleet.out()).toEqual(['cart-0', 'cart-1']);
    const asked = proxy.asked.slice(from);
    expect([asked.filter(isList).length, asked.filter(isPatch).length]).toEqual([1, 2]);
  });
});

test('W3: a message of the leader before, delivered when the next leader has had a round, asks Kubernetes for nothing', async () => {
  const fleet = await aFleet(4);
  detector.verdicts = bad(4);
  await withBreakers(async () => {
    const breakers = [{ minPodsAvailableCount: 3 }];
    const of = (leaderId: string, claimRevision: number) => ({
      ...fleet.work({ breakers }),
      ...{ round: `${leaderId}-${randomUUID()}`, claimRevision },
    });
    const mine = of('old', 0);
    await leader.publish(mine);
    const [done] = await leader.endings(mine.round);
    // The old leader is frozen here, and holds the revision that it saw; the next leader's round supersedes it.
    const seen = done?.claim.revision ?? NaN;
    const next = of('next', seen);
    await leader.publish(next);
    expect((await leader.endings(next.round))[0]).toMatchObject({ outcome: 'completed' });
    const from = proxy.asked.length;
    for (const late of [of('old', seen), of('old', 0)]) {
      await leader.publish(late);
      expect((await leader.endings(late.round))[0]).toMatchObject({ outcome: 'refused', breaks: [] });
    }
    expect(proxy.asked.slice(from)).toEqual([]);
    expect(await fleet.out()).toEqual(['cart-0']);
  }, counted);
});

test('W4: who changed or went between list and patch is told, and only the places that are left are filled', async () => {
  const fleet = await aFleet(6);
  detector.verdicts = bad(6);
  let lists = 0;
  const listPods: Kubernetes['listPods'] = async (...of) => {
    const pods = await kubernetes.listPods(...of);
    if (++lists === 1) {
      // One is gone, one is somebody else's, one was paused by hand: three are available less than the list says.
      await kubernetes.api.request('DELETE', pathIn(PATHS.pods, fleet.namespace, 'cart-0'), {
        body: { gracePeriodSeconds: 0 },
      });
      await fleet.relabel('cart-1', { [LABEL.name]: 'other' });
      await fleet.relabel('cart-2', { [LABEL.traffic]: 'pause' });
    }
    return pods;
  };
  await withBreakers(
    async () => {
      const work = fleet.work({ breakers: [{ minPodsAvailableCount: 2 }] });
      await leader.publish(work);
      const [fact] = await leader.endings(work.round);
      expect(heldOf(fact?.withheld ?? []).slice(0, 3)).toEqual(['cart-0 Gone', 'cart-1 Changed', 'cart-2 Changed']);
      // Of the three that remain one may go.
      expect(fact?.breaks.map(({ pod }) => pod)).toEqual(['cart-3']);
      expect(await fleet.out()).toEqual(['cart-3']);
      expect(heldOf(fact?.withheld ?? []).slice(3)).toEqual(['cart-4 FloorReached', 'cart-5 FloorReached']);
      expect(lists).toBe(2);
    },
    { listPods },
  );
});

test('W3: a process that stood still after its list patches nobody', async () => {
  const fleet = await aFleet(4);
  detector.verdicts = bad(2);
  const listPods: Kubernetes['listPods'] = async (...of) => {
    const pods = await kubernetes.listPods(...of);
    // Nothing of this process runs meanwhile, as if it were frozen; its monotonic clock goes on.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, CLAIM_LIFE);
    return pods;
  };
  await withBreakers(
    async () => {
      const work = fleet.work();
      await leader.publish(work);
      const [fact] = await leader.endings(work.round);
      expect(heldOf(fact?.withheld ?? [])).toEqual(['cart-0 Deadline', 'cart-1 Deadline']);
      expect(await fleet.out()).toEqual([]);
    },
    { listPods },
  );
});

test('W3: a process that is frozen between the answer to its list and its patches until its claim has run out sends none', async () => {
  const fleet = await aFleet(4);
  detector.verdicts = bad(2);
  const breaker = await startService('breaker', 'breaker-frozen', {
    KUBECONFIG: proxy.kubeconfig,
    NATS_URL: nats.url,
    DETECTOR_URL: detector.url,
  });
  try {
    const from = proxy.asked.length;
    const brake = hold('after', isList);
    const work = fleet.work();
    await leader.publish(work);
    await brake.reached;
    breaker.freeze();
    // The answer is in its hands now; nothing of it moves.
    brake.release();
    await sleep(CLAIM_LIFE + 200);
    breaker.thaw();
    const [fact] = await leader.endings(work.round);
    expect(heldOf(fact?.withheld ?? [])).toEqual(['cart-0 Deadline', 'cart-1 Deadline']);
    expect(proxy.asked.slice(from).filter(isList)).toHaveLength(1);
    // Nor does its HTTP client find any that waited.
    await sleep(1000);
    expect(proxy.asked.slice(from).filter(isPatch)).toEqual([]);
    expect(await fleet.out()).toEqual([]);
  } finally {
    await breaker.stop();
  }
});

test('A6: a dry run tells what it would break and touches no pod', async () => {
  const fleet = await aFleet(4);
  detector.verdicts = bad(2);
  const before = await fleet.list();
  await withBreakers(async () => {
    const work = fleet.work({ mode: 'dryRun' });
    await leader.publish(work);
    const [fact] = await leader.endings(work.round);
    expect(fact?.breaks.map(({ pod, enforced }) => [pod, enforced])).toEqual([
      ['cart-0', false],
      ['cart-1', false],
    ]);
    expect((await fleet.list()).map(({ resourceVersion }) => resourceVersion)).toEqual(
      before.map(({ resourceVersion }) => resourceVersion),
    );
  }, {});
});

test('W3, W7: the service as a process: it breaks, frozen for too long it gives the round up, and it ends gracefully', async () => {
  const fleet = await aFleet(4);
  detector.verdicts = bad(1);
  const breaker = await startService('breaker', 'breaker-1', {
    KUBECONFIG: cluster.kubeconfig,
    NATS_URL: nats.url,
    DETECTOR_URL: detector.url,
  });
  try {
    const breakers = [{ evaluationPeriod: 1 }];
    const first = fleet.work({ breakers });
    await leader.publish(first);
    const [fact] = await leader.endings(first.round);
    expect(fact?.breaks).toMatchObject([{ pod: 'cart-0' }]);
    expect((await fetch(`${breaker.url}/readyz`)).status).toBe(200);
    expect(await breaker.metrics()).toContain('kubervisor_breaks_total{enforced="true"} 1');
    expect(breaker.log.filter(({ msg }) => msg === 'pod broken')).toMatchObject([
      { namespace: fleet.namespace, service: 'cart', pod: 'cart-0', breaker: 'slow', round: first.round },
    ]);

    detector.verdicts = { slow: { 'cart-1': 5 } };
    detector.holding = true;
    const second = fleet.work({ breakers, claimRevision: fact?.claim.revision ?? NaN });
    const before = detector.requests.length;
    await leader.publish(second);
    await detector.asked(before + 1);
    breaker.freeze();
    detector.release();
    await sleep(1000 + GIVE_UP_SLACK + 500);
    breaker.thaw();
    const [given] = await leader.endings(second.round);
    expect(given).toMatchObject({ outcome: 'givenUp', claim: { outcome: 'notTried' }, breaks: [] });
    expect(await fleet.out()).toEqual(['cart-0']);
  } finally {
    await breaker.stop();
  }
  expect(breaker.log.at(-1)).toMatchObject({ msg: 'stopped' });
});
