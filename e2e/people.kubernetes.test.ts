/**
 * The roles that the chart makes for people, bound by the commands of docs/kubectl.md, on the real API server: whoever has one uses the
 * plug-in for what the page says, and nothing else is granted. What each may is written here, never read from the roles.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createApiClient, type ApiClient } from '@kubervisor/kube-sandbox/client';
import { connectKubernetes } from '@kubervisor/runtime/kubernetes/client';
import { installCrd } from '@kubervisor/runtime/kubernetes/crd';
import { PATHS, pathIn } from '@kubervisor/runtime/kubernetes/resources';
import { API_VERSION, KIND } from '@kubervisor/shared/crd/kubervisor-service';
import { CRD_NAME, CRD_VERSION_ANNOTATION, crdManifest } from '@kubervisor/shared/crd/manifest';
import { LABEL } from '@kubervisor/shared/pods/keys';
import { startCluster, type TestCluster } from '@kubervisor/testing/kubernetes/cluster';
import { kubeconfigWithToken } from '@kubervisor/testing/kubernetes/kubeconfig';
import { lookForProgram } from '@kubervisor/testing/servers/install';
import { describeUnless } from '@kubervisor/testing/needs';
import { pino } from 'pino';
import { versionView } from '../apps/kubectl-kubervisor/core/views.ts';
import { HELM } from '../scripts/chart.ts';
import { type ChartObject, renderChart } from './fixtures/accounts.ts';
import { kubervisor, pluginFolder, ROOT } from './fixtures/kubectl.ts';
import { expand, grantedTo } from './fixtures/rights.ts';

const RBAC = '/apis/rbac.authorization.k8s.io/v1';
const RESOURCE = 'kubervisorservices.kubervisor.k8s.io';
const LOOK = ['list', 'get cart', 'explain serving', 'watch cart --timeout 1'];
/** In this order each of them has something to do. */
const SWITCH = ['mode cart dryRun', 'exempt serving', 'release paused', 'activate cart', 'deactivate till'];
const WRITE = ['create', 'delete'];
const MAY = {
  looks: [`get,list,watch ${RESOURCE}`, 'get,list,watch pods', 'get,list,watch services'],
  switches: [
    `patch ${RESOURCE}`,
    'patch pods',
    'patch services',
    'create events',
    'list deployments.apps',
    'list replicasets.apps',
    'list statefulsets.apps',
    'list daemonsets.apps',
    'list replicationcontrollers',
    'list rollouts.argoproj.io',
  ],
  writes: [`create,update,patch,delete,deletecollection ${RESOURCE}`],
  asks: ['list services', 'get services/proxy kubervisor-controller:http', 'list deployments.apps'],
  versions: [`get customresourcedefinitions.apiextensions.k8s.io ${CRD_NAME}`],
};
const rights = (...lines: string[][]): string[] => [...new Set(expand(lines.flat()))].sort();

/** As the page gives them, by the end of the binding's name. */
const bindings = new Map(
  [...readFileSync(join(ROOT, 'docs/kubectl.md'), 'utf8').matchAll(/^(kubectl create \w+ on-call-(\w+) .*)$/gm)].map(
    ([, line = '', name = '']) => [name, line],
  ),
);

const kubectl = lookForProgram({ name: 'kubectl', variable: 'KUBECTL' });
const isGiven = (process.env['TEST_KUBECONFIG'] ?? '') !== '';
const missing = [
  ...(HELM === undefined ? ['no helm in HELM, KUBEBUILDER_ASSETS or on PATH'] : []),
  ...(kubectl === undefined ? ['no kubectl'] : []),
  ...(isGiven ? ['roles of the whole cluster are made, and this one others use, too'] : []),
  ...(!isGiven && (process.env['KUBEBUILDER_ASSETS'] ?? '') === '' ? ['the simulator knows no rights'] : []),
];

