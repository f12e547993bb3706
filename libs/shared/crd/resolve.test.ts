import { describe, expect, test } from '@jest/globals';
import type { KubervisorServiceSpecInput } from './kubervisor-service.ts';
import { resolveSpec } from './resolve.ts';
import { describeProblem, validateSpec } from './validate.ts';

const query = { prometheusService: 'prometheus', promQL: 'rate(errors[1m])', podNamekey: 'pod' };

function resolved(spec: Partial<KubervisorServiceSpecInput>) {
  const validated = validateSpec({ service: 'cart', breakers: [{ name: 'one', customService: 'judge' }], ...spec });
  if ('problems' in validated) throw new Error(validated.problems.map(describeProblem).join('\n'));
  return resolveSpec(validated.spec);
}
const only = (fields: object) => resolved({ breakers: [{ name: 'one', ...fields }] }).breakers[0];

describe('computed defaults', () => {
  test('mode: the stricter of the two wins', () => {
    const breakers = [
      { name: 'one', customService: 'judge', mode: 'enforce' as const },
      { name: 'two', customService: 'judge', mode: 'disabled' as const },
      { name: 'three', customService: 'judge' },
    ];
    expect(resolved({ mode: 'dryRun', breakers }).breakers.map(({ mode }) => mode)).toEqual([
      'dryRun',
      'disabled',
      'dryRun',
    ]);
  });

  test('gracePeriod: the largest of two periods, the longest range and the window', () => {
    expect(only({ customService: 'judge', evaluationPeriod: 7 })).toMatchObject({ gracePeriod: 14, lookBack: 0 });
    expect(only({ threshold: { ...query, max: 1 } })).toMatchObject({ gracePeriod: 60, lookBack: 60 });
    expect(only({ trend: { ...query, window: 600, maxPerMinute: 1 } })).toMatchObject({ gracePeriod: 600 });
    expect(only({ threshold: { ...query, max: 1 }, gracePeriod: 5 })).toMatchObject({ gracePeriod: 5, lookBack: 60 });
  });

  test('factor: 3.5 for mad, 1.5 for iqr', () => {
    expect(only({ outlier: query })?.detector).toMatchObject({ factor: 3.5 });
    expect(only({ outlier: { ...query, method: 'iqr' } })?.detector).toMatchObject({ factor: 1.5 });
    expect(only({ outlier: { ...query, factor: 2 } })?.detector).toMatchObject({ factor: 2 });
  });

  test('an empty list of values is not there', () => {
    const detector = { ...query, key: 'code', goodValues: [], badValues: ['500'] };
    expect(only({ discreteValueOutOfList: detector })?.detector).not.toHaveProperty('goodValues');
    expect(only({ discreteValueOutOfList: { ...detector, goodValues: ['200'], badValues: [] } })?.detector).toEqual({
      ...query,
      key: 'code',
      goodValues: ['200'],
      tolerance: 50,
      minActivity: 2,
    });
  });

  test('W1: a time-out is at most the evaluationPeriod and never under a second', () => {
    const timeout = (evaluationPeriod: number, timeoutSeconds: number) =>
      only({ evaluationPeriod, detector: { url: 'http://judge', timeoutSeconds } })?.timeoutSeconds;
    expect([timeout(60, 20), timeout(3, 20), timeout(0.5, 20), timeout(60, 1)]).toEqual([20, 3, 1, 1]);
  });

  test("activator: the breaker's own, else the default one, else the defaults", () => {
    expect(only({ customService: 'judge' })?.activator).toMatchObject({ mode: 'periodic', period: 10, maxPeriod: 300 });
    const { breakers } = resolved({
      breakers: [
        { name: 'one', customService: 'judge' },
        { name: 'two', customService: 'judge', activator: { mode: 'retryAndKill' } },
      ],
      defaultActivator: { mode: 'retryAndPause', period: 30 },
    });
    expect(breakers.map(({ activator: { mode, period } }) => [mode, period])).toEqual([
      ['retryAndPause', 30],
      ['retryAndKill', 10],
    ]);
  });

  test('retryDecayPeriod: the larger of ten periods and three probations (A3, A7)', () => {
    expect(only({ customService: 'judge' })?.activator).toMatchObject({ probation: 15, retryDecayPeriod: 100 });
    expect(only({ customService: 'judge', gracePeriod: 60, confirm: { of: 4 } })?.activator).toMatchObject({
      probation: 80,
      retryDecayPeriod: 240,
    });
  });

  test('A2: the cap never cuts below one period, so that 2018 manifests with long periods keep their meaning', () => {
    expect(resolved({ defaultActivator: { period: 600 } }).defaultActivator).toMatchObject({
      period: 600,
      maxPeriod: 600,
    });
  });
});
