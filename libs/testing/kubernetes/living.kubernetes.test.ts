/** That a cluster for tests lives: pods run, are replaced, get and lose traffic; on the simulator and on a real API server alike. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { pathOf, type ApiClient } from '@kubervisor/kube-sandbox/client';
import type { KubeObject } from '@kubervisor/kube-sandbox/objects';
import { readPod } from '@kubervisor/shared/pods/codec';
import type { RawPod } from '@kubervisor/shared/pods/pod';
import { startCluster, type TestCluster } from './cluster.ts';

const MERGE_PATCH = 'application/merge-patch+json';
const PODS = { plural: 'pods' };
const SLICES = { group: 'discovery.k8s.io', plural: 'endpointslices' };
const BUDGETS = { group: 'policy', plural: 'poddisruptionbudgets' };
const DEPLOYMENTS = { group: 'apps', plural: 'deployments' };

describe('a cluster for tests', () => {
  let cluster: TestCluster;
  let client: ApiClient;
  let namespace: string;

  beforeAll(async () => {
    cluster = await startCluster();
    ({ client } = cluster);
    namespace = await cluster.namespace();
    const labels = { app: 'cart', 'kubervisor/traffic': 'yes' };
    const spec = { terminationGracePeriodSeconds: 5, containers: [{ name: 'main', image: 'registry.example/cart:1' }] };
    const create = (kind: { plural: string }, body: unknown) => client.call('POST', pathOf(kind, namespace), { body });
    await create(DEPLOYMENTS, {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'cart' },
      spec: { replicas: 3, selector: { matchLabels: { app: 'cart' } }, template: { metadata: { labels }, spec } },
    });
    await create(
      { plural: 'services' },
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'cart' },
        spec: { selector: labels, ports: [{ port: 80 }] },
      },
    );
    await create(BUDGETS, {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: { name: 'cart' },
      spec: { maxUnavailable: 1, selector: { matchLabels: { app: 'cart' } } },
    });
  }, 60_000);
  afterAll(() => cluster.stop(), 30_000);

  /** Follows all objects of a kind in the namespace until they are as wanted; the test's time-out is the limit. */
  async function until(kind: { plural: string }, holds: (objects: KubeObject[]) => boolean): Promise<KubeObject[]> {
    const path = pathOf(kind, namespace);
    for (;;) {
      const list = await client.call('GET', path);
      const objects = new Map((list.items ?? []).map((object) => [object.metadata.name, object]));
      if (holds([...objects.values()])) return [...objects.values()];
      const { resourceVersion } = list.metadata;
      for await (const { type, object } of client.watch(path, { resourceVersion, timeoutSeconds: 20 })) {
        if (type === 'ERROR') break;
        if (type === 'DELETED') objects.delete(object.metadata.name);
        else objects.set(object.metadata.name, object);
        if (holds([...objects.values()])) return [...objects.values()];
      }
    }
  }
  const podOf = (object: KubeObject) => readPod(object as unknown as RawPod);
  const areReady = (count: number) => (objects: KubeObject[]) =>
    objects.length === count && objects.map(podOf).every(({ ready, terminating }) => ready && !terminating);
  const receivers = (slices: KubeObject[]): string[] =>
    slices
      .flatMap(
        ({ endpoints }) => (endpoints ?? []) as { conditions: { ready: boolean }; targetRef: { name: string } }[],
      )
      .filter(({ conditions }) => conditions.ready)
      .map(({ targetRef }) => targetRef.name)
      .sort();
  const running = async (): Promise<string[]> =>
    (await until(PODS, areReady(3))).map(({ metadata }) => metadata.name).sort();

  test('a Deployment has its pods, ready, each on a node and with an address of its own', async () => {
    const pods = (await until(PODS, areReady(3))).map(podOf);
    expect(new Set(pods.map(({ ip }) => ip)).size).toBe(3);
    for (const pod of pods)
      expect(pod).toMatchObject({
        node: expect.any(String),
        owner: { kind: 'ReplicaSet' },
        revision: expect.any(String),
      });
  });

  test('a ready pod that the Service selects receives traffic; one that is relabelled does not, and is not replaced', async () => {
    const pods = await running();
    await until(SLICES, (slices) => receivers(slices).join() === pods.join());
    const [out = '', ...rest] = pods;
    const label = (traffic: string) =>
      client.call('PATCH', pathOf(PODS, namespace, out), {
        contentType: MERGE_PATCH,
        body: { metadata: { labels: { 'kubervisor/traffic': traffic } } },
      });
    await label('no');
    await until(SLICES, (slices) => receivers(slices).join() === rest.join());
    expect(await running()).toEqual(pods);
    await label('yes');
    await until(SLICES, (slices) => receivers(slices).join() === pods.join());
  });

  const setReady = (name: string, status: 'True' | 'False') =>
    client.call('PATCH', pathOf(PODS, namespace, name, 'status'), {
      contentType: 'application/strategic-merge-patch+json',
      body: {
        status: {
          conditions: ['Ready', 'ContainersReady'].map((type) => ({
            type,
            status,
            lastTransitionTime: '2026-01-01T00:00:00Z',
          })),
        },
      },
    });

  test('F3: a pod made unready stays so and leaves the traffic', async () => {
    const [name = '', ...rest] = await running();
    await setReady(name, 'False');
    await until(SLICES, (slices) => receivers(slices).join() === rest.join());
    await setReady(name, 'True');
    await until(SLICES, (slices) => receivers(slices).includes(name));
  });

  test('A5: a budget counts its pods, and an evicted pod ends and is replaced', async () => {
    const [name = '', unready = ''] = await running();
    const allowed = (disruptions: number) =>
      until(
        BUDGETS,
        ([budget]) => budget?.status?.disruptionsAllowed === disruptions && budget.status.expectedPods === 3,
      );
    const evict = async () =>
      (
        await client.request('POST', pathOf(PODS, namespace, name, 'eviction'), {
          body: { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace } },
        })
      ).code;
    await allowed(1);
    // Of two evictions in a row the second may be allowed again already, where the first pod was replaced in between.
    await setReady(unready, 'False');
    await allowed(0);
    expect(await evict()).toBe(429);
    await setReady(unready, 'True');
    await allowed(1);
    expect(await evict()).toBe(201);
    await until(PODS, (objects) => areReady(3)(objects) && objects.every(({ metadata }) => metadata.name !== name));
    expect(await running()).toContain(unready);
  });

  test('what was made for a Deployment goes with it', async () => {
    await running();
    await client.call('DELETE', pathOf(DEPLOYMENTS, namespace, 'cart'), { body: { propagationPolicy: 'Background' } });
    await until(PODS, (objects) => objects.length === 0);
    await until(SLICES, (slices) => receivers(slices).length === 0);
  });
});