describeUnless(missing, 'roles for people')('roles for people', () => {
  let cluster: TestCluster;
  let admin: ApiClient;
  let installation: string;
  let ofAnybody: string[];
  const cleanups: (() => unknown)[] = [];

  const create = (path: string, body: object) => admin.call('POST', path, { body });
  const rolesOf = (objects: readonly ChartObject[]) =>
    objects.filter(
      ({ metadata }) =>
        (metadata as { labels?: Record<string, string> }).labels?.['app.kubernetes.io/component'] === 'roles',
    );
  async function makeRoles(objects: readonly ChartObject[]): Promise<void> {
    for (const object of objects) {
      const path = `${RBAC}/${object.kind.toLowerCase()}s`;
      await create(object.metadata.namespace === undefined ? path : pathIn(path, object.metadata.namespace), object);
    }
  }

  interface Person {
    namespace: string;
    client: ApiClient;
    /** `done`, or what it said. */
    run(line: string, ...more: string[]): Promise<string>;
    say(line: string): Promise<string>;
  }
  /** Somebody with a namespace of his own, in which is a fleet; his group is that of its accounts. */
  async function person(namespace: string): Promise<Person> {
    await create(pathIn('/api/v1/serviceaccounts', namespace), { metadata: { name: 'person' } });
    const { status } = (await admin.call('POST', pathIn('/api/v1/serviceaccounts', namespace, 'person', 'token'), {
      body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} },
    })) as unknown as { status: { token: string } };
    const { file, remove } = kubeconfigWithToken(status.token, cluster.kubeconfig);
    const client = createApiClient(readFileSync(file, 'utf8'));
    cleanups.push(
      () => client.close(),
      () => remove(),
    );
    const labels = { app: 'cart', [LABEL.name]: 'cart' };
    // Nobody's pods run, nobody else changes them.
    const spec = { schedulerName: 'nobody', containers: [{ name: 'app', image: 'app' }] };
    for (const [name, traffic] of [
      ['serving', 'yes'],
      ['paused', 'pause'],
    ])
      await create(pathIn(PATHS.pods, namespace), {
        metadata: { name, labels: { ...labels, [LABEL.traffic]: traffic } },
        spec,
      });
    for (const [name, selector] of [
      ['cart', { app: 'cart' }],
      ['till', { app: 'cart', [LABEL.traffic]: 'yes' }],
    ] as const)
      await create(pathIn(PATHS.services, namespace), {
        metadata: { name },
        spec: { clusterIP: 'None', selector },
      });
    await create(pathIn(PATHS.kubervisorServices, namespace), resource('cart'));
    const said = (words: string[]) => kubervisor([...words, '-n', namespace], { KUBECONFIG: file });
    return {
      namespace,
      client,
      async run(line, ...more) {
        const { status: code, out, err } = await said([...line.split(' '), ...more]);
        return code === 0 && !/Nothing to do|Warning: (no Event|selectors)/.test(out) ? 'done' : `${code} ${out}${err}`;
      },
      say: async (line) => (await said(line.split(' '))).out,
    };
  }
  const resource = (name: string) => ({
    apiVersion: API_VERSION,
    kind: KIND,
    metadata: { name },
    spec: { service: name, breakers: [{ name: 'plugin', customService: 'nobody' }] },
  });
  /** A command of the page, for the person's group, in his namespace. */
  function bind(name: string, { namespace }: Person, change = (line: string) => line): void {
    const line = change(bindings.get(name) ?? '')
      .replace('--group on-call', `--group system:serviceaccounts:${namespace}`)
      .replace('--namespace shop', `--namespace ${namespace}`)
      .replace('--namespace kubervisor', `--namespace ${installation}`)
      .replace(`on-call-${name}`, `${namespace}-${name}`);
    execFileSync(kubectl as string, [...line.split(' ').slice(1), '--kubeconfig', cluster.kubeconfig]);
  }
  /** The API server hears of rights by a watch of its own, and view, edit and admin of theirs by a controller. */
  async function hasCome(look: () => Promise<string[]>, wanted: string[]): Promise<string[]> {
    for (const giveUpAt = performance.now() + 30_000; ; await delay(50)) {
      const found = await look();
      if (wanted.every((right) => found.includes(right)) || performance.now() > giveUpAt) return found;
    }
  }
  const own = async ({ client }: Person, namespace: string): Promise<string[]> =>
    (await grantedTo(client, namespace)).filter((right) => !ofAnybody.includes(right));

  /** `done` for each that is among `may`; of the others that they were refused, for want of a right. */
  async function expectCommands(who: Person, may: readonly string[]): Promise<void> {
    for (const line of [...LOOK, ...SWITCH]) {
      const came = await who.run(line);
      expect([line, came]).toEqual([
        line,
        may.includes(line) ? 'done' : expect.stringMatching(/^1 .*this account may not .*forbidden/s),
      ]);
    }
    const { items } = (await admin.call('GET', pathIn('/api/v1/events', who.namespace))) as unknown as {
      items: { reason: string; message: string; involvedObject: { kind: string; name: string } }[];
    };
    const told = items.filter(({ message }) => message.includes('by hand'));
    const name = `system:serviceaccount:${who.namespace}:person`;
    expect(told.map(({ reason, involvedObject: { kind }, message }) => [kind, reason, message]).sort()).toEqual(
      may.includes('release paused')
        ? [
            [
              KIND,
              'PodActivated',
              `pod paused came back into traffic by hand: ${name} released it with kubectl kubervisor`,
            ],
            [
              'Pod',
              'PodActivated',
              `The pod came back into traffic by hand: ${name} released it with kubectl kubervisor`,
            ],
          ]
        : [],
    );
    const path = pathIn(PATHS.kubervisorServices, who.namespace);
    for (const [verb, answer] of [
      ['create', await who.client.request('POST', path, { body: resource('other'), query: { dryRun: 'All' } })],
      ['delete', await who.client.request('DELETE', `${path}/cart`, { query: { dryRun: 'All' } })],
    ] as const)
      expect([verb, answer.code < 300]).toEqual([verb, may.includes(verb)]);
    // Of no other namespace.
    expect(await who.run('list', '-A')).toMatch(/^1 .*may not list KubervisorServices in all namespaces/s);
  }

  const BUILT_IN = ['view', 'edit', 'admin'] as const;
  const builtIn = new Map<string, { person: Person; before: string[] }>();

  beforeAll(async () => {
    cluster = await startCluster({ runPods: false });
    admin = cluster.client;
    await pluginFolder();
    const kubernetes = connectKubernetes(
      { kubeconfigFile: cluster.kubeconfig, userAgent: 'kubervisor-e2e' },
      pino({ level: 'silent' }),
    );
    await installCrd(kubernetes, crdManifest(), CRD_VERSION_ANNOTATION);
    await kubernetes.close();
    installation = await cluster.namespace();
    const nobody = await person(await cluster.namespace());
    ofAnybody = await grantedTo(nobody.client, nobody.namespace);
    for (const role of BUILT_IN) {
      const who = await person(await cluster.namespace());
      bind('looks', who, (line) => line.replace('kubervisor-viewer', role));
      builtIn.set(role, { person: who, before: await hasCome(() => own(who, who.namespace), ['list pods']) });
    }
    const chart = await renderChart(installation, {});
    await makeRoles(rolesOf(chart));
    const service = chart.find(({ kind, metadata }) => kind === 'Service' && metadata.name === 'kubervisor-controller');
    await create(pathIn(PATHS.services, installation), service as object);
  }, 120_000);
  afterAll(async () => {
    for (const cleanup of cleanups) await cleanup();
    await cluster?.stop();
  }, 60_000);

  test.each([
    ['nobody', [], [], []],
    ['who looks', ['looks'], rights(MAY.looks), LOOK],
    ['who switches', ['looks', 'switches'], rights(MAY.looks, MAY.switches), [...LOOK, ...SWITCH]],
  ])(
    '%s does with it what the page says, and has no other right',
    async (_, names, granted, commands) => {
      const who = await person(await cluster.namespace());
      for (const name of names) bind(name, who);
      expect(await hasCome(() => own(who, who.namespace), granted)).toEqual(granted);
      expect(await own(who, installation)).toEqual([]);
      await expectCommands(who, commands);
    },
    120_000,
  );

  test.each([
    ['view', rights([`get,list,watch ${RESOURCE}`]), LOOK],
    ['edit', rights([`get,list,watch ${RESOURCE}`], MAY.writes), [...LOOK, ...SWITCH, ...WRITE]],
    ['admin', rights([`get,list,watch ${RESOURCE}`], MAY.writes), [...LOOK, ...SWITCH, ...WRITE]],
  ])(
    'who has %s of Kubernetes has got what belongs to it, and no more',
    async (role, added, commands) => {
      const { person: who, before } = builtIn.get(role) as { person: Person; before: string[] };
      const granted = await hasCome(() => own(who, who.namespace), added);
      expect(granted.filter((right) => !before.includes(right))).toEqual(added);
      await expectCommands(who, commands);
    },
    120_000,
  );

  test('who asks for history is let through to the controller, and who asks for versions sees all of them', async () => {
    const who = await person(await cluster.namespace());
    const system = ['--system-namespace', installation];
    expect(await who.run('history cart', ...system)).toMatch(/^1 .*may not list Services/s);
    bind('asks', who);
    bind('versions', who);
    expect(await hasCome(() => own(who, installation), rights(MAY.asks, MAY.versions))).toEqual(
      rights(MAY.asks, MAY.versions),
    );
    expect(await own(who, who.namespace)).toEqual(rights(MAY.versions));
    // None runs here.
    expect(await who.run('history cart', ...system)).toMatch(/^1 .*the controller could not tell the history/s);
    const version = await who.say(`version -o json --system-namespace ${installation}`);
    expect(versionView.parse(JSON.parse(version)).problems).toEqual([]);
  }, 60_000);

  test('of an installation for some namespaces they are Roles there, bound as such', async () => {
    const who = await person(await cluster.namespace());
    const roles = rolesOf(await renderChart(installation, { namespaces: [who.namespace] }));
    expect(roles.map(({ kind }) => kind)).toEqual(roles.map(() => 'Role'));
    await makeRoles(roles.filter(({ metadata }) => metadata.namespace === who.namespace));
    for (const name of ['looks', 'switches']) bind(name, who, (line) => line.replace('--clusterrole', '--role'));
    const granted = rights(MAY.looks, MAY.switches);
    expect(await hasCome(() => own(who, who.namespace), granted)).toEqual(granted);
    await expectCommands(who, [...LOOK, ...SWITCH]);
  }, 120_000);
});
