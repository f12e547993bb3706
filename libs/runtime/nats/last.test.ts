import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { startOfLast } from './last.ts';

test('wherever the messages lie in the stream: at least as many as were asked for, at most twice as many, in few probes', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.integer({ min: 1, max: 100_000 }), { minLength: 1, maxLength: 400 }),
      fc.integer({ min: 1, max: 50 }),
      async (sequences, limit) => {
        const [first, last] = [Math.min(...sequences), Math.max(...sequences)];
        let probes = 0;
        const left = (from: number): number => sequences.filter((sequence) => sequence >= from).length;
        const start = await startOfLast(
          async (sequence) => {
            probes += 1;
            return left(sequence);
          },
          { first, last },
          limit,
        );
        expect(left(start)).toBeGreaterThanOrEqual(Math.min(limit, sequences.length));
        if (sequences.length > 2 * limit) expect(left(start)).toBeLessThanOrEqual(2 * limit);
        expect(probes).toBeLessThanOrEqual(17);
      },
    ),
  );
});

test('a stream that loses and gains messages under the search does not keep it going', async () => {
  let probes = 0;
  const start = await startOfLast(async () => (probes++ % 2 === 0 ? 0 : 1e9), { first: 1, last: 2 ** 50 }, 10);
  expect(start).toBeGreaterThanOrEqual(1);
  expect(probes).toBeLessThanOrEqual(40);
});
