/** Whole evaluations, from the message to the fact, with every fault on the way. */
import { beforeEach, describe, expect, test } from '@jest/globals';
import { activator } from '@kubervisor/shared/crd/kubervisor-service';
import { encodeEvent } from '@kubervisor/shared/events/envelope';
import type { EvaluationCompleted } from '@kubervisor/shared/events/evaluation-completed';
import type { PodFact } from '@kubervisor/shared/events/facts';
import { workEvaluate, type WorkEvaluate } from '@kubervisor/shared/events/work-evaluate';
import type { EvaluationRequest, EvaluationResponse } from '@kubervisor/shared/detection/service';
import { EDITS, edited } from '@kubervisor/shared/pods/codec';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { CLAIM_LIFE, PATCH_TIMEOUT } from '@kubervisor/shared/policy/claim';
import { aMessage, counted, FakeBus, FakeClock, fakePorts } from '@kubervisor/runtime/worker/fakes.fixture';
import { roundHandler } from '@kubervisor/runtime/worker/round';
import {
  aPod,
  aWork,
  anAnswer,
  before,
  heldOf,
  NOW,
  somePods,
  verdictsOf,
  type Verdicts,
  type WorkText,
} from '../core/fleet.fixture.ts';
import { FakeCluster } from './cluster.fixture.ts';
import { breakerMetrics } from './metrics.ts';
import { evaluationRound } from './round.ts';

let bus: FakeBus;
let clock: FakeClock;
let ports: ReturnType<typeof fakePorts>;
let cluster: FakeCluster;
let asked: { request: EvaluationRequest; timeout: number }[];
let waits: number[];
let errors: Record<string, EvaluationResponse['error']>;
/** By the leader's clock. */
let sentAt: number;

beforeEach(() => {
  bus = new FakeBus();
  clock = new FakeClock();
  ports = fakePorts(bus, clock);
  cluster = new FakeCluster([]);
  asked = [];
  waits = [];
  errors = {};
  sentAt = NOW;
});

interface Played {
  fact: EvaluationCompleted;
  podFacts: PodFact[];
  settled: string[];
}

/** `scores`: of the detectors, by breaker and pod. `pods`: those of the message, and of the cluster unless it was set up before. */
async function play(
  text: WorkText & { pods: Pod[] },
  verdicts: Verdicts,
  work: WorkEvaluate = aWork(text),
): Promise<Played> {
  if (cluster.pods.length === 0) cluster.pods = text.pods;
  const round = evaluationRound({
    ...ports,
    breakerMetrics: ports.allMetrics.declare(breakerMetrics),
    kubernetes: cluster,
    ask: async (request, timeout) => {
      asked.push({ request, timeout });
      const error = errors[request.breaker];
      if (error !== undefined) return { ...anAnswer(), error };
      const names = request.pods.map(({ name }) => name);
      return anAnswer(verdictsOf(names, verdicts[request.breaker] ?? {}));
    },
    wait: async (milliseconds) => {
      waits.push(milliseconds);
      clock.time += milliseconds;
    },
  });
  const stamp = { id: '1', source: '/test', time: sentAt };
  const message = aMessage(JSON.stringify(encodeEvent(workEvaluate, 'shop/cart', work, stamp)));
  await roundHandler(round, ports)(message);
  const [fact] = bus.data<EvaluationCompleted>('kubervisor.round.evaluate.shop.cart');
  if (fact === undefined) throw new Error('no fact was published');
  return { fact, podFacts: bus.data<PodFact>('kubervisor.fact.pod-broken.shop.cart'), settled: message.settled };
}

const brokenIn = (fact: EvaluationCompleted) => fact.breaks.map(({ pod }) => pod);
/** `cart-0` the worst. */
const bad = (...indices: number[]) => Object.fromEntries(indices.map((index) => [`cart-${index}`, 10 - index]));

