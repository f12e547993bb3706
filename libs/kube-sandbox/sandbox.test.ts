/** What the simulator has beyond a real API server: faults, restarts, validators, and that it says what it is. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createApiClient, pathOf, type ApiClient, type WatchEvent } from './client.ts';
import { startKubeSandbox, type KubeSandbox, type SandboxOptions } from './sandbox.ts';

const MAPS = pathOf({ plural: 'configmaps' }, 'default');
const configMap = (name: string, data = {}) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data });

let sandbox: KubeSandbox;
let client: ApiClient;
async function start(options: SandboxOptions = {}) {
  sandbox = await startKubeSandbox({ controllers: false, ...options });
  client = createApiClient(sandbox.kubeconfig, { userAgent: 'tester' });
}
async function stop() {
  await client.close();
  await sandbox.stop();
}
beforeEach(() => start());
afterEach(() => stop());

const create = (name: string) => client.request('POST', MAPS, { body: configMap(name) });
const revision = async () => (await client.call('GET', MAPS)).metadata.resourceVersion;

/** A watch that collects until it ends; `failed` tells whether it broke. */
async function openWatch(resourceVersion: string) {
  const events: WatchEvent[] = [];
  const before = sandbox.faults.openWatches();
  const ended = (async () => {
    try {
      for await (const event of client.watch(MAPS, { resourceVersion })) events.push(event);
      return 'ended';
    } catch {
      return 'broken';
    }
  })();
  while (sandbox.faults.openWatches() === before) await client.request('GET', '/version');
  return { events, ended };
}

describe('the simulator', () => {
  test('says that it is one: in its version and in a line of the log', async () => {
    const lines: string[] = [];
    const other = await startKubeSandbox({ controllers: false, log: (line) => lines.push(line) });
    await other.stop();
    expect(lines.join()).toMatch(/simulator/);
    expect(await client.call('GET', '/version')).toMatchObject({
      gitVersion: 'v1.37.0+kubervisor-sandbox',
      platform: expect.stringContaining('simulator'),
    });
  });

  test('listens on loopback alone, and writes a kubeconfig for it', () => {
    expect(sandbox.url).toBe(`http://127.0.0.1:${sandbox.port}`);
    expect(sandbox.kubeconfig).toContain(sandbox.url);
  });

  test('comes back on its port with its data, and a watch resumes', async () => {
    await create('before');
    const service = (name: string) => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name },
      spec: { ports: [{ port: 80 }] },
    });
    const services = pathOf({ plural: 'services' }, 'default');
    const earlier = await client.call('POST', services, { body: service('earlier') });
    const from = await revision();
    const { port, state } = sandbox;
    await stop();
    await start({ port, state });
    expect(sandbox.port).toBe(port);
    expect(await client.request('GET', `${MAPS}/before`)).toMatchObject({ code: 200 });
    const later = await client.call('POST', services, { body: service('later') });
    expect(later.spec?.clusterIP).not.toBe(earlier.spec?.clusterIP);
    const { events, ended } = await openWatch(from);
    await create('after');
    sandbox.faults.expireWatches();
    await ended;
    expect(events.map(({ type, object }) => `${type} ${object.metadata.name}`)).toContain('ADDED after');
  });

  test('lets validators stand in for the CEL rules of a definition', async () => {
    await stop();
    const noEvil = ({ spec }: { spec?: Record<string, unknown> }) =>
      spec?.mood === 'evil' ? [{ path: 'spec.mood', message: 'must not be evil' }] : [];
    await start({ validators: { 'moods.example.com': noEvil } });
    const openAPIV3Schema = {
      type: 'object',
      properties: { spec: { type: 'object', properties: { mood: { type: 'string' } } } },
    };
    await client.call('POST', pathOf({ group: 'apiextensions.k8s.io', plural: 'customresourcedefinitions' }), {
      body: {
        apiVersion: 'apiextensions.k8s.io/v1',
        kind: 'CustomResourceDefinition',
        metadata: { name: 'moods.example.com' },
        spec: {
          group: 'example.com',
          scope: 'Namespaced',
          names: { plural: 'moods', kind: 'Mood' },
          versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema } }],
        },
      },
    });
    const path = pathOf({ group: 'example.com', plural: 'moods' }, 'default');
    while ((await client.request('GET', path)).code === 404);
    const mood = (name: string, is: string) => ({
      body: { apiVersion: 'example.com/v1', kind: 'Mood', metadata: { name }, spec: { mood: is } },
    });
    const refused = await client.request('POST', path, mood('a', 'evil'));
    expect(refused).toMatchObject({
      code: 422,
      body: { details: { causes: [{ field: 'spec.mood', message: 'Invalid value: must not be evil' }] } },
    });
    expect(await client.request('POST', path, mood('b', 'kind'))).toMatchObject({ code: 201 });
  });

  test('ends a namespace with all that is in it, and waits for finalizers', async () => {
    const path = pathOf({ plural: 'namespaces' });
    await client.call('POST', path, { body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } } });
    const held = { ...configMap('held'), metadata: { name: 'held', finalizers: ['example.com/hold'] } };
    const maps = pathOf({ plural: 'configmaps' }, 'shop');
    await client.call('POST', maps, { body: held });
    await client.call('POST', maps, { body: configMap('free') });
    await client.call('DELETE', `${path}/shop`);
    expect(await client.call('GET', `${path}/shop`)).toMatchObject({ status: { phase: 'Terminating' } });
    expect((await client.call('GET', maps)).items?.map(({ metadata }) => metadata.name)).toEqual(['held']);
    expect(await client.request('POST', maps, { body: configMap('late') })).toMatchObject({ code: 403 });
    await client.call('PATCH', `${maps}/held`, {
      body: { metadata: { finalizers: null } },
      contentType: 'application/merge-patch+json',
    });
    expect(await client.request('GET', `${path}/shop`)).toMatchObject({ code: 404 });
  });

  test('hands a proxy request on to where it is told the Service is', async () => {
    const asked: unknown[] = [];
    await stop();
    const target = await startKubeSandbox({ controllers: false });
    await start({
      serviceProxy: (service) => {
        asked.push(service);
        return new URL(target.url);
      },
    });
    const path = `${pathOf({ plural: 'services' }, 'default')}/http:history:80/proxy`;
    expect(await client.call('GET', `${path}/version`)).toMatchObject({ gitVersion: expect.any(String) });
    expect(asked).toEqual([{ namespace: 'default', name: 'history', port: '80' }]);
    await target.stop();
  });
});

