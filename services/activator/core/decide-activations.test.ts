import { describe, expect, test } from '@jest/globals';
import type { SimulatedPod } from '@kubervisor/shared/events/common';
import { EDITS, edited, marksOf } from '@kubervisor/shared/pods/codec';
import { LABEL } from '@kubervisor/shared/pods/keys';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { aPod, aSpec, before, decide, healthy, inWords, NOW } from './fleet.fixture.ts';

const kill = { mode: 'retryAndKill', maxRetryCount: 3 } as const;
const pause = { mode: 'retryAndPause', maxRetryCount: 3 } as const;
const out = { traffic: 'no', brokenFor: 3600, retryCount: 1 } as const;
/** Due to be killed 2 s ago: four breaks, so a wait of 40 s; maxPeriod is far. */
const spent = { traffic: 'no', brokenFor: 42, retryCount: 4 } as const;

describe('A2: who waited long enough comes back', () => {
  test('and the others wait', () => {
    const pods = [aPod('due', { ...out, brokenFor: 10 }), aPod('early', { ...out, brokenFor: 9.9 })];
    const decision = decide([...pods, ...healthy(3)], aSpec());
    expect(inWords(decision)).toEqual(['activate due WaitOver', 'withheld early WaitNotOver']);
    expect(decision.activate[0]).toMatchObject({ breaker: 'slow', message: 'broken once, was out for 10 s' });
    expect(decision.nextLook).toBe(NOW + 100);
  });

  test('in the retry modes after a period for each break', () => {
    const pods = [aPod('twice', { ...out, brokenFor: 29, retryCount: 3 }), aPod('once', { ...out, brokenFor: 29 })];
    expect(inWords(decide(pods, aSpec(kill, { breaker: { minPodsAvailableCount: 0 } })))).toEqual([
      'activate once WaitOver',
      'withheld twice WaitNotOver',
    ]);
  });

  test('A1: each by its own activator, those of a removed breaker by the default one', () => {
    const resolved = aSpec({}, { breakers: [{ name: 'slow', activator: { period: 100 } }, { name: 'errors' }] });
    const pods = [
      aPod('slow', { ...out, brokenFor: 20 }),
      aPod('errors', { ...out, brokenFor: 20, strategy: 'errors' }),
      aPod('removed', { ...out, brokenFor: 20, strategy: 'removed' }),
    ];
    expect(inWords(decide([...pods, ...healthy(3)], resolved))).toEqual([
      'activate errors WaitOver',
      'activate removed WaitOver',
      'withheld slow WaitNotOver',
    ]);
  });

  test('A7: unready or not', () => {
    expect(inWords(decide([aPod('a', { ...out, ready: false })], aSpec()))).toEqual(['activate a WaitOver']);
  });

  test('nobody is out: nothing to do, and no next look', () => {
    const decision = decide(healthy(3), aSpec());
    expect(inWords(decision)).toEqual([]);
    expect(decision.nextLook).toBeUndefined();
  });

  test('not those who are ending, done, of another resource, or not selected any more', () => {
    const pods = [
      aPod('ending', { ...out, terminating: true }),
      { ...aPod('done', out), finished: true },
      { ...aPod('other', out), labels: { ...aPod('other', out).labels, [LABEL.name]: 'other' } },
      { ...aPod('unselected', out), labels: { ...aPod('unselected', out).labels, app: 'other' } },
    ];
    expect(inWords(decide([...pods, ...healthy(2)], aSpec()))).toEqual([]);
  });
});

