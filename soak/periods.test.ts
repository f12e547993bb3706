import { describe, expect, test } from '@jest/globals';
import { createPeriodBook, inPeriods } from './periods.ts';

const RESOURCE = { uid: 'u1', name: 'cart' };
const EVERY_5 = [{ name: 'errors', period: 5000 }];

function bookOf(times: readonly number[], end?: number) {
  const book = createPeriodBook();
  book.begin(RESOURCE, EVERY_5, 0);
  for (const at of times) book.evaluated('u1', 'errors', at);
  if (end !== undefined) book.endAll(end);
  return book;
}

describe('a period', () => {
  test('that each evaluation ends in its own time is not missed, however long its round takes', () => {
    const book = bookOf([4000, 9100, 15_900, 19_000, 24_000], 28_000);
    expect(book.gaps).toEqual([]);
    expect(book.evaluations).toBe(5);
    expect(book.longest).toMatchObject({ resource: 'cart', breaker: 'errors', from: 9100, milliseconds: 6800 });
  });

  test('that was left out is missed, once for each tick', () => {
    expect(bookOf([5000, 15_000, 20_000]).gaps).toEqual([
      { resource: 'cart', breaker: 'errors', from: 5000, milliseconds: 10_000, period: 5000, missed: 1 },
    ]);
    expect(bookOf([5000, 30_100]).gaps).toMatchObject([{ missed: 4 }]);
  });

  test('before the first evaluation counts, and so does the last one of a breaker that fell silent', () => {
    expect(bookOf([10_000]).gaps).toMatchObject([{ from: 0, missed: 1 }]);
    expect(bookOf([5000], 20_000).gaps).toMatchObject([{ from: 5000, missed: 2 }]);
    expect(bookOf([], 10_000).gaps).toMatchObject([{ from: 0, missed: 1 }]);
  });

  test('of a breaker that shares the resource with another is its own', () => {
    const book = createPeriodBook();
    book.begin(RESOURCE, [...EVERY_5, { name: 'slow', period: 10_000 }], 0);
    for (const at of [5000, 10_000, 15_000, 20_000]) book.evaluated('u1', 'errors', at);
    expect(book.allEvaluated).toBe(false);
    book.endAll(20_000);
    expect(book.gaps).toMatchObject([{ breaker: 'slow', milliseconds: 20_000, missed: 1 }]);
    expect(inPeriods(book.longest!)).toBe(2);
  });

  test('of a resource that is gone is nobody’s: its successor begins anew', () => {
    const book = bookOf([5000]);
    book.end('u1', 6000);
    book.evaluated('u1', 'errors', 40_000);
    book.begin({ uid: 'u2', name: 'cart' }, EVERY_5, 40_000);
    book.evaluated('u2', 'errors', 44_000);
    book.endAll(48_000);
    expect(book.gaps).toEqual([]);
    expect(book.evaluations).toBe(2);
  });

  test('what is told twice, or late, opens none', () => {
    const book = bookOf([5000, 10_000, 10_000, 5000, 15_000]);
    expect(book.gaps).toEqual([]);
    expect(book.longest?.milliseconds).toBe(5000);
  });
});
