import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { judgeDeviation } from './continuous-value-deviation.ts';

const query = { prometheusService: 'prometheus.monitoring', promQL: 'q', podNamekey: 'pod' };
const judgeAll = (maxDeviationPercent: number, ratios: readonly number[]) =>
  judgeDeviation(
    { ...query, maxDeviationPercent },
    ratios.map((value, n) => ({ labels: { pod: `p${n}` }, value })),
    ratios.map((_, n) => ({ name: `p${n}`, uid: `u${n}` })),
  ).verdicts;
const judgeOne = (maxDeviationPercent: number, ratio: number) => judgeAll(maxDeviationPercent, [ratio])[0];

describe('continuousValueDeviation', () => {
  test('V5: says in one line how far from the fleet it is', () => {
    expect(judgeOne(50, 1.62)).toEqual({
      pod: 'p0',
      uid: 'u0',
      outcome: 'anomalous',
      score: expect.closeTo(1.24, 9),
      observed: 62,
      limit: 50,
      reason: '62 % above the fleet (ratio 1.62), tolerated 50 %',
    });
    expect(judgeOne(50, 0.2)?.reason).toBe('80 % below the fleet (ratio 0.2), tolerated 50 %');
  });

  // The meaning of 2018: |1 − ratio| × 100 > maxDeviationPercent.
  test.each([
    [75, 1, 'ok', 0],
    [75, 1.75, 'ok', 1],
    [75, 1.76, 'anomalous', 76 / 75],
    [75, 0.25, 'ok', 1],
    [75, 0.24, 'anomalous', 76 / 75],
    [75, 0, 'anomalous', 100 / 75],
    [10, 1.1, 'ok', 1],
    [10, 0.9, 'ok', 1],
    [0.1, 1.002, 'anomalous', 2],
    [100, 0, 'ok', 1],
    [300, 5, 'anomalous', 4 / 3],
  ])('V5: at most %d %%, the ratio %d is %s with the score %d', (limit, ratio, outcome, score) => {
    expect(judgeOne(limit, ratio)).toMatchObject({ outcome, score: expect.closeTo(score, 9) });
  });

  test('the reason never shows the limit itself as what broke it', () => {
    expect(judgeOne(75, 1.750_01)?.reason).toBe('75.001 % above the fleet (ratio 1.75), tolerated 75 %');
  });

  const ratio = fc.double({ min: 0, max: 1e6, noNaN: true });
  const limit = fc.double({ min: 0.001, max: 1e5, noNaN: true });

  test('V5: bad is over the limit, with a score over 1', () => {
    fc.assert(
      fc.property(ratio, limit, (one, most) => {
        const verdict = judgeOne(most, one);
        expect(verdict?.outcome === 'anomalous').toBe((verdict?.observed ?? NaN) > most);
        expect(verdict?.outcome === 'anomalous' ? (verdict.score ?? 0) >= 1 : (verdict?.score ?? 2) <= 1).toBe(true);
      }),
    );
  });

  test('a drift of all pods alike makes nobody anomalous: the ratio to their average stays', () => {
    const amounts = fc.array(fc.integer({ min: 80, max: 120 }), { minLength: 2, maxLength: 50 });
    fc.assert(
      fc.property(amounts, fc.double({ min: 1e-3, max: 1e3, noNaN: true }), (values, drift) => {
        const now = values.map((value) => value * drift);
        const average = now.reduce((sum, value) => sum + value, 0) / now.length;
        const verdicts = judgeAll(
          75,
          now.map((value) => value / average),
        );
        expect(verdicts.map(({ outcome }) => outcome)).toEqual(values.map(() => 'ok'));
      }),
    );
  });
});
