import { describe, expect, test } from '@jest/globals';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { ANNOTATION, LABEL } from '@kubervisor/shared/pods/keys';
import { aPod, before, healthy } from '../core/fleet.fixture.ts';
import { aCluster, aPlayer, aWork, told } from './cluster.fixture.ts';

const out = { traffic: 'no', brokenFor: 3600, retryCount: 1 } as const;
const spent = { traffic: 'no', brokenFor: 42, retryCount: 4 } as const;
const kill = { mode: 'retryAndKill', maxRetryCount: 3 } as const;

const setUp = (...pods: Pod[]) => {
  const cluster = aCluster([...pods, ...healthy(3)]);
  return { cluster, player: aPlayer(cluster) };
};

test('a round claims, lists once, acts, and tells what it did and why', async () => {
  const { cluster, player } = setUp(
    aPod('back', out),
    aPod('aside', spent),
    aPod('unreadable', { traffic: 'no' }),
    aPod('waits', { ...out, brokenFor: 1 }),
  );
  const work = aWork({ mode: 'retryAndPause', maxRetryCount: 3 });
  const fact = await player.play(work);

  expect(player.claims.asked).toEqual([['cart-uid.activate', 0, 'leader-1']]);
  expect(cluster.calls.filter((call) => call.startsWith('list'))).toEqual(['list shop app=cart']);
  expect(cluster.traffic()).toMatchObject({ back: 'yes', aside: 'pause', unreadable: 'no', waits: 'no' });
  expect(cluster.pod('unreadable')?.annotations[ANNOTATION.breakAt]).toBe(before(0));
  expect(told(fact)).toEqual([
    'activated back WaitOver',
    'paused aside RetriesExhausted',
    'stamped unreadable UnreadableBreakAt',
    'withheld waits WaitNotOver',
  ]);
  expect(fact).toMatchObject({ outcome: 'completed', claim: { outcome: 'claimed', revision: 7 }, errors: [] });
  expect(player.facts.map(({ subject }) => subject)).toEqual([
    'kubervisor.fact.pod-activated.shop.cart',
    'kubervisor.fact.pod-paused.shop.cart',
  ]);
  expect(player.facts[0]?.data).toMatchObject({
    pod: 'back',
    actor: 'activator',
    round: 'leader-1',
    breaker: 'slow',
    enforced: true,
    reason: 'WaitOver',
    message: 'broken once, was out for 3600 s',
  });
  const metrics = await player.text();
  expect(metrics).toContain('kubervisor_activations_total{reason="WaitOver",enforced="true"} 1');
  expect(metrics).toContain('kubervisor_pauses_total{reason="RetriesExhausted",enforced="true"} 1');
  expect(metrics).toContain('kubervisor_activations_withheld_total{reason="WaitNotOver",enforced="true"} 1');
  expect(metrics).toContain('kubervisor_rounds_total{kind="activate",outcome="completed"} 1');

  // W4: the same message again, had it the claim again, changes nothing.
  cluster.calls.length = 0;
  await player.play(work);
  expect(cluster.calls).toEqual(['list shop app=cart']);
});

test.each([600_000, -600_000])(
  'A2, V4: its own clock %p ms ahead, it acts and writes by the clock of the leader',
  async (ahead) => {
    const { cluster, player } = setUp(
      aPod('back', out),
      aPod('spent', spent),
      aPod('unreadable', { traffic: 'no' }),
      aPod('waits', { ...out, brokenFor: 1 }),
    );
    player.clock.ahead = ahead;
    const fact = await player.play(aWork({ ...kill, period: 10 }));
    expect(told(fact)).toEqual([
      'killed spent RetriesExhausted',
      'activated back WaitOver',
      'stamped unreadable UnreadableBreakAt',
      'withheld waits WaitNotOver',
    ]);
    // An activatedAt in the past would be no grace period, and so a break for what the pod did before.
    expect(cluster.pod('back')?.annotations[ANNOTATION.activatedAt]).toBe(before(0));
    expect(cluster.pod('unreadable')?.annotations[ANNOTATION.breakAt]).toBe(before(0));
  },
);

test('W3: a refused claim ends the round before it asks anything of Kubernetes', async () => {
  const { cluster, player } = setUp(aPod('a', out));
  player.claims.answer = { outcome: 'refused', revision: 9 };
  const fact = await player.play(aWork());
  expect(fact).toMatchObject({ outcome: 'refused', claim: { outcome: 'refused', revision: 9 }, actions: [] });
  expect(cluster.calls).toEqual([]);
});

