import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { createEventRecorder, type RecordedEvent } from './events.ts';
import { startFixture, type Fixture } from '@kubervisor/testing/kubernetes/fixture';
import { pathIn } from './resources.ts';

let fixture: Fixture;
beforeAll(async () => {
  fixture = await startFixture();
}, 60_000);
afterAll(() => fixture?.end(), 60_000);

const eventOn = ({ namespace, name, uid }: Pod, message: string, at: string): RecordedEvent => ({
  involved: { apiVersion: 'v1', kind: 'Pod', namespace, name, uid },
  type: 'Warning',
  reason: 'PodBroken',
  message,
  at: Date.parse(at),
});
const eventsOf = async (uid: string) =>
  (
    await fixture.kubernetes.api.read<{ items: Record<string, unknown>[] }>(
      pathIn('/api/v1/events', fixture.namespace),
      {
        query: { fieldSelector: `involvedObject.uid=${uid}` },
      },
    )
  ).items;

test('Events: what is repeated is counted onto the one that is there', async () => {
  const pod = await fixture.createPod('told');
  const recorder = createEventRecorder(fixture.kubernetes, { component: 'kubervisor-controller', instance: 'test-0' });
  recorder.record(eventOn(pod, 'slow', '2030-01-01T00:00:00Z'));
  while (recorder.stats.written < 1) await new Promise((resolve) => setTimeout(resolve, 20));
  recorder.record(eventOn(pod, 'slow', '2030-01-01T00:01:00.500Z'));
  recorder.record(eventOn(pod, 'slow', '2030-01-01T00:02:00Z'));
  recorder.record(eventOn(pod, 'another reason', '2030-01-01T00:02:00Z'));
  await recorder.stop();
  const events = await eventsOf(pod.uid);
  expect(events).toHaveLength(2);
  expect(events.find(({ message }) => message === 'slow')).toMatchObject({
    type: 'Warning',
    reason: 'PodBroken',
    count: 3,
    firstTimestamp: '2030-01-01T00:00:00Z',
    lastTimestamp: '2030-01-01T00:02:00Z',
    source: { component: 'kubervisor-controller' },
  });
  expect(recorder.stats).toEqual({ written: 4, dropped: 0, failed: 0 });
});
