import { gzipSync } from 'node:zlib';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { COMPRESS_ABOVE_BYTES } from '@kubervisor/shared/events/subjects';
import { pack, unpack } from './payload.ts';

const headersOf = (entries: Record<string, string>) => ({ get: (name: string) => entries[name] ?? '' });

test('any text arrives as it was', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary' }), fc.integer({ min: 1, max: 20_000 }), async (part, times) => {
      const text = part.repeat(Math.ceil(times / Math.max(1, part.length)));
      const { data, headers } = await pack(text);
      expect(unpack(data, headersOf(headers))).toBe(Buffer.from(text).toString());
    }),
  );
});

test('only what is larger than the limit is gzipped: bytes count, not characters', async () => {
  expect((await pack('x'.repeat(COMPRESS_ABOVE_BYTES))).headers).toEqual({});
  const umlauts = await pack('ü'.repeat(COMPRESS_ABOVE_BYTES / 2 + 1));
  expect(umlauts.headers).toEqual({ 'Content-Encoding': 'gzip' });
  expect(umlauts.data.length).toBeLessThan(1000);
});

test('what does not unpack, or unpacks to more than anyone sends, is handed on as it is', () => {
  const gzip = headersOf({ 'Content-Encoding': 'gzip' });
  expect(unpack(Buffer.from('no gzip'), gzip)).toBe('no gzip');
  const bomb = gzipSync(Buffer.alloc(65 * 1024 * 1024));
  expect(unpack(bomb, gzip)).toBe(bomb.toString());
});