describe('A7: damaged marks', () => {
  test.each([
    ['missing', {}],
    ['not a time', { breakAt: 'yesterday' }],
    ['in a far future', { breakAt: '2099-01-01T00:00:00Z' }],
  ])('breakAt %s: counts as broken now, and is written so', (_, marks) => {
    const decision = decide([aPod('a', { traffic: 'no', retryCount: 2, ...marks }), ...healthy(3)], aSpec());
    expect(inWords(decision)).toEqual(['stamp a UnreadableBreakAt']);
    expect(decision.nextLook).toBe(NOW + 10_000);
  });

  test('retryCount MCCIV counts as a first break: it is brought back, not killed', () => {
    const pods = [aPod('a', { ...out, retryCount: 'MCCIV' }), ...healthy(3)];
    expect(inWords(decide(pods, aSpec(kill)))).toEqual(['activate a WaitOver']);
  });

  test('activatedAt in a far future takes no place among the probations', () => {
    const pods = [aPod('a', out), aPod('b', { activatedAt: '2099-01-01T00:00:00Z' }), ...healthy(2)];
    expect(inWords(decide(pods, aSpec({ maxConcurrentActivations: 1 })))).toEqual(['activate a WaitOver']);
  });
});

describe('A4: who was broken too often', () => {
  test('is killed with retryAndKill, by the activator’s killPolicy', () => {
    for (const killPolicy of ['evict', 'delete'] as const) {
      const decision = decide([aPod('a', spent), ...healthy(3)], aSpec({ ...kill, killPolicy }));
      expect(inWords(decision)).toEqual(['kill a RetriesExhausted']);
      expect(decision.kill[0]?.policy).toBe(killPolicy);
    }
  });

  test('comes back for ever with periodic', () => {
    expect(inWords(decide([aPod('a', { ...out, retryCount: 1000 }), ...healthy(3)], aSpec()))).toEqual([
      'activate a WaitOver',
    ]);
  });

  test('is set aside with retryAndPause, worst first, up to maxPauseCount of the Service', () => {
    const pods = ['a', 'b', 'c'].map((name, index) => aPod(name, { ...spent, brokenFor: 100, retryCount: 4 + index }));
    const hold = { ...pause, maxPauseCount: 2, pauseOverflow: 'hold' } as const;
    expect(inWords(decide([...pods, ...healthy(3)], aSpec(hold)))).toEqual([
      'pause c RetriesExhausted',
      'pause b RetriesExhausted',
      'withheld a PauseLimit',
    ]);
    // The one that is paused already may be another breaker's.
    const [first] = pods;
    const paused = aPod('p', { traffic: 'pause', strategy: 'errors' });
    expect(inWords(decide([paused, ...pods, ...healthy(3)], aSpec(hold)))).toEqual([
      'pause c RetriesExhausted',
      'withheld p Paused',
      'withheld b PauseLimit',
      'withheld a PauseLimit',
    ]);
    expect(inWords(decide([paused, ...(first ? [first] : []), ...healthy(3)], aSpec(pause)))).toEqual([
      'kill a PauseOverflow',
      'withheld p Paused',
    ]);
  });

  test('a paused pod stays until a person brings it back, whatever its marks say, and asks for no next look', () => {
    const decision = decide([aPod('p', { ...spent, traffic: 'pause' }), ...healthy(3)], aSpec(kill));
    expect(inWords(decision)).toEqual(['withheld p Paused']);
    expect(decision.nextLook).toBeUndefined();
  });
});