test('W7: pods that cannot be listed stay as they are, and the fact says why', async () => {
  const { cluster, player } = setUp(aPod('a', out));
  cluster.faults.list = () => {
    throw new TypeError('fetch failed');
  };
  const fact = await player.play(aWork());
  expect(fact).toMatchObject({ outcome: 'failed', actions: [], withheld: [] });
  expect(fact.errors).toEqual(['list of pods for the decision: TypeError: fetch failed']);
  expect(cluster.traffic()).toMatchObject({ a: 'no' });
});

describe('W4: a patch in vain', () => {
  test.each([
    ['Changed', 'changed'],
    ['Gone', 'gone'],
    ['PatchFailed', 'failed'],
  ] as const)('%s: its place goes to the next in the same round', async (reason, result) => {
    const { cluster, player } = setUp(aPod('first', { ...out, brokenFor: 4000 }), aPod('next', out));
    cluster.faults.patch = ({ name }) => (name === 'first' ? { result, message: 'internal error' } : undefined);
    const fact = await player.play(aWork({ maxConcurrentActivations: 1 }));
    expect(told(fact)).toEqual(['activated next WaitOver', `withheld first ${reason}`]);
    expect(fact.outcome).toBe('completed');
    expect(fact.errors).toEqual(result === 'failed' ? ['first could not be activated: internal error'] : []);
    expect(cluster.traffic()).toMatchObject({ first: 'no', next: 'yes' });
  });

  test('B7: a floor that one cannot restore is restored by the next, and counted once', async () => {
    const { cluster, player } = setUp(
      aPod('mild', { ...out, brokenFor: 1, score: 1 }),
      aPod('bad', { ...out, brokenFor: 1, score: 5 }),
    );
    cluster.faults.patch = ({ name }) => (name === 'mild' ? { result: 'changed' } : undefined);
    const fact = await player.play(aWork({}, { breaker: { minPodsAvailableCount: 4 } }));
    expect(told(fact)).toEqual(['activated bad FloorRestored', 'withheld mild Changed']);
    expect(await player.text()).toContain('kubervisor_floor_repairs_total 1');
  });

  test('one that got no answer holds its place until it is known what came of it', async () => {
    for (const tookEffect of [true, false]) {
      const { cluster, player } = setUp(aPod('first', { ...out, brokenFor: 4000 }), aPod('next', out));
      cluster.faults.patch = ({ name }, apply) => {
        if (name !== 'first') return undefined;
        player.clock.monotonic += 500;
        if (tookEffect) apply();
        return { result: 'failed', message: 'no answer', uncertain: true };
      };
      const fact = await player.play(aWork({ maxConcurrentActivations: 1 }));
      // It may have waited for a connection, and left just before its client gave it up: 2 s after that it can take effect no more.
      expect(player.waits).toEqual([2000]);
      expect(cluster.calls).toEqual(['list shop app=cart', 'patch first', 'list shop app=cart']);
      expect(told(fact)).toEqual(
        tookEffect
          ? ['activated first WaitOver', 'withheld next ConcurrentActivations']
          : ['withheld first PatchFailed', 'withheld next ConcurrentActivations'],
      );
      expect(player.facts).toHaveLength(tookEffect ? 1 : 0);
    }
  });

  test('a client that throws is a patch without an answer', async () => {
    const { cluster, player } = setUp(aPod('a', out));
    cluster.faults.patch = () => {
      throw new TypeError('fetch failed');
    };
    expect(told(await player.play(aWork()))).toEqual(['withheld a PatchFailed']);
    expect(player.waits).toEqual([2000]);
  });
});

