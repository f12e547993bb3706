import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { medianOf, score, shownApart } from './figures.ts';

describe('figures', () => {
  test('the median is that of the sorted figures', () => {
    const figures = fc.array(
      fc.oneof(fc.integer({ min: -3, max: 3 }), fc.double({ noNaN: true, min: -1e9, max: 1e9 })),
      {
        minLength: 1,
        maxLength: 60,
      },
    );
    fc.assert(
      fc.property(figures, (given) => {
        const sorted = given.toSorted((one, other) => one - other);
        const middle = (sorted.length - 1) / 2;
        const expected = (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2;
        // Not by Object.is: 0 and −0 are one figure.
        expect(medianOf(Float64Array.from(given)) === expected).toBe(true);
      }),
    );
  });

  test.each([
    [2.4, 1, '2.4', '1'],
    [1.0004, 1, '1.0004', '1'],
    [1234.5678, 1000, '1230', '1000'],
    [1.5691, 1.5689, '1.5691', '1.5689'],
    [-7.5, -5, '-7.5', '-5'],
    [1e-9, 0, '1e-9', '0'],
    [Number.MAX_VALUE, 1, '1.79769e+308', '1'],
  ])('%d and its limit %d are shown apart', (value, limit, ...shown) => {
    expect(shownApart(value, limit)).toEqual(shown);
  });

  test('V5: a score is never negative and never infinite', () => {
    expect([-1, 0, 1, 2.5, Infinity].map(score)).toEqual([0, 0, 1, 2.5, 1e9]);
  });
});
