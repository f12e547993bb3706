import { cpuUsage } from 'node:process';
import { describe, expect, test } from '@jest/globals';
import { verdict as verdictSchema } from '@kubervisor/shared/detection/contract';
import fc from 'fast-check';
import { baselineOf, judgeOutliers, type Outlier } from './outlier.ts';

const stanza: Outlier = {
  prometheusService: 'prometheus.monitoring',
  promQL: 'q',
  podNamekey: 'pod',
  method: 'mad',
  direction: 'above',
  minDeviationPercent: 10,
  minFleet: 3,
};
const judge = (change: Partial<Outlier>, values: readonly number[]) =>
  judgeOutliers(
    { ...stanza, ...change },
    values.map((value, n) => ({ labels: { pod: `p${n}` }, value })),
    values.map((_, n) => ({ name: `p${n}`, uid: `u${n}` })),
  );
/** The values that are called outliers. */
const found = (change: Partial<Outlier>, values: readonly number[]): number[] =>
  judge(change, values).verdicts.flatMap(({ outcome }, n) => (outcome === 'anomalous' ? [values[n] ?? NaN] : []));

describe('outlier', () => {
  test('V5: says in one line what it saw, the limit, and what the fleet has', () => {
    // Median 1.05; the |x − median| are 0.05 0.05 0.05 0.15 0.15 8.95, so MAD 0.1 and the limit 1.05 + 3.5 × 0.1 / 0.6745.
    const { verdicts } = judge({}, [1, 1.1, 0.9, 1, 1.2, 10]);
    expect(verdicts[5]).toEqual({
      pod: 'p5',
      uid: 'u5',
      outcome: 'anomalous',
      score: expect.closeTo(8.95 / 0.518_902_891_030_393, 6),
      observed: 10,
      limit: expect.closeTo(1.568_902_891, 6),
      reason: 'value 10, limit 1.57, median of the fleet 1.05 (6 pods)',
    });
    expect(verdicts[4]).toMatchObject({ outcome: 'ok', observed: 1.2, score: expect.closeTo(0.15 / 0.5189, 3) });
  });

  test('iqr: the fences of a worked example', () => {
    // Q1 3.25, Q3 7.75 by linear interpolation, IQR 4.5: fences −3.5 and 14.5.
    const values = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
    const { median, above, below } = baselineOf(values, { method: 'iqr', factor: 1.5, minDeviationPercent: 0 });
    expect([median, median - below, median + above]).toEqual([5.5, -3.5, 14.5]);
    expect(found({ method: 'iqr' }, [...values, 15])).toEqual([]);
    expect(found({ method: 'iqr' }, [...values, 17])).toEqual([17]);
  });

  test.each<[string, Partial<Outlier>, number[], number[]]>([
    ['above', {}, [10, 11, 9, 10, 99, 1], [99]],
    ['below', { direction: 'below' }, [10, 11, 9, 10, 99, 1], [1]],
    ['both', { direction: 'both' }, [10, 11, 9, 10, 99, 1], [99, 1]],
    ['a larger factor asks for more', { factor: 200 }, [10, 11, 9, 10, 99], []],
    ['near equals have no outliers', {}, [100, 100, 100, 100, 109], []],
    ['minDeviationPercent is over, not at', {}, [100, 100, 100, 100, 110], []],
    ['and over it, with a MAD of 0', {}, [100, 100, 100, 100, 110.1], [110.1]],
    ['minDeviationPercent counts where the MAD is small', { minDeviationPercent: 50 }, [100, 101, 99, 100, 140], []],
    ['all alike', { minDeviationPercent: 0 }, [7, 7, 7, 7], []],
    ['all alike but for noise of sums', { minDeviationPercent: 0 }, [0.3, 0.3, 0.3, 0.1 + 0.2], []],
    ['all nothing', {}, [0, 0, 0, 0], []],
    ['two sick of three', {}, [1, 9, 9.1], []],
    ['negative values', {}, [-10, -11, -9, -10, -1], [-1]],
    ['both sides of 0', { direction: 'both' }, [-1, 1, 0, -0.5, 0.5, 40], [40]],
  ])('%s', (_name, change, values, expected) => {
    expect(found(change, values)).toEqual(expected);
  });

  test('V1: fewer pods with a value than minFleet are inconclusive; those without one do not count', () => {
    const reason = '3 pods with a value, at least 4 are needed to tell an outlier';
    const { verdicts } = judge({ minFleet: 4 }, [1, 1, 99, NaN]);
    expect(verdicts.map(({ outcome }) => outcome)).toEqual(Array(4).fill('inconclusive'));
    expect(verdicts[2]?.reason).toBe(reason);
    expect(found({ minFleet: 4 }, [1, 1, 99, 1])).toEqual([99]);
  });

  test('V2: pods that are not asked about (out, young, of another fleet) and pods without a value are left out of the baseline', () => {
    const asked = [1, 1.1, 0.9, 1, 10].map((value, n) => ({ labels: { pod: `p${n}` }, value }));
    const fleet = [...asked, { labels: { pod: 'idle' } }].map(({ labels: { pod } }) => ({ name: pod, uid: pod }));
    // Counted in, these would be the majority, and the median 10.
    const others = Array.from({ length: 20 }, (_, n) => ({ labels: { pod: `out-${n}` }, value: 10 }));
    const alone = judgeOutliers(stanza, asked, fleet);
    const among = judgeOutliers(stanza, [...others, ...asked, { labels: { pod: 'idle' }, value: NaN }], fleet);
    expect(among.verdicts.slice(0, 5)).toEqual(alone.verdicts.slice(0, 5));
    expect(among.verdicts[4]).toMatchObject({ outcome: 'anomalous', limit: alone.verdicts[4]?.limit });
    expect(among.verdicts[5]).toMatchObject({ outcome: 'inconclusive' });
    expect(among.ignored).toEqual({ notAsked: 20, notANumber: 1 });
  });

  test('warns where a verdict rests on nothing but that the others are alike: of a median of 0 every percentage is 0', () => {
    const { verdicts, warnings } = judge({}, [0, 0, 0, 0, 0.001, 5]);
    expect(verdicts.map(({ outcome }) => outcome)).toEqual(['ok', 'ok', 'ok', 'ok', 'anomalous', 'anomalous']);
    expect(verdicts[5]?.score).toBeGreaterThan(verdicts[4]?.score ?? NaN);
    expect(warnings).toEqual([expect.stringContaining('clamp_min')]);
    expect(warnings?.[0]?.length).toBeLessThanOrEqual(512);
    for (const values of [
      [0, 0, 0, 0],
      [1, 1, 1, 9],
      [0, 0.1, 0.2, 9],
    ])
      expect(judge({}, values).warnings).toBeUndefined();
  });
});