describe('W3: when the claim runs out', () => {
  test('nothing more is sent, and what is left is withheld', async () => {
    const pods = Array.from({ length: 40 }, (_, index) => aPod(`p${String(index).padStart(2, '0')}`, out));
    const { cluster, player } = setUp(...pods);
    cluster.faults.patch = ({ name }) => {
      if (name === 'p05') player.clock.monotonic += 3000;
      return undefined;
    };
    const fact = await player.play(aWork());
    // 32 are begun together; one place after the other is free again, but by then it is too late.
    expect(fact.actions.length).toBeLessThan(40);
    expect(fact.withheld.map(({ reason }) => reason)).toEqual(Array(40 - fact.actions.length).fill('Deadline'));
    expect(cluster.calls.filter((call) => call.startsWith('patch'))).toHaveLength(fact.actions.length);
  });

  test('also between the read and the kill', async () => {
    const { cluster, player } = setUp(aPod('a', spent));
    cluster.faults.get = () => (player.clock.monotonic += 3000);
    expect(told(await player.play(aWork(kill)))).toEqual(['withheld a Deadline']);
    expect(cluster.calls).toEqual(['list shop app=cart', 'get a']);
  });

  test('and floors are mended first, then kills are begun', async () => {
    const { cluster, player } = setUp(
      aPod('due', out),
      aPod('mild', { traffic: 'no', brokenFor: 1, strategy: 'errors' }),
      aPod('worst', spent),
    );
    const work = aWork(kill);
    const [slow] = work.spec.breakers;
    if (slow === undefined) throw new Error('no breaker');
    work.spec.breakers.push({ ...slow, name: 'errors', minPodsAvailableCount: 5 });
    await player.play(work);
    expect(cluster.calls.slice(1, 4)).toEqual(['patch mild', 'get worst', 'patch due']);
  });
});

describe('A5: a kill', () => {
  test.each([
    ['evict', 'evict'],
    ['delete', 'delete'],
  ] as const)('killPolicy %s: of exactly the pod that was read again just before', async (killPolicy, verb) => {
    const { cluster, player } = setUp(aPod('a', spent));
    cluster.faults.get = () => cluster.change('a', { ready: false });
    const fact = await player.play(aWork({ ...kill, killPolicy }));
    expect(cluster.calls).toEqual(['list shop app=cart', 'get a', `${verb} a 2`]);
    expect(told(fact)).toEqual(['killed a RetriesExhausted']);
    expect(player.facts.map(({ subject }) => subject)).toEqual(['kubervisor.fact.pod-killed.shop.cart']);
    expect(await player.text()).toContain('kubervisor_kills_total{reason="RetriesExhausted",enforced="true"} 1');
  });

  test.each<[string, Partial<Pod>]>([
    ['is back in traffic', { labels: { ...aPod('a', spent).labels, [LABEL.traffic]: 'yes' } }],
    ['was paused by a person', { labels: { ...aPod('a', spent).labels, [LABEL.traffic]: 'pause' } }],
    ['was released', { labels: { app: 'cart', [LABEL.traffic]: 'no' } }],
    ['is exempt now', { annotations: { ...aPod('a', spent).annotations, [ANNOTATION.exempt]: 'true' } }],
    ['is ending', { terminating: true }],
  ])('not of a pod that meanwhile %s', async (_, over) => {
    const { cluster, player } = setUp(aPod('a', spent));
    cluster.faults.get = () => {
      delete cluster.faults.get;
      cluster.change('a', over);
    };
    expect(told(await player.play(aWork(kill)))).toContain('withheld a Changed');
    expect(cluster.calls.some((call) => /^(evict|delete)/.test(call))).toBe(false);
  });

  test('not of one that is gone, or another of the same name', async () => {
    for (const vanish of [true, false]) {
      const { cluster, player } = setUp(aPod('a', spent));
      const { labels } = aPod('a');
      cluster.faults.get = () => (vanish ? cluster.remove('a') : cluster.change('a', { uid: 'another', labels }));
      expect(told(await player.play(aWork(kill)))[0]).toBe('withheld a Gone');
      expect(cluster.traffic()['a']).toBe(vanish ? undefined : 'yes');
    }
  });

  test('that a PodDisruptionBudget refuses is shown, and no other pod is tried in its place', async () => {
    const { cluster, player } = setUp(aPod('a', { ...spent, retryCount: 9, brokenFor: 100 }), aPod('b', spent));
    cluster.faults.kill = () => ({ result: 'refused', message: 'the budget cart needs 4 healthy pods' });
    const fact = await player.play(aWork(kill));
    expect(told(fact)).toEqual(['withheld a EvictionRefused', 'withheld b KillInProgress']);
    expect(fact.withheld[0]?.message).toBe('the budget cart needs 4 healthy pods');
    expect(cluster.calls).toEqual(['list shop app=cart', 'get a', 'evict a 1']);

    // A7: until its time has come it is the other one’s turn.
    delete cluster.faults.kill;
    const refusedKills = [{ uid: 'uid-a', refusals: 1, nextAttempt: before(-10) }];
    expect(told(await player.play(aWork(kill, { over: { refusedKills } })))).toEqual([
      'killed b RetriesExhausted',
      'withheld a EvictionRefused',
    ]);
  });

  test('of a pod that changed between read and kill is not made; the next worst takes the place', async () => {
    const { cluster, player } = setUp(aPod('a', { ...spent, retryCount: 9, brokenFor: 100 }), aPod('b', spent));
    cluster.faults.kill = ({ name }) => {
      if (name === 'a') cluster.change('a', { ready: false });
      return undefined;
    };
    expect(told(await player.play(aWork(kill)))).toEqual(['killed b RetriesExhausted', 'withheld a Changed']);
  });

  test('without an answer: nobody else is killed until it is known what came of it', async () => {
    for (const tookEffect of [true, false]) {
      const { cluster, player } = setUp(aPod('a', { ...spent, retryCount: 9, brokenFor: 100 }), aPod('b', spent));
      cluster.faults.kill = (_, apply) => {
        if (tookEffect) apply();
        return { result: 'failed', message: 'no answer', uncertain: true };
      };
      const fact = await player.play(aWork(kill));
      expect(told(fact)).toEqual([
        `${tookEffect ? 'killed a RetriesExhausted' : 'withheld a PatchFailed'}`,
        'withheld b KillInProgress',
      ]);
      expect(player.waits).toEqual([2000]);
      expect(cluster.calls.filter((call) => call.startsWith('evict'))).toEqual(['evict a 1']);
    }
  });

  test('is not made where the pod cannot be read; the next worst takes the place', async () => {
    const { cluster, player } = setUp(aPod('a', { ...spent, retryCount: 9, brokenFor: 100 }), aPod('b', spent));
    cluster.faults.get = (name) => {
      if (name === 'a') throw new TypeError('fetch failed');
    };
    const fact = await player.play(aWork(kill));
    expect(told(fact)).toEqual(['killed b RetriesExhausted', 'withheld a PatchFailed']);
    expect(fact.errors).toEqual(['a could not be killed: read before the kill: TypeError: fetch failed']);
  });
});

