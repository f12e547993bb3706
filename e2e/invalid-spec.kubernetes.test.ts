/** Bad specs: the CRD refuses them, with the path; one that slipped through, of an older CRD, is Ready=False with path and problem. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { PATHS, pathIn } from '@kubervisor/runtime/kubernetes/resources';
import { installCrd } from '@kubervisor/runtime/kubernetes/crd';
import { API_VERSION, KIND } from '@kubervisor/shared/crd/kubervisor-service';
import { CRD_VERSION_ANNOTATION, crdManifest } from '@kubervisor/shared/crd/manifest';
import { MEDIA_TYPE } from '@kubervisor/runtime/kubernetes/api-server';
import { given as givenIn } from './fixtures/given.ts';
import { then as thenIn } from './fixtures/then.ts';
import { when as whenIn } from './fixtures/when.ts';
import { startWorld, type World } from './fixtures/world.ts';

const isGiven = (process.env['TEST_KUBECONFIG'] ?? '') !== '';
const ofOurOwn = isGiven ? test.skip : test;

type Manifest = Parameters<typeof installCrd>[1];

/** As an older version may have been: it looks at nothing. */
function laxCrd(): Manifest {
  const crd = structuredClone(crdManifest()) as unknown as {
    metadata: { annotations: Record<string, string> };
    spec: { versions: { schema: unknown }[] };
  };
  crd.metadata.annotations[CRD_VERSION_ANNOTATION] = '0';
  for (const version of crd.spec.versions)
    version.schema = {
      openAPIV3Schema: {
        type: 'object',
        properties: {
          spec: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
          status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
        },
      },
    };
  return crd as unknown as Manifest;
}

let world: World;
let given: ReturnType<typeof givenIn>;
let then: ReturnType<typeof thenIn>;
let when: ReturnType<typeof whenIn>;

beforeAll(async () => {
  if (isGiven) return;
  world = await startWorld({
    env: { controller: { INSTALL_CRD: 'false' } },
    // The simulator's own rules for this kind would stand for those of the CRD.
    cluster: { sandbox: { validators: {} } },
  });
  given = givenIn(world);
  then = thenIn(world);
  when = whenIn(world);
  expect((await installCrd(world.kubernetes, laxCrd(), CRD_VERSION_ANNOTATION)).result).toBe('installed');
}, 120_000);
afterAll(() => world?.stop(), 60_000);

const breakerOf = (change: object) => ({
  name: 'plugin',
  evaluationPeriod: 1,
  gracePeriod: 0,
  customService: world.plugin.address,
  ...change,
});
const resource = (name: string, spec: object) => ({
  apiVersion: API_VERSION,
  kind: KIND,
  metadata: { name, namespace: world.namespace },
  spec,
});

/** Each with what the message must say: where it is, and what is wrong with it. */
const SPECS: [string, (service: string) => object, RegExp][] = [
  [
    'a ratio of 120 %',
    (service) => ({ service, breakers: [breakerOf({ minPodsAvailableRatio: 120 })] }),
    /spec\.breakers\[0\]\.minPodsAvailableRatio: .*100/,
  ],
  [
    'a period that is a word',
    (service) => ({ service, breakers: [breakerOf({ evaluationPeriod: 'often' })] }),
    /spec\.breakers\[0\]\.evaluationPeriod: /,
  ],
  ['no breakers', (service) => ({ service, breakers: [] }), /spec\.breakers: /],
  [
    'two detectors in one breaker',
    (service) => ({ service, breakers: [breakerOf({ threshold: { promQL: 'up', podNamekey: 'pod', max: 1 } })] }),
    /spec\.breakers\[0\].*: .*one/i,
  ],
  ['no Service', () => ({ breakers: [breakerOf({})] }), /spec\.service: /],
];

ofOurOwn(
  'a spec that slipped through: Ready=False, InvalidSpec, path and problem, and no work; mended, it works (not on a cluster that was given: its CRD is not ours to loosen)',
  async () => {
    const fleet = 'slipped';
    const pods = await given.fleet(fleet, { replicas: 3 });
    when.isBad(pods[0] ?? '');
    for (const [index, [, spec]] of SPECS.entries())
      await given.object(PATHS.kubervisorServices, resource(`invalid-${index}`, spec(fleet)));
    for (const [index, [, , says]] of SPECS.entries()) {
      const name = `invalid-${index}`;
      await then.statusSays(name, 'Ready', 'InvalidSpec');
      expect(then.condition(name, 'Ready')).toMatchObject({ status: 'False', message: expect.stringMatching(says) });
      expect(then.condition(name, 'Degraded')?.status).toBe('Unknown');
    }
    // A resource that works, in the same namespace: as long as it is evaluated, the others could have been.
    await given.fleet('sound', { replicas: 2 });
    await given.supervision('sound');
    const evaluated = (name: string) => world.rounds.filter(({ fact }) => fact.resource.name === name).length;
    await world.until('the sound one was evaluated', () => evaluated('sound') >= 3);
    for (const index of SPECS.keys()) expect(evaluated(`invalid-${index}`)).toBe(0);
    expect(then.out(fleet)).toEqual([]);

    await when.resourceIsPatched('invalid-0', { breakers: [breakerOf({ activator: { period: 600 } })] });
    await then.statusSays('invalid-0', 'Ready', 'Reconciled');
    await then.leavesTraffic(fleet, pods[0] ?? '');
    // F4: what becomes invalid again holds nobody out.
    await when.resourceIsPatched('invalid-0', { breakers: [] });
    await then.statusSays('invalid-0', 'Ready', 'InvalidSpec');
    await world.until('it is back', () => then.traffic(pods[0] ?? '') === 'yes');
    when.allIsWell();
  },
  60_000,
);

ofOurOwn(
  'a spec that the CRD refuses: the API server names the path; what slipped through before goes on as it was',
  async () => {
    const before = then.condition('invalid-1', 'Ready');
    expect((await installCrd(world.kubernetes, crdManifest() as Manifest, CRD_VERSION_ANNOTATION)).result).toBe(
      'updated',
    );
    const refused = async (spec: object) =>
      world.kubernetes.api
        .request('POST', pathIn(PATHS.kubervisorServices, world.namespace), { body: resource('refused', spec) })
        .then(
          () => 'accepted',
          (error: { status: number; message: string }) => `${error.status}: ${error.message}`,
        );
    // A new schema is in force a moment after the API server took it.
    const deadline = performance.now() + 10_000;
    while ((await refused({ breakers: [] })) === 'accepted' && performance.now() < deadline)
      await world.kubernetes.api.request('DELETE', pathIn(PATHS.kubervisorServices, world.namespace, 'refused'));
    expect(await refused({ service: 'cart', breakers: [breakerOf({ minPodsAvailableRatio: 120 })] })).toMatch(
      /^422: .*spec\.breakers\[0\]\.minPodsAvailableRatio.*100/,
    );
    expect(await refused({ service: 'cart', breakers: [] })).toMatch(/^422: .*spec\.breakers/);
    expect(await refused({ breakers: [breakerOf({})] })).toMatch(/^422: .*spec\.service/);
    expect(then.condition('invalid-1', 'Ready')).toEqual(before);
    await world.kubernetes.api.request('PATCH', pathIn(PATHS.services, world.namespace, 'slipped'), {
      body: { metadata: { labels: { touched: 'yes' } } },
      contentType: MEDIA_TYPE.mergePatch,
    });
    await then.statusSays('sound', 'Ready', 'Reconciled');
  },
);
