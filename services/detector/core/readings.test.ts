import { describe, expect, test } from '@jest/globals';
import type { Verdict } from '@kubervisor/shared/detection/contract';
import type { Judgement } from './answer.ts';
import { judgeDeviation } from './continuous-value-deviation.ts';
import { judgeOutliers } from './outlier.ts';
import type { Sample } from './prometheus-answer.ts';
import { judgeThreshold } from './threshold.ts';

const query = { prometheusService: 'prometheus.monitoring', promQL: 'q', podNamekey: 'pod' };
const fleet = ['a', 'b', 'c', 'd', 'e'].map((name) => ({ name, uid: `uid-${name}` }));
const of = (pod: string, value: number): Sample => ({ labels: { pod }, value });
/** What a healthy fleet has, and e is bad by every kind. */
const samples = [of('a', 1), of('b', 1.01), of('c', 0.99), of('d', 1), of('e', 9)];
const replaced = (pod: string, ...by: Sample[]) => [...samples.filter(({ labels }) => labels['pod'] !== pod), ...by];

const KINDS: [string, (given: readonly Sample[]) => Judgement][] = [
  ['continuousValueDeviation', (given) => judgeDeviation({ ...query, maxDeviationPercent: 75 }, given, fleet)],
  ['threshold', (given) => judgeThreshold({ ...query, max: 5 }, given, fleet)],
  ...(['mad', 'iqr'] as const).map((method): [string, (given: readonly Sample[]) => Judgement] => [
    `outlier by ${method}`,
    (given) =>
      judgeOutliers({ ...query, method, direction: 'above', minDeviationPercent: 10, minFleet: 3 }, given, fleet),
  ]),
];
const outcomes = (verdicts: readonly Verdict[]) => verdicts.map(({ pod, outcome }) => `${pod} ${outcome}`);
const rest = ['a ok', 'b ok', 'c ok', 'd ok'];

describe.each(KINDS)('%s, on what PromQL may give', (_kind, judge) => {
  test('a value a pod', () => {
    const { verdicts, ignored } = judge(samples);
    expect(outcomes(verdicts)).toEqual([...rest, 'e anomalous']);
    expect(verdicts.map(({ uid }) => uid)).toEqual(fleet.map(({ uid }) => uid));
    expect(ignored).toEqual({});
  });

  test('V1: an empty result leaves everybody inconclusive', () => {
    const { verdicts, ignored } = judge([]);
    expect(verdicts.map(({ outcome }) => outcome)).toEqual(Array(5).fill('inconclusive'));
    expect(ignored).toEqual({});
  });

  test.each([NaN, Infinity, -Infinity, 1.7e308])(
    'V1: the value %d makes its pod inconclusive, and is counted',
    (value) => {
      const { verdicts, ignored } = judge(replaced('e', of('e', value)));
      expect(outcomes(verdicts)).toEqual([...rest, 'e inconclusive']);
      expect(verdicts[4]?.reason).toBe('the value of the pod is not a number');
      expect(ignored).toEqual({ notANumber: 1 });
    },
  );

  test('V1: two series of a pod make it inconclusive, also where one is no number, and are counted', () => {
    for (const second of [9, NaN]) {
      const { verdicts, ignored } = judge([...samples, of('e', second)]);
      expect(outcomes(verdicts)).toEqual([...rest, 'e inconclusive']);
      expect(verdicts[4]?.reason).toBe('the query gives 2 series for the pod, and one is needed');
      expect(ignored).toEqual({ duplicateSeries: 2 });
    }
  });

  test.each<[string, Sample]>([
    ['noPodLabel', { labels: {}, value: 9 }],
    ['noPodLabel', of('', 9)],
    ['notAsked', of('stranger', 9)],
    ['notAsked', of('__proto__', 9)],
  ])('V2: a series is dropped and counted as %s: %j', (reason, extra) => {
    const { verdicts, ignored } = judge([...samples, extra]);
    expect(outcomes(verdicts)).toEqual([...rest, 'e anomalous']);
    expect(ignored).toEqual({ [reason]: 1 });
  });

  test('a pod without a value is inconclusive', () => {
    expect(judge(replaced('a')).verdicts[0]).toEqual({
      pod: 'a',
      uid: 'uid-a',
      outcome: 'inconclusive',
      reason: 'the query has no value for the pod',
    });
  });

  test('B4: the order of the series never matters', () => {
    expect(judge(samples.toReversed())).toEqual(judge(samples));
  });

  test('V5: the reason is one line', () => {
    expect(judge(samples).verdicts[4]?.reason).toMatch(/^[^\n]{10,200}$/);
  });
});

describe('a negative value', () => {
  const [[, deviation], [, threshold], [, mad]] = KINDS as [(typeof KINDS)[0], (typeof KINDS)[0], (typeof KINDS)[0]];

  test('is no ratio: its pod is inconclusive, and it is counted', () => {
    const { verdicts, ignored } = deviation(replaced('e', of('e', -9)));
    expect(outcomes(verdicts)).toEqual([...rest, 'e inconclusive']);
    expect(ignored).toEqual({ negativeSample: 1 });
  });

  test('is a value where values may be negative: a threshold and an outlier judge it', () => {
    for (const judge of [threshold, mad]) {
      const { verdicts, ignored } = judge(replaced('a', of('a', -9)));
      expect(outcomes(verdicts)).toEqual([...rest, 'e anomalous']);
      expect(ignored).toEqual({});
    }
  });
});
