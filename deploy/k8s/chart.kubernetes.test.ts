/**
 * The chart, over a matrix of values: what Helm makes of it, what a real API server says to that, and what our services read in it.
 * Without Helm it is skipped, and says so; without a real API server the part that asks one is.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { readConfig } from '@kubervisor/runtime/config';
import { PERMISSIONS } from '@kubervisor/runtime/nats/permissions';
import { startCluster, type TestCluster } from '@kubervisor/testing/kubernetes/cluster';
import { describeUnless } from '@kubervisor/testing/needs';
import { makeFolder, removeFolder } from '@kubervisor/testing/servers/child';
import { findProgram, lookForProgram } from '@kubervisor/testing/servers/install';
import { parseAllDocuments, stringify } from 'yaml';
import type * as z from 'zod';
import { CHART, HELM, render } from '../../scripts/chart.ts';
import { activatorConfig } from '../../services/activator/service.ts';
import { breakerConfig } from '../../services/breaker/service.ts';
import { controllerConfig } from '../../services/controller/service.ts';
import { detectorConfig } from '../../services/detector/service.ts';
import { FOREIGN_KINDS } from './foreign-kinds.ts';
import { values as valuesDeclaration, type ValuesGiven } from './values.ts';

jest.setTimeout(180_000);

type Partially<T> = T extends unknown[] ? T : T extends object ? { [K in keyof T]?: Partially<T[K]> } : T;

const everyMonitor = {
  serviceMonitor: { enabled: true, labels: { release: 'prometheus' } },
  prometheusRule: { enabled: true },
  dashboard: { enabled: true },
};
const MATRIX: Record<string, Partially<ValuesGiven>> = {
  'the defaults': {},
  'some namespaces': { namespaces: ['shop', 'cart'] },
  'a NATS elsewhere, by passwords': {
    nats: { url: 'nats://a.example.org:4222,nats://b.example.org:4223', replicas: 3, auth: { existingSecret: 'bus' } },
  },
  'a NATS elsewhere, by JWTs, encrypted': {
    nats: {
      url: 'tls://nats.example.org',
      auth: { credsSecret: 'jwts' },
      tls: { caSecret: 'authority', clientSecret: 'us' },
    },
  },
  'a NATS elsewhere that asks nothing': { nats: { url: 'nats://nats.messaging:4222' } },
  'three servers of NATS on volumes, encrypted both ways': {
    nats: {
      replicas: 3,
      storage: { persistent: true, size: '2Gi', storageClassName: 'fast' },
      auth: { existingSecret: 'passwords' },
      tls: { serverSecret: 'nats-tls', clientSecret: 'client-tls' },
    },
  },
  'roles for people that are part of no role of Kubernetes': { roles: { aggregate: false } },
  'three servers of NATS': { nats: { replicas: 3 } },
  'breakers scaled by CPU': { breaker: { autoscaling: { enabled: true, maxReplicas: 10 } } },
  'breakers scaled by the work that waits, and all that is seen': {
    breaker: { keda: { enabled: true } },
    monitoring: everyMonitor,
  },
  'KEDA with a NATS elsewhere': {
    nats: { url: 'nats://nats.messaging:4222' },
    breaker: { keda: { enabled: true, monitoringEndpoint: 'nats.messaging:8222' } },
  },
  'detectors with sources, and the right to delete pods': {
    activator: { allowDelete: true },
    detector: {
      allow: ['*.example.org:443', '10.0.0.1:9090'],
      sources: [{ name: 'main', url: 'https://prometheus.example.org', headers: { 'X-Scope-OrgID': 'shop' } }],
    },
  },
  'sources in a Secret of yours': { detector: { sourcesSecret: 'sources' } },
  'a closed network, chosen nodes, images by digest': {
    runAsUser: null,
    image: {
      prefix: 'registry.example.org/kubervisor-',
      tag: '1.2.3',
      pullPolicy: 'Always',
      pullSecrets: [{ name: 'registry' }],
    },
    controller: {
      image: 'registry.example.org/controller@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef',
      nodeSelector: { pool: 'system' },
      tolerations: [{ key: 'system', operator: 'Exists' }],
      affinity: { nodeAffinity: {} },
      priorityClassName: 'system-cluster-critical',
      podLabels: { team: 'platform' },
      podAnnotations: { note: 'yes' },
    },
    networkPolicies: {
      apiServer: [{ ipBlock: { cidr: '10.0.0.1/32' } }],
      apiServerPorts: [6443],
      detectorTo: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } }],
      metricsFrom: [],
    },
  },
  'limits for all, as a ResourceQuota asks for them': {
    controller: { resources: { limits: { cpu: 1, memory: '512Mi' } } },
    uninstall: { resources: { limits: { cpu: '500m', memory: '256Mi' } } },
  },
  'as little as can be': {
    crd: { update: false },
    podDisruptionBudgets: false,
    topologySpread: false,
    networkPolicies: { enabled: false },
    roles: { enabled: false },
    uninstall: { release: false },
  },
};
const NAMES = Object.keys(MATRIX);

interface Rendered {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; labels: Record<string, string>; annotations?: Record<string, string> };
  [field: string]: unknown;
}
interface Source {
  name?: string;
  secretName?: string;
  items?: { key: string }[];
}
interface Volume {
  secret?: Source;
  configMap?: Source;
  projected?: { sources: { secret?: Source; configMap?: Source }[] };
}
interface PodSpec {
  volumes?: Volume[];
  automountServiceAccountToken?: boolean;
  securityContext: Record<string, unknown>;
  containers: {
    name: string;
    image: string;
    env?: { name: string; value?: string; valueFrom?: unknown }[];
    securityContext: Record<string, unknown>;
  }[];
}
const keyOf = ({ kind, metadata }: Rendered): string => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`;

const yamlOf = (values: object): string[] =>
  Object.entries(values).flatMap(([name, value]) => ['--set-json', `${name}=${JSON.stringify(value)}`]);
const cache = new Map<string, Promise<Rendered[]>>();
const rendered = (name: string): Promise<Rendered[]> => {
  const made = cache.get(name) ?? renderValues(MATRIX[name] ?? {});
  cache.set(name, made);
  return made;
};
async function renderValues(values: object, namespace = 'kubervisor'): Promise<Rendered[]> {
  const text = await render(HELM ?? '', '--namespace', namespace, ...yamlOf(values));
  const objects = parseAllDocuments(text, { version: '1.1' }).map((document) => {
    if (document.errors.length > 0) throw document.errors[0];
    return document.toJS() as Rendered | null;
  });
  return objects.filter((object) => object !== null);
}
/** Without what chance makes, and without what other files say, whose changes are no change of the chart. */
function plain(object: Rendered): Rendered {
  const { kind, metadata } = object;
  if (kind === 'PrometheusRule') return { ...object, spec: 'files/alerts.yaml' };
  if (metadata.name === 'kubervisor-dashboard') return { ...object, data: 'files/dashboard.json' };
  if (kind === 'Secret' && object['data'] !== undefined)
    return { ...object, data: Object.keys(object['data'] as object) };
  const text = JSON.stringify(object)
    .replaceAll(/permissions: \{.*?\} \}/g, 'permissions: … }')
    .replaceAll(/"(checksum\/\w+)":"\w+"/g, '"$1":"…"');
  return JSON.parse(text) as Rendered;
}

