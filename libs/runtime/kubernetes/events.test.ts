import { expect, jest, test } from '@jest/globals';
import { ApiError, DeadlinePassed, type ApiServer } from './api-server.ts';
import { createEventRecorder, type RecordedEvent } from './events.ts';
import { createLogger } from '../logs.ts';

const silent = createLogger('test', 'silent');

function recorderOn(request: (method: string, path: string) => Promise<unknown>, log = silent) {
  const clock = { now: 0 };
  const api = { request } as unknown as ApiServer;
  const recorder = createEventRecorder({ api, log }, { component: 'c', instance: 'i' }, () => clock.now);
  return { recorder, clock };
}
const event = (message: string, name = 'p'): RecordedEvent => ({
  involved: { apiVersion: 'v1', kind: 'Pod', namespace: 'n', name, uid: `uid-${name}` },
  type: 'Normal',
  reason: 'PodBroken',
  message,
  at: 0,
});

test('Events: one object gets fifty at once, then one in ten seconds', async () => {
  const written = jest.fn(async () => ({}));
  const { recorder, clock } = recorderOn(written);
  for (let index = 0; index < 60; index++) recorder.record(event(`m${index}`));
  expect(recorder.stats.dropped).toBe(10);
  clock.now += 10_000;
  recorder.record(event('later'));
  recorder.record(event('too many'));
  await recorder.stop();
  expect(written).toHaveBeenCalledTimes(51);
  expect(recorder.stats).toEqual({ written: 51, dropped: 11, failed: 0 });
});

test('Events: an API server that hangs holds nobody up, and memory stays bounded', async () => {
  const { recorder } = recorderOn(() => new Promise(() => {}));
  for (let index = 0; index < 5000; index++) recorder.record(event('m', `p${index}`));
  expect(recorder.stats.dropped).toBe(3999);
});

test('Events: refusals are counted, logged once, and end nothing', async () => {
  const warn = jest.fn();
  const log = { warn, debug() {} } as unknown as typeof silent;
  let refuse = true;
  const { recorder } = recorderOn(async () => {
    if (refuse) throw new ApiError(403, 'Forbidden', 'the namespace is being terminated');
    return {};
  }, log);
  for (let index = 0; index < 5; index++) recorder.record(event(`m${index}`));
  while (recorder.stats.failed < 5) await Promise.resolve();
  expect(warn).toHaveBeenCalledTimes(1);
  refuse = false;
  recorder.record(event('works'));
  await recorder.stop();
  expect(recorder.stats).toEqual({ written: 1, dropped: 0, failed: 5 });
});

test.each(['.', '-'])(
  'Events: of the longest name of a pod, cut where a %p stood, is one the API server takes',
  async (end) => {
    const names: string[] = [];
    const { recorder } = recorderOn(async (...request: unknown[]) => {
      names.push((request as [string, string, { body: { metadata: { name: string } } }])[2].body.metadata.name);
    });
    recorder.record(event('m', `${'a'.repeat(229)}${end}${'b'.repeat(23)}`));
    await recorder.stop();
    expect(names).toHaveLength(1);
    expect(names[0]).toMatch(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/);
    expect(names[0]?.length).toBeLessThanOrEqual(253);
  },
);

test('Leader: Events that a leader of before had still to write are dropped, which is no failure to tell of', async () => {
  const warn = jest.fn();
  const log = { warn, debug() {} } as unknown as typeof silent;
  const { recorder } = recorderOn(() => Promise.reject(new DeadlinePassed('the mandate is over')), log);
  for (let index = 0; index < 5; index++) recorder.record(event(`m${index}`));
  await recorder.stop();
  expect(recorder.stats).toEqual({ written: 0, dropped: 5, failed: 0 });
  expect(warn).not.toHaveBeenCalled();
});

test('Events: a series whose Event has expired begins anew', async () => {
  const calls: string[] = [];
  const { recorder } = recorderOn(async (method) => {
    calls.push(method);
    if (method === 'PATCH') throw new ApiError(404, 'NotFound', 'not found');
    return {};
  });
  recorder.record(event('m'));
  while (recorder.stats.written < 1) await Promise.resolve();
  recorder.record(event('m'));
  await recorder.stop();
  expect(calls).toEqual(['POST', 'PATCH', 'POST']);
});
