/**
 * The API server and our own validation, held against one table and against random specs: they must agree on refusal and on the
 * defaulted result. And the CRD itself: that the API server takes it, keeps a status whole, and takes every example.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  ApiException,
  ApiextensionsV1Api,
  CustomObjectsApi,
  KubeConfig,
  PatchStrategy,
  setHeaderOptions,
} from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startCluster } from '@kubervisor/testing/kubernetes/cluster';
import fc from 'fast-check';
import { parseAllDocuments } from 'yaml';
import { anySpec } from './arbitrary-specs.ts';
import { API_VERSION, GROUP, KIND, PLURAL, VERSION, type KubervisorServiceSpec } from './kubervisor-service.ts';
import { CRD_NAME, crdManifest } from './manifest.ts';
import type { KubervisorServiceStatus } from './status.ts';
import { validateResource, validateSpec } from './validate.ts';
import { VALIDATION_CASES } from './validation-cases.ts';

const cluster = await startCluster({ runPods: false });
const config = new KubeConfig();
config.loadFromFile(cluster.kubeconfig);
const objects = config.makeApiClient(CustomObjectsApi);
const definitions = config.makeApiClient(ApiextensionsV1Api);
const where = { group: GROUP, version: VERSION, plural: PLURAL, namespace: 'default' };
const serverSideApply = setHeaderOptions('Content-Type', PatchStrategy.ServerSideApply);

type Answer = { spec: unknown } | { refused: string };

async function answered(request: () => Promise<unknown>): Promise<Answer> {
  try {
    return { spec: ((await request()) as { spec: unknown }).spec };
  } catch (error) {
    if (error instanceof ApiException && (error.code === 422 || error.code === 400))
      return { refused: (JSON.parse(String(error.body)) as { message: string }).message };
    throw error;
  }
}

/** What the API server makes of it, without storing it. */
const dryRun = (name: string, spec: unknown): Promise<Answer> =>
  answered(() =>
    objects.createNamespacedCustomObject({
      ...where,
      dryRun: 'All',
      body: { apiVersion: API_VERSION, kind: KIND, metadata: { name }, spec },
    }),
  );

async function established(): Promise<Record<string, string>> {
  const { status } = await definitions.readCustomResourceDefinition({ name: CRD_NAME });
  return Object.fromEntries((status?.conditions ?? []).map(({ type, status: value }) => [type, value]));
}

afterAll(() => cluster.stop());

