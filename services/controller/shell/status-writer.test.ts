import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { Kubernetes } from '@kubervisor/runtime/kubernetes/client';
import type { KubervisorServiceStatus } from '@kubervisor/shared/crd/status';
import { createStatusWriter, type StatusWriter } from './status-writer.ts';
import { listening } from './world.fixture.ts';

type Outcome = Awaited<ReturnType<Kubernetes['patchStatus']>>;

let writes: { at: number; status: Record<string, unknown> }[];
let answer: () => Outcome | Promise<Outcome>;
let version: number;
let writer: StatusWriter;
let composed: number;
let lines: Record<string, unknown>[];
const cart = { uid: 'u', namespace: 'shop', name: 'cart', status: undefined as unknown };
const pass = (milliseconds: number) => jest.advanceTimersByTimeAsync(milliseconds);
const touch = (status: KubervisorServiceStatus | undefined, resource = cart) =>
  writer.touch(resource, () => {
    composed += 1;
    return status;
  });

beforeEach(() => {
  jest.useFakeTimers();
  writes = [];
  composed = 0;
  version = 10;
  answer = () => ({ result: 'written', resourceVersion: String((version += 1)) });
  const listener = listening();
  lines = listener.lines;
  writer = createStatusWriter(
    {
      patchStatus: async (_namespace, _name, status) => {
        writes.push({ at: performance.now(), status: status as Record<string, unknown> });
        return answer();
      },
    },
    listener.log,
    () => {},
  );
});
afterEach(() => {
  writer.stop();
  jest.useRealTimers();
});

test('a conflict is no end: it is written again, also where nobody touches the resource any more', async () => {
  let refusals = 2;
  const written = answer;
  answer = () => ((refusals -= 1) >= 0 ? { result: 'conflict' } : written());
  touch({ available: 1 });
  await pass(10_000);
  expect(writes.map(({ status }) => status['available'])).toEqual([1, 1, 1]);
  touch({ available: 1 });
  await pass(10_000);
  expect(writes).toHaveLength(3);
});

describe('status is written when something changed, at most once a second', () => {
  test('a hundred changes in a second are two writes, the last of them with the last change', async () => {
    for (let available = 0; available < 100; available++) {
      touch({ available });
      await pass(10);
    }
    await pass(1000);
    expect(writes.length).toBeLessThanOrEqual(3);
    for (const [index, { at }] of writes.slice(1).entries())
      expect(at - writes[index]!.at).toBeGreaterThanOrEqual(1000);
    expect(writes.at(-1)?.status).toMatchObject({ available: 99 });
  });

  test('what is the same, or differs in times alone, is not written', async () => {
    touch({ available: 1, podCount: { nbPodsManaged: 1, lastProbeTime: '2026-11-23T12:00:00Z' } });
    await pass(2000);
    touch({ available: 1, podCount: { nbPodsManaged: 1, lastProbeTime: '2026-11-23T12:00:02Z' } });
    await pass(2000);
    expect(writes).toHaveLength(1);
  });

  test('errors in a row are told when they begin, when they end, and ever more seldom between', async () => {
    for (let consecutiveErrors = 0; consecutiveErrors <= 100; consecutiveErrors++) {
      touch({ breakers: [{ name: 'errors', consecutiveErrors }] });
      await pass(5000);
    }
    expect(writes.length).toBeLessThanOrEqual(8);
    touch({ breakers: [{ name: 'errors', consecutiveErrors: 0 }] });
    await pass(1000);
    expect(writes.at(-1)?.status).toEqual({ breakers: [{ name: 'errors', consecutiveErrors: 0 }], floor: null });
  });

  test('a field that is gone is named, for a merge patch would leave it', async () => {
    touch({ available: 1, floor: 3 });
    await pass(1000);
    touch({ available: 1 });
    await pass(1000);
    expect(writes.map(({ status }) => status['floor'])).toEqual([3, null]);
  });

  test('a standing status that says it already is not written again: a new leader begins with what is there', async () => {
    touch({ available: 1 }, { ...cart, status: { available: 1 } });
    await pass(1000);
    expect(writes).toEqual([]);
  });

  test('many touches compose a few times: it takes a walk through the fleet', async () => {
    for (let index = 0; index < 200; index++) {
      touch({ available: 1 });
      await pass(5);
    }
    expect(composed).toBeLessThanOrEqual(7);
  });
});

describe('writes that fail', () => {
  test('are tried again, ever more seldom, and a success ends that', async () => {
    answer = () => ({ result: 'failed', message: 'no answer' });
    touch({ available: 1 });
    await pass(120_000);
    expect(writes.length).toBeGreaterThanOrEqual(6);
    expect(writes.length).toBeLessThanOrEqual(9);
    expect(lines[0]).toMatchObject({ namespace: 'shop', resource: 'cart' });
    answer = () => ({ result: 'written', resourceVersion: '12' });
    await pass(30_000);
    const count = writes.length;
    await pass(120_000);
    expect(writes).toHaveLength(count);
  });

  test('a fault in composing, or a client that throws, ends neither the process nor the writing', async () => {
    writer.touch(cart, () => {
      throw new Error('a bug');
    });
    await pass(100);
    answer = () => {
      throw new TypeError('a fault of the client');
    };
    touch({ available: 1 });
    await pass(2000);
    answer = () => ({ result: 'written', resourceVersion: '12' });
    await pass(10_000);
    touch({ available: 2 });
    await pass(2000);
    expect(writes.at(-1)?.status).toMatchObject({ available: 2 });
  });
});

describe('a status that another wrote', () => {
  test('is replaced by ours', async () => {
    touch({ available: 1 });
    await pass(2000);
    writer.seen({ uid: 'u', resourceVersion: '20', status: { available: 7 } });
    await pass(2000);
    expect(writes.map(({ status }) => status['available'])).toEqual([1, 1]);
  });

  test('our own writes come back, late ones too, and are not answered', async () => {
    touch({ available: 1 });
    await pass(2000);
    touch({ available: 2 });
    await pass(2000);
    writer.seen({ uid: 'u', resourceVersion: '11', status: { available: 1 } });
    writer.seen({ uid: 'u', resourceVersion: '12', status: { available: 2 } });
    await pass(2000);
    expect(writes).toHaveLength(2);
  });
});

test('nothing is written of what was forgotten, or after the end', async () => {
  touch({ available: 1 });
  writer.forget('u');
  await pass(2000);
  touch({ available: 1 });
  writer.stop();
  await pass(2000);
  expect(writes).toEqual([]);
  expect(jest.getTimerCount()).toBe(0);
});
