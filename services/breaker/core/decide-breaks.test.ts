import { describe, expect, test } from '@jest/globals';
import { resolveSpec } from '@kubervisor/shared/crd/resolve';
import { ANNOTATION, LABEL } from '@kubervisor/shared/pods/keys';
import { EDITS, edited } from '@kubervisor/shared/pods/codec';
import {
  aPod,
  applied,
  aWork,
  before,
  decide,
  decideAll,
  evaluate,
  heldOf,
  namesOf,
  NOW,
  somePods,
  type PodText,
} from './fleet.fixture.ts';

/** `cart-0` the worst. */
const scored = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`cart-${i}`, 10 - i]));

describe('the floor', () => {
  test.each([
    [10, { minPodsAvailableCount: 7 }, 3],
    [10, { minPodsAvailableCount: 0, minPodsAvailableRatio: 75 }, 2],
    [10, { minPodsAvailableCount: 9, minPodsAvailableRatio: 50 }, 1],
    [3, { minPodsAvailableCount: 0, minPodsAvailableRatio: 0 }, 3],
    [5, { minPodsAvailableCount: 0, minPodsAvailableRatio: 60 }, 2],
    [3, { minPodsAvailableCount: 0, minPodsAvailableRatio: 66.6 }, 1],
    [3, { minPodsAvailableCount: 0, minPodsAvailableRatio: 66.7 }, 0],
  ])('B1, B2: of %i bad pods with %j leave %i', (count, floor, expected) => {
    const { breaks, withheld } = decideAll({ pods: somePods(count), breakers: [floor] }, { slow: scored(count) });
    expect(namesOf(breaks)).toEqual(somePods(expected).map(({ name }) => name));
    expect(withheld.map(({ reason }) => reason)).toEqual(Array(count - expected).fill('FloorReached'));
  });

  test('B2: pods that are out, paused, unready or ending are not available, but are of the total', () => {
    const pods = [
      ...somePods(4),
      aPod('out', { traffic: 'no' }),
      aPod('paused', { traffic: 'pause' }),
      aPod('unready', { ready: false }),
      aPod('ending', { terminating: true }),
    ];
    const { budgets, breaks } = decideAll(
      { pods, breakers: [{ minPodsAvailableCount: 0, minPodsAvailableRatio: 37.5 }] },
      { slow: scored(4) },
    );
    expect(budgets).toEqual({ slow: { available: 4, total: 8, floor: 3, budget: 1 } });
    expect(namesOf(breaks)).toEqual(['cart-0']);
  });

  test('B2: pods of another owner, finished ones and ones that match no more count nowhere', () => {
    const pods = [
      ...somePods(2),
      aPod('other', { owner: 'other' }),
      aPod('finished', { finished: true }),
      aPod('else', { labels: { app: 'else' } }),
    ];
    expect(decideAll({ pods }, { slow: scored(2) }).budgets['slow']).toMatchObject({ available: 2, total: 2 });
  });

  test('B7: where fewer are available than the floor nobody is broken', () => {
    const pods = [...somePods(3), aPod('out', { traffic: 'no' }), aPod('paused', { traffic: 'pause' })];
    const { breaks, withheld, budgets } = decideAll(
      { pods, breakers: [{ minPodsAvailableCount: 4 }] },
      { slow: { 'cart-1': 5 } },
    );
    expect(breaks).toEqual([]);
    expect(heldOf(withheld)).toEqual(['cart-1 FloorReached']);
    expect(withheld[0]?.message).toBe('3 available, floor 4');
    expect(budgets['slow']?.budget).toBe(0);
  });

  test('B3: two breakers share what is available, each down to its own floor', () => {
    const breakers = [
      { name: 'careful', minPodsAvailableCount: 4 },
      { name: 'bold', minPodsAvailableCount: 2 },
    ];
    const { breaks, withheld } = decideAll(
      { pods: somePods(6), breakers },
      {
        careful: { 'cart-0': 9, 'cart-1': 3, 'cart-2': 2 },
        bold: { 'cart-3': 8, 'cart-4': 4, 'cart-5': 1 },
      },
    );
    expect(breaks.map(({ pod, breaker }) => `${pod.name} ${breaker}`)).toEqual([
      'cart-0 careful',
      'cart-3 bold',
      'cart-4 bold',
      'cart-5 bold',
    ]);
    expect(heldOf(withheld)).toEqual(['cart-1 FloorReached', 'cart-2 FloorReached']);
  });

  test('B3: a pod named by two breakers goes to the worst score whose floor allows it', () => {
    const breakers = [
      { name: 'careful', minPodsAvailableCount: 3 },
      { name: 'bold', minPodsAvailableCount: 1 },
    ];
    const both = { careful: { 'cart-0': 9 }, bold: { 'cart-0': 2 } };
    const takenBy = (count: number) => {
      const { breaks, withheld } = decideAll({ pods: somePods(count), breakers }, both);
      expect(withheld).toEqual([]);
      return breaks.map(({ pod, breaker, observation }) => [pod.name, breaker, observation.score]);
    };
    expect(takenBy(4)).toEqual([['cart-0', 'careful', 9]]);
    expect(takenBy(3)).toEqual([['cart-0', 'bold', 2]]);
  });

  test('B4: worst first, and of equal scores by uid', () => {
    const pods = [aPod('a', { uid: '3' }), aPod('b', { uid: '1' }), aPod('c', { uid: '2' }), aPod('d', { uid: '4' })];
    const { breaks, withheld } = decideAll(
      { pods, breakers: [{ minPodsAvailableCount: 1 }] },
      { slow: { a: 2, b: 2, c: 2, d: 7 } },
    );
    expect(namesOf(breaks)).toEqual(['d', 'b', 'c']);
    expect(heldOf(withheld)).toEqual(['a FloorReached']);
  });
});

