/** The client against a server that answers as we like, for what a healthy API server does not do. */
import { afterEach, describe, expect, test } from '@jest/globals';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createTcpServer, type AddressInfo, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { writingBefore } from './api-server.ts';
import { connectKubernetes, kubernetesOn, type Kubernetes } from './client.ts';
import { kubeconfigFor } from '@kubervisor/testing/kubernetes/kubeconfig';
import { createLogger } from '../logs.ts';
import { PATHS, pathIn } from './resources.ts';

const silent = createLogger('test', 'silent');

const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

async function connectTo(server: Server, user?: object): Promise<Kubernetes> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const config = kubeconfigFor(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, user);
  const kubernetes = connectKubernetes({ kubeconfigFile: config.file, userAgent: 'test' }, silent);
  cleanUp.push(
    () => new Promise((resolve) => server.close(resolve)),
    () => kubernetes.close(),
    async () => config.remove(),
  );
  return kubernetes;
}
const serve = (listener: RequestListener, user?: object): Promise<Kubernetes> =>
  connectTo(createServer(listener), user);
/** Takes half a second to say who we are. */
const SLOW_PLUGIN = {
  exec: {
    apiVersion: 'client.authentication.k8s.io/v1',
    command: 'sh',
    args: [
      '-c',
      `sleep 0.5; echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"t"}}'`,
    ],
    interactiveMode: 'Never',
  },
};

const somePod = {
  namespace: 'n',
  name: 'p',
  uid: 'u',
  labels: {},
  annotations: {},
  resourceVersion: '1',
} as unknown as Pod;

describe('W3: a write of a pod', () => {
  test.each([429, 500, 503])('is sent once, also after %i with Retry-After', async (status) => {
    const seen: unknown[] = [];
    const kubernetes = await serve((request, response) => {
      seen.push(request.method);
      response.writeHead(status, { 'retry-after': '1' }).end('{"message":"busy"}');
    });
    const result = await kubernetes.patchPod(somePod, []);
    expect(result).toEqual({ result: 'failed', message: 'busy', ...(status >= 500 && { uncertain: true }) });
    expect(seen).toEqual(['PATCH']);
  });

  test('is sent once, also where the connection breaks before the answer', async () => {
    const seen: unknown[] = [];
    const kubernetes = await serve((request) => {
      seen.push(request.method);
      request.socket.destroy();
    });
    expect(await kubernetes.patchPod(somePod, [])).toMatchObject({ result: 'failed', uncertain: true });
    expect(seen).toEqual(['PATCH']);
  });

  test('without an answer ends after 2 s and says that it may have happened; the server is told to give up then too', async () => {
    let url: string | undefined;
    const kubernetes = await serve((request) => void (url = request.url));
    const start = performance.now();
    const result = await kubernetes.patchPod(somePod, []);
    expect(result).toEqual({ result: 'failed', message: 'no answer within 2000 ms', uncertain: true });
    expect(performance.now() - start).toBeLessThan(2800);
    expect(url).toBe('/api/v1/namespaces/n/pods/p?timeout=2s');
  });

  test('certainly did not happen where there was no server', async () => {
    const server = createServer();
    const kubernetes = await connectTo(server);
    await new Promise((resolve) => server.close(resolve));
    expect(await kubernetes.patchPod(somePod, [])).toEqual({ result: 'failed', message: 'no answer: ECONNREFUSED' });
  });

  test('that waited for its connection until the deadline was over does not leave', async () => {
    const bytes: Buffer[] = [];
    // The event loop stands still while the connection is made, as in a process that was frozen.
    const server = createTcpServer(
      (socket) => void socket.on('error', () => {}).on('data', (chunk) => bytes.push(chunk)),
    );
    const kubernetes = await connectTo(server);
    const deadline = { at: performance.now() + 100 };
    const result = kubernetes.patchPod(somePod, [], deadline);
    // Whatever had to be done before the connection has been started by now; the connection is not there yet.
    for (let turns = 0; turns < 3; turns++) await Promise.resolve();
    while (performance.now() <= deadline.at);
    expect(await result).toEqual({ result: 'deadline' });
    expect(Buffer.concat(bytes).toString()).toBe('');
  });

  test('that waits for the word of a slow credential plug-in until the deadline is over does not leave', async () => {
    const seen: unknown[] = [];
    const kubernetes = await serve((request, response) => {
      seen.push(request.method);
      response.end('{}');
    }, SLOW_PLUGIN);
    expect(await kubernetes.patchPod(somePod, [], { at: performance.now() + 100 })).toEqual({ result: 'deadline' });
    await sleep(600);
    expect(seen).toEqual([]);
  });

  test('on a kept connection that the server closes just then is not sent on another one', async () => {
    const seen: unknown[] = [];
    const kubernetes = await serve((request, response) => {
      seen.push(request.method);
      if (request.method === 'GET') response.end('{"items":[]}');
      else request.socket.destroy();
    });
    for (let times = 0; times < 20; times++) {
      await kubernetes.listPods('n', '');
      expect(await kubernetes.patchPod(somePod, [])).toMatchObject({ result: 'failed', uncertain: true });
    }
    expect(seen.filter((method) => method === 'PATCH')).toHaveLength(20);
  });

  test('goes out in one piece: no part of it is left to be written later', async () => {
    const pieces: string[] = [];
    const server = createTcpServer((socket) =>
      socket
        .on('error', () => {})
        .on('data', (chunk) => {
          pieces.push(chunk.toString());
          socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}');
        }),
    );
    const kubernetes = await connectTo(server);
    const value = 'v'.repeat(8_000);
    await kubernetes.patchPod(somePod, [{ op: 'add', path: '/metadata/annotations/a', value }]);
    expect(pieces).toHaveLength(1);
    expect(pieces[0]).toMatch(/^PATCH [^]*v"}\]$/);
  });
});