describe('A5: a kill', () => {
  test('is one a Service at a time: the most often broken, then the longest out, then by uid', () => {
    const pods = [
      aPod('b', { ...spent, brokenFor: 60 }),
      aPod('a', { ...spent, brokenFor: 60 }),
      aPod('longest', { ...spent, brokenFor: 70 }),
      aPod('worst', { ...spent, brokenFor: 60, retryCount: 5 }),
    ];
    const order = ['worst', 'longest', 'a', 'b'];
    for (let left = pods; left.length > 0; left = left.filter(({ name }) => name !== order[0]), order.shift())
      expect(inWords(decide([...left, ...healthy(9)], aSpec(kill)))).toEqual([
        `kill ${order[0]} RetriesExhausted`,
        ...order.slice(1).map((name) => `withheld ${name} KillInProgress`),
      ]);
  });

  test('waits until the pod that was killed before is gone', () => {
    const pods = [aPod('a', spent), aPod('gone soon', { ...spent, terminating: true }), ...healthy(3)];
    const decision = decide(pods, aSpec(kill));
    expect(inWords(decision)).toEqual(['withheld a KillInProgress']);
    expect(decision.withheld[0]?.message).toBe('gone soon is not gone yet');
    expect(decision.nextLook).toBe(NOW + 10_000);
    // A pod in traffic that ends is a scale-down or a release, no kill of ours.
    const other = aPod('old release', { terminating: true });
    expect(inWords(decide([aPod('a', spent), other, ...healthy(3)], aSpec(kill)))).toEqual(['kill a RetriesExhausted']);
  });

  test('A7: if that one never goes, the next comes back, maxPeriod after it was due', () => {
    const stuck = aPod('stuck', { ...spent, terminating: true });
    const at = (brokenFor: number) =>
      inWords(decide([aPod('a', { ...spent, brokenFor }), stuck, ...healthy(3)], aSpec(kill)));
    expect(at(339)).toEqual(['withheld a KillInProgress']);
    expect(at(340)).toEqual(['activate a KillNotPossible']);
  });

  test('is none under the floor, for which ending pods count too', () => {
    const resolved = aSpec(kill, { breaker: { minPodsAvailableRatio: 75 } });
    const ending = aPod('ending', { terminating: true });
    const decision = decide([aPod('a', spent), ending, ...healthy(3)], resolved);
    // 3 of 5 are available, and 75 % of 5 are 4; a repair would count 3 of 4, which holds.
    expect(inWords(decision)).toEqual(['withheld a UnderFloor']);
    expect(decision.withheld[0]?.message).toBe('3 available, floor 4');
    expect(inWords(decide([aPod('a', spent), ...healthy(3)], resolved))).toEqual(['kill a RetriesExhausted']);
  });

  test('A1: of a removed breaker is under the highest floor of all', () => {
    const removed = aPod('a', { ...spent, strategy: 'removed' });
    const resolved = aSpec(
      {},
      {
        breakers: [{ name: 'one' }, { name: 'two', minPodsAvailableCount: 5 }],
        defaultActivator: { ...kill, jitter: 0 },
      },
    );
    expect(inWords(decide([removed, ...healthy(4)], resolved))).toEqual(['withheld a UnderFloor']);
    expect(inWords(decide([removed, ...healthy(5)], resolved))).toEqual(['kill a RetriesExhausted']);
  });

  test.each([
    ['NoOwner', { owned: false }],
    ['Exempt', { exempt: true }],
  ])('A7: never (%s): the pod comes back every maxPeriod', (reason, text) => {
    const at = (brokenFor: number) => decide([aPod('a', { ...spent, ...text, brokenFor }), ...healthy(3)], aSpec(kill));
    expect(inWords(at(299))).toEqual([`withheld a ${reason}`]);
    expect(at(299).nextLook).toBe(NOW + 1000);
    expect(inWords(at(300))).toEqual(['activate a KillNotPossible']);
  });

  test('an exempt pod is not set aside either: that would be a break without an end', () => {
    const decision = decide([aPod('a', { ...spent, exempt: true }), ...healthy(3)], aSpec(pause));
    expect(inWords(decision)).toEqual(['withheld a Exempt']);
  });

  test('a pod without an owner may be set aside', () => {
    expect(inWords(decide([aPod('a', { ...spent, owned: false }), ...healthy(3)], aSpec(pause)))).toEqual([
      'pause a RetriesExhausted',
    ]);
  });

  test('A7: a refused eviction shows what holds it until the next try; meanwhile it is the next one’s turn', () => {
    const refused = (seconds: number) => [{ uid: 'uid-a', refusals: 2, nextAttempt: before(-seconds) }];
    const pods = [aPod('a', { ...spent, brokenFor: 1000 }), ...healthy(3)];
    const held = decide(pods, aSpec(kill), { refusedKills: refused(5) });
    expect(inWords(held)).toEqual(['withheld a EvictionRefused']);
    expect(held.nextLook).toBe(NOW + 5000);
    expect(inWords(decide(pods, aSpec(kill), { refusedKills: refused(0) }))).toEqual(['kill a RetriesExhausted']);
    expect(inWords(decide([aPod('b', spent), ...pods], aSpec(kill), { refusedKills: refused(5) }))).toEqual([
      'kill b RetriesExhausted',
      'withheld a EvictionRefused',
    ]);
    // Said by a clock that was an hour off.
    expect(inWords(decide([aPod('a', spent), ...healthy(3)], aSpec(kill), { refusedKills: refused(3600) }))).toEqual([
      'kill a RetriesExhausted',
    ]);
  });

  test('A7: one that fails again and again is given up, maxPeriod after it was due: the pod comes back', () => {
    const at = (brokenFor: number) => inWords(decide([aPod('a', { ...spent, brokenFor }), ...healthy(3)], aSpec(kill)));
    expect(at(339)).toEqual(['kill a RetriesExhausted']);
    expect(at(340)).toEqual(['activate a KillNotPossible']);
  });
});