describe('a clock that is ten minutes off', () => {
  const OFF = 600_000;
  /** Ten seconds of probation, and two retries forgiven after 700 s. */
  const DECAYS = { gracePeriod: 5, evaluationPeriod: 5, activator: activator.parse({ retryDecayPeriod: 300 }) };
  const clocks = {
    'the breaker': (off: number) => (ports.now = () => NOW + off),
    'the leader': (off: number) => (sentAt += off),
  };
  const each = (Object.keys(clocks) as (keyof typeof clocks)[]).flatMap(
    (whose) =>
      [
        [whose, OFF],
        [whose, -OFF],
      ] as const,
  );
  const fleet = (youngest: Parameters<typeof somePods>[1]) => [...somePods(1, youngest), ...somePods(4).slice(1)];

  test.each(each)('V4: %s, %p ms ahead: nobody is judged in the grace period', async (whose, off) => {
    clocks[whose](off);
    await play({ pods: fleet({ readyFor: 30 }), breakers: [{ gracePeriod: 60 }] }, { slow: bad(0, 1) });
    expect(cluster.out).toEqual(['cart-1']);
  });

  test.each(each)('V4, B5: %s, %p ms ahead: nor broken, where only the fresh list shows it', async (whose, off) => {
    clocks[whose](off);
    cluster = new FakeCluster(fleet({ activeFor: 30 }));
    const { fact } = await play({ pods: somePods(4), breakers: [{ gracePeriod: 60 }] }, { slow: bad(0, 1) });
    expect(cluster.out).toEqual(['cart-1']);
    expect(heldOf(fact.withheld)).toEqual(['cart-0 GracePeriod']);
  });

  test.each([OFF, 0, -OFF])(
    'A2, A3: the breaker, %p ms ahead: what is written is by the clock of the leader',
    async (off) => {
      clocks['the breaker'](off);
      const [relapsed] = somePods(1, { retryCount: 5, activeFor: 700 });
      await play({ pods: [relapsed!, ...somePods(4).slice(1)], breakers: [DECAYS] }, { slow: bad(0) });
      expect(cluster.pods[0]?.annotations).toMatchObject({ 'breaker/breakAt': before(0), 'breaker/retryCount': '4' });
    },
  );

  test('it is told: how far the clock of the machine is ahead', async () => {
    ports.now = () => NOW + OFF;
    await play({ pods: somePods(2) }, {});
    expect(await counted(ports.registry, 'kubervisor_clock_offset_seconds')).toBe(600);
  });
});

describe('a round that breaks', () => {
  test('asks, claims, lists, patches with guards, and tells all of it', async () => {
    const pods = [
      aPod('cart-0', { revision: '7d9', node: 'n1', retryCount: 2, activeFor: 30 }),
      ...somePods(4).slice(1),
    ];
    const { fact, podFacts, settled } = await play({ pods }, { slow: { 'cart-0': 2.5 } });

    expect(asked).toHaveLength(1);
    expect(asked[0]?.timeout).toBe(5000);
    expect(asked[0]?.request).toMatchObject({
      apiVersion: 'detector.kubervisor.io/v1',
      evaluationId: 'r-1/slow',
      timeoutMilliseconds: 4800,
      service: { namespace: 'shop', name: 'cart' },
      breaker: 'slow',
      kind: 'customService',
      detector: 'judge:80',
    });
    expect(asked[0]?.request.pods[0]).toEqual({
      ...{ name: 'cart-0', uid: 'uid-cart-0', node: 'n1', revision: '7d9' },
      readySince: before(3600),
    });
    expect(cluster.lists).toEqual([['shop', 'app=cart']]);
    expect(cluster.patches).toHaveLength(1);
    expect(cluster.patches[0]).toMatchObject({ pod: 'cart-0', deadline: 1000 + CLAIM_LIFE });
    expect(cluster.patches[0]?.operations.filter(({ op }) => op === 'test').map(({ path }) => path)).toEqual([
      '/metadata/uid',
      '/metadata/labels/kubervisor~1name',
      '/metadata/labels/kubervisor~1traffic',
    ]);
    expect(cluster.out).toEqual(['cart-0']);

    const broken = { pod: 'cart-0', uid: 'uid-cart-0', breaker: 'slow', enforced: true, retryCount: 3, score: 2.5 };
    expect(fact).toMatchObject({
      ...{ round: 'r-1', outcome: 'completed', due: ['slow'], errors: [], withheld: [] },
      claim: { outcome: 'claimed', revision: 1 },
      breaks: [{ ...broken, at: before(0), reason: 'the breaker judged the pod bad' }],
      breakers: [
        {
          name: 'slow',
          result: 'anomalous',
          counts: { ok: 3, anomalous: 1, inconclusive: 0, error: 0 },
          budget: { available: 4, total: 4, floor: 1, budget: 3 },
        },
      ],
      outcomes: [{ pod: 'cart-0', uid: 'uid-cart-0', breaker: 'slow', outcome: 'anomalous', score: 2.5 }],
      judged: {},
    });
    expect(podFacts).toMatchObject([{ ...broken, actor: 'breaker', round: 'r-1', reason: 'Anomalous' }]);
    expect(bus.published.map(({ messageId }) => messageId)).toEqual([
      'r-1.pod-broken.uid-cart-0',
      'r-1.evaluate.claimed',
    ]);
    expect(settled).toEqual(['ack']);
    expect(await counted(ports.registry, 'kubervisor_breaks_total{enforced="true"}')).toBe(1);
    expect(await counted(ports.registry, 'kubervisor_evaluations_total{result="anomalous"}')).toBe(1);
    expect(await counted(ports.registry, 'kubervisor_reaction_duration_seconds_count')).toBe(1);
  });

  test('V3: of a breaker that confirms the fact says who was judged', async () => {
    const pods = somePods(3);
    const { fact } = await play({ pods, breakers: [{ confirm: { anomalous: 2, of: 3 } }] }, { slow: bad(0) });
    expect(fact.judged).toEqual({ slow: pods.map(({ uid }) => uid) });
  });

  test('W6: many pods are patched concurrently, within a bound', async () => {
    const pods = somePods(100);
    cluster = new FakeCluster(pods);
    let underWay = 0;
    let most = 0;
    for (const { name } of pods) {
      cluster.fates[name] = async (apply) => {
        most = Math.max(most, ++underWay);
        await new Promise(setImmediate);
        underWay--;
        return apply();
      };
    }
    const { fact } = await play({ pods }, { slow: Object.fromEntries(pods.map(({ name }) => [name, 2])) });
    expect(fact.breaks).toHaveLength(99);
    expect(most).toBe(32);
    expect(heldOf(fact.withheld)).toHaveLength(1);
    expect(
      await counted(ports.registry, 'kubervisor_breaks_withheld_total{reason="FloorReached",enforced="true"}'),
    ).toBe(1);
  });

  test('B3: all due breakers are asked at once and decided on together', async () => {
    const breakers = [{ name: 'a', minPodsAvailableCount: 2 }, { name: 'b', minPodsAvailableCount: 2 }, { name: 'c' }];
    const { fact } = await play({ pods: somePods(4), breakers, due: ['a', 'b'] }, { a: bad(1, 2), b: bad(0) });
    expect(asked.map(({ request }) => request.breaker)).toEqual(['a', 'b']);
    expect(fact.breaks.map(({ pod, breaker }) => [pod, breaker])).toEqual([
      ['cart-0', 'b'],
      ['cart-1', 'a'],
    ]);
    expect(heldOf(fact.withheld)).toEqual(['cart-2 FloorReached']);
  });
});

