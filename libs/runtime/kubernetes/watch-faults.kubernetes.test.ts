/**
 * W7 on an API server that is killed, refuses, and lies: the collection is right again within the relist time, and the counter says
 * how much the watch had missed, exactly.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder, removeFolder } from '@kubervisor/testing/servers/child';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { readPod } from '@kubervisor/shared/pods/codec';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { startCluster, type TestCluster } from '@kubervisor/testing/kubernetes/cluster';
import { startCountingProxy, type CountingProxy } from '@kubervisor/testing/kubernetes/counting-proxy';
import { kubeconfigThrough } from '@kubervisor/testing/kubernetes/kubeconfig';
import { startTcpProxy, type TcpProxy } from '@kubervisor/testing/servers/tcp-proxy';
import { parse, stringify } from 'yaml';
import { connectKubernetes, type Kubernetes } from './client.ts';
import { createLogger } from '../logs.ts';
import { PATHS, pathIn } from './resources.ts';
import { watchCollection, type Collection } from './watch.ts';

const silent = createLogger('test', 'silent');
/** What the watches log. */
const lines: { status?: number; failures?: number }[] = [];
const listening = createLogger('test', 'debug', 'test', {
  write: (line) => void lines.push(JSON.parse(line) as (typeof lines)[number]),
});

let cluster: TestCluster;
let direct: Kubernetes;
/** Through it the server's connections can be silenced and refused, and through it its requests counted and refused. */
let wire: TcpProxy;
let counting: CountingProxy;
let wired: Kubernetes;
let counted: Kubernetes;
let namespace: string;
let end: () => void;

beforeAll(async () => {
  cluster = await startCluster({ runPods: false });
  direct = connectKubernetes({ kubeconfigFile: cluster.kubeconfig, userAgent: 'kubervisor-tests' }, silent);
  const { hostname, port } = new URL(direct.api.url);
  wire = await startTcpProxy({ host: hostname, port: Number(port) });
  const way = kubeconfigThrough(wire.port, cluster.kubeconfig);
  end = () => way.remove();
  wired = connectKubernetes({ kubeconfigFile: way.file, userAgent: 'kubervisor-tests' }, listening);
  counting = await startCountingProxy(readFileSync(cluster.kubeconfig, 'utf8'));
  counted = connectKubernetes({ kubeconfigFile: counting.kubeconfig, userAgent: 'kubervisor-tests' }, silent);
  namespace = await cluster.namespace();
}, 60_000);
afterAll(async () => {
  await Promise.all([direct?.close(), wired?.close(), counted?.close()]);
  await Promise.all([wire?.close(), counting?.close()]);
  end?.();
  await cluster?.stop();
}, 60_000);

const started: Collection<Pod>[] = [];
afterEach(async () => {
  lines.length = 0;
  wire.pass();
  counting.before = () => {};
  await Promise.all(started.splice(0).map((collection) => collection.stop()));
  for (const { name } of await direct.listPods(namespace, '')) await erase(name);
});