test('A6: a dry run tells all of this and touches nothing', async () => {
  const { cluster, player } = setUp();
  const belief = { traffic: 'no', breaker: 'slow', breakAt: before(42), retryCount: 1 } as const;
  const simulated = [
    { ...belief, uid: 'uid-healthy-0' },
    { ...belief, uid: 'uid-healthy-1', retryCount: 4 },
  ];
  const fact = await player.play(aWork(kill, { mode: 'dryRun', over: { simulated } }));
  expect(told(fact)).toEqual(['~killed healthy-1 RetriesExhausted', '~activated healthy-0 WaitOver']);
  expect(cluster.calls).toEqual(['list shop app=cart']);
  expect(player.facts.map(({ data }) => [data.pod, data.enforced])).toEqual([
    ['healthy-1', false],
    ['healthy-0', false],
  ]);
  expect(await player.text()).toContain('kubervisor_kills_total{reason="RetriesExhausted",enforced="false"} 1');
});

test('W6: 500 returns go out 32 at a time', async () => {
  const { cluster, player } = setUp(...Array.from({ length: 500 }, (_, index) => aPod(`p${index}`, out)));
  const fact = await player.play(aWork());
  expect(fact.actions).toHaveLength(500);
  expect(cluster.mostAtOnce()).toBe(32);
});

test('W7: a process that dies half-way leaves nothing behind that the next round does not finish', async () => {
  const pods = Array.from({ length: 100 }, (_, index) => aPod(`p${index}`, out));
  const { cluster, player } = setUp(...pods);
  let patched = 0;
  // Dead: what is not yet with the API server never gets there, and nothing is told.
  cluster.faults.patch = () => (patched++ < 40 ? undefined : new Promise<never>(() => undefined));
  void player.play(aWork());
  await new Promise((resolve) => setImmediate(resolve));
  expect(Object.values(cluster.traffic()).filter((traffic) => traffic === 'yes')).toHaveLength(3 + 40);

  delete cluster.faults.patch;
  const fact = await aPlayer(cluster).play(aWork({}, { over: { claimRevision: 7 } }));
  expect(fact.actions).toHaveLength(60);
  expect(Object.values(cluster.traffic()).every((traffic) => traffic === 'yes')).toBe(true);
});