describe('maxConcurrentActivations', () => {
  const three = ['c', 'a', 'b'].map((name, index) => aPod(name, { ...out, brokenFor: 100 + index }));

  test.each([
    ['a count', 2, ['b', 'a'], ['c']],
    ['a share of the fleet, rounded up: 34 % of 6', '34%', ['b', 'a', 'c'], []],
    ['a share that rounds to none still means one', '0%', ['b'], ['a', 'c']],
  ])('%s; oldest due first', (_, maxConcurrentActivations, back, held) => {
    expect(inWords(decide([...three, ...healthy(3)], aSpec({ maxConcurrentActivations })))).toEqual([
      ...back.map((name) => `activate ${name} WaitOver`),
      ...held.map((name) => `withheld ${name} ConcurrentActivations`),
    ]);
  });

  test('pods that came back before take places as long as their probation lasts', () => {
    const resolved = aSpec({ maxConcurrentActivations: 1 });
    const one = aPod('d', out);
    const at = (seconds: number) =>
      decide([one, aPod('back', { activatedAt: before(seconds) }), ...healthy(3)], resolved);
    expect(inWords(at(14))).toEqual(['withheld d ConcurrentActivations']);
    expect(at(14).nextLook).toBe(NOW + 10_000);
    expect(inWords(at(15))).toEqual(['activate d WaitOver']);
  });
});

