/** W7: a watch that is opened a thousand times, over real connections, in a process of its own. */
import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { resolve as path } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { kubeconfigFor } from '@kubervisor/testing/kubernetes/kubeconfig';
import type { Sample } from '@kubervisor/testing/kubernetes/reconnects';

const RECONNECTS = 1000;
const PODS = 100;
/** What the whole run may leave behind. One forgotten object of 1 kB a reconnect is twice as much. */
const BOUND = 500_000;

const pod = (name: string, version: number) => ({
  metadata: { name, namespace: 'n', uid: `uid-${name}`, resourceVersion: String(version), labels: { app: 'cart' } },
  status: { phase: 'Running' },
});

/** Every watch tells of one pod made anew, and ends: in due form, with a 410 (which asks for a list), or by a break. */
async function startServer() {
  let version = 1000;
  let watches = 0;
  const server = createServer((request, response) => {
    if (!request.url?.includes('watch=true')) {
      const items = Array.from({ length: PODS }, (_, index) => pod(`p-${index}`, version));
      return void response.end(JSON.stringify({ metadata: { resourceVersion: String(version) }, items }));
    }
    watches += 1;
    const way = watches % 100 === 0 ? 'break' : watches % 3 === 0 ? 'lost' : 'end';
    const say = (type: string, object: object) => response.write(`${JSON.stringify({ type, object })}\n`);
    say('MODIFIED', pod(`p-${watches % PODS}`, (version += 1)));
    setTimeout(() => {
      if (way === 'break') return void request.socket.destroy();
      if (way === 'lost') say('ERROR', { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' });
      response.end();
    }, 6);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

const median = (values: number[]): number => values.toSorted((one, other) => one - other)[values.length >> 1] ?? NaN;

test('W7: over 1,000 reconnects neither memory grows nor sockets nor listeners', async () => {
  const server = await startServer();
  const config = kubeconfigFor(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [
      '--expose-gc',
      '--conditions=source',
      path(import.meta.dirname, '../../testing/kubernetes/reconnects.ts'),
      config.file,
      String(RECONNECTS),
    ]);
    const samples = JSON.parse(stdout) as Sample[];
    expect(samples.at(-1)?.reconnects).toBeGreaterThanOrEqual(RECONNECTS);
    const heaps = samples.map(({ heapBytes }) => heapBytes);
    // The first tenth warms the caches of the runtime.
    const growth = median(heaps.slice(-3)) - median(heaps.slice(1, 4));
    console.log(
      `heap after each ${RECONNECTS / samples.length} reconnects, kB: ${heaps.map((bytes) => Math.round(bytes / 1000)).join(' ')}; growth ${Math.round(growth / 1000)} kB`,
    );
    expect(growth).toBeLessThan(BOUND);
    expect(Math.max(...samples.map(({ sockets }) => sockets))).toBeLessThanOrEqual(3);
    expect(Math.max(...samples.map(({ listeners }) => listeners))).toBeLessThanOrEqual(6);
  } finally {
    config.remove();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}, 180_000);
