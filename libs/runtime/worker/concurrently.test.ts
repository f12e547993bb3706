import { describe, expect, test } from '@jest/globals';
import { concurrently } from './concurrently.ts';

describe('concurrently', () => {
  test('W6: begins in order, at most so many at once, and hands back the results in order', async () => {
    const begun: number[] = [];
    const ends: (() => void)[] = [];
    const result = concurrently([10, 20, 30, 40], 2, async (item, index) => {
      begun.push(item);
      await new Promise<void>((resolve) => ends.push(resolve));
      return item + index;
    });
    expect(begun).toEqual([10, 20]);
    ends[1]?.();
    await Promise.resolve();
    await new Promise(setImmediate);
    expect(begun).toEqual([10, 20, 30]);
    ends[2]?.();
    await new Promise(setImmediate);
    ends[0]?.();
    ends[3]?.();
    expect(await result).toEqual([10, 21, 32, 43]);
  });

  test('a failure is thrown only when nothing of it is under way any more', async () => {
    let ended = false;
    const result = concurrently([1, 2], 2, async (item) => {
      if (item === 1) throw new Error('one');
      await new Promise(setImmediate);
      ended = true;
    });
    await expect(result).rejects.toThrow('one');
    expect(ended).toBe(true);
  });

  test('of nothing is nothing', async () => {
    expect(await concurrently([], 8, async () => 1)).toEqual([]);
  });
});
