import { describe, expect, test } from '@jest/globals';
import { verdict as verdictSchema } from '@kubervisor/shared/detection/contract';
import fc from 'fast-check';
import { judgeThreshold, type Threshold } from './threshold.ts';

const query = { prometheusService: 'prometheus.monitoring', promQL: 'q', podNamekey: 'pod' };
const judgeOne = (limits: Pick<Threshold, 'max' | 'min'>, value: number) =>
  judgeThreshold({ ...query, ...limits }, [{ labels: { pod: 'a' }, value }], [{ name: 'a', uid: 'u' }]).verdicts[0];

describe('threshold', () => {
  test('V5: says in one line what it saw and what is allowed', () => {
    expect(judgeOne({ max: 1 }, 2.4)).toEqual({
      pod: 'a',
      uid: 'u',
      outcome: 'anomalous',
      score: expect.closeTo(2.4, 9),
      observed: 2.4,
      limit: 1,
      reason: 'value 2.4, at most 1',
    });
    expect(judgeOne({ min: 20 }, 5)).toMatchObject({
      score: 1.75,
      observed: 5,
      limit: 20,
      reason: 'value 5, at least 20',
    });
  });

  test.each<[string, Pick<Threshold, 'max' | 'min'>, number, string, number]>([
    ['under max', { max: 10 }, 5, 'ok', 0.5],
    ['at max', { max: 10 }, 10, 'ok', 1],
    ['over max', { max: 10 }, 10.001, 'anomalous', 1.0001],
    ['three times max', { max: 10 }, 30, 'anomalous', 3],
    ['at min', { min: 10 }, 10, 'ok', 1],
    ['under min', { min: 10 }, 9, 'anomalous', 1.1],
    ['nothing where something must be', { min: 10 }, 0, 'anomalous', 2],
    ['far over min', { min: 10 }, 1000, 'ok', 0],
    ['between both', { max: 30, min: 10 }, 20, 'ok', 2 / 3],
    ['over both', { max: 30, min: 10 }, 45, 'anomalous', 1.5],
    ['under both', { max: 30, min: 10 }, 5, 'anomalous', 1.5],
    ['both alike', { max: 10, min: 10 }, 10, 'ok', 1],
    ['a max of 0', { max: 0 }, 0, 'ok', 1],
    ['over a max of 0', { max: 0 }, 0.5, 'anomalous', 1.5],
    ['a negative max', { max: -10 }, -5, 'anomalous', 1.5],
    ['under a negative max', { max: -10 }, -20, 'ok', 0],
    ['under a negative min', { min: -10 }, -30, 'anomalous', 3],
    ['noise of a sum at max', { max: 0.3 }, 0.1 + 0.2, 'ok', 1],
  ])('V5: %s: %j, %d is %s with the score %d', (_name, limits, value, outcome, score) => {
    const verdict = judgeOne(limits, value);
    expect(verdict?.outcome).toBe(outcome);
    expect(verdict?.score).toBeCloseTo(score, 9);
  });

  test('the reason never shows the limit itself as what broke it', () => {
    expect(judgeOne({ max: 1 }, 1.000_04)?.reason).toBe('value 1.00004, at most 1');
    expect(judgeOne({ max: 123_456 }, 123_457)?.reason).toBe('value 123457, at most 123456');
  });

  const finite = fc.double({ noNaN: true, noDefaultInfinity: true });

  test('V5: bad is beyond a limit, with a score of at least 1; the farther, the worse; all of it is a verdict of the contract', () => {
    fc.assert(
      fc.property(finite, finite, fc.double({ min: 0, max: 1e6, noNaN: true }), (limit, value, farther) => {
        for (const side of ['max', 'min'] as const) {
          const verdict = judgeOne({ [side]: limit }, value);
          // As it goes over the wire: an infinite number would be null there.
          expect(verdictSchema.safeParse(JSON.parse(JSON.stringify(verdict))).success).toBe(true);
          if (verdict?.outcome === 'inconclusive') continue;
          const worse = judgeOne({ [side]: limit }, side === 'max' ? value + farther : value - farther);
          expect(verdict?.outcome === 'anomalous' ? (verdict.score ?? 0) >= 1 : (verdict?.score ?? 2) <= 1).toBe(true);
          if (verdict?.outcome === 'anomalous' && worse?.outcome !== 'inconclusive') {
            expect(worse?.outcome).toBe('anomalous');
            expect(worse?.score).toBeGreaterThanOrEqual(verdict.score ?? NaN);
          }
        }
      }),
    );
  });
});
