import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { EDITS, guardedPatch } from '@kubervisor/shared/pods/codec';
import { ANNOTATION, LABEL } from '@kubervisor/shared/pods/keys';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { silent, startFixture, type Fixture } from '@kubervisor/testing/kubernetes/fixture';
import { kubeconfigThrough } from '@kubervisor/testing/kubernetes/kubeconfig';
import { startTcpProxy } from '@kubervisor/testing/servers/tcp-proxy';
import { connectKubernetes } from './client.ts';

let fixture: Fixture;
beforeAll(async () => {
  fixture = await startFixture();
}, 60_000);
afterAll(() => fixture?.end(), 60_000);

const again = async (pod: Pod): Promise<Pod> => {
  const found = await fixture.kubernetes.getPod(pod.namespace, pod.name);
  if (found === undefined) throw new Error(`${pod.name} is gone`);
  return found;
};
const breakIt = (pod: Pod) =>
  guardedPatch(
    pod,
    EDITS.break(pod, { breaker: 'slow', at: 1_700_000_000_000, retryCount: 1, observation: { reason: 'slow' } }),
  );

describe('reading', () => {
  test('B5: a list holds what was written just before, and only what the selector takes', async () => {
    const { kubernetes, namespace, createPod } = fixture;
    const pod = await createPod('listed', { labels: { app: 'listed' } });
    await createPod('other', { labels: { app: 'other' } });
    expect(await kubernetes.listPods(namespace, 'app=listed')).toEqual([
      expect.objectContaining({ uid: pod.uid, namespace, name: 'listed' }),
    ]);
    await kubernetes.patchPod(pod, guardedPatch(pod, EDITS.letIn(pod)));
    const [now] = await kubernetes.listPods(namespace, 'app=listed');
    expect(now?.labels[LABEL.traffic]).toBe('yes');
  });

  test('what is not there is undefined', async () => {
    expect(await fixture.kubernetes.getPod(fixture.namespace, 'nobody')).toBeUndefined();
    expect(await fixture.kubernetes.getService(fixture.namespace, 'nobody')).toBeUndefined();
  });
});

describe('W4: a guarded patch', () => {
  test('is applied where the pod is as it was listed, also onto a pod without annotations', async () => {
    const pod = await fixture.createPod('patched', { labels: { app: 'x' } });
    expect(pod.hasAnnotations).toBe(false);
    const result = await fixture.kubernetes.patchPod(pod, breakIt(pod));
    expect(result).toMatchObject({
      result: 'patched',
      pod: { uid: pod.uid, labels: { [LABEL.traffic]: 'no', app: 'x' } },
    });
    expect((await again(pod)).annotations[ANNOTATION.retryCount]).toBe('1');
  });

  test.each([
    ['the traffic label', [{ op: 'add', path: '/metadata/labels/kubervisor~1traffic', value: 'pause' }]],
    ['the name label', [{ op: 'add', path: '/metadata/labels/kubervisor~1name', value: 'another' }]],
    ['the annotations map', [{ op: 'add', path: '/metadata/annotations', value: { a: 'b' } }]],
  ] as const)('tells that %s changed since the list, and changes nothing', async (_, change) => {
    const pod = await fixture.createPod(`changed-${Math.random().toString(36).slice(2)}`, { labels: { app: 'x' } });
    expect((await fixture.kubernetes.patchPod(pod, [...change])).result).toBe('patched');
    expect(await fixture.kubernetes.patchPod(pod, breakIt(pod))).toEqual({ result: 'changed' });
    expect((await again(pod)).labels[LABEL.traffic]).not.toBe('no');
  });

  test('tells that a key it was to remove is missing by now', async () => {
    const created = await fixture.createPod('removed', { labels: { app: 'x' } });
    await fixture.kubernetes.patchPod(created, breakIt(created));
    const pod = await again(created);
    await fixture.kubernetes.patchPod(pod, [{ op: 'remove', path: '/metadata/labels/kubervisor~1strategy' }]);
    const activate = guardedPatch(pod, EDITS.activate(pod, { at: 1_700_000_001_000 }));
    expect(await fixture.kubernetes.patchPod(pod, activate)).toEqual({ result: 'changed' });
  });

  test('tells a pod that is gone, and one made anew under the same name', async () => {
    const pod = await fixture.createPod('gone', { labels: { app: 'x' } });
    const other = { ...pod, uid: '00000000-0000-0000-0000-000000000000' };
    expect(await fixture.kubernetes.patchPod(other, breakIt(other))).toEqual({ result: 'gone' });
    const missing = { ...pod, name: 'never-there' };
    expect(await fixture.kubernetes.patchPod(missing, breakIt(missing))).toEqual({ result: 'gone' });
  });

  test('that is faulty in itself is an error with a short message', async () => {
    const pod = await fixture.createPod('faulty', { labels: { app: 'x' } });
    const result = await fixture.kubernetes.patchPod(pod, [
      { op: 'add', path: '/metadata/labels/kubervisor~1traffic', value: 'not a label value!' },
    ]);
    expect(result).toEqual({ result: 'failed', message: expect.stringContaining('Invalid value') });
    expect((result as { message: string }).message.length).toBeLessThanOrEqual(200);
  });

  test('repeated changes nothing', async () => {
    const pod = await fixture.createPod('twice', { labels: { app: 'x' } });
    await fixture.kubernetes.patchPod(pod, breakIt(pod));
    const first = await again(pod);
    expect(await fixture.kubernetes.patchPod(pod, breakIt(pod))).toEqual({ result: 'changed' });
    expect((await again(pod)).resourceVersion).toBe(first.resourceVersion);
  });
});

