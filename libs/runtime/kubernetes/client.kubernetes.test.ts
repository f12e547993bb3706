import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { EDITS, guardedPatch } from '@kubervisor/shared/pods/codec';
import { ANNOTATION, LABEL } from '@kubervisor/shared/pods/keys';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectKubernetes } from './client.ts';
import { silent, startFixture, type Fixture } from './fixture.ts';
import { PATHS, pathIn } from './resources.ts';

let fixture: Fixture;
beforeAll(async () => {
  fixture = await startFixture();
}, 60_000);
afterAll(() => fixture?.end());

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
});

/** A server that answers as we like, for what a healthy API server does not do. */
async function withServer(
  listener: RequestListener,
  use: (kubernetes: ReturnType<typeof connectKubernetes>) => Promise<void>,
) {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const folder = mkdtempSync(join(tmpdir(), 'kubervisor-'));
  const kubeconfigFile = join(folder, 'kubeconfig');
  writeFileSync(
    kubeconfigFile,
    JSON.stringify({
      'current-context': 'c',
      contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
      clusters: [
        {
          name: 'c',
          cluster: {
            server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
            'insecure-skip-tls-verify': true,
          },
        },
      ],
      users: [{ name: 'u', user: { token: 'secret-token' } }],
    }),
  );
  const kubernetes = connectKubernetes({ kubeconfigFile, userAgent: 'test' }, silent);
  try {
    await use(kubernetes);
  } finally {
    await kubernetes.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    rmSync(folder, { recursive: true });
  }
}
const somePod = {
  namespace: 'n',
  name: 'p',
  uid: 'u',
  labels: {},
  annotations: {},
  resourceVersion: '1',
} as unknown as Pod;

describe('a server in trouble', () => {
  test('W3: a write of a pod is sent once, whatever the answer; Retry-After does not tempt it', async () => {
    for (const status of [429, 500, 503]) {
      const seen = jest.fn();
      await withServer(
        (request, response) => {
          seen(request.method);
          response.writeHead(status, { 'retry-after': '1' }).end('{"message":"busy"}');
        },
        async (kubernetes) => {
          const result = await kubernetes.patchPod(somePod, []);
          expect(result).toEqual({ result: 'failed', message: 'busy', ...(status >= 500 && { uncertain: true }) });
        },
      );
      expect(seen.mock.calls).toEqual([['PATCH']]);
    }
  });

  test('W3: a write that gets no answer ends after 2 s, and says that it may have happened', async () => {
    await withServer(
      () => {},
      async (kubernetes) => {
        const start = performance.now();
        const result = await kubernetes.patchPod(somePod, []);
        expect(result).toEqual({ result: 'failed', message: 'no answer within 2000 ms', uncertain: true });
        expect(performance.now() - start).toBeLessThan(2500);
      },
    );
  });

  test('A5: 429 refuses the kill for now', async () => {
    await withServer(
      (_, response) =>
        response.writeHead(429, { 'retry-after': '10' }).end(
          JSON.stringify({
            reason: 'TooManyRequests',
            message: "Cannot evict pod as it would violate the pod's disruption budget.",
            details: {
              causes: [
                {
                  reason: 'DisruptionBudget',
                  message: 'The disruption budget b needs 3 healthy pods and has 3 currently',
                },
              ],
            },
          }),
        ),
      async (kubernetes) => {
        expect(await kubernetes.evictPod(somePod)).toEqual({
          result: 'refused',
          message:
            "Cannot evict pod as it would violate the pod's disruption budget. The disruption budget b needs 3 healthy pods and has 3 currently",
        });
      },
    );
  });

  test('a read is tried again after 429, as long as its time allows', async () => {
    let calls = 0;
    await withServer(
      (_, response) => {
        if (calls++ === 0) response.writeHead(429, { 'retry-after': '1' }).end('{}');
        else response.end('{"items":[]}');
      },
      async (kubernetes) => {
        expect(await kubernetes.listPods('n', '')).toEqual([]);
        expect(calls).toBe(2);
        await expect(kubernetes.api.read('/x', { timeout: 500 })).resolves.toEqual({ items: [] });
        calls = 0;
        await expect(kubernetes.api.read('/x', { timeout: 500 })).rejects.toMatchObject({ status: 429 });
      },
    );
  });

  test('a message is one short line and holds no header, token or page of a proxy', async () => {
    await withServer(
      (_, response) => response.writeHead(502, { 'set-cookie': 'a=b' }).end('<html>' + 'x'.repeat(5000)),
      async (kubernetes) => {
        expect(await kubernetes.patchPod(somePod, [])).toEqual({
          result: 'failed',
          message: 'HTTP status 502',
          uncertain: true,
        });
      },
    );
    await withServer(
      (_, response) => response.writeHead(403).end(JSON.stringify({ message: `forbidden\n${'y'.repeat(5000)}` })),
      async (kubernetes) => {
        const result = (await kubernetes.patchPod(somePod, [])) as { message: string };
        expect(result.message).toHaveLength(200);
        expect(result.message).not.toContain('\n');
      },
    );
  });

  test('no server at all: a write certainly did not happen', async () => {
    await withServer(
      (request) => request.socket.destroy(),
      async (kubernetes) => {
        const pods = kubernetes.listPods('n', '');
        await expect(pods).rejects.toMatchObject({ name: 'ApiError', status: 0 });
      },
    );
  });
});

test('status is merged onto the version that was read, or not at all', async () => {
  await withServer(
    (request, response) => {
      let text = '';
      request.on('data', (chunk) => (text += chunk));
      request.on('end', () => {
        const body = JSON.parse(text);
        expect(request.headers['content-type']).toBe('application/merge-patch+json');
        if (body.metadata?.resourceVersion === '1') response.writeHead(409).end('{}');
        else if (request.url?.includes('gone') === true) response.writeHead(404).end('{}');
        else response.end(JSON.stringify({ metadata: { resourceVersion: '7' }, status: body.status }));
      });
    },
    async (kubernetes) => {
      expect(await kubernetes.patchStatus('n', 'a', { x: null })).toEqual({ result: 'written', resourceVersion: '7' });
      expect(await kubernetes.patchStatus('n', 'a', {}, '1')).toEqual({ result: 'conflict' });
      expect(await kubernetes.patchStatus('n', 'gone', {})).toEqual({ result: 'gone' });
    },
  );
});

test('paths: a collection, a namespace, an object, a subresource', () => {
  expect(pathIn(PATHS.pods, 'shop')).toBe('/api/v1/namespaces/shop/pods');
  expect(pathIn(PATHS.kubervisorServices, 'shop', 'cart', 'status')).toBe(
    '/apis/kubervisor.k8s.io/v1alpha1/namespaces/shop/kubervisorservices/cart/status',
  );
});