describe('a round that breaks nobody', () => {
  test('B5: with nothing to break it makes no Kubernetes call, but claims (W3) and tells', async () => {
    const { fact, settled } = await play({ pods: somePods(3) }, {});
    expect([cluster.lists, cluster.patches]).toEqual([[], []]);
    expect(fact).toMatchObject({
      ...{ outcome: 'completed', claim: { outcome: 'claimed', revision: 1 }, breaks: [], withheld: [] },
      breakers: [{ result: 'ok', counts: { ok: 3 } }],
    });
    expect(settled).toEqual(['ack']);
  });

  test('P: a panic makes no Kubernetes call either, and says what is common', async () => {
    const pods = somePods(3);
    const { fact } = await play({ pods, breakers: [{ panicThreshold: 50 }] }, { slow: bad(0, 1) });
    expect(cluster.lists).toEqual([]);
    expect(fact.breakers).toMatchObject([{ result: 'panic', message: '2 of 3 bad, more than 50 %' }]);
    expect(heldOf(fact.withheld)).toEqual(['cart-0 FleetAnomalous', 'cart-1 FleetAnomalous']);
  });

  test('V1: a detector that could not answer breaks nobody, says why, and stops no other breaker', async () => {
    errors['a'] = { reason: 'Timeout', message: 'no answer within 4800 ms' };
    const { fact } = await play(
      { pods: somePods(4), breakers: [{ name: 'a', confirm: { anomalous: 1, of: 2 } }, { name: 'b' }] },
      { b: bad(3) },
    );
    expect(fact.breakers).toMatchObject([
      { name: 'a', result: 'error', error: { reason: 'Timeout' }, counts: { ok: 0, error: 4 } },
      { name: 'b', result: 'anomalous' },
    ]);
    expect(brokenIn(fact)).toEqual(['cart-3']);
    // V3: who was not judged is not counted as good.
    expect(fact.judged['a']).toEqual([]);
  });

  test('V4: where nobody may be judged nobody is asked, and that is inconclusive', async () => {
    const { fact } = await play({ pods: somePods(2, { readyFor: 1 }), breakers: [{ gracePeriod: 60 }] }, {});
    expect(asked).toEqual([]);
    expect(fact.breakers).toMatchObject([
      { result: 'inconclusive', message: expect.stringContaining('no pod to judge') },
    ]);
  });

  test('W3: refused, it leaves Kubernetes alone and reports no verdict', async () => {
    bus.revisions.set('kvs-1.evaluate', 7);
    const { fact, settled } = await play({ pods: somePods(3) }, { slow: bad(0) });
    expect(cluster.lists).toEqual([]);
    expect(fact).toMatchObject({
      outcome: 'refused',
      claim: { outcome: 'refused', revision: 7 },
      outcomes: [],
      judged: {},
    });
    expect(settled).toEqual(['ack']);
  });

  test('W7: where the pods cannot be listed nothing is patched, and the round failed', async () => {
    cluster = new FakeCluster(somePods(3));
    cluster.onList = () => {
      throw new Error('connect ECONNREFUSED');
    };
    const { fact, settled } = await play({ pods: somePods(3) }, { slow: bad(0) });
    expect(cluster.patches).toEqual([]);
    expect(fact).toMatchObject({
      outcome: 'failed',
      errors: ['list of pods for the decision: Error: connect ECONNREFUSED'],
    });
    expect(settled).toEqual(['ack']);
  });
});