describe('A5: a kill', () => {
  test.each(['evictPod', 'deletePod'] as const)('%s takes exactly the pod that was read', async (kill) => {
    const name = kill.toLowerCase();
    const pod = await fixture.createPod(name, { labels: { app: 'x' } });
    const stale = { ...pod, resourceVersion: '1' };
    expect(await fixture.kubernetes[kill](stale)).toEqual({ result: 'changed' });
    expect(await fixture.kubernetes[kill]({ ...pod, uid: 'another' })).toEqual({ result: 'gone' });
    expect(await fixture.kubernetes[kill]({ ...pod, name: 'never-there' })).toEqual({ result: 'gone' });
    expect((await fixture.kubernetes[kill](await again(pod))).result).toBe('killed');
    const left = await fixture.kubernetes.getPod(pod.namespace, name);
    expect(left === undefined || left.terminating).toBe(true);
  });
});

describe('W3: the deadline', () => {
  test('that has passed lets no write start', async () => {
    const pod = await fixture.createPod('late', { labels: { app: 'x' } });
    const past = { at: performance.now() - 1 };
    expect(await fixture.kubernetes.patchPod(pod, breakIt(pod), past)).toEqual({ result: 'deadline' });
    expect(await fixture.kubernetes.evictPod(pod, past)).toEqual({ result: 'deadline' });
    expect(await fixture.kubernetes.deletePod(pod, past)).toEqual({ result: 'deadline' });
    expect((await again(pod)).resourceVersion).toBe(pod.resourceVersion);
    expect((await fixture.kubernetes.patchPod(pod, breakIt(pod), { at: performance.now() + 2000 })).result).toBe(
      'patched',
    );
  });

  test('that passes while the connection and its TLS are made lets no write leave, then or later', async () => {
    const { hostname, port, protocol } = new URL(fixture.kubernetes.api.url);
    // The simulator speaks no TLS.
    if (protocol !== 'https:') return;
    const wire = await startTcpProxy({ host: hostname, port: Number(port) });
    const config = kubeconfigThrough(wire.port, fixture.kubeconfigFile);
    const slow = connectKubernetes({ kubeconfigFile: config.file, userAgent: 'kubervisor-tests' }, silent);
    try {
      const pod = await fixture.createPod('handshake', { labels: { app: 'x' } });
      wire.delay(200);
      const [first, second] = await Promise.all([
        slow.patchPod(pod, breakIt(pod), { at: performance.now() + 300 }),
        slow.evictPod(pod, { at: performance.now() + 300 }),
      ]);
      expect([first, second]).toEqual([{ result: 'deadline' }, { result: 'deadline' }]);
      expect(wire.accepted).toBe(2);
      // The way is there by now, and nothing comes along it.
      await new Promise((resolve) => setTimeout(resolve, 1000));
      expect((await again(pod)).resourceVersion).toBe(pod.resourceVersion);
      wire.delay(0);
      expect((await slow.patchPod(pod, breakIt(pod), { at: performance.now() + 2000 })).result).toBe('patched');
    } finally {
      await slow.close();
      await wire.close();
      config.remove();
    }
  });
});
