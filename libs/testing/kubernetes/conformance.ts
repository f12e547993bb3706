/**
 * What Kubervisor relies on in a Kubernetes API server, as one suite. The simulator and a real API server pass the same; where they
 * would differ, the simulator is wrong. On plain HTTP, so that status codes and reasons show as they are.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { pathOf, type Answer, type ApiClient, type WatchEvent } from '@kubervisor/kube-sandbox/client';
import { EDITS, guardedPatch, readPod } from '@kubervisor/shared/pods/codec';
import { ANNOTATION, LABEL } from '@kubervisor/shared/pods/keys';
import type { RawPod } from '@kubervisor/shared/pods/pod';
import type { TestCluster } from './cluster.ts';

const JSON_PATCH = 'application/json-patch+json';
const MERGE_PATCH = 'application/merge-patch+json';
const STRATEGIC_MERGE_PATCH = 'application/strategic-merge-patch+json';
const APPLY = 'application/apply-patch+yaml';

const PODS = { plural: 'pods' };
const CONFIG_MAPS = { plural: 'configmaps' };
const EVENTS = { plural: 'events' };
const LEASES = { group: 'coordination.k8s.io', plural: 'leases' };
const BUDGETS = { group: 'policy', plural: 'poddisruptionbudgets' };
const DEFINITIONS = { group: 'apiextensions.k8s.io', plural: 'customresourcedefinitions' };

type Object = Answer['body'];
type Fields = Record<string, unknown>;

const failure = ({ code, body }: Answer) => ({ code, reason: body.reason });
const causesOf = ({ body }: Answer) =>
  ((body.details as Fields | undefined)?.causes ?? []) as { reason: string; field: string; message: string }[];
const names = ({ body }: Answer) => (body.items ?? []).map(({ metadata }) => metadata.name);

const PERIOD = { type: 'number', minimum: 1, default: 5 };
/** The definition of a small resource with everything that the suite looks at. */
const definition = (group: string, more: Fields = {}): Fields => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `gauges.${group}`, ...more },
  spec: {
    group,
    scope: 'Namespaced',
    names: { plural: 'gauges', singular: 'gauge', kind: 'Gauge', shortNames: ['gg'] },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {} },
        additionalPrinterColumns: [
          { name: 'Service', type: 'string', jsonPath: '.spec.service' },
          { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
          { name: 'Period', type: 'number', jsonPath: '.spec.period', priority: 1 },
          { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
        ],
        schema: {
          openAPIV3Schema: {
            type: 'object',
            required: ['spec'],
            properties: {
              spec: {
                type: 'object',
                required: ['service'],
                properties: {
                  service: { type: 'string', maxLength: 20, pattern: '^[a-z]+$' },
                  period: PERIOD,
                  mode: { type: 'string', enum: ['enforce', 'dryRun'] },
                  limit: { 'x-kubernetes-int-or-string': true },
                  free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
                  breakers: {
                    type: 'array',
                    maxItems: 3,
                    'x-kubernetes-list-type': 'map',
                    'x-kubernetes-list-map-keys': ['name'],
                    items: {
                      type: 'object',
                      required: ['name'],
                      properties: { name: { type: 'string' }, period: PERIOD },
                    },
                  },
                },
              },
              status: {
                type: 'object',
                properties: {
                  observedGeneration: { type: 'integer' },
                  conditions: {
                    type: 'array',
                    'x-kubernetes-list-type': 'map',
                    'x-kubernetes-list-map-keys': ['type'],
                    items: {
                      type: 'object',
                      required: ['type'],
                      properties: { type: { type: 'string' }, status: { type: 'string' } },
                    },
                  },
                },
              },
            },
          },
        },
      },
    ],
  },
});