describe('cases that outlier detection in proxies is known for', () => {
  test('one pod, and it is bad: it stays (B2 by default, P even without a floor)', () => {
    expect(heldOf(decideAll({ pods: somePods(1) }, { slow: scored(1) }).withheld)).toEqual(['cart-0 FloorReached']);
    const work = aWork({ pods: somePods(1), breakers: [{ minPodsAvailableCount: 0, panicThreshold: 50 }] });
    const [evaluation] = evaluate(work, { slow: scored(1) });
    expect(evaluation?.nominations).toEqual([]);
    expect(heldOf(evaluation?.withheld ?? [])).toEqual(['cart-0 FleetAnomalous']);
  });

  test('two of three bad at 50 %: one leaves, for the floor is rounded up (B1)', () => {
    const breakers = [{ minPodsAvailableRatio: 50 }];
    expect(namesOf(decideAll({ pods: somePods(3), breakers }, { slow: scored(2) }).breaks)).toEqual(['cart-0']);
  });

  test('three of three bad at 67 %: nobody leaves (B1)', () => {
    const breakers = [{ minPodsAvailableRatio: 67 }];
    expect(decideAll({ pods: somePods(3), breakers }, { slow: scored(3) }).breaks).toEqual([]);
  });

  test('a majority bad at once: nobody leaves, though the floor would allow it (P)', () => {
    const breakers = [{ panicThreshold: 50, minPodsAvailableCount: 0 }];
    const work = aWork({ pods: somePods(10), breakers });
    expect(evaluate(work, { slow: scored(6) })[0]?.nominations).toEqual([]);
    expect(evaluate(work, { slow: scored(5) })[0]?.nominations).toHaveLength(5);
  });
});

describe('candidates', () => {
  test('V3: not confirmed is not nominated, but counts in a panic', () => {
    const confirm = { anomalous: 2, of: 3 };
    const history = { slow: { 'uid-cart-0': '1', 'uid-cart-1': '0' } };
    const work = aWork({ pods: somePods(5), breakers: [{ confirm }], history });
    const [evaluation] = evaluate(work, { slow: scored(2) });
    expect(evaluation?.nominations.map(({ pod }) => pod)).toEqual(['cart-0']);
    expect(heldOf(evaluation?.withheld ?? [])).toEqual(['cart-1 NotConfirmed']);

    const panicking = aWork({ pods: somePods(3), breakers: [{ confirm, panicThreshold: 50 }], history });
    expect(heldOf(evaluate(panicking, { slow: scored(2) })[0]?.withheld ?? [])).toEqual([
      'cart-0 FleetAnomalous',
      'cart-1 NotConfirmed',
    ]);
  });

  test('an exempt pod is not nominated', () => {
    const work = aWork({ pods: [aPod('cart-0', { exempt: true }), ...somePods(3).slice(1)] });
    const [evaluation] = evaluate(work, { slow: { 'cart-0': 5 } });
    expect(evaluation?.nominations).toEqual([]);
    expect(heldOf(evaluation?.withheld ?? [])).toEqual(['cart-0 Exempt']);
  });
});

