import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ApiError } from './api-server.ts';
import { installCrd } from './crd.ts';
import { startFixture, type Fixture } from '@kubervisor/testing/kubernetes/fixture';

const KEY = 'example.test/crd-version';
const manifest = (version: number) => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'gadgets.kubervisor.example', annotations: { [KEY]: String(version) } },
  spec: {
    group: 'kubervisor.example',
    scope: 'Namespaced',
    names: { plural: 'gadgets', singular: 'gadget', kind: 'Gadget' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', description: `v${version}` } },
      },
    ],
  },
});
const PATH = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gadgets.kubervisor.example';

let fixture: Fixture;
beforeAll(async () => {
  fixture = await startFixture();
}, 60_000);
afterAll(async () => {
  await fixture?.kubernetes.api.request('DELETE', PATH);
  await fixture?.end();
});

describe('the CRD', () => {
  test('is installed and served, updated, left alone, and never replaced by an older one', async () => {
    const { kubernetes } = fixture;
    const install = (version: number) => installCrd(kubernetes, manifest(version), KEY);
    const installed = () =>
      kubernetes.api.find<{ metadata: { annotations: Record<string, string>; resourceVersion: string } }>(PATH);
    expect(await install(2)).toEqual({ result: 'installed' });
    expect(await install(3)).toEqual({ result: 'updated' });
    const before = await installed();
    expect(await install(3)).toEqual({ result: 'current' });
    expect(await install(2)).toEqual({ result: 'kept-newer' });
    expect(await installed()).toEqual(before);
    expect(before?.metadata.annotations[KEY]).toBe('3');
  });

  test('that the API server refuses is a result with its reason', async () => {
    const nameless = { ...manifest(9), metadata: { ...manifest(9).metadata, name: 'Not A Name' } };
    expect(await installCrd(fixture.kubernetes, nameless, KEY)).toEqual({
      result: 'failed',
      message: expect.stringContaining('Not A Name'),
    });
  });

  test('without the right to CRDs says so', async () => {
    const api = {
      ...fixture.kubernetes.api,
      find: () => Promise.reject(new ApiError(403, 'Forbidden', 'customresourcedefinitions is forbidden')),
    };
    expect(await installCrd({ api }, manifest(9), KEY)).toEqual({
      result: 'forbidden',
      message: 'customresourcedefinitions is forbidden',
    });
  });
});