describe('W3: the deadline of the claim', () => {
  test('frozen after the list, it patches nobody; all are withheld', async () => {
    const pods = somePods(4);
    cluster = new FakeCluster(pods);
    cluster.onList = () => void (clock.time += CLAIM_LIFE);
    const { fact, settled } = await play({ pods }, { slow: bad(0, 1) });
    expect(cluster.patches).toEqual([]);
    expect(heldOf(fact.withheld)).toEqual(['cart-0 Deadline', 'cart-1 Deadline']);
    expect(fact.outcome).toBe('completed');
    expect(settled).toEqual(['ack']);
  });

  test('frozen between two patches, it starts no other one', async () => {
    const pods = somePods(60);
    cluster = new FakeCluster(pods);
    cluster.fates['cart-0'] = (apply) => {
      clock.time += CLAIM_LIFE;
      return apply();
    };
    const all = Object.fromEntries(pods.map(({ name }, index) => [name, index === 0 ? 9 : 2]));
    const { fact } = await play({ pods }, { slow: all });
    expect(cluster.patches.map(({ pod }) => pod)).toEqual(['cart-0']);
    expect(brokenIn(fact)).toEqual(['cart-0']);
    expect(fact.withheld.filter(({ reason }) => reason === 'Deadline')).toHaveLength(58);
    expect(cluster.lists).toHaveLength(1);
  });

  test('what the client itself found too late is withheld too', async () => {
    cluster = new FakeCluster(somePods(4));
    cluster.fates['cart-0'] = () => ({ result: 'deadline' });
    const { fact } = await play({ pods: somePods(4) }, { slow: bad(0) });
    expect(heldOf(fact.withheld)).toEqual(['cart-0 Deadline']);
  });
});