describe('faults', () => {
  test('strike the requests that they match, so often as told', async () => {
    const fault = sandbox.faults.add({ verb: 'create', resource: 'configmaps', status: 500, count: 2 });
    const codes = [await create('a'), await create('a'), await create('a')].map(({ code }) => code);
    expect(codes).toEqual([500, 500, 201]);
    expect(fault.hits).toBe(2);
    expect(await client.request('GET', MAPS)).toMatchObject({ code: 200 });
  });

  test.each([
    [{ verb: 'get' } as const, 200],
    [{ verb: ['create', 'patch'] } as const, 409],
    [{ namespace: 'other' }, 201],
    [{ userAgent: 'tester' }, 409],
    [{ userAgent: 'somebody-else' }, 201],
  ])('match by %j', async (match, code) => {
    sandbox.faults.add({ ...match, status: 409 });
    const expected = 'verb' in match && match.verb === 'get' ? 201 : code;
    expect(await create('a')).toMatchObject({ code: expected });
  });

  test('429 says when to come again', async () => {
    sandbox.faults.add({ status: 429, retryAfterSeconds: 7 });
    expect(await create('a')).toMatchObject({
      code: 429,
      headers: { 'retry-after': '7' },
      body: { reason: 'TooManyRequests' },
    });
    sandbox.faults.clear();
    expect(await create('a')).toMatchObject({ code: 201 });
  });

  test('latency delays and lets through', async () => {
    sandbox.faults.add({ latency: 60, count: 1 });
    const begun = performance.now();
    expect(await create('a')).toMatchObject({ code: 201 });
    expect(performance.now() - begun).toBeGreaterThan(50);
  });

  test('a connection breaks before the write, or after it: then only the answer is lost', async () => {
    sandbox.faults.add({ verb: 'create', drop: 'before', count: 1 });
    await expect(create('a')).rejects.toThrow();
    expect(await client.request('GET', `${MAPS}/a`)).toMatchObject({ code: 404 });
    sandbox.faults.add({ verb: 'create', drop: 'after', count: 1 });
    await expect(create('a')).rejects.toThrow();
    expect(await client.request('GET', `${MAPS}/a`)).toMatchObject({ code: 200 });
  });

  test('a watch is dropped', async () => {
    const { ended } = await openWatch(await revision());
    expect(sandbox.faults.dropWatches({ resource: 'configmaps' })).toBe(1);
    expect(await ended).toBe('broken');
  });

  test('a watch goes silent and stays open; one that begins later, too, until that ends', async () => {
    const from = await revision();
    const first = await openWatch(from);
    const { silenced, end } = sandbox.faults.silenceWatches();
    expect(silenced).toBe(1);
    const second = await openWatch(from);
    await create('a');
    end();
    const third = await openWatch(from);
    await create('b');
    while (third.events.length < 2) await client.request('GET', '/version');
    expect([first.events, second.events]).toEqual([[], []]);
    expect(sandbox.faults.openWatches()).toBe(3);
    sandbox.faults.dropWatches();
    await Promise.all([first.ended, second.ended, third.ended]);
  });

  test('a watch gets 410 in its stream, and after a compaction so does one that resumes', async () => {
    const from = await revision();
    await create('a');
    const { events, ended } = await openWatch(await revision());
    sandbox.state.compact();
    sandbox.faults.expireWatches();
    expect(await ended).toBe('ended');
    expect(events).toMatchObject([{ type: 'ERROR', object: { code: 410, reason: 'Expired' } }]);
    const resumed: WatchEvent[] = [];
    for await (const event of client.watch(MAPS, { resourceVersion: from })) resumed.push(event);
    expect(resumed).toMatchObject([{ type: 'ERROR', object: { code: 410 } }]);
    expect(await client.request('GET', MAPS)).toMatchObject({ code: 200 });
  });
});