const podOf = (object: Rendered): PodSpec | undefined =>
  object.kind === 'Pod'
    ? (object['spec'] as PodSpec)
    : (object['spec'] as { template?: { spec?: PodSpec } } | undefined)?.template?.spec;

/** The objects that a volume is made of, and the keys that it must find there. */
const sourcesOf = (volume: Volume): { kind: string; name: string; keys: string[] }[] =>
  [volume, ...(volume.projected?.sources ?? [])].flatMap((from) =>
    (
      [
        ['secret', from.secret],
        ['configmap', from.configMap],
      ] as const
    ).flatMap(([kind, source]) =>
      source === undefined
        ? []
        : [{ kind, name: source.name ?? source.secretName ?? '', keys: (source.items ?? []).map(({ key }) => key) }],
    ),
  );

/** What nats-server says to the configuration and the environment that the chart gives it. */
async function natsOf(name: string): Promise<{ status: number | null; said: string }> {
  const objects = await rendered(name);
  const config = objects.find((object) => keyOf(object) === 'ConfigMap kubervisor/kubervisor-nats')?.['data'];
  const server = objects.find(({ kind }) => kind === 'StatefulSet') as Rendered;
  const folder = makeFolder('chart');
  try {
    const file = join(folder, 'nats.conf');
    writeFileSync(file, (config as Record<string, string>)['nats.conf'] ?? '');
    // A secret of digits, and the variables that it stands in, as Kubernetes expands them.
    const env = Object.fromEntries(
      (podOf(server)?.containers[0]?.env ?? []).map(({ name, value }) => [
        name,
        value?.replaceAll(/\$\(\w+\)/g, '12345678901234567890') ?? 'kubervisor-nats-0',
      ]),
    );
    const program = findProgram({ name: 'nats-server', variable: 'NATS_SERVER', package: 'nats-server' });
    const { status, stdout, stderr } = spawnSync(program, ['-t', '-c', file], { encoding: 'utf8', env });
    return { status, said: stdout + stderr };
  } finally {
    removeFolder(folder);
  }
}