describe('B5: what changed between the message and the fresh list', () => {
  const now = (text: PodText | 'gone' | 'replaced', breaker = {}) => {
    const pods = somePods(4);
    const work = aWork({ pods, breakers: [breaker] });
    const rest = pods.slice(1);
    const fresh = text === 'gone' ? rest : [aPod('cart-0', text === 'replaced' ? { uid: 'uid-new' } : text), ...rest];
    const { breaks, withheld } = decide(work, evaluate(work, { slow: { 'cart-0': 5 } }), fresh);
    return breaks.length === 0 ? withheld.map(({ reason }) => reason) : namesOf(breaks);
  };

  test.each<[string, PodText | 'gone' | 'replaced', string]>([
    ['nothing', {}, 'cart-0'],
    ['it is gone', 'gone', 'NotOfFleet'],
    ['it is another pod of the name', 'replaced', 'NotOfFleet'],
    ['it is ending', { terminating: true }, 'NotOfFleet'],
    ['it is finished', { finished: true }, 'NotOfFleet'],
    ['another resource owns it', { owner: 'other' }, 'NotOfFleet'],
    ['it matches no more', { labels: { app: 'else' } }, 'NotOfFleet'],
    ['it is out', { traffic: 'no' }, 'AlreadyOut'],
    ['it is paused', { traffic: 'pause' }, 'AlreadyOut'],
    ['its traffic label is gone', { traffic: 'missing' }, 'AlreadyOut'],
    ['F3: it is unready', { ready: false }, 'NotReady'],
    ['it is exempt', { exempt: true }, 'Exempt'],
  ])('%s', (_, text, expected) => {
    expect(now(text)).toEqual([expected]);
  });

  test('V4: it became ready anew, or came back', () => {
    expect(now({ readyFor: 10 }, { gracePeriod: 60 })).toEqual(['GracePeriod']);
    expect(now({ activeFor: 10 }, { gracePeriod: 60 })).toEqual(['GracePeriod']);
    expect(now({ activeFor: 60 }, { gracePeriod: 60 })).toEqual(['cart-0']);
  });

  test('P: pods went out meanwhile, so that now more than the threshold is bad', () => {
    const pods = somePods(5);
    const work = aWork({ pods, breakers: [{ panicThreshold: 50 }] });
    const evaluations = evaluate(work, { slow: scored(2) });
    const fresh = pods.map((pod, index) => (index === 4 ? aPod(pod.name, { traffic: 'no' }) : pod));
    const { breaks, withheld, panics } = decide(work, evaluations, fresh);
    expect(breaks).toEqual([]);
    expect(heldOf(withheld)).toEqual(['cart-0 FleetAnomalous', 'cart-1 FleetAnomalous']);
    expect(panics).toEqual({ slow: '3 of 5 bad, more than 50 %' });
  });

  test('B5: the floor is that of the fresh list', () => {
    const work = aWork({ pods: somePods(4), breakers: [{ minPodsAvailableCount: 2 }] });
    const evaluations = evaluate(work, { slow: scored(3) });
    expect(namesOf(decide(work, evaluations, somePods(3)).breaks)).toEqual(['cart-0']);
  });
});

describe('shared pods', () => {
  test('F5: a pod that another enforcing resource selects is not broken, and says by whom', () => {
    const others = [
      { name: 'z-canary', selector: { track: 'canary' } },
      { name: 'canary', selector: { app: 'cart', track: 'canary' } },
    ];
    const pods = [aPod('cart-0', { labels: { track: 'canary' } }), ...somePods(4).slice(1)];
    const { breaks, withheld } = decideAll({ pods, others }, { slow: scored(2) });
    expect(namesOf(breaks)).toEqual(['cart-1']);
    expect(withheld).toMatchObject([{ pod: 'cart-0', reason: 'SharedPods', message: 'also selected by canary' }]);
  });

  test('F5: its own selector among the others shares nothing', () => {
    const others = [{ name: 'cart', selector: { app: 'cart' } }];
    expect(decideAll({ pods: somePods(3), others }, { slow: scored(1) }).breaks).toHaveLength(1);
  });
});

describe('A3: the count that is written', () => {
  test('decays with the time in traffic', () => {
    const activator = { period: 10, retryDecayPeriod: 100 };
    const breakers = [{ activator: { ...aWork().spec.breakers[0]?.activator, ...activator } as never }];
    const work = aWork({ breakers });
    const { probation } = resolveSpec(work.spec).breakers[0]?.activator ?? { probation: NaN };
    const pods = [aPod('cart-0', { retryCount: 4, activeFor: probation + 250 }), ...somePods(4).slice(1)];
    const [broken] = decideAll({ pods, breakers }, { slow: { 'cart-0': 3 } }).breaks;
    expect(broken?.retryCount).toBe(3);
  });
});