describe('B7: under the floor', () => {
  const floor = (minPodsAvailableCount: number, activator = {}) =>
    aSpec({ period: 1000, ...activator }, { breaker: { minPodsAvailableCount } });

  test('the least bad come back early until it holds, beyond maxConcurrentActivations too', () => {
    const pods = [
      aPod('bad', { ...out, brokenFor: 5, score: 9 }),
      aPod('mild', { ...out, brokenFor: 5, score: 1.2 }),
      aPod('worse', { ...out, brokenFor: 5, score: 3 }),
    ];
    expect(inWords(decide([...pods, ...healthy(1)], floor(3, { maxConcurrentActivations: 1 })))).toEqual([
      'activate mild FloorRestored',
      'activate worse FloorRestored',
      'withheld bad WaitNotOver',
    ]);
  });

  test('who is due anyhow counts first, so that nobody comes back early without need', () => {
    const pods = [aPod('due', { ...out, brokenFor: 1000, score: 9 }), aPod('mild', { ...out, brokenFor: 5, score: 1 })];
    expect(inWords(decide([...pods, ...healthy(1)], floor(2)))).toEqual([
      'activate due WaitOver',
      'withheld mild WaitNotOver',
    ]);
  });

  test('who was to be set aside or killed comes back instead', () => {
    for (const activator of [pause, kill])
      expect(
        inWords(decide([aPod('a', { ...spent, score: 2 }), ...healthy(1)], floor(2, { ...activator, period: 10 }))),
      ).toEqual(['activate a FloorRestored']);
  });

  test('an unreadable breakAt is no hindrance', () => {
    expect(inWords(decide([aPod('a', { traffic: 'no' }), ...healthy(1)], floor(2)))).toEqual([
      'activate a FloorRestored',
    ]);
  });

  test('neither paused, exempt nor unready pods, and a scale-up brings nobody back', () => {
    const pods = [
      aPod('paused', { traffic: 'pause' }),
      aPod('exempt', { ...out, brokenFor: 5, exempt: true }),
      aPod('unready', { ...out, brokenFor: 5, ready: false }),
    ];
    expect(inWords(decide(pods, floor(3)))).toEqual([
      'withheld exempt WaitNotOver',
      'withheld paused Paused',
      'withheld unready WaitNotOver',
    ]);
    const ratio = aSpec({ period: 1000 }, { breaker: { minPodsAvailableRatio: 75 } });
    const fresh = Array.from({ length: 8 }, (_, index) => aPod(`fresh-${index}`, { neverReady: true }));
    expect(inWords(decide([aPod('a', { ...out, brokenFor: 5 }), ...fresh, ...healthy(3)], ratio))).toEqual([
      'withheld a WaitNotOver',
    ]);
  });

  test('only its own breaker’s pods, and not those of one that does not enforce', () => {
    const breakers = [
      { name: 'slow', minPodsAvailableCount: 3 },
      { name: 'errors', minPodsAvailableCount: 0 },
    ];
    const pods = ['slow', 'errors'].map((strategy) => aPod(strategy, { ...out, brokenFor: 5, strategy }));
    expect(inWords(decide(pods, aSpec({}, { breakers })))).toEqual([
      'activate slow FloorRestored',
      'withheld errors WaitNotOver',
    ]);
  });
});

