/** The supervisor on a real connection that is cut, falls silent, and comes back. */
import { startTcpProxy, type TcpProxy } from '@kubervisor/testing/servers/tcp-proxy';
import { readPod } from '@kubervisor/shared/pods/codec';
import type { Pod, RawPod } from '@kubervisor/shared/pods/pod';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { connectKubernetes, type Kubernetes } from './client.ts';
import { silent, startFixture, type Fixture } from '@kubervisor/testing/kubernetes/fixture';
import { kubeconfigThrough } from '@kubervisor/testing/kubernetes/kubeconfig';
import { PATHS, pathIn } from './resources.ts';
import { watchCollection, type Collection } from './watch.ts';

let fixture: Fixture;
let proxy: TcpProxy;
let proxied: Kubernetes;
let config: ReturnType<typeof kubeconfigThrough>;
beforeAll(async () => {
  fixture = await startFixture();
  const { hostname, port } = new URL(fixture.kubernetes.api.url);
  proxy = await startTcpProxy({ host: hostname, port: Number(port) });
  config = kubeconfigThrough(proxy.port, fixture.kubeconfigFile);
  proxied = connectKubernetes({ kubeconfigFile: config.file, userAgent: 'kubervisor-tests' }, silent);
}, 60_000);
afterAll(async () => {
  await proxied?.close();
  await proxy?.close();
  config?.remove();
  await fixture?.end();
}, 60_000);

/** Awaits a change instead of sleeping. */
function watchPods({ kubernetes = proxied, relistSeconds = 300, silenceSeconds = 120 } = {}) {
  const changes: [before: Pod | undefined, after: Pod | undefined][] = [];
  const waiting = new Set<() => void>();
  const collection = watchCollection<Pod>(kubernetes, {
    path: PATHS.pods,
    namespaces: [fixture.namespace],
    read: readPod,
    key: ({ namespace, name }) => `${namespace}/${name}`,
    relistSeconds,
    silenceSeconds,
    onChange(_, before, after) {
      changes.push([before, after]);
      for (const look of waiting) look();
    },
    onSynced: () => waiting.forEach((look) => look()),
  });
  started.push(collection);
  const until = (condition: () => boolean) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (!condition()) return;
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
    });
  const pod = (name: string) => collection.get(`${fixture.namespace}/${name}`);
  return { collection, changes, until, pod };
}
const started: Collection<Pod>[] = [];
afterEach(async () => {
  proxy.pass();
  await Promise.all(started.splice(0).map((collection) => collection.stop()));
});

const erase = async (name: string) => {
  await fixture.kubernetes.api.request('DELETE', pathIn(PATHS.pods, fixture.namespace, name), {
    query: { gracePeriodSeconds: 0 },
  });
};
const label = (name: string, value: string) =>
  fixture.kubernetes.api.request<RawPod>('PATCH', pathIn(PATHS.pods, fixture.namespace, name), {
    body: { metadata: { labels: { mark: value } } },
    contentType: 'application/merge-patch+json',
  });

test('a pod that is made, changed and deleted is seen, by the field it has at that time', async () => {
  const { collection, until, pod } = watchPods();
  await until(() => collection.synced);
  await fixture.createPod('seen', { labels: { mark: '1' } });
  await until(() => pod('seen')?.labels.mark === '1');
  await label('seen', '2');
  await until(() => pod('seen')?.labels.mark === '2');
  expect(collection.byNamespace(fixture.namespace).map(({ name }) => name)).toContain('seen');
  await erase('seen');
  await until(() => pod('seen') === undefined);
  expect(collection.stats).toEqual({ missed: 0, relists: 0, reconnects: 0 });
});

describe('W7: the connection', () => {
  test('is cut while a pod is deleted and made anew: two uids are seen', async () => {
    const old = await fixture.createPod('anew');
    const { changes, until, pod } = watchPods();
    await until(() => pod('anew') !== undefined);
    proxy.refuse();
    await erase('anew');
    const fresh = await fixture.createPod('anew');
    proxy.pass();
    await until(() => pod('anew')?.uid === fresh.uid);
    const uids = changes.map(([before, after]) => [before?.uid, after?.uid]);
    expect(uids).toContainEqual([old.uid, undefined]);
    expect(uids).toContainEqual([undefined, fresh.uid]);
    expect(uids).not.toContainEqual([old.uid, fresh.uid]);
  });

  test('falls silent without an end: a new one is opened and tells what happened meanwhile', async () => {
    await fixture.createPod('quiet');
    const { collection, until, pod } = watchPods({ silenceSeconds: 2 });
    await until(() => pod('quiet') !== undefined);
    // Told by the watch, so the watch is open.
    await label('quiet', 'told');
    await until(() => pod('quiet')?.labels.mark === 'told');
    proxy.silenceOpen();
    await label('quiet', 'changed');
    await until(() => pod('quiet')?.labels.mark === 'changed');
    expect(collection.stats).toMatchObject({ missed: 0 });
    expect(collection.stats.reconnects).toBeGreaterThan(0);
  });

  test('stays away for a while: all is right again when it is back, without a restart of anything', async () => {
    await fixture.createPod('away');
    const { until, pod } = watchPods();
    await until(() => pod('away') !== undefined);
    proxy.refuse();
    await label('away', 'changed');
    // Several tries fail.
    await new Promise((resolve) => setTimeout(resolve, 3000));
    expect(pod('away')?.labels.mark).toBeUndefined();
    proxy.pass();
    await until(() => pod('away')?.labels.mark === 'changed');
  });

  test('is slow: nothing is lost, taken back or counted as missed', async () => {
    const { collection, until, pod } = watchPods({ relistSeconds: 1 });
    await until(() => collection.synced);
    proxy.delay(300);
    await fixture.createPod('slow');
    for (let change = 0; change < 20; change++) {
      await label('slow', String(change));
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await until(() => pod('slow')?.labels.mark === '19');
    await erase('slow');
    await until(() => pod('slow') === undefined);
    expect(collection.stats.missed).toBe(0);
    expect(collection.stats.relists).toBeGreaterThan(0);
  });
});

test('many connections cut in a row leave no connection open', async () => {
  const { collection, until } = watchPods();
  await until(() => collection.synced);
  for (let cuts = 0; cuts < 4; cuts++) {
    const seen = proxy.accepted;
    proxy.cut();
    while (proxy.accepted === seen) await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await fixture.createPod('last');
  await until(() => collection.get(`${fixture.namespace}/last`) !== undefined);
  // The watch, and the one that its list came through.
  expect(proxy.open).toBeLessThanOrEqual(2);
});