/** Envoy's success-rate method, for comparison: the mean, and `factor` (1.9 unless set there) standard deviations from it. */
function byMeanAndSigma(values: readonly number[], factor = 1.9): number[] {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const sigma = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
  return values.filter((value) => value > mean + factor * sigma);
}

describe('k equal outliers among n: robust by default', () => {
  /** n − k pods around (or exactly at) 10, and k at 50. */
  const fleetOf = (n: number, k: number, spread: number) =>
    Array.from({ length: n }, (_, pod) => (pod < k ? 50 : 10 + spread * Math.sin(pod)));
  const outliers = (k: number) => Array<number>(k).fill(50);
  const sizes = [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 25, 50, 101];

  describe.each([
    ['that differ a little', 0.3],
    ['that are all alike, so that MAD and IQR are 0', 0],
  ])('among pods %s', (_name, spread) => {
    test.each([0, 10])('mad finds them for every k below n/2 (minDeviationPercent %d)', (minDeviationPercent) => {
      for (const n of sizes) {
        for (let k = 1; k < n / 2; k++) {
          expect([n, k, found({ minDeviationPercent }, fleetOf(n, k, spread))]).toEqual([n, k, outliers(k)]);
        }
      }
    });

    test('iqr finds them for every k below n/4', () => {
      for (const n of sizes) {
        for (let k = 1; k < n / 4; k++) {
          expect([n, k, found({ method: 'iqr' }, fleetOf(n, k, spread))]).toEqual([n, k, outliers(k)]);
        }
      }
    });

    test('mean and sigma finds none from k/n = 0.22 on: they hide one another', () => {
      for (const n of sizes) {
        for (let k = Math.ceil(0.22 * n); k < n / 2; k++) {
          expect([n, k, byMeanAndSigma(fleetOf(n, k, spread))]).toEqual([n, k, []]);
        }
      }
    });
  });

  test('also where they are at 0 but for the outliers, and where the value is bad below', () => {
    for (const n of sizes) {
      for (let k = 1; k < n / 2; k++) {
        const fromZero = Array.from({ length: n }, (_, pod) => (pod < k ? 3 : 0));
        expect(found({}, fromZero)).toEqual(Array(k).fill(3));
        const falling = Array.from({ length: n }, (_, pod) => (pod < k ? 0 : 3));
        expect(found({ direction: 'below' }, falling)).toEqual(Array(k).fill(0));
      }
    }
  });

  test('the usual fallback where the MAD is 0 (mean absolute deviation × 1.253314) would not: that is why it only scores', () => {
    const byFallback = (n: number, k: number) => {
      const { meanDeviation, median } = baselineOf(fleetOf(n, k, 0), { method: 'mad', minDeviationPercent: 0 });
      return (50 - median) / (1.253314 * meanDeviation) > 3.5;
    };
    expect([byFallback(100, 22), byFallback(100, 23)]).toEqual([true, false]);
  });

  test('a far outlier does not hide a near one', () => {
    expect(found({}, [10, 10.2, 9.9, 10.1, 10, 9.8, 20, 1e9])).toEqual([20, 1e9]);
  });
});