describe('F4, A6: what does not enforce', () => {
  const belief = (name: string, over: Partial<SimulatedPod> = {}): SimulatedPod => ({
    uid: `uid-${name}`,
    traffic: 'no',
    breaker: 'slow',
    breakAt: before(42),
    retryCount: 1,
    ...over,
  });

  test.each([
    ['the resource runs dry', aSpec({}, { mode: 'dryRun' }), true],
    ['its breaker runs dry', aSpec({}, { breaker: { mode: 'dryRun' } }), true],
    ['the Service is not active', aSpec(), false],
  ])('touches nobody where %s, but tells what enforcing would do', (_, resolved, active) => {
    const pods = [aPod('stale', out), ...healthy(5)];
    const simulated = [belief('healthy-0'), belief('healthy-1', { breakAt: before(1) }), belief('gone')];
    const decision = decide(pods, resolved, { active, simulated });
    expect(inWords(decision)).toEqual(['~activate healthy-0 WaitOver', '~withheld healthy-1 WaitNotOver']);
    expect(decision.nextLook).toBe(NOW + 9000);
  });

  test('disabled: nothing at all, but a paused pod is shown', () => {
    const decision = decide(
      [aPod('a', out), aPod('p', { traffic: 'pause' }), ...healthy(2)],
      aSpec({}, { mode: 'disabled' }),
      {
        simulated: [belief('healthy-0')],
      },
    );
    expect(inWords(decision)).toEqual(['withheld p Paused']);
  });

  test('simulated kills, pauses and floors follow the same rules', () => {
    const dry = { mode: 'dryRun' as const };
    const simulated = [
      belief('healthy-0', { retryCount: 4 }),
      belief('healthy-1', { retryCount: 4, breakAt: before(50) }),
      belief('healthy-2', { traffic: 'pause' }),
    ];
    expect(inWords(decide(healthy(6), aSpec(kill, dry), { simulated }))).toEqual([
      '~kill healthy-1 RetriesExhausted',
      '~withheld healthy-2 Paused',
      '~withheld healthy-0 KillInProgress',
    ]);
    expect(inWords(decide(healthy(6), aSpec({ ...pause, maxPauseCount: 2 }, dry), { simulated }))).toEqual([
      '~pause healthy-1 RetriesExhausted',
      '~kill healthy-0 PauseOverflow',
      '~withheld healthy-2 Paused',
    ]);
    const floor = { ...dry, breaker: { minPodsAvailableCount: 4 } };
    expect(inWords(decide(healthy(6), aSpec(kill, floor), { simulated }))).toEqual([
      '~activate healthy-0 FloorRestored',
      '~withheld healthy-2 Paused',
      '~withheld healthy-1 UnderFloor',
    ]);
  });

  test('one breaker enforces and the other runs dry: each has its own pods', () => {
    const resolved = aSpec({}, { breakers: [{ name: 'slow' }, { name: 'errors', mode: 'dryRun' }] });
    const simulated = [
      belief('healthy-0', { breaker: 'errors' }),
      // Overtaken: out for real by now, or its breaker enforces by now, or is removed.
      belief('a', { breaker: 'errors' }),
      belief('healthy-1', { breaker: 'slow' }),
      belief('healthy-2', { breaker: 'removed' }),
    ];
    expect(inWords(decide([aPod('a', out), ...healthy(5)], resolved, { simulated }))).toEqual([
      'activate a WaitOver',
      '~activate healthy-0 WaitOver',
    ]);
  });

  test('a simulated probation takes a place among the simulated activations only', () => {
    const resolved = aSpec(
      {},
      {
        breakers: [
          { name: 'slow', activator: { maxConcurrentActivations: 1, jitter: 0 } },
          { name: 'errors', mode: 'dryRun', activator: { maxConcurrentActivations: 1, jitter: 0 } },
        ],
      },
    );
    const back: SimulatedPod = { uid: 'uid-healthy-1', traffic: 'yes', retryCount: 1, activatedAt: before(1) };
    expect(
      inWords(
        decide([aPod('a', out), ...healthy(5)], resolved, {
          simulated: [belief('healthy-0', { breaker: 'errors' }), back],
        }),
      ),
    ).toEqual(['activate a WaitOver', '~withheld healthy-0 ConcurrentActivations']);
  });
});

test('W4: a pod that this round tried in vain gives its place to the next', () => {
  const [a, b] = ['a', 'b'].map((name) => aPod(name, out)) as [Pod, Pod];
  const settled = { settled: [a.uid] };
  const limited = aSpec({ maxConcurrentActivations: 1 });
  expect(inWords(decide([a, b, ...healthy(3)], limited, settled))).toEqual(['activate b WaitOver']);
  const floor = aSpec({ period: 9999 }, { breaker: { minPodsAvailableCount: 2 } });
  expect(inWords(decide([a, b, ...healthy(1)], floor, settled))).toEqual(['activate b FloorRestored']);
  const spentPods = ['c', 'd'].map((name) => aPod(name, spent));
  expect(inWords(decide([...spentPods, ...healthy(3)], aSpec(kill), { settled: ['uid-c'] }))).toEqual([
    'kill d RetriesExhausted',
  ]);
});

test('what is decided can be written: every edit leads where it should', () => {
  const pods: Pod[] = [aPod('back', out), aPod('stamp', { traffic: 'no' }), ...healthy(4)];
  const { activate, stamp } = decide(pods, aSpec());
  const [back] = activate.map(({ pod }) => marksOf(edited(pod, EDITS.activate(pod, { at: NOW }))));
  expect(back).toEqual({ traffic: 'yes', name: 'cart', retryCount: 1, activatedAt: NOW, exempt: false });
  const [stamped] = stamp.map(({ pod }) => marksOf(edited(pod, EDITS.stampBreakAt(pod, { at: NOW }))));
  expect(stamped).toMatchObject({ traffic: 'no', breakAt: NOW });
});