const SETTINGS: Record<string, z.ZodObject> = {
  controller: controllerConfig,
  breaker: breakerConfig,
  activator: activatorConfig,
  detector: detectorConfig,
};

const noHelm = HELM === undefined ? ['no helm in HELM, KUBEBUILDER_ASSETS or on PATH'] : [];
describeUnless(noHelm, 'the chart')('the chart', () => {
  test.each(NAMES)('helm lint finds no fault: %s', (name) => {
    const { status, stdout, stderr } = spawnSync(
      HELM as string,
      ['lint', CHART, '--strict', '--kube-version', '1.30.0', ...yamlOf(MATRIX[name] ?? {})],
      { encoding: 'utf8' },
    );
    expect([status, stdout, stderr]).toEqual([0, expect.stringContaining('0 chart(s) failed'), '']);
  });

  test('the defaults give these objects', async () => {
    expect((await rendered('the defaults')).map(keyOf).sort()).toMatchSnapshot();
    expect(stringify((await rendered('the defaults')).map(plain), { lineWidth: 0 })).toMatchSnapshot();
  });

  test.each(NAMES.slice(1))('what is other than with the defaults: %s', async (name) => {
    const defaults = new Map((await rendered('the defaults')).map((object) => [keyOf(object), plain(object)]));
    const objects = (await rendered(name)).map(plain);
    const changed = objects.filter((object) => stringify(defaults.get(keyOf(object))) !== stringify(object));
    const missing = [...defaults.keys()].filter((key) => !objects.some((object) => keyOf(object) === key));
    expect(stringify({ missing, changed }, { lineWidth: 0 })).toMatchSnapshot();
  });

  test.each(NAMES)(
    'every variable is one that the service knows, and all of them together are a configuration: %s',
    async (name) => {
      const deployments = (await rendered(name)).filter(({ kind }) => kind === 'Deployment');
      expect(deployments.map(({ metadata }) => metadata.name.replace('kubervisor-', ''))).toEqual(
        expect.arrayContaining(Object.keys(SETTINGS)),
      );
      for (const deployment of deployments) {
        const [container] = podOf(deployment)?.containers ?? [];
        const schema = SETTINGS[container?.name ?? ''];
        const variables = (container?.env ?? []).filter((variable) => variable.name !== 'POD_NAME');
        expect(Object.keys(schema?.shape ?? {})).toEqual(
          expect.arrayContaining(variables.map((variable) => variable.name)),
        );
        readConfig(
          schema as z.ZodObject,
          Object.fromEntries(variables.map((variable) => [variable.name, variable.value])),
        );
      }
    },
  );

  test.each(NAMES)(
    'no container has root, a capability, a writable root or an unconfined system call: %s',
    async (name) => {
      const pods = (await rendered(name)).flatMap((object) => podOf(object) ?? []);
      expect(pods.length).toBeGreaterThan(4);
      for (const { securityContext, containers } of pods) {
        expect(securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
        for (const container of containers)
          expect(container.securityContext).toEqual({
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          });
      }
    },
  );

  test('only who talks to the API server has a token; the detector and NATS have no right either', async () => {
    const objects = await rendered('the defaults');
    const withToken = objects.filter((object) => podOf(object)?.automountServiceAccountToken !== false);
    expect(
      withToken
        .filter(podOf)
        .map(({ metadata }) => metadata.name)
        .sort(),
    ).toEqual(['activator', 'breaker', 'controller', 'release'].map((name) => `kubervisor-${name}`));
    const subjects = objects.flatMap((object) => (object['subjects'] as { name: string }[] | undefined) ?? []);
    expect([...new Set(subjects.map(({ name }) => name))].sort()).toEqual(
      ['activator', 'breaker', 'controller', 'release'].map((name) => `kubervisor-${name}`),
    );
  });

  test('with namespaces named nothing is asked for that is of the whole cluster', async () => {
    const objects = await rendered('some namespaces');
    expect(objects.filter(({ kind }) => kind.startsWith('Cluster'))).toEqual([]);
    const roles = objects.filter(({ kind, metadata }) => kind === 'Role' && metadata.namespace === 'shop');
    expect(roles.map(({ metadata }) => metadata.name).sort()).toEqual(
      ['activator', 'breaker', 'controller', 'editor', 'operator', 'release', 'viewer'].map(
        (name) => `kubervisor-${name}`,
      ),
    );
  });

  test('the account that may change Services is there only while the hook is: all of it is a part of the hook', async () => {
    const objects = (await rendered('the defaults')).filter(({ metadata }) =>
      metadata.name.startsWith('kubervisor-release'),
    );
    expect(objects.map(({ kind }) => kind).sort()).toEqual(
      ['ClusterRole', 'ClusterRoleBinding', 'Job', 'NetworkPolicy', 'Role', 'RoleBinding', 'ServiceAccount'].sort(),
    );
    for (const { kind, metadata } of objects)
      if (kind !== 'NetworkPolicy')
        expect([kind, metadata.annotations?.['helm.sh/hook']]).toEqual([kind, 'pre-delete']);
  });

  test('who comes and goes may run where controllers may, and as their namespace asks for', async () => {
    const of = async (name: string) =>
      (await rendered(name)).filter(({ metadata, kind }) =>
        ['Job kubervisor-release', 'Pod kubervisor-test'].includes(`${kind} ${metadata.name}`),
      );
    const chosen = await of('a closed network, chosen nodes, images by digest');
    expect(chosen).toHaveLength(2);
    for (const object of chosen) {
      expect(podOf(object)).toMatchObject({
        nodeSelector: { pool: 'system' },
        tolerations: [{ key: 'system', operator: 'Exists' }],
      });
      const { metadata } = object.kind === 'Pod' ? object : (object['spec'] as { template: Rendered }).template;
      expect(metadata).toMatchObject({ labels: { team: 'platform' }, annotations: { note: 'yes' } });
    }
    for (const object of await of('limits for all, as a ResourceQuota asks for them'))
      expect(podOf(object)?.containers[0]).toHaveProperty('resources.limits.cpu');
  });

  test('the users of the built-in NATS may do what libs/runtime/nats/permissions says', async () => {
    const { data } = (await rendered('the defaults')).find(
      ({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === 'kubervisor-nats',
    ) as unknown as { data: Record<string, string> };
    for (const [user, permissions] of Object.entries(PERMISSIONS))
      expect(data['nats.conf']).toContain(
        `{ user: ${user}, password: $PASSWORD_${user.toUpperCase()}, permissions: ${JSON.stringify(permissions, ['publish', 'subscribe'])}`,
      );
  });

  test.each(NAMES.filter((name) => MATRIX[name]?.nats?.tls === undefined && MATRIX[name]?.nats?.url === undefined))(
    'nats-server takes its configuration, with passwords of digits too: %s',
    async (name) => {
      const nats = await natsOf(name);
      expect(nats).toMatchObject({ status: 0, said: expect.stringContaining('is valid') });
    },
  );

  test('a cluster of NATS is another set than one server, which would wait for its others and they for it', async () => {
    const setOf = async (name: string) => (await rendered(name)).find(({ kind }) => kind === 'StatefulSet') as Rendered;
    expect((await setOf('the defaults')).metadata.name).toBe('kubervisor-nats');
    const set = await setOf('three servers of NATS');
    expect(set.metadata.name).toBe('kubervisor-nats-cluster');
    const routes = podOf(set)?.containers[0]?.env?.filter(({ name }) => name.startsWith('ROUTE_')) ?? [];
    expect(routes.map(({ value }) => /@([^.]*)/.exec(value ?? '')?.[1])).toEqual(
      [0, 1, 2].map((ordinal) => `${set.metadata.name}-${ordinal}`),
    );
  });

  test('values of an older chart that are used again without the defaults of this one are refused, and it is said which lack', async () => {
    // What Helm makes of --reuse-values: a value of which the older chart knew nothing is not there.
    const lacking = { roles: null, breaker: { keda: null, concurrency: null }, nats: { storage: null } };
    await expect(renderValues(lacking)).rejects.toThrow(
      /(?=[^]*'roles')(?=[^]*'\/breaker': missing properties [^]*'keda')(?=[^]*'concurrency')(?=[^]*'\/nats': missing property 'storage')/,
    );
    // Left empty by a person, they mean nothing.
    await renderValues({ runAsUser: null, controller: { nodeSelector: null, affinity: null, resources: null } });
  });

  test.each<[string, object, string]>([
    ['a value that is none', { brekaer: { replicas: 3 } }, 'brekaer'],
    ['a kind that is another', { breaker: { replicas: 'three' } }, '/breaker/replicas'],
    ['a namespace that cannot be one', { namespaces: ['Shop'] }, '/namespaces/0'],
    ['a namespace twice', { namespaces: ['shop', 'cart', 'shop'] }, '/namespaces'],
    ['two servers of NATS, of which none can be missed', { nats: { replicas: 2 } }, '/nats/replicas'],
    ['a NATS that is no URL', { nats: { url: 'nats.messaging:4222' } }, '/nats/url'],
    ['a size that ends nats-server', { nats: { storage: { size: '1.5Gi' } } }, '/nats/storage/size'],
    ['a size that nats-server reads otherwise', { nats: { storage: { memory: '500m' } } }, '/nats/storage/memory'],
    ['a quantity that is none', { detector: { resources: { limits: { memory: 'lots' } } } }, '/detector/resources'],
    ['a prefix that runs into the name', { image: { prefix: 'registry.example.org' } }, '/image/prefix'],
    ['an image that is none', { breaker: { image: 'two words' } }, '/breaker/image'],
    ['no image', { nats: { image: '' } }, '/nats/image'],
    ['no domain', { clusterDomain: '' }, '/clusterDomain'],
    ['an interval that is none', { monitoring: { serviceMonitor: { interval: 'often' } } }, '/serviceMonitor/interval'],
    [
      'a label that says whose pod it is',
      { controller: { podLabels: { 'app.kubernetes.io/component': 'mine' } } },
      'controller.podLabels: app.kubernetes.io/component',
    ],
    ['a source without a name', { detector: { sources: [{ url: 'https://example.org' }] } }, '/detector/sources/0'],
    [
      'sources twice',
      { detector: { sources: [{ name: 'main', url: 'https://example.org' }], sourcesSecret: 'mine' } },
      'detector.sources and detector.sourcesSecret',
    ],
    [
      'both ways of scaling',
      { breaker: { autoscaling: { enabled: true }, keda: { enabled: true } } },
      'enable one of them',
    ],
    [
      'at least more than at most',
      { breaker: { autoscaling: { enabled: true, minReplicas: 6 } } },
      'breaker.autoscaling.minReplicas: is 6',
    ],
    [
      'KEDA that cannot know where to look',
      { nats: { url: 'nats://a' }, breaker: { keda: { enabled: true } } },
      'breaker.keda.monitoringEndpoint',
    ],
    [
      'a volume of a NATS that is not built in',
      { nats: { url: 'nats://a', storage: { persistent: true } } },
      'nats.storage.persistent',
    ],
    [
      'a certificate of a NATS that is not built in',
      { nats: { url: 'tls://a', tls: { serverSecret: 'nats' } } },
      'nats.tls.caSecret',
    ],
    ['JWTs for the built-in NATS', { nats: { auth: { credsSecret: 'jwts' } } }, 'nats.auth.credsSecret'],
    [
      'passwords and JWTs',
      { nats: { url: 'nats://a', auth: { existingSecret: 'bus', credsSecret: 'jwts' } } },
      'nats.auth.existingSecret and nats.auth.credsSecret',
    ],
    ['an authority where nothing is encrypted', { nats: { tls: { caSecret: 'authority' } } }, 'nats.tls.serverSecret'],
    ['a certificate of ours that nobody asks for', { nats: { tls: { clientSecret: 'us' } } }, 'nats.tls.serverSecret'],
  ])('is refused, and it is said where: %s', async (_, values, where) => {
    await expect(renderValues(values)).rejects.toThrow(where);
  });

  test('what contradicts itself is told all at once', async () => {
    const refused = renderValues({
      breaker: { keda: { enabled: true, minReplicas: 9 } },
      nats: { url: 'nats://a', storage: { persistent: true } },
    });
    await expect(refused).rejects.toThrow(/minReplicas[^]*monitoringEndpoint[^]*nats\.storage/);
  });

  test('values.yaml is what the declaration says', () => {
    expect(valuesDeclaration.parse({})).toMatchObject({
      controller: { replicas: 2 },
      breaker: { replicas: 2 },
      activator: { replicas: 2 },
      detector: { replicas: 2 },
    });
  });
});

const kubectl = lookForProgram({ name: 'kubectl', variable: 'KUBECTL' });
const isReal = `${process.env['TEST_KUBECONFIG'] ?? ''}${process.env['KUBEBUILDER_ASSETS'] ?? ''}` !== '';
const missing = [
  ...noHelm,
  ...(kubectl === undefined ? ['no kubectl'] : []),
  ...(isReal ? [] : ['no real API server']),
];

describeUnless(missing, 'what the chart renders')('what the chart renders is taken by a real API server', () => {
  let cluster: TestCluster;
  const run = (words: string[], input?: string) => {
    const { status, stdout, stderr } = spawnSync(kubectl as string, ['--kubeconfig', cluster.kubeconfig, ...words], {
      encoding: 'utf8',
      input,
    });
    return { status, stdout, stderr };
  };
  beforeAll(async () => {
    cluster = await startCluster({ runPods: false });
    const apply = run(
      ['apply', '--server-side', '-f', '-'],
      JSON.stringify({ apiVersion: 'v1', kind: 'List', items: FOREIGN_KINDS }),
    );
    expect(apply).toMatchObject({ status: 0 });
    expect(
      run([
        'wait',
        '--for=condition=Established',
        '--timeout=60s',
        ...FOREIGN_KINDS.map(({ metadata }) => `crd/${metadata.name}`),
      ]),
    ).toMatchObject({ status: 0 });
  }, 120_000);
  afterAll(async () => cluster.stop());

  test.each(NAMES)('%s', async (name) => {
    const given = MATRIX[name] ?? {};
    const namespace = await cluster.namespace();
    const namespaces = await Promise.all((given.namespaces ?? []).map(() => cluster.namespace()));
    const objects = await renderValues({ ...given, ...(namespaces.length > 0 && { namespaces }) }, namespace);
    const { status, stderr } = run(
      ['apply', '--dry-run=server', '--validate=strict', '-f', '-'],
      JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }),
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  const isOurs = (process.env['TEST_KUBECONFIG'] ?? '') === '';
  (isOurs ? test : test.skip)(
    `installed${isOurs ? '' : ' (skipped: a cluster that was given is left alone)'}: passwords survive an upgrade; a second installation over the same pods is refused, an uninstall leaves the definition alone`,
    async () => {
      const helm = (...words: string[]) => {
        const { status, stdout, stderr } = spawnSync(HELM as string, ['--kubeconfig', cluster.kubeconfig, ...words], {
          encoding: 'utf8',
        });
        return { status, said: stdout + stderr };
      };
      const [namespace, other] = [await cluster.namespace(), await cluster.namespace()];
      const passwords = () =>
        run(['get', 'secret', 'kubervisor-nats', '-n', namespace, '-o', 'jsonpath={.data}']).stdout;
      expect(helm('install', 'kubervisor', CHART, '-n', namespace)).toMatchObject({ status: 0 });
      const first = passwords();
      expect(Object.keys(JSON.parse(first) as object).sort()).toEqual([
        'activator',
        'breaker',
        'cluster',
        'controller',
      ]);
      expect(helm('upgrade', 'kubervisor', CHART, '-n', namespace, '--set', 'breaker.replicas=3')).toMatchObject({
        status: 0,
      });
      expect(passwords()).toBe(first);

      const second = helm('install', 'another', CHART, '-n', other);
      expect(second).toMatchObject({ status: 1, said: expect.stringContaining('cannot be imported') });

      // Nodes, which would run the hook, there are none.
      expect(helm('uninstall', 'kubervisor', '-n', namespace, '--no-hooks')).toMatchObject({ status: 0 });
      const kinds = 'clusterroles,clusterrolebindings,deployments,statefulsets,services,secrets,leases,networkpolicies';
      const label = 'app.kubernetes.io/part-of=kubervisor';
      expect(run(['get', kinds, '-A', '-l', label, '-o', 'name'])).toMatchObject({ status: 0, stdout: '' });
      expect(run(['get', 'crd', 'kubervisorservices.kubervisor.k8s.io', '-o', 'name'])).toMatchObject({ status: 0 });
    },
  );

  // Its namespace is a fixed one.
  (isOurs ? test : test.skip)(
    `install.yaml, by the commands at its head${isOurs ? '' : ' (skipped: a cluster that was given is left alone)'}: all of it is there, what its pods mount too; applied again it changes nothing, and deleted it leaves nothing`,
    () => {
      const file = join(import.meta.dirname, 'install.yaml');
      const commands = [...readFileSync(file, 'utf8').matchAll(/^# {3,}(.*)$/gm)].map(([, line = '']) => line);
      expect(commands.map((line) => line.trim().split(' ')[0])).toEqual(['kubectl', 'kubectl', '$(for', 'kubectl']);
      // Where kubectl keeps what it found out about the API server.
      const HOME = makeFolder('kubectl');
      const { status, stderr } = spawnSync('sh', ['-euc', commands.join('\n')], {
        cwd: import.meta.dirname,
        encoding: 'utf8',
        env: { HOME, PATH: `${dirname(kubectl as string)}:${process.env['PATH']}`, KUBECONFIG: cluster.kubeconfig },
      });
      removeFolder(HOME);
      expect([status, stderr]).toEqual([0, '']);
      const lines = run(['diff', '--server-side', '-f', file]).stdout.split('\n');
      // The API server counts an apply as a change of a NetworkPolicy in which nothing has changed.
      expect(lines.filter((line) => /^[-+](?![-+]|  generation: \d+$)/.test(line))).toEqual([]);

      const objects = JSON.parse(run(['get', '-f', file, '-o', 'json']).stdout) as { items: Rendered[] };
      const mounted = objects.items.flatMap((object) => podOf(object)?.volumes ?? []).flatMap(sourcesOf);
      expect(mounted.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['secret', 'configmap']));
      for (const { kind, name, keys } of mounted) {
        const { data } = JSON.parse(run(['get', kind, name, '-n', 'kubervisor', '-o', 'json']).stdout) as {
          data: object;
        };
        expect([name, Object.keys(data)]).toEqual([name, expect.arrayContaining(keys)]);
      }

      expect(run(['delete', '-f', file])).toMatchObject({ status: 0 });
      expect(run(['get', 'clusterroles,clusterrolebindings,crd', '-o', 'name']).stdout).not.toContain('kubervisor');
    },
  );
});