function watchPods(
  kubernetes: Kubernetes,
  { namespaces = [namespace], relistSeconds = 300, silenceSeconds = 120 } = {},
) {
  /** `name: uid → uid`, of what began or ended. */
  const lives: string[] = [];
  const collection = watchCollection<Pod>(kubernetes, {
    path: PATHS.pods,
    namespaces,
    read: readPod,
    key: ({ namespace: of, name }) => `${of}/${name}`,
    relistSeconds,
    silenceSeconds,
    onChange(_, before, after) {
      if (before?.uid !== after?.uid) lives.push(`${(before ?? after)?.name}: ${before?.uid} → ${after?.uid}`);
    },
  });
  started.push(collection);
  /** The same pods as the API server has, in the same versions. */
  const isRight = async (): Promise<boolean> => {
    const versions = (pods: Iterable<Pod>): string =>
      [...pods]
        .map(({ uid, resourceVersion }) => `${uid}@${resourceVersion}`)
        .sort()
        .join();
    const lists = await Promise.all(namespaces.map((of) => direct.listPods(of, '')));
    return versions(lists.flat()) === versions(collection.values());
  };
  return { collection, lives, isRight: () => until('it is right', isRight) };
}
async function until(what: string, holds: () => boolean | Promise<boolean>, within = 20_000): Promise<void> {
  for (const late = performance.now() + within; !(await holds());) {
    if (performance.now() > late) throw new Error(`not within ${within} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const create = async (name: string, of = namespace): Promise<Pod> =>
  readPod(
    await direct.api.request('POST', pathIn(PATHS.pods, of), {
      body: {
        metadata: { name },
        spec: { schedulerName: 'nobody', containers: [{ name: 'main', image: 'registry.example/main' }] },
      },
    }),
  );
const erase = (name: string): Promise<unknown> =>
  direct.api.request('DELETE', pathIn(PATHS.pods, namespace, name), { query: { gracePeriodSeconds: 0 } });
const label = (name: string, mark: string): Promise<unknown> =>
  direct.api.request('PATCH', pathIn(PATHS.pods, namespace, name), {
    body: { metadata: { labels: { mark } } },
    contentType: 'application/merge-patch+json',
  });

/** One change, one creation, one deletion, and one that is both. Five changes, as a list shows them. */
const CHANGES = 5;
async function change(): Promise<{ old: string; fresh: string }> {
  const old = (await direct.getPod(namespace, 'anew'))?.uid ?? '';
  await erase('anew');
  const { uid: fresh } = await create('anew');
  await label('changed', '1');
  await label('changed', '2');
  await erase('gone');
  await create('new');
  return { old, fresh };
}
async function givenPods(): Promise<void> {
  for (const name of ['anew', 'changed', 'gone', 'kept']) await create(name);
}

test('a watch that says nothing any more, connection open: the next list finds it all, and each change is counted once', async () => {
  await givenPods();
  const { collection, lives, isRight } = watchPods(counted, { relistSeconds: 2 });
  await until('synced', () => collection.synced);
  await label('changed', 'told');
  await isRight();
  counting.muteWatches();
  // One list shows all of it, however slow the machine is.
  const changed = Promise.withResolvers<void>();
  counting.before = () => changed.promise;
  const { old, fresh } = await change();
  changed.resolve();
  await isRight();
  expect(lives.filter((life) => life.startsWith('anew')).slice(1)).toEqual([
    `anew: ${old} → undefined`,
    `anew: undefined → ${fresh}`,
  ]);
  await until('counted', () => collection.stats.missed > 0);
  expect(collection.stats.missed).toBe(CHANGES);
  // Opened anew, it tells again: nothing more is missed.
  const { relists } = collection.stats;
  await label('kept', 'told');
  await isRight();
  await until('two more lists', () => collection.stats.relists >= relists + 2);
  expect(collection.stats.missed).toBe(CHANGES);
}, 60_000);

test('half-open, with all that is opened anew: right again as soon as the way is', async () => {
  await givenPods();
  const { collection, isRight } = watchPods(wired, { silenceSeconds: 1, relistSeconds: 5 });
  await until('synced', () => collection.synced);
  wire.silence();
  await change();
  await until('it knows', () => performance.now() - collection.health.heardAt > 3000);
  wire.pass();
  await isRight();
  expect(collection.health.problem).toBeUndefined();
}, 60_000);

describe('the API server is killed and started again', () => {
  test('and changes before the watch is back: a list shows it all, and each change is counted once', async () => {
    // A given cluster is nobody's to kill.
    if (cluster.outage === undefined) return;
    await givenPods();
    const { collection, lives, isRight } = watchPods(wired);
    await until('synced', () => collection.synced);
    wire.refuse();
    await cluster.outage.begin();
    // A single break is gone on from, and then nothing is missed: this one repeats.
    await until('it asks for a list', () => lines.some(({ failures = 0 }) => failures > 1));
    await cluster.outage.end();
    const { old, fresh } = await change();
    wire.pass();
    await isRight();
    expect(collection.stats.missed).toBe(CHANGES);
    expect(lives.slice(-4)).toContain(`anew: ${old} → undefined`);
    expect(lives.slice(-4)).toContain(`anew: undefined → ${fresh}`);
    await label('kept', 'told');
    await isRight();
    expect(collection.stats.missed).toBe(CHANGES);
  }, 60_000);

  test('behind a connection that is silent: who goes on from before is told 410, lists, and counts', async () => {
    if (cluster.outage === undefined) return;
    await givenPods();
    const { collection, isRight } = watchPods(wired);
    await until('synced', () => collection.synced);
    await label('changed', 'told');
    await isRight();
    wire.silenceOpen();
    // Were nothing written since what the watch was told last, the server that is started again could go on from there.
    await label('changed', '0');
    await cluster.outage.begin();
    await cluster.outage.end();
    await change();
    cluster.sandbox?.state.compact();
    await cluster.controlPlane?.compact();
    // The connection breaks now; where the watch was, the server knows nothing of any more.
    wire.pass();
    await isRight();
    expect(lines.map(({ status }) => status)).toContain(410);
    expect(collection.stats).toEqual({ missed: CHANGES, relists: 1, reconnects: 2 });
  }, 60_000);
});

test('429 to everything, with Retry-After: nobody asks before it is over, and it is right again after', async () => {
  await givenPods();
  const { collection, isRight } = watchPods(counted, { relistSeconds: 1 });
  await until('synced', () => collection.synced);
  counting.before = () => ({ status: 429, retryAfterSeconds: 3 });
  counting.cut();
  const from = counting.asked.length;
  await change();
  await new Promise((resolve) => setTimeout(resolve, 8000));
  // Watch and relist: each at 0, 3 and 6 s; the watch's list may be the relist's.
  expect(counting.asked.length - from).toBeLessThanOrEqual(2 * 3 + 1);
  counting.before = () => {};
  await isRight();
  expect(collection.stats.missed).toBe(CHANGES);
}, 60_000);

test('several namespaces, one of them forbidden for a while (403): it says so, and is synced when it is allowed; what is known stays while it is forbidden again', async () => {
  // The simulator has no RBAC.
  if (cluster.kind === 'sandbox') return;
  const other = await cluster.namespace();
  const { api } = direct;
  const account = `system:serviceaccount:${namespace}:default`;
  const { status } = await api.request<{ status: { token: string } }>(
    'POST',
    pathIn('/api/v1/serviceaccounts', namespace, 'default', 'token'),
    { body: { spec: {} } },
  );
  const roles = (of: string) => pathIn('/apis/rbac.authorization.k8s.io/v1/roles', of);
  const bindings = (of: string) => pathIn('/apis/rbac.authorization.k8s.io/v1/rolebindings', of);
  const allow = async (of: string): Promise<void> => {
    await api.request('POST', bindings(of), {
      body: {
        metadata: { name: 'watch' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'watch' },
        subjects: [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: account }],
      },
    });
  };
  for (const each of [namespace, other])
    await api.request('POST', roles(each), {
      body: {
        metadata: { name: 'watch' },
        rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['list', 'watch'] }],
      },
    });
  await allow(namespace);

  const folder = makeFolder('kubeconfig');
  const config = parse(readFileSync(cluster.kubeconfig, 'utf8')) as { users: { user: object }[] };
  for (const user of config.users) user.user = { token: status.token };
  const kubeconfigFile = join(folder, 'kubeconfig');
  writeFileSync(kubeconfigFile, stringify(config));
  const restricted = connectKubernetes({ kubeconfigFile, userAgent: 'kubervisor-tests' }, silent);
  try {
    await create('here');
    await create('there', other);
    const { collection, isRight } = watchPods(restricted, { namespaces: [namespace, other], relistSeconds: 1 });
    await until('one of them is in', () => collection.byNamespace(namespace).length === 1);
    expect(collection.synced).toBe(false);
    await until('it says so', () => /cannot list resource "pods"/.test(collection.health.problem ?? ''));
    await allow(other);
    await isRight();
    expect([collection.synced, collection.health.problem]).toEqual([true, undefined]);
    await api.request('DELETE', `${bindings(other)}/watch`);
    await new Promise((resolve) => setTimeout(resolve, 3000));
    expect(collection.byNamespace(other)).toHaveLength(1);
    await allow(other);
    await create('later', other);
    await isRight();
  } finally {
    await Promise.all(started.splice(0).map((collection) => collection.stop()));
    await restricted.close();
    removeFolder(folder);
  }
}, 60_000);