describe('Leader: what writes under a mandate', () => {
  async function underMandate() {
    const seen: unknown[] = [];
    const kubernetes = await serve((request, response) => {
      seen.push(request.method);
      response.end('{"metadata":{"resourceVersion":"1"}}');
    });
    const mandate = { at: Infinity };
    return { seen, mandate, leader: kubernetesOn(writingBefore(kubernetes.api, mandate), silent) };
  }

  test('changes nothing any more when it is over, and may still read', async () => {
    const { seen, mandate, leader } = await underMandate();
    expect((await leader.patchPod(somePod, [])).result).toBe('patched');
    mandate.at = performance.now() - 1;
    expect(await leader.patchPod(somePod, [])).toEqual({ result: 'deadline' });
    await expect(leader.patchStatus('n', 'a', {})).rejects.toThrow('deadline');
    await expect(leader.api.request('POST', '/api/v1/namespaces/n/events', { body: {} })).rejects.toThrow('deadline');
    await leader.api.find('/x');
    expect(seen).toEqual(['PATCH', 'GET']);
  });

  test('does not let out what was waiting for its connection when the mandate ended, whatever it was at the beginning', async () => {
    const { seen, mandate, leader } = await underMandate();
    const patch = leader.patchPod(somePod, []);
    for (let turns = 0; turns < 3; turns++) await Promise.resolve();
    mandate.at = -Infinity;
    expect(await patch).toEqual({ result: 'deadline' });
    expect(seen).toEqual([]);
  });
});

test('A5: 429 refuses the kill for now, and says what holds the pod', async () => {
  const kubernetes = await serve((_, response) =>
    response.writeHead(429, { 'retry-after': '10' }).end(
      JSON.stringify({
        reason: 'TooManyRequests',
        message: "Cannot evict pod as it would violate the pod's disruption budget.",
        details: {
          causes: [
            { reason: 'DisruptionBudget', message: 'The disruption budget b needs 3 healthy pods and has 3 currently' },
          ],
        },
      }),
    ),
  );
  expect(await kubernetes.evictPod(somePod)).toEqual({
    result: 'refused',
    message:
      "Cannot evict pod as it would violate the pod's disruption budget. The disruption budget b needs 3 healthy pods and has 3 currently",
  });
});

test('A5: a pod under two PodDisruptionBudgets is refused (the API server says 500), not a break-down', async () => {
  const message = 'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.';
  const kubernetes = await serve((_, response) =>
    response.writeHead(500).end(JSON.stringify({ reason: 'InternalError', message })),
  );
  expect(await kubernetes.evictPod(somePod)).toEqual({ result: 'refused', message });
});

describe('reads', () => {
  test.each([
    ['at its end as far as HTTP can tell', (response: ServerResponse) => response.end('{"items":[{"metadata":{"na')],
    [
      'with its connection',
      (response: ServerResponse) =>
        response.writeHead(200, { 'content-length': '99' }).write('{"items":[]', () => response.destroy()),
    ],
  ])('W7: a list that is cut in the middle, %s, is no list', async (_, cut) => {
    const kubernetes = await serve((_request, response) => void cut(response));
    await expect(kubernetes.api.read('/x')).rejects.toMatchObject({ status: 0 });
  });

  test('are tried again after 429, as long as their time allows', async () => {
    let calls = 0;
    const kubernetes = await serve((_, response) => {
      if (calls++ === 0) response.writeHead(429, { 'retry-after': '1' }).end('{}');
      else response.end('{"items":[]}');
    });
    expect(await kubernetes.listPods('n', '')).toEqual([]);
    expect(calls).toBe(2);
    calls = 0;
    await expect(kubernetes.api.read('/x', { timeout: 500 })).rejects.toMatchObject({ status: 429 });
  });

  test('B5: a list asks for no resourceVersion', async () => {
    let url: string | undefined;
    const kubernetes = await serve((request, response) => {
      url = request.url;
      response.end('{"items":[]}');
    });
    await kubernetes.listPods('n', 'app=x,tier=y');
    expect(url).toBe('/api/v1/namespaces/n/pods?labelSelector=app%3Dx%2Ctier%3Dy');
  });

  test('survive an idle connection that the server had closed', async () => {
    let calls = 0;
    const kubernetes = await serve((request, response) => {
      if (calls++ === 1) request.socket.destroy();
      else response.end('{"items":[]}');
    });
    await kubernetes.listPods('n', '');
    expect(await kubernetes.listPods('n', '')).toEqual([]);
    expect(calls).toBe(3);
  });
});

