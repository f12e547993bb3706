import { describe, expect, test } from '@jest/globals';
import { judge, judged, mean, percentile, ratioOf, shown, tableOf, type Figure } from './figures.ts';

const figure = (value: number, more: Partial<Figure> = {}): Figure => ({ what: 'p50', unit: 'ms', value, ...more });
const bound = (value: number) => ({ bound: { what: 'LIST + PATCH', value } });

describe('percentiles', () => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);

  test('are values that were measured, whatever their order', () => {
    expect([0, 50, 95, 100].map((percent) => percentile(hundred, percent))).toEqual([1, 50, 95, 100]);
    expect(percentile([7, 3], 50)).toBe(3);
    expect(percentile([7], 95)).toBe(7);
  });

  test('sort as numbers and leave their input as it was', () => {
    const values = [10, 9, 100];
    expect(percentile(values, 50)).toBe(10);
    expect(values).toEqual([10, 9, 100]);
  });

  test('of nothing there are none', () => {
    expect(() => percentile([], 50)).toThrow('nothing');
  });

  test('mean', () => expect(mean([1, 2, 6])).toBe(3));
});

describe('a figure', () => {
  test('is judged by its ratio to the bound, the target itself included', () => {
    expect(judge(figure(13, { ...bound(10), target: { ratio: 1.3 } }))).toBe('ok');
    expect(judge(figure(13.1, { ...bound(10), target: { ratio: 1.3 } }))).toBe('over');
  });

  test('is over where its ratio cannot be had', () => {
    expect(judge(figure(0, { target: { ratio: 2 } }))).toBe('over');
    expect(judge(figure(1, { ...bound(0), target: { ratio: 2 } }))).toBe('over');
    expect(judge(figure(NaN, { ...bound(1), target: { ratio: 2 } }))).toBe('over');
    expect(ratioOf(figure(1, bound(0)))).toBeUndefined();
  });

  test('is judged by itself where it must not pass a number', () => {
    expect(judge(figure(0, { target: { atMost: 0 } }))).toBe('ok');
    expect(judge(figure(0.01, { target: { atMost: 0 } }))).toBe('over');
  });

  test('without a target is told and not judged', () => {
    expect(judge(figure(1e9, bound(1)))).toBe('told');
  });

  test('is shown with as many digits as it is worth', () => {
    expect([0, 0.034, 0.34, 3.42, 34.2, 342.4].map(shown)).toEqual(['0', '0.034', '0.34', '3.4', '34.2', '342']);
  });
});

test('the table has a line a figure under its headings, its columns aligned', () => {
  const table = tableOf({
    bench: 'latency',
    figures: [
      figure(9, { what: 'fleet of 5, p50', ...bound(6), target: { ratio: 1.3 } }),
      figure(0.5, { what: 'renewals', unit: '/s' }),
      figure(0, { what: 'others', unit: '/s', target: { atMost: 0 } }),
    ],
  });
  expect(table.split('\n')).toEqual([
    'latency          figure   bound                  ratio   target',
    'fleet of 5, p50  9.0 ms   6.0 ms (LIST + PATCH)  1.50 ×  ≤ 1.3 ×  over',
    'renewals         0.50 /s',
    'others           0 /s                                    ≤ 0 /s   ok',
  ]);
});

test('as JSON each figure has its ratio and its judgement beside it', () => {
  expect(judged([figure(12, { ...bound(10), target: { ratio: 1.3 } }), figure(1)])).toEqual([
    { what: 'p50', unit: 'ms', value: 12, ...bound(10), target: { ratio: 1.3 }, ratio: 1.2, judgement: 'ok' },
    { what: 'p50', unit: 'ms', value: 1, judgement: 'told' },
  ]);
});
