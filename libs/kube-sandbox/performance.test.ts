/** Fast enough for a fleet of thousands. In seconds of the processor, so that a busy machine fails nothing; the client's share counts. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Api } from './api.ts';
import { createApiClient, pathOf, type ApiClient } from './client.ts';
import { startKubeSandbox, type KubeSandbox } from './sandbox.ts';
import { KubeState } from './store.ts';

const FLEET = 5000;
const PODS = pathOf({ plural: 'pods' }, 'default');

describe('with 5,000 pods of 2 kB', () => {
  let sandbox: KubeSandbox;
  let client: ApiClient;

  beforeAll(async () => {
    const state = new KubeState();
    const api = new Api({ state });
    const env = Array.from({ length: 20 }, (_, place) => ({ name: `VARIABLE_${place}`, value: `some value ${place}` }));
    for (let place = 0; place < FLEET; place += 1)
      api.create(api.kind('pods'), 'default', {
        metadata: { name: `pod-${place}`, labels: { app: `app-${place % 10}`, 'kubervisor/traffic': 'yes' } },
        spec: { containers: [{ name: 'main', image: 'registry.example/main:1', env }] },
      });
    api.close();
    sandbox = await startKubeSandbox({ state, controllers: false });
    client = createApiClient(sandbox.kubeconfig);
  });
  afterAll(async () => {
    await client.close();
    await sandbox.stop();
  });

  async function processorSeconds(act: () => Promise<unknown>): Promise<number> {
    const before = process.cpuUsage();
    await act();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1e6;
  }

  test('a list takes less than half a second', async () => {
    let count = 0;
    const seconds = await processorSeconds(async () => {
      count = (await client.call('GET', PODS)).items?.length ?? 0;
    });
    expect(count).toBe(FLEET);
    expect(seconds).toBeLessThan(0.5);
  });

  test('a list by label costs no more than the whole', async () => {
    const select = async (labelSelector: string) =>
      expect((await client.call('GET', PODS, { query: { labelSelector } })).items).toHaveLength(FLEET / 10);
    const seconds = await processorSeconds(async () => {
      for (let app = 0; app < 10; app += 1) await select(`app=app-${app},kubervisor/traffic=yes`);
    });
    expect(seconds).toBeLessThan(1);
  });

  test('a thousand guarded patches, 32 at a time, take less than a second', async () => {
    const body = [
      { op: 'test', path: '/metadata/labels/kubervisor~1traffic', value: 'yes' },
      { op: 'add', path: '/metadata/labels/kubervisor~1traffic', value: 'no' },
    ];
    const names = Array.from({ length: 1000 }, (_, place) => `pod-${place}`).values();
    const worker = async () => {
      for (const name of names)
        await client.call('PATCH', `${PODS}/${name}`, { body, contentType: 'application/json-patch+json' });
    };
    const seconds = await processorSeconds(() => Promise.all(Array.from({ length: 32 }, worker)));
    expect(seconds).toBeLessThan(1);
    expect((await client.call('GET', PODS, { query: { labelSelector: 'kubervisor/traffic=no' } })).items).toHaveLength(
      1000,
    );
  });
});
