import { cpuUsage } from 'node:process';
import { describe, expect, test } from '@jest/globals';
import { verdict as verdictSchema } from '@kubervisor/shared/detection/contract';
import fc from 'fast-check';
import type { Series } from './prometheus-answer.ts';
import { judgeTrends, rangeOf, theilSenSlope, type Trend } from './trend.ts';

const stanza: Trend = {
  prometheusService: 'prometheus.monitoring',
  promQL: 'q',
  podNamekey: 'pod',
  window: 600,
  maxPerMinute: 5,
  direction: 'above',
};
const END = 1_700_000_000;
const { steps, stepSeconds } = rangeOf(stanza);
/** What Prometheus gives for a window: a value a step, by the minutes since its begin. */
const over = (valueAt: (minutes: number, step: number) => number, pod = 'a'): Series => ({
  labels: { pod },
  points: Array.from({ length: steps + 1 }, (_, step) => ({
    atSeconds: END - (steps - step) * stepSeconds,
    value: valueAt((step * stepSeconds) / 60, step),
  })),
});
const fleetOf = (...names: string[]) => names.map((name) => ({ name, uid: `uid-${name}` }));
const judgeOne = (series: Series, change: Partial<Trend> = {}) =>
  judgeTrends({ ...stanza, ...change }, [series], fleetOf('a')).verdicts[0];
const keeping = (series: Series, keep: (step: number) => boolean): Series => ({
  ...series,
  points: series.points.filter((_, step) => keep(step)),
});

describe('the range that is asked for', () => {
  test.each([
    [600, 15, 40],
    [3600, 15, 240],
    [7.013, 15, 0.468],
    [0.011, 15, 0.001],
  ])('of a window of %d s: %d steps of %d s', (window, expectedSteps, seconds) => {
    expect(rangeOf({ window })).toEqual({ steps: expectedSteps, stepSeconds: seconds });
  });
});

describe('the slope of Theil and Sen', () => {
  test.each([
    [[400, 410, 390, 405], (-0.625 + 0.5) / 2],
    [[400, 470, 560, 700], 30],
    [[400, 410, 2000, 405], (0.5 + 5) / 2],
  ])('of the worked example of its page: %j after 0, 2, 5 and 10', (values, slope) => {
    const times = [0, 2, 5, 10];
    expect(theilSenSlope(values.map((value, n) => ({ atSeconds: times[n] ?? NaN, value })))).toBeCloseTo(slope, 12);
  });

  test('of a line is its slope, also with 29 % of the points anywhere', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -1000, max: 1000 }),
        fc.uniqueArray(fc.nat(20), { minLength: 5, maxLength: 5 }),
        fc.array(fc.integer({ min: -1_000_000, max: 1_000_000 }), { minLength: 5, maxLength: 5 }),
        (slope, wild, values) => {
          // 16 of 21 points on the line are 120 of the 210 pairs: more than a half.
          const points = Array.from({ length: 21 }, (_, n) => ({
            atSeconds: n,
            value: wild.includes(n) ? (values[wild.indexOf(n)] ?? 0) : slope * n,
          }));
          expect(theilSenSlope(points)).toBeCloseTo(slope, 6);
        },
      ),
    );
  });
});

