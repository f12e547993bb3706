/** Rounds over a real nats-server; the pods are in memory. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { claimKey } from '@kubervisor/shared/events/subjects';
import { startNats, type NatsServer } from '@kubervisor/testing/servers/nats';
import { aPod, healthy, NOW } from './core/fleet.fixture.ts';
import { startLeader, startLiveActivator, type Leader } from './live.fixture.ts';
import { aCluster, aWork, told } from './shell/cluster.fixture.ts';

let nats: NatsServer;
let leader: Leader;
beforeAll(async () => {
  nats = await startNats();
  leader = await startLeader(nats);
}, 60_000);
afterAll(async () => {
  await leader?.stop();
  await nats?.stop();
});

const out = { traffic: 'no', breakAt: new Date(NOW).toISOString(), retryCount: 1 } as const;
const workOf = (uid: string, round: string, claimRevision: number) =>
  aWork({}, { over: { round, claimRevision, resource: { namespace: 'shop', name: 'cart', uid, generation: 1 } } });

test('work is taken, the claim is made, pods come back, and the fact names the claim that the next round supersedes', async () => {
  const cluster = aCluster([aPod('a', out), ...healthy(3)]);
  const activator = await startLiveActivator(nats, cluster.kubernetes, 'one');
  try {
    await leader.publish(workOf('first', 'first-1', 0));
    const fact = await leader.fact('first-1');
    expect(told(fact)).toEqual(['activated a WaitOver']);
    expect(cluster.traffic()['a']).toBe('yes');
    expect(leader.facts).toEqual(['kubervisor.fact.pod-activated.shop.cart']);

    cluster.change('a', aPod('a', out));
    await leader.publish(workOf('first', 'first-2', fact.claim.revision));
    expect((await leader.fact('first-2')).claim.revision).toBeGreaterThan(fact.claim.revision);
  } finally {
    await activator.stop();
  }
});

test('W3: of two rounds that supersede the same claim one acts; the other names the revision that it found', async () => {
  const [one, two] = [aCluster([aPod('a', out)]), aCluster([aPod('a', out)])];
  const leading = await leader.bus.claims.claim(claimKey('second', 'activate'), 0, 'another leader');
  const activators = [
    await startLiveActivator(nats, one.kubernetes, 'one'),
    await startLiveActivator(nats, two.kubernetes, 'two'),
  ];
  try {
    await leader.publish(workOf('second', 'second-1', 0));
    const refused = await leader.fact('second-1');
    expect(refused).toMatchObject({ outcome: 'refused', claim: { outcome: 'refused', revision: leading.revision } });
    expect([...one.calls, ...two.calls]).toEqual([]);

    await leader.publish(workOf('second', 'second-2', refused.claim.revision));
    expect(told(await leader.fact('second-2'))).toEqual(['activated a WaitOver']);
    expect([one, two].map(({ calls }) => calls.length).sort()).toEqual([0, 2]);
  } finally {
    for (const activator of activators) await activator.stop();
  }
});

test('W5: what cannot be read is ended, and the next work is taken', async () => {
  const cluster = aCluster([aPod('a', out)]);
  const activator = await startLiveActivator(nats, cluster.kubernetes, 'one');
  try {
    const poison = { ...workOf('third', 'poison', 0), selector: 'no object' } as never;
    await expect(leader.publish(poison)).rejects.toThrow();
    await leader.bus.publish('kubervisor.work.activate.shop.cart', {
      specversion: '1.0',
      id: 'poison',
      source: '/kubervisor/controller/test',
      type: 'io.kubervisor.work.activate',
      subject: 'shop/cart',
      time: new Date().toISOString(),
      datacontenttype: 'application/json',
      dataschema: 'https://kubervisor.io/schemas/work.activate/v99',
      data: {},
    });
    const next = workOf('third', 'third-1', 0);
    next.resource.name = 'cart-2';
    await leader.publish(next);
    expect((await leader.fact('third-1')).outcome).toBe('completed');
  } finally {
    await activator.stop();
  }
});

test('W7: a nats-server that comes back empty costs a round at most, and no restart of anything', async () => {
  const cluster = aCluster([aPod('a', out)]);
  const activator = await startLiveActivator(nats, cluster.kubernetes, 'one');
  try {
    const back = new Promise<void>((resolve) => leader.bus.onReconnect(resolve));
    await nats.restart({ wipe: true });
    await back;
    await leader.bus.ensure(1);
    await leader.publish(workOf('fourth', 'fourth-1', 0));
    expect(told(await leader.fact('fourth-1'))).toEqual(['activated a WaitOver']);
  } finally {
    await activator.stop();
  }
});