describe('of any fleet', () => {
  const finite = fc.double({ noNaN: true, noDefaultInfinity: true });
  const any: fc.Arbitrary<Partial<Outlier>> = fc.record({
    method: fc.constantFrom('mad', 'iqr'),
    direction: fc.constantFrom('above', 'below', 'both'),
    factor: fc.double({ min: 0.01, max: 1000, noNaN: true }),
    minDeviationPercent: fc.double({ min: 0, max: 1e5, noNaN: true }),
  });

  test('V5: bad is beyond the limit on the bad side, scored 1 or more; all of it are verdicts of the contract', () => {
    fc.assert(
      fc.property(any, fc.array(finite, { maxLength: 30 }), (change, values) => {
        for (const verdict of judge(change, values).verdicts) {
          expect(verdictSchema.safeParse(JSON.parse(JSON.stringify(verdict))).success).toBe(true);
          const { outcome, observed = NaN, limit = NaN, score = NaN } = verdict;
          if (outcome === 'anomalous') {
            expect(observed).not.toBe(limit);
            expect(score).toBeGreaterThanOrEqual(1);
            expect(verdict.reason).toMatch(/^[^\n]+$/);
          } else if (outcome === 'ok') expect(score).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  const amounts = fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 3, maxLength: 60 });

  test('at most half of a fleet are outliers of mad', () => {
    fc.assert(
      fc.property(amounts, fc.constantFrom('above', 'below', 'both'), (values, direction) => {
        expect(found({ direction }, values).length).toBeLessThanOrEqual(values.length / 2);
      }),
    );
  });

  test('a drift of all pods alike makes nobody anomalous who was not', () => {
    fc.assert(
      fc.property(any, amounts, fc.integer({ min: -20, max: 20 }), (change, values, exponent) => {
        // Powers of two, for any other factor rounds.
        const drifted = values.map((value) => value * 2 ** exponent);
        const outcomes = (of: number[]) => judge(change, of).verdicts.map(({ outcome }) => outcome);
        expect(outcomes(drifted)).toEqual(outcomes(values));
      }),
    );
  });

  test('a rise of all pods by the same amount makes nobody anomalous who was not', () => {
    fc.assert(
      fc.property(any, amounts, fc.integer({ min: 0, max: 100_000 }), (change, values, rise) => {
        const before = new Set(found(change, values));
        for (const bad of found(
          change,
          values.map((value) => value + rise),
        ))
          expect(before).toContain(bad - rise);
      }),
    );
  });

  test('B4: the order of the pods never matters', () => {
    fc.assert(
      fc.property(any, amounts, (change, values) => {
        const sorted = values.toSorted((one, other) => one - other);
        expect(found(change, values).toSorted((one, other) => one - other)).toEqual(found(change, sorted));
      }),
    );
  });
});

test('a fleet of 10,000 is judged in a moment', () => {
  const values = Array.from({ length: 10_000 }, (_, n) => (n < 7 ? 99 : 10 + Math.sin(n)));
  const started = cpuUsage();
  expect(found({}, values)).toHaveLength(7);
  // Time of the processor, for others may use it too.
  const { user, system } = cpuUsage(started);
  expect((user + system) / 1e6).toBeLessThan(1);
});