describe('a message', () => {
  test('holds no header and no page of a proxy', async () => {
    const kubernetes = await serve((_, response) =>
      response.writeHead(502, { 'set-cookie': 'a=b' }).end('<html>' + 'x'.repeat(5000)),
    );
    expect(await kubernetes.patchPod(somePod, [])).toEqual({
      result: 'failed',
      message: 'HTTP status 502',
      uncertain: true,
    });
  });

  test('is one line of at most 200 characters', async () => {
    const kubernetes = await serve((_, response) =>
      response.writeHead(403).end(JSON.stringify({ message: `forbidden\n${'y'.repeat(5000)}` })),
    );
    const result = (await kubernetes.patchPod(somePod, [])) as { message: string };
    expect(result.message).toHaveLength(200);
    expect(result.message).not.toContain('\n');
  });
});

test('connections are kept: 50 requests one after another use one or two', async () => {
  let connections = 0;
  const server = createServer((_, response) => void response.end('{"items":[]}'));
  server.on('connection', () => connections++);
  const kubernetes = await connectTo(server);
  for (let times = 0; times < 50; times++) await kubernetes.listPods('n', '');
  expect(connections).toBeLessThanOrEqual(2);
});

test('status is merged onto the version that was read, or not at all', async () => {
  const kubernetes = await serve((request, response) => {
    let text = '';
    request.on('data', (chunk) => (text += chunk));
    request.on('end', () => {
      const body = JSON.parse(text);
      if (request.headers['content-type'] !== 'application/merge-patch+json') response.writeHead(415).end('{}');
      else if (body.metadata?.resourceVersion === '1') response.writeHead(409).end('{}');
      else if (request.url?.includes('gone') === true) response.writeHead(404).end('{}');
      else response.end(JSON.stringify({ metadata: { resourceVersion: '7' }, status: body.status }));
    });
  });
  expect(await kubernetes.patchStatus('n', 'a', { x: null })).toEqual({ result: 'written', resourceVersion: '7' });
  expect(await kubernetes.patchStatus('n', 'a', {}, '1')).toEqual({ result: 'conflict' });
  expect(await kubernetes.patchStatus('n', 'gone', {})).toEqual({ result: 'gone' });
});

test('paths: a collection, a namespace, an object, a subresource', () => {
  expect(pathIn(PATHS.pods, 'shop')).toBe('/api/v1/namespaces/shop/pods');
  expect(pathIn(PATHS.kubervisorServices, 'shop', 'cart', 'status')).toBe(
    '/apis/kubervisor.k8s.io/v1alpha1/namespaces/shop/kubervisorservices/cart/status',
  );
});

test('a kubeconfig without a cluster is refused with its path', () => {
  const config = kubeconfigFor(undefined);
  expect(() => connectKubernetes({ kubeconfigFile: config.file, userAgent: 'test' }, silent)).toThrow(config.file);
  config.remove();
});

test('W7: after a request without an answer the idle connections beside it are left, for they may be half-open too', async () => {
  let dead = false;
  const connections = new Set<unknown>();
  const kubernetes = await serve((request, response) => {
    // From now on every connection of before is dead, though nobody says so.
    if (dead && connections.has(request.socket)) return;
    connections.add(request.socket);
    setTimeout(() => response.end('{"items":[]}'), 20);
  });
  await Promise.all([1, 2, 3, 4].map(() => kubernetes.listPods('n', '')));
  expect(connections.size).toBe(4);
  dead = true;
  // A connection is idle again a moment after its answer.
  await new Promise((resolve) => setImmediate(resolve));
  await expect(kubernetes.api.read('/x', { timeout: 200 })).rejects.toMatchObject({ reason: 'Timeout' });
  expect(await kubernetes.api.read('/x', { timeout: 1000 })).toEqual({ items: [] });
});