describe('trend', () => {
  test('V5: says in one line how fast it goes and how fast it may', () => {
    expect(judgeOne(over((minutes) => 100 + 12.3 * minutes))).toEqual({
      pod: 'a',
      uid: 'uid-a',
      outcome: 'anomalous',
      score: expect.closeTo(2.46, 6),
      observed: expect.closeTo(12.3, 6),
      limit: 5,
      reason: 'rises by 12.3 a minute over 600 s, at most 5 is allowed',
    });
    expect(
      judgeOne(
        over((minutes) => -7.5 * minutes),
        { direction: 'below' },
      ),
    ).toMatchObject({
      outcome: 'anomalous',
      score: expect.closeTo(1.5, 6),
      observed: expect.closeTo(-7.5, 6),
      limit: -5,
      reason: 'falls by 7.5 a minute over 600 s, at most 5 is allowed',
    });
  });

  test.each<[string, Trend['direction'], number, string]>([
    ['a rise at the limit', 'above', 5, 'ok'],
    ['a rise over it', 'above', 5.01, 'anomalous'],
    ['a rise where falls are bad', 'below', 50, 'ok'],
    ['a fall over the limit', 'below', -5.01, 'anomalous'],
    ['a fall where rises are bad', 'above', -50, 'ok'],
    ['a rise where both are bad', 'both', 5.01, 'anomalous'],
    ['a fall where both are bad', 'both', -5.01, 'anomalous'],
    ['a fall at the limit where both are bad', 'both', -5, 'ok'],
    ['no change', 'both', 0, 'ok'],
  ])('%s (%s, %d a minute) is %s', (_name, direction, perMinute, outcome) => {
    expect(
      judgeOne(
        over((minutes) => 1000 + perMinute * minutes),
        { direction },
      )?.outcome,
    ).toBe(outcome);
  });

  test('a single spike is no trend', () => {
    expect(judgeOne(over((_, step) => (step === 15 ? 1e9 : 10)))).toMatchObject({ outcome: 'ok', observed: 0 });
  });

  test('a reset of a rising value hides its rise only in the middle third of the window, and makes no rise of it', () => {
    const observed = Array.from({ length: 15 }, (_, at) =>
      judgeOne(over((_minutes, step) => 10 * step - (step > at ? 1000 : 0))),
    ).map((verdict) => Math.round(verdict?.observed ?? NaN));
    // 10 a step of 40 s.
    expect([...observed.slice(0, 5), ...observed.slice(-5)]).toEqual(Array(10).fill(15));
    expect(Math.max(...observed.slice(5, -5))).toBeLessThan(0);
  });

  test('values below 0 are values: a temperature may rise from −40', () => {
    expect(judgeOne(over((minutes) => -40 + 6 * minutes))?.outcome).toBe('anomalous');
  });

  describe('V1: what was not seen long enough is inconclusive', () => {
    const rising = over((minutes) => 50 * minutes);
    test.each<[string, Series, string]>([
      ['nothing', { labels: { pod: 'b' }, points: [] }, 'the query has no value for the pod'],
      ['no point', keeping(rising, () => false), 'no point in the window is a number'],
      [
        'one point',
        keeping(rising, (step) => step === 15),
        'the points cover 0 s of the window, at least 480 s are needed',
      ],
      [
        'a pod that is younger',
        keeping(rising, (step) => step > 7),
        'the points cover 280 s of the window, at least 480 s are needed',
      ],
      [
        'a series that ended',
        keeping(rising, (step) => step < 12),
        'the points cover 440 s of the window, at least 480 s are needed',
      ],
      [
        'too many gaps',
        keeping(rising, (step) => step < 4 || step > 12),
        '7 points in the window, at least 8 of 16 are needed',
      ],
    ])('%s', (_name, series, reason) => {
      expect(judgeOne(series)).toEqual({ pod: 'a', uid: 'uid-a', outcome: 'inconclusive', reason });
    });

    test('some gaps, and four fifths of the window, are enough', () => {
      expect(judgeOne(keeping(rising, (step) => step >= 3 && step !== 9 && step !== 10))?.outcome).toBe('anomalous');
    });

    test('points that are no numbers are gaps, and are counted', () => {
      const holey = (every: number) =>
        over((minutes, step) => (step % every === 1 ? [NaN, Infinity, -Infinity][step % 3]! : 50 * minutes));
      const { verdicts, ignored } = judgeTrends(stanza, [holey(4)], fleetOf('a'));
      expect(verdicts[0]).toMatchObject({ outcome: 'anomalous', observed: expect.closeTo(50, 6) });
      expect(ignored).toEqual({ notANumber: 4 });
      expect(judgeOne(over(() => NaN))?.reason).toBe('no point in the window is a number');
    });

    test('two series of a pod: inconclusive, and counted', () => {
      const { verdicts, ignored } = judgeTrends(stanza, [rising, rising], fleetOf('a'));
      expect(verdicts[0]).toMatchObject({ outcome: 'inconclusive' });
      expect(ignored).toEqual({ duplicateSeries: 2 });
    });
  });

  test('V2: series without the pod label (a scalar gives one) and of unknown pods are dropped and counted', () => {
    const unlabelled = { ...over(() => 1), labels: {} };
    const { verdicts, ignored } = judgeTrends(
      stanza,
      [unlabelled, over(() => 1, 'stranger'), over(() => 1)],
      fleetOf('a'),
    );
    expect(verdicts.map(({ outcome }) => outcome)).toEqual(['ok']);
    expect(ignored).toEqual({ noPodLabel: 1, notAsked: 1 });
  });

  test('V5: bad is faster than the limit, scored 1 or more; all of it are verdicts of the contract', () => {
    const value = fc.double({ noNaN: true, noDefaultInfinity: true });
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 16, maxLength: 16 }),
        fc.constantFrom('above', 'below', 'both'),
        fc.double({ min: 1e-6, max: 1e6, noNaN: true }),
        (values, direction, maxPerMinute) => {
          const verdict = judgeOne(
            over((_, step) => values[step] ?? 0),
            { direction, maxPerMinute },
          );
          expect(verdictSchema.safeParse(JSON.parse(JSON.stringify(verdict))).success).toBe(true);
          if (verdict?.outcome === 'anomalous') expect(verdict.score).toBeGreaterThanOrEqual(1);
          if (verdict?.outcome === 'ok') expect(verdict.score).toBeLessThanOrEqual(1);
        },
      ),
    );
  });

  test('10,000 series are judged in a moment', () => {
    const names = Array.from({ length: 10_000 }, (_, n) => `p${n}`);
    const series = names.map((name, n) => over((minutes) => (n < 7 ? 50 : 1) * minutes + Math.sin(n * minutes), name));
    const started = cpuUsage();
    const { verdicts } = judgeTrends(stanza, series, fleetOf(...names));
    // Time of the processor, for others may use it too: 0.1 s.
    const { user, system } = cpuUsage(started);
    expect(verdicts.filter(({ outcome }) => outcome === 'anomalous')).toHaveLength(7);
    expect((user + system) / 1e6).toBeLessThan(2);
  });
});