describe('W4: what becomes of a patch', () => {
  const floorOf4 = [{ minPodsAvailableCount: 4 }];

  test('changed: told, and its place goes to the next worst, after a fresh list', async () => {
    const pods = somePods(5);
    cluster = new FakeCluster(pods);
    cluster.fates['cart-0'] = () => ({ result: 'changed' });
    const { fact } = await play({ pods, breakers: floorOf4 }, { slow: bad(0, 1, 2) });
    expect(cluster.lists).toHaveLength(2);
    expect(brokenIn(fact)).toEqual(['cart-1']);
    expect(heldOf(fact.withheld)).toEqual(['cart-0 Changed', 'cart-2 FloorReached']);
    expect(fact.errors).toEqual([]);
  });

  test('changed because it left traffic by itself: its place is gone with it', async () => {
    const pods = somePods(5);
    cluster = new FakeCluster(pods);
    cluster.fates['cart-0'] = () => {
      cluster.pods = cluster.pods.map((pod) => (pod.name === 'cart-0' ? aPod('cart-0', { traffic: 'pause' }) : pod));
      return { result: 'changed' };
    };
    const { fact } = await play({ pods, breakers: floorOf4 }, { slow: bad(0, 1) });
    expect(fact.breaks).toEqual([]);
    expect(heldOf(fact.withheld)).toEqual(['cart-0 Changed', 'cart-1 FloorReached']);
  });

  test('gone: its place is gone with it', async () => {
    const pods = somePods(5);
    cluster = new FakeCluster(pods);
    cluster.fates['cart-0'] = () => {
      cluster.pods = cluster.pods.filter(({ name }) => name !== 'cart-0');
      return { result: 'gone' };
    };
    const { fact } = await play({ pods, breakers: floorOf4 }, { slow: bad(0, 1) });
    expect(fact.breaks).toEqual([]);
    expect(heldOf(fact.withheld)).toEqual(['cart-0 Gone', 'cart-1 FloorReached']);
  });

  test('refused: an error that is shown, and its place goes to the next worst', async () => {
    const pods = somePods(5);
    cluster = new FakeCluster(pods);
    cluster.fates['cart-0'] = () => ({ result: 'failed', message: '403: a webhook said no' });
    const { fact } = await play({ pods, breakers: floorOf4 }, { slow: bad(0, 1) });
    expect(brokenIn(fact)).toEqual(['cart-1']);
    expect(fact.withheld).toMatchObject([{ pod: 'cart-0', reason: 'PatchFailed', message: '403: a webhook said no' }]);
    expect(fact.errors).toEqual(['patch of cart-0: 403: a webhook said no']);
    expect(waits).toEqual([]);
  });

  test('one after the other refused: each is tried once, and it ends', async () => {
    const pods = somePods(5);
    cluster = new FakeCluster(pods);
    for (const { name } of pods) cluster.fates[name] = () => ({ result: 'failed', message: '403' });
    const { fact } = await play({ pods, breakers: floorOf4 }, { slow: bad(0, 1, 2, 3, 4) });
    expect(cluster.patches.map(({ pod }) => pod)).toEqual(pods.map(({ name }) => name));
    expect(heldOf(fact.withheld)).toEqual(pods.map(({ name }) => `${name} PatchFailed`));
  });

  test('no answer: it counts as broken, so nobody takes its place; and the fact waits until it can take effect no more', async () => {
    const pods = somePods(5);
    cluster = new FakeCluster(pods);
    cluster.fates['cart-0'] = () => {
      clock.time += 500;
      return { result: 'failed', message: 'no answer', uncertain: true };
    };
    const { fact, podFacts } = await play({ pods, breakers: floorOf4 }, { slow: bad(0, 1) });
    expect(fact.breaks).toEqual([]);
    expect(podFacts).toEqual([]);
    expect(heldOf(fact.withheld)).toEqual(['cart-0 PatchFailed', 'cart-1 FloorReached']);
    // It may have waited for a connection, and left just before its client gave it up.
    expect(waits).toEqual([PATCH_TIMEOUT]);
  });

  test('no answer until after the deadline: what was sent left before it, so the wait counts from there', async () => {
    const pods = somePods(5);
    cluster = new FakeCluster(pods);
    cluster.fates['cart-0'] = () => {
      clock.time += CLAIM_LIFE + 500;
      return { result: 'failed', message: 'no answer', uncertain: true };
    };
    await play({ pods, breakers: floorOf4 }, { slow: bad(0, 1) });
    expect(waits).toEqual([PATCH_TIMEOUT - 500]);
  });

  test.each(['reports', 'throws'])(
    'no answer, and the client %s it, but it took effect: told as the break that it is',
    async (how) => {
      const pods = somePods(5);
      cluster = new FakeCluster(pods);
      cluster.fates['cart-0'] = (apply) => {
        apply();
        if (how === 'throws') throw new Error('socket hang up');
        return { result: 'failed', message: 'no answer', uncertain: true };
      };
      const { fact, podFacts } = await play({ pods, breakers: floorOf4 }, { slow: bad(0, 1) });
      expect(brokenIn(fact)).toEqual(['cart-0']);
      expect(podFacts.map(({ pod }) => pod)).toEqual(['cart-0']);
      expect(heldOf(fact.withheld)).toEqual(['cart-1 FloorReached']);
    },
  );

  test('where the places that became free cannot be listed, nobody is put into them', async () => {
    const pods = somePods(5);
    cluster = new FakeCluster(pods);
    cluster.fates['cart-0'] = () => ({ result: 'changed' });
    cluster.onList = () => {
      if (cluster.lists.length > 1) throw new Error('away');
    };
    const { fact } = await play({ pods, breakers: floorOf4 }, { slow: bad(0, 1) });
    expect(fact).toMatchObject({ outcome: 'completed', breaks: [], errors: [expect.stringContaining('Error: away')] });
    expect(heldOf(fact.withheld)).toEqual(['cart-0 Changed', 'cart-1 FloorReached']);
  });

  test('W4: the same message again changes nothing', async () => {
    const pods = somePods(5);
    await play({ pods }, { slow: bad(0) });
    const once = cluster.pods;
    bus.published.length = 0;
    ports = fakePorts(bus, clock);
    const again = await play({ pods }, { slow: bad(0) });
    expect(again.fact.outcome).toBe('refused');
    // And where even the claim lets it through, the pods do not.
    bus.published.length = 0;
    ports = fakePorts(bus, clock);
    const { fact } = await play({ pods }, { slow: bad(0) }, { ...aWork({ pods }), claimRevision: 1 });
    expect(heldOf(fact.withheld)).toEqual(['cart-0 AlreadyOut']);
    expect(cluster.pods).toBe(once);
  });
});