export function describeKubernetesApi(name: string, start: () => Promise<TestCluster>): void {
  describe(`Kubernetes API: ${name}`, () => {
    let cluster: TestCluster;
    let client: ApiClient;
    let namespace: string;
    let node: string;
    const group = `c${randomUUID().slice(0, 8)}.example.com`;
    const GAUGES = { group, plural: 'gauges' };

    beforeAll(async () => {
      cluster = await start();
      ({ client } = cluster);
      [namespace, node] = await Promise.all([cluster.namespace(), cluster.installNode()]);
      await client.call('POST', pathOf(DEFINITIONS), { body: definition(group) });
      await established(`gauges.${group}`);
    }, 60_000);
    afterAll(async () => {
      await client.request('DELETE', pathOf(DEFINITIONS, undefined, `gauges.${group}`));
      await cluster.stop();
    }, 30_000);

    type Kind = { group?: string; plural: string };
    const post = (kind: Kind, body: Fields, query = {}) =>
      client.request('POST', pathOf(kind, namespace), { body, query });
    const get = (kind: Kind, object: string, subresource?: string) =>
      client.request('GET', pathOf(kind, namespace, object, subresource));
    const put = (kind: Kind, object: Object, subresource?: string) =>
      client.request('PUT', pathOf(kind, namespace, object.metadata.name, subresource), { body: object });
    const patch = (kind: Kind, object: string, contentType: string, body: unknown, subresource?: string, query = {}) =>
      client.request('PATCH', pathOf(kind, namespace, object, subresource), { body, contentType, query });
    const end = (kind: Kind, object: string, body: Fields = {}) =>
      client.request('DELETE', pathOf(kind, namespace, object), { body });
    const list = (kind: Kind, query = {}) => client.request('GET', pathOf(kind, namespace), { query });

    /** By watching; the time-out of the test is the limit. */
    async function awaited(
      path: string,
      object: string,
      holds: (object: Object | undefined) => boolean,
    ): Promise<void> {
      const fieldSelector = `metadata.name=${object}`;
      for (;;) {
        const listed = await client.call('GET', path, { query: { fieldSelector } });
        if (holds((listed.items ?? [])[0] as Object | undefined)) return;
        const { resourceVersion } = listed.metadata;
        for await (const { type, object: seen } of client.watch(path, {
          fieldSelector,
          resourceVersion,
          timeoutSeconds: 20,
        }))
          if (type === 'ERROR') break;
          else if (holds(type === 'DELETED' ? undefined : (seen as Object))) return;
      }
    }
    const established = (definitionName: string) =>
      awaited(pathOf(DEFINITIONS), definitionName, (object) =>
        ((object?.status?.conditions ?? []) as Fields[]).some(
          ({ type, status }) => type === 'Established' && status === 'True',
        ),
      );

    const fresh = (prefix: string) => `${prefix}-${randomUUID().slice(0, 8)}`;
    const podBody = (podName: string, labels: Fields = {}, more: Fields = {}): Fields => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: podName, labels },
      // No scheduler touches it; what the suite wants bound it binds itself.
      spec: { schedulerName: 'nobody', containers: [{ name: 'main', image: 'registry.example/main:1' }], ...more },
    });
    const createPod = async (labels: Fields = {}, more: Fields = {}): Promise<Object> => {
      const answer = await post(PODS, podBody(fresh('pod'), labels, more));
      expect(answer).toMatchObject({ code: 201 });
      return answer.body;
    };
    const makeReady = async ({ metadata }: Object): Promise<Object> => {
      const time = '2026-01-01T00:00:00Z';
      const conditions = ['Ready', 'ContainersReady'].map((type) => ({
        type,
        status: 'True',
        lastTransitionTime: time,
      }));
      const status = { phase: 'Running', podIP: '10.1.2.3', podIPs: [{ ip: '10.1.2.3' }], startTime: time, conditions };
      return (await patch(PODS, metadata.name, MERGE_PATCH, { status }, 'status')).body;
    };
    const gauge = (gaugeName: string, spec: Fields, more: Fields = {}): Fields => ({
      apiVersion: `${group}/v1`,
      kind: 'Gauge',
      metadata: { name: gaugeName },
      spec,
      ...more,
    });
    const createGauge = async (spec: Fields = { service: 'cart' }): Promise<Object> => {
      const answer = await post(GAUGES, gauge(fresh('gauge'), spec));
      expect(answer).toMatchObject({ code: 201 });
      return answer.body;
    };
    const follow = (kind: Kind, query: Fields, signal: AbortSignal) =>
      client.watch(pathOf(kind, namespace), query as Record<string, string>, signal);
    /** The first so many events of a watch. */
    async function take(
      kind: Kind,
      query: Fields,
      count: number,
      act: () => Promise<unknown> = () => Promise.resolve(),
    ) {
      const ended = new AbortController();
      const events: WatchEvent[] = [];
      const acted = act();
      for await (const event of follow(kind, { timeoutSeconds: 20, ...query }, ended.signal)) {
        events.push(event);
        if (events.length === count) break;
      }
      await acted;
      return events;
    }

    describe('objects', () => {
      test('are created with uid, resourceVersion and creationTimestamp, and read back', async () => {
        const created = await createPod({ app: 'cart' });
        expect(created.metadata).toMatchObject({ namespace, labels: { app: 'cart' } });
        expect(created.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
        expect(created.metadata.creationTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
        expect(created.status).toMatchObject({ phase: 'Pending' });
        expect(await get(PODS, created.metadata.name)).toMatchObject({
          code: 200,
          body: { kind: 'Pod', metadata: { uid: created.metadata.uid } },
        });
      });

      test('of one name are refused with 409 AlreadyExists', async () => {
        const { metadata } = await createPod();
        expect(failure(await post(PODS, podBody(metadata.name)))).toEqual({ code: 409, reason: 'AlreadyExists' });
      });

      test('that are not there answer 404 NotFound, whatever the verb', async () => {
        const missing = { code: 404, reason: 'NotFound' };
        expect(failure(await get(PODS, 'missing'))).toEqual(missing);
        expect(failure(await end(PODS, 'missing'))).toEqual(missing);
        expect(failure(await patch(PODS, 'missing', MERGE_PATCH, {}))).toEqual(missing);
        expect(
          failure(
            await client.request('POST', pathOf(PODS, namespace, 'missing', 'eviction'), {
              body: { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'missing', namespace } },
            }),
          ),
        ).toEqual(missing);
      });

      test('get a name from generateName', async () => {
        const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { generateName: 'made-' } };
        const [one, other] = [await post(CONFIG_MAPS, body), await post(CONFIG_MAPS, body)];
        expect(one.body.metadata.name).toMatch(/^made-[a-z0-9]{5}$/);
        expect(other.body.metadata.name).not.toBe(one.body.metadata.name);
      });

      test('in a namespace that is not there are refused with 404', async () => {
        const answer = await client.request('POST', pathOf(CONFIG_MAPS, 'not-there'), {
          body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' } },
        });
        expect(failure(answer)).toEqual({ code: 404, reason: 'NotFound' });
      });

      test('that make no sense are refused with 422 and the field', async () => {
        const answer = await post(PODS, podBody(fresh('pod'), {}, { containers: [] }));
        expect(failure(answer)).toEqual({ code: 422, reason: 'Invalid' });
        expect(causesOf(answer)).toContainEqual(
          expect.objectContaining({ reason: 'FieldValueRequired', field: 'spec.containers' }),
        );
        expect(failure(await post(PODS, podBody(fresh('pod'), { app: 'not a label value' })))).toEqual({
          code: 422,
          reason: 'Invalid',
        });
      });

      test('are not stored by a dry run', async () => {
        const body = podBody(fresh('pod'));
        expect(await post(PODS, body, { dryRun: 'All' })).toMatchObject({ code: 201 });
        expect(await get(PODS, (body.metadata as Fields).name as string)).toMatchObject({ code: 404 });
      });

      test('are replaced only from their present resourceVersion: else 409 Conflict', async () => {
        const { body } = await post(CONFIG_MAPS, {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: fresh('map') },
          data: { a: '1' },
        });
        const updated = await put(CONFIG_MAPS, { ...body, data: { a: '2' } });
        expect(updated).toMatchObject({ code: 200, body: { data: { a: '2' } } });
        expect(Number(updated.body.metadata.resourceVersion)).toBeGreaterThan(Number(body.metadata.resourceVersion));
        expect(failure(await put(CONFIG_MAPS, { ...body, data: { a: '3' } }))).toEqual({
          code: 409,
          reason: 'Conflict',
        });
      });

      test('keep their resourceVersion when a write changes nothing', async () => {
        const { body } = await post(CONFIG_MAPS, {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: fresh('map') },
          data: { a: '1' },
        });
        const again = await patch(CONFIG_MAPS, body.metadata.name, MERGE_PATCH, { data: { a: '1' } });
        expect(again.body.metadata.resourceVersion).toBe(body.metadata.resourceVersion);
      });

      test('of another uid are not replaced: 409', async () => {
        const { body } = await post(CONFIG_MAPS, {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: fresh('map') },
        });
        const other = { ...body, metadata: { ...body.metadata, uid: randomUUID(), resourceVersion: '' } };
        expect(failure(await put(CONFIG_MAPS, other))).toEqual({ code: 409, reason: 'Conflict' });
      });
    });

    describe('lists', () => {
      const run = fresh('run');
      beforeAll(async () => {
        await createPod({ run, app: 'cart', traffic: 'yes' });
        await createPod({ run, app: 'cart', traffic: 'no' });
        await createPod({ run, app: 'shop' }, { nodeName: node });
      });

      test.each([
        ['', 3],
        ['app=cart', 2],
        ['app==cart', 2],
        ['app!=cart', 1],
        ['app in (cart,shop)', 3],
        ['app notin (cart)', 1],
        ['traffic', 2],
        ['!traffic', 1],
        ['app=cart,traffic=no', 1],
      ])('by label: %j chooses %d', async (selector, count) => {
        const answer = await list(PODS, {
          labelSelector: [`run=${run}`, selector].filter((part) => part !== '').join(','),
        });
        expect(answer).toMatchObject({ code: 200, body: { kind: 'PodList', apiVersion: 'v1' } });
        expect(names(answer)).toHaveLength(count);
      });

      test.each([
        [() => `spec.nodeName=${node}`, 1],
        [() => 'spec.nodeName=', 2],
        [() => 'status.phase=Pending', 3],
        [() => 'status.phase!=Pending', 0],
      ])('by field, %#', async (selector, count) => {
        expect(names(await list(PODS, { labelSelector: `run=${run}`, fieldSelector: selector() }))).toHaveLength(count);
      });

      test('refuse an unknown field and a selector that is none with 400', async () => {
        expect(failure(await list(PODS, { fieldSelector: 'spec.unheard=1' }))).toEqual({
          code: 400,
          reason: 'BadRequest',
        });
        expect(failure(await list(PODS, { labelSelector: 'a b' }))).toEqual({ code: 400, reason: 'BadRequest' });
      });

      test('come in pages that together are the whole', async () => {
        const all = await list(PODS, { labelSelector: `run=${run}` });
        const first = await list(PODS, { labelSelector: `run=${run}`, limit: 2 });
        const token = (first.body.metadata as unknown as Fields).continue as string;
        const second = await list(PODS, { labelSelector: `run=${run}`, limit: 2, continue: token });
        expect([...names(first), ...names(second)]).toEqual(names(all));
        expect((second.body.metadata as unknown as Fields).continue ?? '').toBe('');
      });

      test('are deleted by label', async () => {
        const mark = fresh('mark');
        for (const key of ['a', 'b'])
          await post(CONFIG_MAPS, {
            apiVersion: 'v1',
            kind: 'ConfigMap',
            metadata: { name: fresh(key), labels: { mark } },
          });
        expect(
          await client.request('DELETE', pathOf(CONFIG_MAPS, namespace), { query: { labelSelector: `mark=${mark}` } }),
        ).toMatchObject({ code: 200 });
        expect(names(await list(CONFIG_MAPS, { labelSelector: `mark=${mark}` }))).toEqual([]);
      });
    });

    describe('watches', () => {
      const config = (data: string, labels: Fields, configName = fresh('map')): Fields => ({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: configName, labels },
        data: { data },
      });

      test('tell every change after the list, in order, each with a higher resourceVersion', async () => {
        const mark = fresh('mark');
        const { body } = await list(CONFIG_MAPS, { labelSelector: `mark=${mark}` });
        const configName = fresh('map');
        const query = { labelSelector: `mark=${mark}`, resourceVersion: body.metadata.resourceVersion };
        const events = await take(CONFIG_MAPS, query, 3, async () => {
          await post(CONFIG_MAPS, config('1', { mark }, configName));
          await patch(CONFIG_MAPS, configName, MERGE_PATCH, { data: { data: '2' } });
          await end(CONFIG_MAPS, configName);
        });
        expect(events.map(({ type, object }) => [type, (object.data as Fields).data])).toEqual([
          ['ADDED', '1'],
          ['MODIFIED', '2'],
          ['DELETED', '2'],
        ]);
        const revisions = events.map(({ object }) => Number(object.metadata.resourceVersion));
        expect(revisions).toEqual([...new Set(revisions)].sort((one, other) => one - other));
      });

      test('resume from the past', async () => {
        const mark = fresh('mark');
        const { body: before } = await post(CONFIG_MAPS, config('1', { mark }));
        await patch(CONFIG_MAPS, before.metadata.name, MERGE_PATCH, { data: { data: '2' } });
        const [event] = await take(
          CONFIG_MAPS,
          { labelSelector: `mark=${mark}`, resourceVersion: before.metadata.resourceVersion },
          1,
        );
        expect(event).toMatchObject({ type: 'MODIFIED', object: { data: { data: '2' } } });
      });

      test('without a resourceVersion begin with what is there', async () => {
        const mark = fresh('mark');
        const { body } = await post(CONFIG_MAPS, config('1', { mark }));
        const [event] = await take(CONFIG_MAPS, { labelSelector: `mark=${mark}` }, 1);
        expect(event).toMatchObject({ type: 'ADDED', object: { metadata: { uid: body.metadata.uid } } });
      });

      test('of a selector tell an object that begins to match as ADDED and one that no longer does as DELETED', async () => {
        const mark = fresh('mark');
        const { body } = await post(CONFIG_MAPS, config('1', { mark, traffic: 'no' }));
        const { name: configName, resourceVersion } = body.metadata;
        const label = (traffic: string) =>
          patch(CONFIG_MAPS, configName, MERGE_PATCH, { metadata: { labels: { traffic } } });
        const events = await take(
          CONFIG_MAPS,
          { labelSelector: `mark=${mark},traffic=yes`, resourceVersion },
          2,
          async () => {
            await label('yes');
            await label('pause');
          },
        );
        expect(events.map(({ type }) => type)).toEqual(['ADDED', 'DELETED']);
      });

      test('end at timeoutSeconds, with a bookmark before that', async () => {
        const { body } = await list(CONFIG_MAPS);
        const mark = fresh('mark');
        const begun = performance.now();
        const events: WatchEvent[] = [];
        const query = {
          resourceVersion: body.metadata.resourceVersion,
          labelSelector: `mark=${mark}`,
          allowWatchBookmarks: 'true',
          timeoutSeconds: 5,
        };
        // What the watch does not select: so the server has come further, and only a bookmark can say so.
        const meanwhile = post(CONFIG_MAPS, config('1', {}));
        for await (const event of follow(CONFIG_MAPS, query, new AbortController().signal)) events.push(event);
        await meanwhile;
        expect(performance.now() - begun).toBeGreaterThan(4500);
        expect(performance.now() - begun).toBeLessThan(9000);
        expect(events.map(({ type }) => type)).toContain('BOOKMARK');
        const last = events.at(-1)?.object;
        expect(last).toMatchObject({ kind: 'ConfigMap', apiVersion: 'v1' });
        expect(Number(last?.metadata.resourceVersion)).toBeGreaterThan(Number(body.metadata.resourceVersion));
      });

      test('with sendInitialEvents say where the initial events end', async () => {
        const mark = fresh('mark');
        await post(CONFIG_MAPS, config('1', { mark }));
        const query = {
          labelSelector: `mark=${mark}`,
          sendInitialEvents: true,
          resourceVersionMatch: 'NotOlderThan',
          allowWatchBookmarks: true,
        };
        const events = await take(CONFIG_MAPS, query, 2);
        expect(events.map(({ type }) => type)).toEqual(['ADDED', 'BOOKMARK']);
        expect(events[1]?.object.metadata.annotations).toMatchObject({ 'k8s.io/initial-events-end': 'true' });
      });

      test('from a past that is forgotten get 410 Expired', async () => {
        await createGauge();
        await list(GAUGES);
        const [event] = await take(GAUGES, { resourceVersion: '1' }, 1);
        expect(event).toMatchObject({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } });
      });
    });

    describe('JSON patch', () => {
      const guarded = async (labels: Fields) => {
        const raw = await createPod(labels);
        return { raw, pod: readPod(raw as unknown as RawPod) };
      };
      const asBreak = {
        breaker: 'slow',
        at: Date.parse('2026-01-01T00:00:00Z'),
        retryCount: 1,
        observation: { reason: 'slow' },
      };
      const unprocessable = { code: 422, reason: 'Invalid' };

      test('W4: a guarded patch breaks a pod that has no annotations, and brings it back', async () => {
        const { pod } = await guarded({ app: 'cart', [LABEL.traffic]: 'yes', [LABEL.name]: 'cart' });
        expect(pod.hasAnnotations).toBe(false);
        const broken = await patch(PODS, pod.name, JSON_PATCH, guardedPatch(pod, EDITS.break(pod, asBreak)));
        expect(broken).toMatchObject({
          code: 200,
          body: { metadata: { labels: { [LABEL.traffic]: 'no', [LABEL.strategy]: 'slow' } } },
        });
        const read = readPod(broken.body as unknown as RawPod);
        expect(read.annotations).toMatchObject({ [ANNOTATION.retryCount]: '1', [ANNOTATION.deletionCost]: '-1000' });
        const back = await patch(
          PODS,
          pod.name,
          JSON_PATCH,
          guardedPatch(read, EDITS.activate(read, { at: asBreak.at })),
        );
        expect(back).toMatchObject({ code: 200, body: { metadata: { labels: { [LABEL.traffic]: 'yes' } } } });
        expect(back.body.metadata.labels).not.toHaveProperty(LABEL.strategy);
        expect(back.body.metadata.annotations).not.toHaveProperty([ANNOTATION.breakAt]);
      });

      test('W4: a repeat of it changes nothing and answers 422', async () => {
        const { pod } = await guarded({ [LABEL.traffic]: 'yes', [LABEL.name]: 'cart' });
        const operations = guardedPatch(pod, EDITS.break(pod, asBreak));
        const { body } = await patch(PODS, pod.name, JSON_PATCH, operations);
        expect(failure(await patch(PODS, pod.name, JSON_PATCH, operations))).toEqual(unprocessable);
        expect((await get(PODS, pod.name)).body.metadata.resourceVersion).toBe(body.metadata.resourceVersion);
      });

      test('W4: a missing label is guarded by null, and adopted', async () => {
        const { pod } = await guarded({ app: 'cart' });
        const operations = guardedPatch(pod, EDITS.adopt(pod, { name: 'cart' }));
        expect(operations).toContainEqual(expect.objectContaining({ op: 'test', value: null }));
        expect(await patch(PODS, pod.name, JSON_PATCH, operations)).toMatchObject({
          code: 200,
          body: { metadata: { labels: { app: 'cart', [LABEL.name]: 'cart', [LABEL.traffic]: 'yes' } } },
        });
      });

      test('F2: a release of a pod that was out and in again since it was read is refused, and whole when it is read anew', async () => {
        for (const annotations of [undefined, { 'team/owner': 'ann' }]) {
          const { pod: bare } = await guarded({ [LABEL.traffic]: 'yes', [LABEL.name]: 'cart' });
          const { body } = await patch(PODS, bare.name, MERGE_PATCH, { metadata: { annotations } });
          const read = readPod(body as unknown as RawPod);
          const stale = guardedPatch(read, EDITS.release(read));
          const broken = await patch(PODS, read.name, JSON_PATCH, guardedPatch(read, EDITS.break(read, asBreak)));
          const out = readPod(broken.body as unknown as RawPod);
          const back = await patch(
            PODS,
            out.name,
            JSON_PATCH,
            guardedPatch(out, EDITS.activate(out, { at: asBreak.at })),
          );
          expect(failure(await patch(PODS, read.name, JSON_PATCH, stale))).toEqual(unprocessable);

          const fresh = readPod(back.body as unknown as RawPod);
          const released = await patch(PODS, fresh.name, JSON_PATCH, guardedPatch(fresh, EDITS.release(fresh)));
          expect(released).toMatchObject({ code: 200, body: { metadata: { labels: { [LABEL.traffic]: 'yes' } } } });
          expect(released.body.metadata.labels).not.toHaveProperty([LABEL.name]);
          expect(released.body.metadata.annotations).toEqual(annotations);
        }
      });

      test.each<[string, (podName: string) => Promise<unknown>]>([
        [
          'a traffic label that changed',
          (podName) => patch(PODS, podName, MERGE_PATCH, { metadata: { labels: { [LABEL.traffic]: 'pause' } } }),
        ],
        [
          'a traffic label that went away',
          (podName) => patch(PODS, podName, MERGE_PATCH, { metadata: { labels: { [LABEL.traffic]: null } } }),
        ],
        [
          'another owner',
          (podName) => patch(PODS, podName, MERGE_PATCH, { metadata: { labels: { [LABEL.name]: 'other' } } }),
        ],
        [
          'annotations that came meanwhile',
          (podName) => patch(PODS, podName, MERGE_PATCH, { metadata: { annotations: { note: 'mine' } } }),
        ],
      ])('W4: %s fails the test with 422 and leaves the pod alone', async (_, meddle) => {
        const { pod } = await guarded({ [LABEL.traffic]: 'yes', [LABEL.name]: 'cart' });
        await meddle(pod.name);
        const before = await get(PODS, pod.name);
        expect(failure(await patch(PODS, pod.name, JSON_PATCH, guardedPatch(pod, EDITS.break(pod, asBreak))))).toEqual(
          unprocessable,
        );
        expect((await get(PODS, pod.name)).body.metadata.resourceVersion).toBe(before.body.metadata.resourceVersion);
      });

      test('W4: another pod of the same name fails the test on uid', async () => {
        const { pod } = await guarded({ [LABEL.traffic]: 'yes', [LABEL.name]: 'cart' });
        const stranger = { ...pod, uid: randomUUID() };
        expect(failure(await patch(PODS, pod.name, JSON_PATCH, guardedPatch(stranger, EDITS.pause(stranger))))).toEqual(
          unprocessable,
        );
      });

      const label = '/metadata/labels/app';
      test.each<[string, unknown, number]>([
        ['test of a value that is there', [{ op: 'test', path: label, value: 'cart' }], 200],
        ['test of another value', [{ op: 'test', path: label, value: 'shop' }], 422],
        ['test for null of a missing key', [{ op: 'test', path: '/metadata/labels/none', value: null }], 200],
        ['test for null of a key that is there', [{ op: 'test', path: label, value: null }], 422],
        ['test for a value of a missing key', [{ op: 'test', path: '/metadata/labels/none', value: 'a' }], 422],
        ['test for null of a missing map', [{ op: 'test', path: '/metadata/annotations', value: null }], 200],
        ['test for null inside a missing map', [{ op: 'test', path: '/metadata/annotations/none', value: null }], 422],
        ['add inside a missing map', [{ op: 'add', path: '/metadata/annotations/a', value: 'b' }], 422],
        ['remove of a missing key', [{ op: 'remove', path: '/metadata/labels/none' }], 422],
        ['replace of a missing key', [{ op: 'replace', path: '/metadata/labels/none', value: 'a' }], 200],
        ['replace', [{ op: 'replace', path: label, value: 'shop' }], 200],
        [
          'add, then test',
          [
            { op: 'add', path: '/metadata/labels/new', value: 'a' },
            { op: 'test', path: '/metadata/labels/new', value: 'a' },
          ],
          200,
        ],
        [
          'copy and move',
          [
            { op: 'copy', from: label, path: '/metadata/labels/b' },
            { op: 'move', from: '/metadata/labels/b', path: '/metadata/labels/c' },
          ],
          200,
        ],
        ['no list', { op: 'test' }, 400],
      ])('%s', async (_, operations, code) => {
        const pod = await createPod({ app: 'cart' });
        expect(await patch(PODS, pod.metadata.name, JSON_PATCH, operations)).toMatchObject({ code });
      });
    });

    describe('merge patches', () => {
      test('set, and remove by null', async () => {
        const { metadata } = await createPod({ app: 'cart', old: 'a' });
        const answer = await patch(PODS, metadata.name, MERGE_PATCH, {
          metadata: { labels: { old: null, new: 'b' }, annotations: { note: 'c' } },
        });
        expect(answer.body.metadata).toMatchObject({ labels: { app: 'cart', new: 'b' }, annotations: { note: 'c' } });
        expect(answer.body.metadata.labels).not.toHaveProperty('old');
      });

      test('of a stale resourceVersion answer 409, of another uid 422', async () => {
        const { metadata } = await createPod();
        await patch(PODS, metadata.name, MERGE_PATCH, { metadata: { labels: { a: 'b' } } });
        const conflict = { code: 409, reason: 'Conflict' };
        expect(
          failure(
            await patch(PODS, metadata.name, MERGE_PATCH, {
              metadata: { resourceVersion: metadata.resourceVersion, labels: { a: 'c' } },
            }),
          ),
        ).toEqual(conflict);
        expect(
          failure(
            await patch(PODS, metadata.name, MERGE_PATCH, { metadata: { uid: randomUUID(), labels: { a: 'c' } } }),
          ),
        ).toEqual({ code: 422, reason: 'Invalid' });
      });

      test('strategic: containers merge by name', async () => {
        const containers = ['one', 'two'].map((containerName) => ({
          name: containerName,
          image: 'registry.example/main:1',
        }));
        const { metadata } = await createPod({}, { containers });
        const answer = await patch(PODS, metadata.name, STRATEGIC_MERGE_PATCH, {
          spec: { containers: [{ name: 'two', image: 'registry.example/main:2' }] },
        });
        expect(answer).toMatchObject({
          code: 200,
          body: {
            spec: {
              containers: [
                { name: 'one', image: 'registry.example/main:1' },
                { name: 'two', image: 'registry.example/main:2' },
              ],
            },
          },
        });
      });

      test('strategic is not for custom resources, and a pod takes no type that is none: 415', async () => {
        const { metadata } = await createGauge();
        expect(failure(await patch(GAUGES, metadata.name, STRATEGIC_MERGE_PATCH, {}))).toEqual({
          code: 415,
          reason: 'UnsupportedMediaType',
        });
        const pod = await createPod();
        expect(failure(await patch(PODS, pod.metadata.name, 'application/json', {}))).toEqual({
          code: 415,
          reason: 'UnsupportedMediaType',
        });
      });

      test("refuse to change what is fixed in a pod's spec: 422", async () => {
        const { metadata } = await createPod();
        expect(failure(await patch(PODS, metadata.name, MERGE_PATCH, { spec: { restartPolicy: 'Never' } }))).toEqual({
          code: 422,
          reason: 'Invalid',
        });
      });
    });

    describe('apply', () => {
      const other = `a${randomUUID().slice(0, 8)}.example.com`;
      const path = pathOf(DEFINITIONS, undefined, `gauges.${other}`);
      const applyDefinition = (body: Fields, query: Fields = { fieldManager: 'kubervisor', force: true }) =>
        client.request('PATCH', path, { body, contentType: APPLY, query: query as Record<string, string> });
      afterAll(() => client.request('DELETE', path));

      test('makes a definition, makes it again without a change, and removes what it leaves out', async () => {
        const labelled = definition(other, { labels: { app: 'kubervisor', old: 'a' } });
        expect(await applyDefinition(labelled)).toMatchObject({ code: 201 });
        await established(`gauges.${other}`);
        const again = await applyDefinition(labelled);
        expect(again).toMatchObject({ code: 200, body: { metadata: { labels: { old: 'a' } } } });
        const less = await applyDefinition(definition(other, { labels: { app: 'kubervisor' } }));
        expect(less).toMatchObject({
          code: 200,
          body: { metadata: { uid: again.body.metadata.uid, labels: { app: 'kubervisor' } } },
        });
        expect(less.body.metadata.labels).not.toHaveProperty('old');
      });

      test('needs a field manager: 422', async () => {
        expect(failure(await applyDefinition(definition(other), {}))).toEqual({ code: 422, reason: 'Invalid' });
      });

      test('a definition in a protected group needs the approval annotation: 422', async () => {
        const protectedGroup = `${fresh('p')}.k8s.io`;
        const refused = await client.request('POST', pathOf(DEFINITIONS), {
          body: definition(protectedGroup),
          query: { dryRun: 'All' },
        });
        expect(failure(refused)).toEqual({ code: 422, reason: 'Invalid' });
        const approved = definition(protectedGroup, {
          annotations: { 'api-approved.kubernetes.io': 'unapproved, for a test' },
        });
        expect(
          await client.request('POST', pathOf(DEFINITIONS), { body: approved, query: { dryRun: 'All' } }),
        ).toMatchObject({ code: 201 });
      });

      test('writes the status of a custom resource, conditions by type', async () => {
        const { metadata } = await createGauge();
        const status = (manager: string, conditions: Fields[]) =>
          patch(
            GAUGES,
            metadata.name,
            APPLY,
            { apiVersion: `${group}/v1`, kind: 'Gauge', metadata: { name: metadata.name }, status: { conditions } },
            'status',
            { fieldManager: manager, force: true },
          );
        await status('one', [{ type: 'Ready', status: 'True' }]);
        const answer = await status('two', [{ type: 'Active', status: 'False' }]);
        expect(answer).toMatchObject({ code: 200, body: { spec: { service: 'cart' } } });
        expect(answer.body.status?.conditions).toEqual([
          { type: 'Ready', status: 'True' },
          { type: 'Active', status: 'False' },
        ]);
      });
    });

    describe('custom resources', () => {
      test('get their defaults, also inside lists', async () => {
        const created = await createGauge({ service: 'cart', breakers: [{ name: 'a' }, { name: 'b', period: 9 }] });
        expect(created.spec).toEqual({
          service: 'cart',
          period: 5,
          breakers: [
            { name: 'a', period: 5 },
            { name: 'b', period: 9 },
          ],
        });
      });

      test('lose the fields that the schema does not know, but not those it preserves', async () => {
        const created = await createGauge({ service: 'cart', unknown: 1, free: { any: { thing: 1 } } });
        expect(created.spec).toEqual({ service: 'cart', period: 5, free: { any: { thing: 1 } } });
      });

      test('with fieldValidation=Strict are refused for unknown fields: 400', async () => {
        const answer = await post(GAUGES, gauge(fresh('gauge'), { service: 'cart', unknown: 1 }), {
          fieldValidation: 'Strict',
        });
        expect(failure(answer)).toEqual({ code: 400, reason: 'BadRequest' });
        expect(answer.body.message).toContain('unknown field "spec.unknown"');
      });

      test.each<[string, Fields, string]>([
        ['a missing field', {}, 'spec.service'],
        ['a pattern', { service: 'CART' }, 'spec.service'],
        ['a length', { service: 'a'.repeat(21) }, 'spec.service'],
        ['a type', { service: 5 }, 'spec.service'],
        ['a minimum', { service: 'cart', period: 0 }, 'spec.period'],
        ['an enum', { service: 'cart', mode: 'off' }, 'spec.mode'],
        [
          'a place in a list',
          { service: 'cart', breakers: [{ name: 'a' }, { name: 'b', period: 0 }] },
          'spec.breakers[1].period',
        ],
        ['a missing field in a list', { service: 'cart', breakers: [{}] }, 'spec.breakers[0].name'],
        [
          'too many items',
          { service: 'cart', breakers: ['a', 'b', 'c', 'd'].map((key) => ({ name: key })) },
          'spec.breakers',
        ],
        ['a key twice', { service: 'cart', breakers: [{ name: 'a' }, { name: 'a' }] }, 'spec.breakers[1]'],
      ])('are refused with 422 and the path: %s', async (_, spec, field) => {
        const answer = await post(GAUGES, gauge(fresh('gauge'), spec));
        expect(failure(answer)).toEqual({ code: 422, reason: 'Invalid' });
        expect(causesOf(answer).map((cause) => cause.field)).toContain(field);
      });

      test('take an integer or a string where both are allowed', async () => {
        expect((await createGauge({ service: 'cart', limit: 5 })).spec?.limit).toBe(5);
        expect((await createGauge({ service: 'cart', limit: '50%' })).spec?.limit).toBe('50%');
      });

      test('have a status that only its subresource writes, and a generation that only the spec moves', async () => {
        const answer = await post(
          GAUGES,
          gauge(fresh('gauge'), { service: 'cart' }, { status: { observedGeneration: 7 } }),
        );
        expect(answer.body.status).toBeUndefined();
        expect(answer.body.metadata.generation).toBe(1);
        const { name: gaugeName } = answer.body.metadata;
        const status = await patch(
          GAUGES,
          gaugeName,
          MERGE_PATCH,
          { spec: { service: 'shop' }, status: { observedGeneration: 1 } },
          'status',
        );
        expect(status.body).toMatchObject({
          spec: { service: 'cart' },
          status: { observedGeneration: 1 },
          metadata: { generation: 1 },
        });
        const main = await patch(GAUGES, gaugeName, MERGE_PATCH, {
          spec: { service: 'shop' },
          status: { observedGeneration: 9 },
        });
        expect(main.body).toMatchObject({
          spec: { service: 'shop' },
          status: { observedGeneration: 1 },
          metadata: { generation: 2 },
        });
        const labelled = await patch(GAUGES, gaugeName, MERGE_PATCH, { metadata: { labels: { a: 'b' } } });
        expect(labelled.body.metadata.generation).toBe(2);
        const stale = await put(GAUGES, { ...main.body, status: { observedGeneration: 2 } } as Object, 'status');
        expect(failure(stale)).toEqual({ code: 409, reason: 'Conflict' });
      });

      test('are not found under a definition that is not there', async () => {
        const answer = await client.request(
          'GET',
          pathOf({ group: 'nobody.example.com', plural: 'gauges' }, namespace),
        );
        expect(answer.code).toBe(404);
      });
    });

    describe('deletion', () => {
      test('honours preconditions: 409 for another uid or resourceVersion', async () => {
        const { body } = await post(CONFIG_MAPS, {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: fresh('map') },
        });
        const { name: configName, uid } = body.metadata;
        const conflict = { code: 409, reason: 'Conflict' };
        expect(failure(await end(CONFIG_MAPS, configName, { preconditions: { uid: randomUUID() } }))).toEqual(conflict);
        expect(failure(await end(CONFIG_MAPS, configName, { preconditions: { resourceVersion: '1' } }))).toEqual(
          conflict,
        );
        expect(await end(CONFIG_MAPS, configName, { preconditions: { uid } })).toMatchObject({ code: 200 });
        expect(await get(CONFIG_MAPS, configName)).toMatchObject({ code: 404 });
      });

      test('waits for finalizers; none can be added; the last to go ends the object', async () => {
        const body = gauge(
          fresh('gauge'),
          { service: 'cart' },
          { metadata: { name: fresh('gauge'), finalizers: ['example.com/hold'] } },
        );
        const { body: created } = await post(GAUGES, body);
        const { name: gaugeName } = created.metadata;
        expect(await end(GAUGES, gaugeName)).toMatchObject({ code: 200 });
        const held = await get(GAUGES, gaugeName);
        expect(held.body.metadata.deletionTimestamp).toBeDefined();
        const more = await patch(GAUGES, gaugeName, MERGE_PATCH, {
          metadata: { finalizers: ['example.com/hold', 'example.com/more'] },
        });
        expect(failure(more)).toEqual({ code: 422, reason: 'Invalid' });
        expect(await patch(GAUGES, gaugeName, MERGE_PATCH, { metadata: { finalizers: null } })).toMatchObject({
          code: 200,
        });
        expect(await get(GAUGES, gaugeName)).toMatchObject({ code: 404 });
      });

      test('of a pod on a node is graceful: it stays, terminating, until it is deleted without grace', async () => {
        const { metadata } = await createPod({}, { nodeName: node });
        const answer = await end(PODS, metadata.name, { gracePeriodSeconds: 30 });
        expect(answer).toMatchObject({
          code: 200,
          body: { kind: 'Pod', metadata: { deletionGracePeriodSeconds: 30 } },
        });
        const pod = readPod((await get(PODS, metadata.name)).body as unknown as RawPod);
        expect(pod.terminating).toBe(true);
        expect(
          await end(PODS, metadata.name, { gracePeriodSeconds: 0, preconditions: { uid: metadata.uid } }),
        ).toMatchObject({ code: 200 });
        expect(await get(PODS, metadata.name)).toMatchObject({ code: 404 });
      });

      test('of a pod without a node is at once', async () => {
        const { metadata } = await createPod();
        await end(PODS, metadata.name);
        expect(await get(PODS, metadata.name)).toMatchObject({ code: 404 });
      });
    });

    describe('eviction', () => {
      const evict = (pod: Object, deleteOptions: Fields = {}, query = {}) =>
        client.request('POST', pathOf(PODS, namespace, pod.metadata.name, 'eviction'), {
          body: {
            apiVersion: 'policy/v1',
            kind: 'Eviction',
            metadata: { name: pod.metadata.name, namespace },
            deleteOptions,
          },
          query,
        });
      /** One ready pod and a budget; its status is what the controller, where there is one, comes to as well. */
      async function budgeted(minAvailable: number): Promise<{ pod: Object; budget: string }> {
        const app = fresh('app');
        const pod = await makeReady(await createPod({ app }, { nodeName: node }));
        const { body } = await post(BUDGETS, {
          apiVersion: 'policy/v1',
          kind: 'PodDisruptionBudget',
          metadata: { name: app },
          spec: { minAvailable, selector: { matchLabels: { app } } },
        });
        const { generation } = body.metadata;
        const status = {
          currentHealthy: 1,
          desiredHealthy: minAvailable,
          expectedPods: 1,
          disruptionsAllowed: Math.max(0, 1 - minAvailable),
          observedGeneration: generation,
        };
        await patch(BUDGETS, app, MERGE_PATCH, { status }, 'status');
        await awaited(
          pathOf(BUDGETS, namespace),
          app,
          (object) => object?.status?.currentHealthy === 1 && object.status.observedGeneration === generation,
        );
        return { pod, budget: app };
      }

      test('A5: is refused with 429 and the cause where a budget does not allow it; the pod stays', async () => {
        const { pod } = await budgeted(2);
        const answer = await evict(pod);
        expect(failure(answer)).toEqual({ code: 429, reason: 'TooManyRequests' });
        expect(causesOf(answer)).toContainEqual(expect.objectContaining({ reason: 'DisruptionBudget' }));
        expect((await get(PODS, pod.metadata.name)).body.metadata.deletionTimestamp).toBeUndefined();
      });

      test('A5: deletes where the budget allows it, and spends of it', async () => {
        const { pod, budget } = await budgeted(0);
        expect(await evict(pod)).toMatchObject({ code: 201, body: { status: 'Success' } });
        expect((await get(PODS, pod.metadata.name)).body.metadata.deletionTimestamp).toBeDefined();
        await awaited(pathOf(BUDGETS, namespace), budget, (object) => object?.status?.disruptionsAllowed === 0);
      });

      test('A5: honours uid and resourceVersion: 409, and the pod stays', async () => {
        const pod = await makeReady(await createPod({}, { nodeName: node }));
        const conflict = { code: 409, reason: 'Conflict' };
        expect(failure(await evict(pod, { preconditions: { uid: randomUUID() } }))).toEqual(conflict);
        expect(failure(await evict(pod, { preconditions: { resourceVersion: '1' } }))).toEqual(conflict);
        expect((await get(PODS, pod.metadata.name)).body.metadata.deletionTimestamp).toBeUndefined();
        const { uid, resourceVersion } = pod.metadata;
        expect(await evict(pod, { preconditions: { uid, resourceVersion } })).toMatchObject({ code: 201 });
      });
    });

    describe('binding and status of pods', () => {
      test('a pod is bound once', async () => {
        const { metadata } = await createPod();
        const bind = () =>
          client.request('POST', pathOf(PODS, namespace, metadata.name, 'binding'), {
            body: {
              apiVersion: 'v1',
              kind: 'Binding',
              metadata: { name: metadata.name, namespace },
              target: { apiVersion: 'v1', kind: 'Node', name: node },
            },
          });
        expect(await bind()).toMatchObject({ code: 201 });
        expect((await get(PODS, metadata.name)).body.spec?.nodeName).toBe(node);
        expect(failure(await bind())).toEqual({ code: 409, reason: 'Conflict' });
      });

      test('a status makes it ready, and its spec stays', async () => {
        const ready = await makeReady(await createPod({}, { nodeName: node }));
        expect(readPod(ready as unknown as RawPod)).toMatchObject({ ready: true, node, ip: '10.1.2.3' });
      });
    });

    describe('leases', () => {
      test('are taken by one of two: the other gets 409', async () => {
        const { body } = await post(LEASES, {
          apiVersion: 'coordination.k8s.io/v1',
          kind: 'Lease',
          metadata: { name: fresh('lease') },
          spec: { holderIdentity: '', leaseDurationSeconds: 15 },
        });
        const taken = (holderIdentity: string) =>
          put(LEASES, {
            ...body,
            spec: { holderIdentity, leaseDurationSeconds: 15, renewTime: '2026-01-01T00:00:00.123456Z' },
          });
        const answers = await Promise.all([taken('one'), taken('two')]);
        expect(answers.map(({ code }) => code).sort()).toEqual([200, 409]);
        expect(answers.find(({ code }) => code === 200)?.body.spec).toMatchObject({
          renewTime: '2026-01-01T00:00:00.123456Z',
        });
      });
    });

    describe('events', () => {
      test('are found by what they are about, and shown by both APIs', async () => {
        const pod = await createPod();
        const involvedObject = {
          apiVersion: 'v1',
          kind: 'Pod',
          namespace,
          name: pod.metadata.name,
          uid: pod.metadata.uid,
        };
        const time = '2026-01-01T00:00:00Z';
        const eventName = fresh('event');
        await post(EVENTS, {
          apiVersion: 'v1',
          kind: 'Event',
          metadata: { name: eventName },
          involvedObject,
          reason: 'Broken',
          message: 'too slow',
          type: 'Warning',
          source: { component: 'kubervisor' },
          firstTimestamp: time,
          lastTimestamp: time,
          count: 1,
        });
        const fieldSelector = `involvedObject.name=${pod.metadata.name},reason=Broken`;
        expect(names(await list(EVENTS, { fieldSelector }))).toEqual([eventName]);
        const other = await get({ group: 'events.k8s.io', plural: 'events' }, eventName);
        expect(other.body).toMatchObject({
          apiVersion: 'events.k8s.io/v1',
          regarding: { uid: pod.metadata.uid },
          note: 'too slow',
          type: 'Warning',
        });
      });
    });

    describe('tables', () => {
      const table = async (kind: Kind, query = {}) =>
        (await client.call('GET', pathOf(kind, namespace), {
          query,
          accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json',
        })) as unknown as {
          kind: string;
          columnDefinitions: { name: string; type: string; priority: number }[];
          rows: { cells: unknown[]; object: Object }[];
        };

      test('of pods have the columns that kubectl shows', async () => {
        const pod = await makeReady(await createPod({}, { nodeName: node }));
        const { kind, columnDefinitions, rows } = await table(PODS, {
          fieldSelector: `metadata.name=${pod.metadata.name}`,
        });
        expect(kind).toBe('Table');
        expect(columnDefinitions.map((column) => column.name)).toEqual([
          'Name',
          'Ready',
          'Status',
          'Restarts',
          'Age',
          'IP',
          'Node',
          'Nominated Node',
          'Readiness Gates',
        ]);
        expect(rows).toHaveLength(1);
        expect(rows[0]?.cells.slice(0, 3)).toEqual([pod.metadata.name, '0/1', 'Running']);
        expect(rows[0]?.object).toMatchObject({ kind: 'PartialObjectMetadata', metadata: { name: pod.metadata.name } });
      });

      test('of custom resources have the columns of their definition', async () => {
        const { metadata } = await createGauge();
        await patch(
          GAUGES,
          metadata.name,
          MERGE_PATCH,
          {
            status: {
              conditions: [
                { type: 'Active', status: 'False' },
                { type: 'Ready', status: 'True' },
              ],
            },
          },
          'status',
        );
        const { columnDefinitions, rows } = await table(GAUGES, { fieldSelector: `metadata.name=${metadata.name}` });
        expect(columnDefinitions.map((column) => [column.name, column.priority])).toEqual([
          ['Name', 0],
          ['Service', 0],
          ['Ready', 0],
          ['Period', 1],
          ['Age', 0],
        ]);
        expect(rows[0]?.cells.slice(0, 4)).toEqual([metadata.name, 'cart', 'True', 5]);
      });
    });

    describe('discovery', () => {
      test('names the groups, the resources and their subresources', async () => {
        expect(await client.call('GET', '/api')).toMatchObject({ versions: ['v1'] });
        const groups = (await client.call('GET', '/apis')).groups as { name: string }[];
        expect(groups.map((one) => one.name)).toEqual(
          expect.arrayContaining([
            'apps',
            'policy',
            'coordination.k8s.io',
            'discovery.k8s.io',
            'apiextensions.k8s.io',
            'events.k8s.io',
            group,
          ]),
        );
        const core = (await client.call('GET', '/api/v1')).resources as {
          name: string;
          namespaced: boolean;
          shortNames?: string[];
        }[];
        expect(core.map((one) => one.name)).toEqual(
          expect.arrayContaining([
            'pods',
            'pods/status',
            'pods/eviction',
            'pods/binding',
            'services',
            'events',
            'nodes',
            'namespaces',
          ]),
        );
        expect(core.find((one) => one.name === 'pods')).toMatchObject({ namespaced: true, shortNames: ['po'] });
        const own = (await client.call('GET', `/apis/${group}/v1`)).resources as { name: string }[];
        expect(own.map((one) => one.name)).toEqual(['gauges', 'gauges/status']);
      });

      test('says its version and that it is ready', async () => {
        expect(await client.call('GET', '/version')).toMatchObject({
          major: '1',
          gitVersion: expect.stringMatching(/^v1\./),
        });
        expect((await client.request('GET', '/readyz')).code).toBe(200);
      });
    });
  });
}