describe('W4: asked again in the same round', () => {
  const pods = somePods(6);
  const work = aWork({ pods, breakers: [{ minPodsAvailableCount: 4 }] });
  const evaluations = evaluate(work, { slow: scored(5) });
  const first = decide(work, evaluations, pods);

  test('the place of a pod that was refused goes to the next worst', () => {
    expect(namesOf(first.breaks)).toEqual(['cart-0', 'cart-1']);
    const settled = [
      { uid: 'uid-cart-0', left: true },
      { uid: 'uid-cart-1', left: false },
    ];
    const listed = applied(pods, first.breaks.slice(0, 1));
    expect(namesOf(decide(work, evaluations, listed, { settled }).breaks)).toEqual(['cart-2']);
  });

  test('a pod without an answer counts as out, though the list still shows it in traffic', () => {
    const settled = [
      { uid: 'uid-cart-0', left: true },
      { uid: 'uid-cart-1', left: true },
    ];
    const { breaks, withheld, budgets } = decide(work, evaluations, pods, { settled });
    expect(breaks).toEqual([]);
    expect(budgets['slow']).toEqual({ available: 4, total: 6, floor: 4, budget: 0 });
    expect(heldOf(withheld)).toEqual(['cart-2 FloorReached', 'cart-3 FloorReached', 'cart-4 FloorReached']);
  });

  test('a pod that went away took its place with it', () => {
    const settled = [
      { uid: 'uid-cart-0', left: true },
      { uid: 'uid-cart-1', left: false },
    ];
    const listed = applied(pods, first.breaks.slice(0, 1)).filter(({ name }) => name !== 'cart-1');
    expect(decide(work, evaluations, listed, { settled }).breaks).toEqual([]);
  });
});

describe('A6: what does not enforce', () => {
  const breakers = [
    { name: 'real', minPodsAvailableCount: 3 },
    { name: 'trial', mode: 'dryRun' as const, minPodsAvailableCount: 2 },
  ];

  test('is decided apart, uses up nothing real, and says so', () => {
    const pods = somePods(4);
    const work = aWork({ pods, breakers });
    const evaluations = evaluate(work, { real: { 'cart-0': 2 }, trial: { 'cart-1': 9, 'cart-2': 8, 'cart-3': 7 } });
    const real = decide(work, evaluations, pods);
    expect(real.breaks.map(({ pod, enforced }) => [pod.name, enforced])).toEqual([['cart-0', true]]);
    // With the real break applied there is room for one more before two are left.
    const believed = decide(work, evaluations, applied(pods, real.breaks), { enforced: false });
    expect(believed.breaks.map(({ pod, enforced }) => [pod.name, enforced])).toEqual([['cart-1', false]]);
    expect(believed.withheld).toMatchObject([
      { pod: 'cart-2', reason: 'FloorReached', enforced: false },
      { pod: 'cart-3', reason: 'FloorReached', enforced: false },
    ]);
  });

  test('counts what it would have broken before', () => {
    const pods = somePods(4);
    const simulated = [
      { uid: 'uid-cart-0', traffic: 'no' as const, breaker: 'trial', breakAt: before(5), retryCount: 1 },
    ];
    const work = aWork({ pods, breakers, simulated });
    const { budgets, breaks } = decide(work, evaluate(work, { trial: { 'cart-1': 9, 'cart-2': 8 } }), pods, {
      enforced: false,
    });
    expect(budgets['trial']).toEqual({ available: 3, total: 4, floor: 2, budget: 1 });
    expect(namesOf(breaks)).toEqual(['cart-1']);
  });
});

test('a decided break is written as the codec has it', () => {
  const pods = somePods(3);
  const [one] = decideAll({ pods }, { slow: { 'cart-0': 2.5 } }).breaks;
  if (one === undefined) throw new Error('nobody was broken');
  const pod = edited(one.pod, EDITS.break(one.pod, { ...one, at: NOW }));
  expect(pod.labels).toMatchObject({ [LABEL.traffic]: 'no', [LABEL.strategy]: 'slow' });
  expect(pod.annotations[ANNOTATION.retryCount]).toBe('1');
  expect(pod.annotations[ANNOTATION.reason]).toBe('the breaker judged the pod bad (score=2.5)');
});
