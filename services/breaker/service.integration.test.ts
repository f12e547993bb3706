/** Rounds over a real nats-server, with a detector over HTTP; the pods are in memory. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { claimKey } from '@kubervisor/shared/events/subjects';
import { writeTime } from '@kubervisor/shared/pods/codec';
import { counted } from '@kubervisor/runtime/worker/fakes.fixture';
import { startNats, type NatsServer } from '@kubervisor/testing/servers/nats';
import { aWork, heldOf, somePods } from './core/fleet.fixture.ts';
import { startDetector, startLeader, startLiveBreaker, type Detector, type Leader } from './live.fixture.ts';
import { FakeCluster } from './shell/cluster.fixture.ts';

let nats: NatsServer;
let leader: Leader;
let detector: Detector;
let cluster: FakeCluster;
beforeAll(async () => {
  nats = await startNats();
  leader = await startLeader(nats);
}, 60_000);
afterAll(async () => {
  await leader?.stop();
  await nats?.stop();
});
beforeEach(async () => {
  cluster = new FakeCluster(somePods(4));
  detector = await startDetector({ slow: { 'cart-0': 3, 'cart-1': 2 } });
});
afterEach(() => detector.stop());

const workOf = (uid: string, round: string, claimRevision: number, name = 'cart') =>
  aWork({
    ...{ round, claimRevision, pods: somePods(4), breakers: [{ minPodsAvailableCount: 3 }] },
    resource: { namespace: 'shop', name, uid, generation: 1 },
  });

test('work is taken, the detector asked, the pod broken, and the fact names the claim that the next round supersedes', async () => {
  const breaker = await startLiveBreaker(nats, detector, cluster, 'one');
  try {
    await leader.publish(workOf('first', 'first-1', 0));
    const [fact] = await leader.endings('first-1');
    expect(fact).toMatchObject({ outcome: 'completed', breaks: [{ pod: 'cart-0' }] });
    expect(heldOf(fact?.withheld ?? [])).toEqual(['cart-1 FloorReached']);
    expect(cluster.out).toEqual(['cart-0']);
    await leader.facts.until((all) => all.find((subject) => subject === 'kubervisor.fact.pod-broken.shop.cart'));

    await leader.publish(workOf('first', 'first-2', fact?.claim.revision ?? NaN));
    const [next] = await leader.endings('first-2');
    expect(next?.claim.revision).toBeGreaterThan(fact?.claim.revision ?? NaN);
    expect(next?.breaks).toEqual([]);
  } finally {
    await breaker.stop();
  }
});

test('W3: of two breakers with the same message one acts; the other names the revision that it found', async () => {
  const [one, two] = [cluster, new FakeCluster(somePods(4))];
  const breakers = [
    await startLiveBreaker(nats, detector, one, 'one'),
    await startLiveBreaker(nats, detector, two, 'two'),
  ];
  try {
    // The second copy is delivered while the first is under way: nobody is answered before both have asked.
    detector.holding = true;
    const work = workOf('second', 'second-1', 0);
    await leader.publish(work);
    await detector.asked(1);
    await leader.publish(work);
    await detector.asked(2);
    detector.release();
    const facts = await leader.endings('second-1', 2);
    const revision = facts.find(({ outcome }) => outcome === 'completed')?.claim.revision;
    expect(facts.map(({ outcome, claim }) => ({ outcome, claim }))).toEqual(
      expect.arrayContaining([
        { outcome: 'completed', claim: { outcome: 'claimed', revision } },
        { outcome: 'refused', claim: { outcome: 'refused', revision } },
      ]),
    );
    expect([...one.out, ...two.out]).toEqual(['cart-0']);
    expect(one.lists.length + two.lists.length).toBe(1);
  } finally {
    for (const breaker of breakers) await breaker.stop();
  }
});

test('W3: a round of an old leader is refused, and asks Kubernetes nothing', async () => {
  const breaker = await startLiveBreaker(nats, detector, cluster, 'one');
  try {
    const { revision } = await leader.bus.claims.claim(claimKey('third', 'evaluate'), 0, 'another leader');
    await leader.publish(workOf('third', 'third-1', 0));
    expect((await leader.endings('third-1'))[0]).toMatchObject({ outcome: 'refused', claim: { revision }, judged: {} });
    expect(cluster.lists).toEqual([]);
  } finally {
    await breaker.stop();
  }
});

test('W5: what cannot be read is ended and counted, and the next work is taken', async () => {
  const breaker = await startLiveBreaker(nats, detector, cluster, 'one');
  try {
    await leader.bus.publish('kubervisor.work.evaluate.shop.poison', {
      ...{ specversion: '1.0', id: 'poison', source: '/kubervisor/controller/test', subject: 'shop/poison' },
      ...{ type: 'io.kubervisor.work.evaluate', time: writeTime(Date.now()), datacontenttype: 'application/json' },
      ...{ dataschema: 'https://kubervisor.io/schemas/work.evaluate/v99', data: {} },
    });
    await leader.publish(workOf('fourth', 'fourth-1', 0));
    expect((await leader.endings('fourth-1'))[0]?.outcome).toBe('completed');
    const poison = 'kubervisor_poison_messages_total{kind="evaluate"}';
    expect(await counted(breaker.metrics.registry, poison)).toBe(1);
  } finally {
    await breaker.stop();
  }
});

test('V1, W7: while the detector is away nobody is broken; when it is back the next round acts', async () => {
  const breaker = await startLiveBreaker(nats, detector, cluster, 'one');
  const away = detector;
  try {
    await away.stop();
    await leader.publish(workOf('fifth', 'fifth-1', 0));
    const [fact] = await leader.endings('fifth-1');
    expect(fact).toMatchObject({
      outcome: 'completed',
      breakers: [{ result: 'error', error: { reason: 'Unreachable' } }],
    });
    expect(cluster.lists).toEqual([]);

    detector = await startDetector(away.verdicts, Number(new URL(away.url).port));
    await leader.publish(workOf('fifth', 'fifth-2', fact?.claim.revision ?? NaN));
    expect((await leader.endings('fifth-2'))[0]?.breaks).toHaveLength(1);
  } finally {
    await breaker.stop();
  }
});

test('W7: a nats-server that comes back empty costs a round at most, and no restart of anything', async () => {
  const breaker = await startLiveBreaker(nats, detector, cluster, 'one');
  try {
    const back = new Promise<void>((resolve) => leader.bus.onReconnect(resolve));
    await nats.restart({ wipe: true });
    await back;
    await leader.bus.ensure(1);
    await leader.publish(workOf('sixth', 'sixth-1', 0));
    expect((await leader.endings('sixth-1'))[0]?.breaks).toMatchObject([{ pod: 'cart-0' }]);
  } finally {
    await breaker.stop();
  }
});