describe('on an API server', () => {
  beforeAll(async () => {
    await definitions.patchCustomResourceDefinition(
      { name: CRD_NAME, body: crdManifest(), fieldManager: 'crd-test', force: true },
      serverSideApply,
    );
    while ((await established()).Established !== 'True');
  });

  test('the CRD is established, and nothing is said against its schema or its group', async () => {
    const conditions = await established();
    expect(conditions).toMatchObject({ Established: 'True' });
    expect(conditions).not.toHaveProperty('NonStructuralSchema');
  });

  describe('the table of specs', () => {
    test.each(VALIDATION_CASES)('$title', async ({ name = 'cart', spec, verdict }) => {
      const answer = await dryRun(name, spec);
      if ('stored' in verdict) expect(answer).toEqual({ spec: verdict.stored });
      else expect(answer).toHaveProperty('refused');
      // Both at once, so that nobody can bend the table to one of the two.
      const ours = validateResource({ metadata: { name }, spec });
      expect('problems' in ours).toBe('refused' in answer);
    });
  });

  test('random specs: refused by both, or stored as both say', async () => {
    const verdicts = { accepted: 0, refused: 0 };
    const samples = fc.sample(anySpec(), { numRuns: 250, seed: 11 });
    await Promise.all(
      Array.from({ length: 8 }, async (_, lane) => {
        for (const sample of samples.filter((_each, index) => index % 8 === lane)) {
          const written = JSON.parse(JSON.stringify(sample)) as unknown;
          const ours = validateSpec(written);
          const theirs = await dryRun('cart', written);
          if ('problems' in ours) expect({ written, ours, theirs }).toHaveProperty('theirs.refused');
          else expect(theirs).toEqual(ours);
          verdicts['problems' in ours ? 'refused' : 'accepted']++;
        }
      }),
    );
    expect(verdicts.accepted).toBeGreaterThan(10);
    expect(verdicts.refused).toBeGreaterThan(20);
  });

  describe('a resource that is stored', () => {
    const name = 'stored';
    const body = (spec: object) => ({ apiVersion: API_VERSION, kind: KIND, metadata: { name }, spec });
    const spec = { service: 'cart', breakers: [{ name: 'one', customService: 'judge' }] };

    beforeAll(() => objects.createNamespacedCustomObject({ ...where, body: body(spec) }));
    afterAll(() => objects.deleteNamespacedCustomObject({ ...where, name }));

    test('keeps a status with every field whole, and a status leaves the spec alone', async () => {
      const time = '2026-01-02T03:04:05Z';
      const status: KubervisorServiceStatus = {
        observedGeneration: 1,
        startTime: time,
        conditions: [
          {
            type: 'Ready',
            status: 'True',
            reason: 'Reconciled',
            message: 'fine',
            lastTransitionTime: time,
            observedGeneration: 1,
          },
        ],
        podCount: { nbPodsManaged: 5, nbPodsBreaked: 1, nbPodsPaused: 1, nbPodsUnknown: 0, lastProbeTime: time },
        available: 3,
        floor: 2,
        breakers: [
          {
            name: 'one',
            floor: 2,
            lastEvaluationTime: time,
            result: 'completed',
            anomalous: 2,
            broken: 1,
            withheld: 1,
            consecutiveErrors: 0,
            message: 'FloorReached',
          },
        ],
        pods: [
          {
            name: 'cart-1',
            uid: 'u-1',
            state: 'broken',
            breaker: 'one',
            since: time,
            retryCount: 2,
            reason: 'p99 2.4 s, limit 1 s',
            observed: 2.4,
            limit: 1,
            nextActionTime: time,
            heldBy: 'EvictionRefused',
          },
        ],
      };
      const before = await objects.getNamespacedCustomObject({ ...where, name });
      await objects.patchNamespacedCustomObjectStatus(
        { ...where, name, body: { status, spec: { service: 'other' } } },
        setHeaderOptions('Content-Type', PatchStrategy.MergePatch),
      );
      const after = await objects.getNamespacedCustomObject({ ...where, name });
      expect(after).toMatchObject({ status });
      expect(after.spec).toEqual(before.spec);
    });

    test('merges breakers by name under server-side apply', async () => {
      const applied = (fieldManager: string, breakers: object[]) =>
        objects.patchNamespacedCustomObject(
          { ...where, name, fieldManager, force: true, body: body({ service: 'cart', breakers }) },
          serverSideApply,
        );
      await applied('team', [{ name: 'two', customService: 'judge' }]);
      const { spec: merged } = (await applied('other', [{ name: 'three', customService: 'judge' }])) as {
        spec: KubervisorServiceSpec;
      };
      expect(merged.breakers.map(({ name: breaker }) => breaker).sort()).toEqual(['one', 'three', 'two']);
    });

    test('is refused when a change makes it bad', async () => {
      const answer = await answered(() =>
        objects.patchNamespacedCustomObject(
          { ...where, name, body: { spec: { defaultActivator: { maxConcurrentActivations: '0%' } } } },
          setHeaderOptions('Content-Type', PatchStrategy.MergePatch),
        ),
      );
      expect(answer).toHaveProperty('refused', expect.stringContaining('percentage from "1%" to "100%"'));
    });
  });

  describe('the examples', () => {
    const folder = join(import.meta.dirname, '../../../examples');
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.yaml'));

    test.each(files)('%s', async (file) => {
      const resources = parseAllDocuments(readFileSync(join(folder, file), 'utf8'))
        .map((document) => document.toJS() as { kind: string; metadata: { name: string }; items?: never[] })
        .flatMap((manifest) => manifest.items ?? [manifest])
        .filter(({ kind }) => kind === KIND);
      expect(resources.length).toBeGreaterThan(0);
      for (const body of resources)
        // Strict, as kubectl asks: an unknown field is refused instead of pruned. Created, not applied on the server's side: there
        // Kubernetes refuses a null, which it drops here.
        await objects.createNamespacedCustomObject({ ...where, body, dryRun: 'All', fieldValidation: 'Strict' });
    });
  });
});