describe('A6: what does not enforce', () => {
  test.each([
    ['a breaker in dryRun', { breakers: [{ mode: 'dryRun' as const }] }],
    ['a resource in dryRun', { mode: 'dryRun' as const }],
    ['a Service without our key', { active: false }],
  ])('%s is decided and told, and no pod is touched', async (_, text) => {
    const { fact, podFacts } = await play({ pods: somePods(3), ...text }, { slow: bad(0, 1, 2) });
    expect(cluster.patches).toEqual([]);
    expect(fact.breaks.map(({ pod, enforced }) => [pod, enforced])).toEqual([
      ['cart-0', false],
      ['cart-1', false],
    ]);
    expect(fact.withheld).toMatchObject([{ pod: 'cart-2', reason: 'FloorReached', enforced: false }]);
    expect(podFacts.map(({ pod, enforced }) => [pod, enforced])).toEqual([
      ['cart-0', false],
      ['cart-1', false],
    ]);
    expect(await counted(ports.registry, 'kubervisor_breaks_total{enforced="false"}')).toBe(2);
  });

  test('beside one that does, it sees what was broken for real', async () => {
    const breakers = [
      { name: 'real', minPodsAvailableCount: 2 },
      { name: 'trial', mode: 'dryRun' as const, minPodsAvailableCount: 2 },
    ];
    const { fact } = await play({ pods: somePods(4), breakers }, { real: bad(0), trial: bad(0, 1, 2) });
    expect(cluster.out).toEqual(['cart-0']);
    expect(fact.breaks.map(({ pod, breaker, enforced }) => [pod, breaker, enforced])).toEqual([
      ['cart-0', 'real', true],
      ['cart-1', 'trial', false],
    ]);
    expect(heldOf(fact.withheld)).toEqual(['cart-0 AlreadyOut', 'cart-2 FloorReached']);
  });

  test('an enforced break that got no answer counts in it as broken', async () => {
    const breakers = [
      { name: 'real', minPodsAvailableCount: 2 },
      { name: 'trial', mode: 'dryRun' as const, minPodsAvailableCount: 2 },
    ];
    cluster = new FakeCluster(somePods(3));
    cluster.fates['cart-0'] = () => ({ result: 'failed', message: 'no answer', uncertain: true });
    const { fact } = await play({ pods: somePods(3), breakers }, { real: bad(0), trial: bad(1) });
    expect(fact.breaks).toEqual([]);
    expect(heldOf(fact.withheld)).toEqual(['cart-0 PatchFailed', 'cart-1 FloorReached']);
  });
});

test('where facts of pods cannot be published the round goes on and is told', async () => {
  bus.failing = { subject: 'kubervisor.fact.', error: new Error('away') };
  const { fact, settled } = await play({ pods: somePods(3) }, { slow: bad(0) });
  expect(brokenIn(fact)).toEqual(['cart-0']);
  expect(settled).toEqual(['ack']);
});

test('the break that is written is that of the codec', async () => {
  await play({ pods: somePods(3) }, { slow: bad(0) });
  const [pod] = somePods(1);
  if (pod === undefined) throw new Error('no pod');
  const observation = { reason: 'the breaker judged the pod bad', score: 10 };
  expect(cluster.pods[0]).toEqual(
    edited(pod, EDITS.break(pod, { breaker: 'slow', at: NOW, retryCount: 1, observation })),
  );
});
