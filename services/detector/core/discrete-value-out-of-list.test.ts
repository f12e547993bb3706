import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { judgeDiscreteValues, score, type DiscreteValueOutOfList } from './discrete-value-out-of-list.ts';
import type { Sample } from './prometheus-answer.ts';

const stanza: DiscreteValueOutOfList = {
  prometheusService: 'prometheus.monitoring',
  promQL: 'sum by (pod, code) (increase(requests_total[1m]))',
  key: 'code',
  podNamekey: 'pod',
  badValues: ['500', '503'],
  tolerance: 50,
  minActivity: 2,
};
const fleet = [{ name: 'cart-1', uid: 'u1' }];
const sample = (code: string, value: number, pod = 'cart-1'): Sample => ({ labels: { pod, code }, value });
const judgeOne = (samples: Sample[], change: Partial<DiscreteValueOutOfList> = {}) =>
  judgeDiscreteValues({ ...stanza, ...change }, samples, fleet).verdicts[0];
const bad = (share: number, of = 100) => [sample('500', share), sample('200', of - share)];

describe('discreteValueOutOfList', () => {
  test('V5: says in one line what it saw and what is tolerated', () => {
    expect(judgeOne([sample('500', 10), sample('503', 4), sample('200', 9)])).toEqual({
      pod: 'cart-1',
      uid: 'u1',
      outcome: 'anomalous',
      score: expect.closeTo(1.217, 3),
      observed: expect.closeTo(60.87, 2),
      limit: 50,
      reason: '61 % bad values of code, tolerated 50 % (14 of 23 requests)',
    });
  });

  test.each<[string, number, number, string]>([
    ['under the tolerance', 49, 50, 'ok'],
    ['at the tolerance', 50, 50, 'ok'],
    ['just over it', 50.001, 50, 'anomalous'],
    ['nothing tolerated, nothing bad', 0, 0, 'ok'],
    ['nothing tolerated, a little bad', 0.1, 0, 'anomalous'],
    ['everything tolerated', 100, 100, 'ok'],
    ['everything bad', 100, 99.9, 'anomalous'],
  ])('%s: %d %% bad of %d %% tolerated is %s', (_name, share, tolerance, outcome) => {
    expect(judgeOne(bad(share), { tolerance })?.outcome).toBe(outcome);
  });

  test('the reason never shows the limit itself as what broke it', () => {
    expect(judgeOne(bad(50.001))?.reason).toContain('50.001 % bad values');
  });

  test('noise of sums carries nobody over a limit', () => {
    expect(judgeOne([sample('500', 0.1), sample('500', 0.2), sample('200', 0.3)], { minActivity: 0.6 })?.outcome).toBe(
      'ok',
    );
  });

  test.each<[string, Partial<DiscreteValueOutOfList>, string]>([
    ['badValues: what is not listed is good', { badValues: ['418'] }, 'ok'],
    ['badValues: what is listed is bad', { badValues: ['500'] }, 'anomalous'],
    ['goodValues: what is not listed is bad', { badValues: undefined, goodValues: ['200'] }, 'anomalous'],
    ['goodValues: what is listed is good', { badValues: undefined, goodValues: ['200', '500'] }, 'ok'],
  ])('%s', (_name, change, outcome) => {
    const given = { ...stanza, ...change } as DiscreteValueOutOfList;
    for (const name of ['goodValues', 'badValues'] as const) if (given[name] === undefined) delete given[name];
    expect(judgeDiscreteValues(given, bad(80), fleet).verdicts[0]?.outcome).toBe(outcome);
  });

  test.each([
    ['no samples at all', [], 0],
    ['less than minActivity', [sample('500', 1.9)], 2],
    ['only zeros, though no activity is needed', [sample('500', 0)], 0],
    ['amounts beyond numbers', [sample('500', 1.7e308), sample('500', 1.7e308)], 2],
  ])('V1: %s is inconclusive', (_name, samples, minActivity) => {
    expect(judgeOne(samples, { minActivity })?.outcome).toBe('inconclusive');
  });

  test('as much as minActivity is enough', () => {
    expect(judgeOne([sample('500', 2)])?.outcome).toBe('anomalous');
    expect(judgeOne([sample('500', 1.9)])?.reason).toBe('too little activity: 1.9, at least 2 is needed');
  });

  test.each<[string, Sample]>([
    ['notANumber', sample('500', NaN)],
    ['notANumber', sample('500', Infinity)],
    ['notANumber', sample('500', -Infinity)],
    ['negativeSample', sample('500', -1)],
    ['noPodLabel', { labels: { code: '500' }, value: 9 }],
    ['noPodLabel', sample('500', 9, '')],
    ['noKeyLabel', { labels: { pod: 'cart-1' }, value: 9 }],
    ['notAsked', sample('500', 9, 'other-1')],
    ['notAsked', sample('500', 9, '__proto__')],
  ])('V2: a sample is dropped and counted as %s: %j', (reason, dropped) => {
    const { verdicts, ignored } = judgeDiscreteValues(stanza, [dropped, sample('200', 3)], fleet);
    expect(ignored).toEqual({ [reason]: 1 });
    const isAmountOfThePod = reason === 'notANumber' || reason === 'negativeSample';
    expect(verdicts[0]?.outcome).toBe(isAmountOfThePod ? 'inconclusive' : 'ok');
  });

  test.each<[string, Sample[], string]>([
    ['a good amount is missing: the bad share may be smaller', [sample('200', NaN), ...bad(80)], 'inconclusive'],
    ['a good amount is missing: ok is ok all the more', [sample('200', NaN), ...bad(20)], 'ok'],
    ['a bad amount is missing: the share may be larger', [sample('503', Infinity), ...bad(20)], 'inconclusive'],
    ['a bad amount is missing: bad is bad all the more', [sample('503', NaN), ...bad(80)], 'anomalous'],
    ['a negative amount is none', [sample('200', -5), ...bad(80)], 'inconclusive'],
    ['of another pod it is nothing to this one', [sample('200', NaN, 'other-1'), ...bad(80)], 'anomalous'],
  ])('V1: what is not known decides nothing: %s', (_name, samples, outcome) => {
    expect(judgeOne(samples)?.outcome).toBe(outcome);
  });

  test('V1, V5: says why nothing is concluded from an amount that is not a number', () => {
    expect(judgeOne([sample('200', NaN), ...bad(80)])).toEqual({
      pod: 'cart-1',
      uid: 'u1',
      outcome: 'inconclusive',
      reason: 'an amount of a good value of code is negative or not a number: the share of bad ones is not known',
    });
  });

  test('several series of a pod and value are summed', () => {
    expect(judgeOne([sample('500', 2), sample('500', 2), sample('200', 3)])?.observed).toBeCloseTo(57.14, 2);
  });

  const samples = fc.array(
    fc.record({
      labels: fc.record(
        { pod: fc.constantFrom('a', 'b', 'c', 'x'), code: fc.constantFrom('200', '500', '503') },
        { requiredKeys: [] },
      ),
      value: fc.oneof(fc.double({ min: 0, max: 1e6 }), fc.double()),
    }),
  ) as fc.Arbitrary<Sample[]>;
  const three = ['a', 'b', 'c'].map((name) => ({ name, uid: `uid-${name}` }));
  const tolerance = fc.double({ min: 0, max: 100, noNaN: true });

  test('B4: the order of the series never matters', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('200', '500'), fc.nat(1000))),
        fc.infiniteStream(fc.nat()),
        tolerance,
        (series, keys, limit) => {
          const given = series.map(([pod, code, value]) => sample(code, value / 10, pod));
          const order = new Map(given.map((one) => [one, keys.next().value as number]));
          const shuffled = given.toSorted((one, other) => (order.get(one) ?? 0) - (order.get(other) ?? 0));
          const judge = (some: Sample[]) =>
            judgeDiscreteValues({ ...stanza, tolerance: limit }, some, three).verdicts.map(({ outcome }) => outcome);
          expect(judge(shuffled)).toEqual(judge(given));
        },
      ),
    );
  });

  test('V1, V5: one verdict a pod; bad means over the limit, with a score over 1 and one line', () => {
    fc.assert(
      fc.property(samples, tolerance, (some, limit) => {
        const { verdicts, ignored } = judgeDiscreteValues({ ...stanza, tolerance: limit }, some, three);
        expect(verdicts.map(({ pod }) => pod)).toEqual(['a', 'b', 'c']);
        expect(Object.values(ignored).reduce((sum, n) => sum + n, 0)).toBeLessThanOrEqual(some.length);
        for (const { outcome, observed, score: given, reason } of verdicts) {
          if (outcome === 'inconclusive') continue;
          expect(outcome === 'anomalous').toBe((observed ?? NaN) > limit);
          expect(outcome === 'anomalous' ? (given ?? 0) >= 1 : (given ?? 2) <= 1).toBe(true);
          expect(given).toBeGreaterThanOrEqual(0);
          if (outcome === 'anomalous') expect(reason).not.toContain('\n');
        }
      }),
    );
  });

  test.each([
    [50, 50, 1],
    [75, 50, 1.5],
    [100, 50, 2],
    [100, 5, 20],
    [0, 0, 1],
    [100, 0, 101],
    [100, 100, 1],
    [25, 50, 0.5],
  ])('V5: the score of %d %% where %d %% are tolerated is %d', (observed, limit, expected) => {
    expect(score(observed, limit)).toBeCloseTo(expected, 9);
  });
});
