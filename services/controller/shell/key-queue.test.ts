import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { createKeyQueue } from './key-queue.ts';

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());
const pass = (milliseconds: number) => jest.advanceTimersByTimeAsync(milliseconds);

/** Handled when the test says so. */
function held() {
  const under = new Map<string, (done: boolean) => void>();
  const handled: string[] = [];
  let most = 0;
  const queue = createKeyQueue(3, (key) => {
    expect(under.has(key)).toBe(false);
    handled.push(key);
    return new Promise((resolve) => {
      under.set(key, (done) => {
        under.delete(key);
        resolve(done);
      });
      most = Math.max(most, under.size);
    });
  });
  return { queue, under, handled, most: () => most };
}

test('no more than so many at once, and each key once at a time', async () => {
  const { queue, under, handled, most } = held();
  for (const key of ['a', 'b', 'c', 'd', 'a']) queue.add(key);
  await pass(0);
  expect(handled).toEqual(['a', 'b', 'c']);
  under.get('b')?.(true);
  await pass(0);
  expect(handled).toEqual(['a', 'b', 'c', 'd']);
  under.get('a')?.(true);
  await pass(0);
  expect(handled).toEqual(['a', 'b', 'c', 'd', 'a']);
  expect(most()).toBe(3);
});

test('a key that came again while it was worked on comes once more, however often it came', async () => {
  const { queue, under, handled } = held();
  queue.add('a');
  for (let index = 0; index < 10; index++) queue.add('a');
  under.get('a')?.(true);
  await pass(0);
  under.get('a')?.(true);
  await pass(60_000);
  expect(handled).toEqual(['a', 'a']);
});

test('what failed comes again after 0.5, 1, 2 … s, at most 30 s; a success begins anew', async () => {
  const times: number[] = [];
  let done = false;
  const queue = createKeyQueue(3, async () => {
    times.push(performance.now());
    return done;
  });
  queue.add('a');
  await pass(120_000);
  const waits = times.slice(1).map((time, index) => time - times[index]!);
  expect(waits.slice(0, 8)).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
  done = true;
  await pass(30_000);
  done = false;
  const count = times.length;
  queue.add('a');
  await pass(500);
  expect(times).toHaveLength(count + 2);
});

test('a handler that throws is a failure, and takes no place for ever', async () => {
  let calls = 0;
  const queue = createKeyQueue(1, async (key) => {
    calls += 1;
    if (key === 'bad') throw new Error('a bug');
    return true;
  });
  queue.add('bad');
  queue.add('good');
  await pass(0);
  expect(calls).toBe(2);
  await pass(500);
  expect(calls).toBe(3);
});

test('after clear nothing comes again, also not what was under way and failed', async () => {
  const { queue, under, handled } = held();
  for (const key of ['a', 'b', 'c', 'd']) queue.add(key);
  queue.clear();
  for (const end of [...under.values()]) end(false);
  await pass(60_000);
  expect(handled).toEqual(['a', 'b', 'c']);
  expect(jest.getTimerCount()).toBe(0);
});
