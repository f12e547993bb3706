/**
 * Design §9, on the real API server and a real NATS: each of us does all of its work with its own account, as the chart makes it, and
 * whatever that account must not do is tried and refused. What it may is written here after the design, never read from the chart.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { connect, errors, type NatsConnection, usernamePasswordAuthenticator } from '@nats-io/transport-node';
import { createApiClient, type ApiClient } from '@kubervisor/kube-sandbox/client';
import { inboxOf } from '@kubervisor/runtime/nats/inbox';
import { installCrd } from '@kubervisor/runtime/kubernetes/crd';
import { pathIn, PATHS } from '@kubervisor/runtime/kubernetes/resources';
import type { ReleaseReport } from '@kubervisor/runtime/release/release';
import { CRD_NAME, CRD_VERSION_ANNOTATION, crdManifest } from '@kubervisor/shared/crd/manifest';
import { API_VERSION, KIND, type KubervisorServiceSpecInput } from '@kubervisor/shared/crd/kubervisor-service';
import { CLAIMS_BUCKET, CONSUMERS, STREAMS } from '@kubervisor/shared/events/subjects';
import { LABEL } from '@kubervisor/shared/pods/keys';
import { bearsMarks } from '@kubervisor/shared/release/decide';
import { makeFolder, removeFolder } from '@kubervisor/testing/servers/child';
import { startNats, type NatsServer } from '@kubervisor/testing/servers/nats';
import { describeUnless } from '@kubervisor/testing/needs';
import { HELM } from '../scripts/chart.ts';
import { ACCOUNTS, installAccounts, kubeconfigOf, natsUsersOf, passwordOf, renderChart } from './fixtures/accounts.ts';
import type { Account, Accounts, ChartObject } from './fixtures/accounts.ts';
import { given as givenIn } from './fixtures/given.ts';
import { installKeda, startKeda } from './fixtures/keda.ts';
import { AUTHORIZATION, expand, grantedTo, nameOf } from './fixtures/rights.ts';
import { then as thenIn } from './fixtures/then.ts';
import { when as whenIn } from './fixtures/when.ts';
import { startWorld, type World } from './fixtures/world.ts';

/** Where: the namespaces of the fleets, that of Kubervisor itself, the cluster. As `verb,verb resource.group/subresource name`. */
type May = Partial<Record<'fleets' | 'installation' | 'cluster', string[]>>;
const RESOURCE = 'kubervisorservices.kubervisor.k8s.io';
const MAY: Record<Account, May> = {
  controller: {
    fleets: [
      'get,list,watch,patch pods',
      'get,list,watch services',
      `get,list,watch ${RESOURCE}`,
      `patch ${RESOURCE}/status`,
      'create,patch events',
    ],
    // What is yet to be made has no name to go by.
    installation: ['create leases.coordination.k8s.io', 'get,update leases.coordination.k8s.io kubervisor-controller'],
    cluster: [`get,create,patch customresourcedefinitions.apiextensions.k8s.io ${CRD_NAME}`],
  },
  breaker: { fleets: ['get,list,patch pods'] },
  activator: { fleets: ['get,list,patch pods', 'create pods/eviction'] },
  detector: {},
  release: {
    fleets: ['get,list,patch services', 'get,list,patch pods', `list ${RESOURCE}`],
    installation: [
      'list pods',
      'list deployments.apps',
      ...['controller', 'breaker', 'activator'].map((name) => `patch deployments.apps/scale kubervisor-${name}`),
      'get,list leases.coordination.k8s.io',
    ],
  },
};
const SCOPES = [
  { scope: 'the whole cluster', everywhere: true, allowDelete: false, keda: false },
  { scope: 'some namespaces', everywhere: false, allowDelete: true, keda: true },
] as const;
type Scope = (typeof SCOPES)[number];
type Place = 'fleets' | 'installation' | 'elsewhere';

/** All that an account may at a place; sorted. */
function mayAt(account: Account, { everywhere, allowDelete, keda }: Scope, place: Place): string[] {
  const { fleets = [], installation = [], cluster = [] } = MAY[account];
  const inFleets = account === 'activator' && allowDelete ? [...fleets, 'delete pods'] : fleets;
  const lines = [
    ...(place === 'fleets' || everywhere ? inFleets : []),
    ...(place === 'installation' ? installation : []),
    ...(place === 'installation' && account === 'release' && keda
      ? ['list scaledobjects.keda.sh', 'patch scaledobjects.keda.sh kubervisor-breaker']
      : []),
    ...(everywhere ? cluster : []),
  ];
  return [...new Set(expand(lines))].sort();
}

const PLACES = ['fleets', 'installation', 'elsewhere'] as const;

interface Question {
  verb: string;
  group: string;
  resource: string;
  subresource: string | undefined;
  namespaced: boolean;
}
/** Verbs of which discovery does not tell. */
const HIDDEN: Question[] = [
  ...['users', 'groups', 'serviceaccounts'].map((resource) => ({ verb: 'impersonate', group: '', resource })),
  ...['roles', 'clusterroles'].flatMap((resource) =>
    ['bind', 'escalate'].map((verb) => ({ verb, group: 'rbac.authorization.k8s.io', resource })),
  ),
  { verb: 'approve', group: 'certificates.k8s.io', resource: 'signers' },
  { verb: '*', group: '*', resource: '*' },
].map((question) => ({ ...question, subresource: undefined, namespaced: false }));
/** Each verb of each resource that the API server serves. */
async function everyRight(admin: ApiClient): Promise<Question[]> {
  const { groups } = (await admin.call('GET', '/apis')) as unknown as {
    groups: { name: string; preferredVersion: { groupVersion: string } }[];
  };
  const lists = [
    { group: '', path: '/api/v1' },
    ...groups.map(({ name, preferredVersion }) => ({ group: name, path: `/apis/${preferredVersion.groupVersion}` })),
  ];
  const found = await Promise.all(
    lists.map(async ({ group, path }) => {
      const { resources } = (await admin.call('GET', path)) as unknown as {
        resources: { name: string; namespaced: boolean; verbs: string[] }[];
      };
      return resources.flatMap(({ name, namespaced, verbs }) => {
        const [resource = '', subresource] = name.split('/');
        return verbs.map((verb): Question => ({ verb, group, resource, subresource, namespaced }));
      });
    }),
  );
  // Anybody may ask what he may.
  return [...found.flat().filter(({ resource }) => !resource.startsWith('selfsubject')), ...HIDDEN];
}

interface Attempt {
  right: string;
  name: string;
  method: string;
  path: string;
  body?: object;
  contentType?: string;
}
const VICTIM = 'victim';
const APPS = '/apis/apps/v1/deployments';
const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const RBAC = '/apis/rbac.authorization.k8s.io/v1';
const LEASES = '/apis/coordination.k8s.io/v1/leases';

/** One of each that attempts are made on. Nobody's pod runs, nobody else changes it. */
async function createVictims(admin: ApiClient, namespace: string): Promise<void> {
  const metadata = { name: VICTIM };
  const pod = { schedulerName: 'nobody', containers: [{ name: 'app', image: 'app' }] };
  const labels = { victim: 'yes' };
  for (const [path, body] of [
    ['/api/v1/secrets', {}],
    ['/api/v1/configmaps', {}],
    ['/api/v1/pods', { spec: pod }],
    ['/api/v1/services', { spec: { clusterIP: 'None', selector: { nobody: 'yes' } } }],
    [APPS, { spec: { replicas: 0, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: pod } } }],
    [LEASES, { spec: {} }],
    [
      PATHS.kubervisorServices,
      {
        apiVersion: API_VERSION,
        kind: KIND,
        spec: { service: VICTIM, mode: 'disabled', breakers: [{ name: 'plugin', customService: 'nobody' }] },
      },
    ],
  ] as [string, object][])
    await admin.call('POST', pathIn(path, namespace), { body: { metadata, ...body } });
}

const merge = (body: object) => ({ method: 'PATCH', body, contentType: 'application/merge-patch+json' });
const labelled = merge({ metadata: { labels: { tried: 'yes' } } });
const bound = {
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
  subjects: [{ kind: 'ServiceAccount', name: 'default', namespace: 'default' }],
};
const fresh = { metadata: { name: 'fresh' } };

/** What somebody who took over one of us would try. */
function attemptsIn(namespace: string): Attempt[] {
  const at = (path: string, subresource?: string) => pathIn(path, namespace, VICTIM, subresource);
  const all = (path: string) => pathIn(path, namespace);
  const container = { name: 'app', image: 'app' };
  const tries: [right: string, path: string, how: Omit<Attempt, 'right' | 'path' | 'name'>][] = [
    ['get secrets', at('/api/v1/secrets'), { method: 'GET' }],
    ['list secrets', all('/api/v1/secrets'), { method: 'GET' }],
    ['get configmaps', at('/api/v1/configmaps'), { method: 'GET' }],
    ['list pods', all(PATHS.pods), { method: 'GET' }],
    ['patch pods', at(PATHS.pods), labelled],
    ['delete pods', at(PATHS.pods), { method: 'DELETE' }],
    ['deletecollection pods', all(PATHS.pods), { method: 'DELETE' }],
    ['create pods', all(PATHS.pods), { method: 'POST', body: { ...fresh, spec: { containers: [container] } } }],
    ['patch pods/status', at(PATHS.pods, 'status'), merge({ status: { message: 'tried' } })],
    [
      'create pods/eviction',
      at(PATHS.pods, 'eviction'),
      {
        method: 'POST',
        body: {
          apiVersion: 'policy/v1',
          kind: 'Eviction',
          metadata: { name: VICTIM, namespace },
          deleteOptions: { dryRun: ['All'] },
        },
      },
    ],
    ['get services', at(PATHS.services), { method: 'GET' }],
    ['patch services', at(PATHS.services), merge({ spec: { selector: { tried: 'yes' } } })],
    ['delete services', at(PATHS.services), { method: 'DELETE' }],
    [`list ${RESOURCE}`, all(PATHS.kubervisorServices), { method: 'GET' }],
    [`patch ${RESOURCE}`, at(PATHS.kubervisorServices), merge({ spec: { mode: 'enforce' } })],
    [`patch ${RESOURCE}/status`, at(PATHS.kubervisorServices, 'status'), merge({ status: { observedGeneration: 9 } })],
    [`delete ${RESOURCE}`, at(PATHS.kubervisorServices), { method: 'DELETE' }],
    [
      'create events',
      all('/api/v1/events'),
      {
        method: 'POST',
        body: { metadata: { name: 'tried', namespace }, involvedObject: { kind: 'Pod', name: VICTIM, namespace } },
      },
    ],
    ['patch deployments.apps', at(APPS), labelled],
    ['patch deployments.apps/scale', at(APPS, 'scale'), merge({ spec: { replicas: 0 } })],
    ['get leases.coordination.k8s.io', at(LEASES), { method: 'GET' }],
    ['patch leases.coordination.k8s.io', at(LEASES), labelled],
    ['delete leases.coordination.k8s.io', at(LEASES), { method: 'DELETE' }],
    ['create leases.coordination.k8s.io', all(LEASES), { method: 'POST', body: { ...fresh, spec: {} } }],
    [
      'create serviceaccounts/token',
      pathIn('/api/v1/serviceaccounts', namespace, 'default', 'token'),
      { method: 'POST', body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} } },
    ],
    [
      'create rolebindings.rbac.authorization.k8s.io',
      all(`${RBAC}/rolebindings`),
      { method: 'POST', body: { ...fresh, ...bound } },
    ],
  ];
  return tries.map(([right, path, how]) => ({ right, path, name: VICTIM, ...how }));
}

const ATTEMPTS_ON_THE_CLUSTER: Attempt[] = [
  { right: 'list nodes', name: '', method: 'GET', path: '/api/v1/nodes' },
  { right: 'list namespaces', name: '', method: 'GET', path: '/api/v1/namespaces' },
  { right: 'list secrets', name: 'of all namespaces', method: 'GET', path: '/api/v1/secrets' },
  {
    right: 'create clusterrolebindings.rbac.authorization.k8s.io',
    name: '',
    method: 'POST',
    path: `${RBAC}/clusterrolebindings`,
    body: { ...fresh, ...bound },
  },
  {
    right: 'patch customresourcedefinitions.apiextensions.k8s.io',
    name: CRD_NAME,
    path: `${CRDS}/${CRD_NAME}`,
    ...labelled,
  },
  {
    right: 'delete customresourcedefinitions.apiextensions.k8s.io',
    name: CRD_NAME,
    method: 'DELETE',
    path: `${CRDS}/${CRD_NAME}`,
  },
];

/** As the Job of the chart starts it. */
async function release(objects: readonly ChartObject[], kubeconfig: string) {
  const job = objects.find(({ kind, metadata }) => kind === 'Job' && metadata.name === 'kubervisor-release');
  const { args } = (job as unknown as { spec: { template: { spec: { containers: { args: string[] }[] } } } }).spec
    .template.spec.containers[0] as { args: string[] };
  const child = spawn(process.execPath, ['--conditions=source', 'apps/release/main.ts', '--json', ...args], {
    cwd: resolve(import.meta.dirname, '..'),
    env: { PATH: process.env['PATH'], KUBECONFIG: kubeconfig },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.on('data', (bytes: Buffer) => (text += bytes.toString()));
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, report: text === '' ? undefined : (JSON.parse(text) as ReleaseReport) };
}

const isGiven = (process.env['TEST_KUBECONFIG'] ?? '') !== '';
const noHelm = HELM === undefined ? ['no helm in HELM, KUBEBUILDER_ASSETS or on PATH'] : [];
const missing = [
  ...noHelm,
  // An installation for the whole cluster would take the pods of everybody else's tests.
  ...(isGiven ? ['a cluster that others use, too'] : []),
  ...(!isGiven && (process.env['KUBEBUILDER_ASSETS'] ?? '') === '' ? ['the simulator knows no rights'] : []),
];
describeUnless(missing, 'rights on the API server').each(SCOPES)(
  'rights on the API server, of an installation for $scope',
  (scope) => {
    let world: World;
    let accounts: Accounts;
    let chart: ChartObject[];
    let installation: string;
    let elsewhere: string;
    let when: ReturnType<typeof whenIn>;
    let then: ReturnType<typeof thenIn>;
    let folder: string;

    beforeAll(async () => {
      const values = (namespace: string) => ({
        ...(!scope.everywhere && { namespaces: [namespace] }),
        activator: { allowDelete: scope.allowDelete },
        breaker: { keda: { enabled: scope.keda } },
        controller: { leaseDurationSeconds: 3 },
        detector: { allow: ['127.0.0.1:*'] },
      });
      const users = natsUsersOf(await renderChart('kubervisor', values('shop')), passwordOf);
      folder = makeFolder('rights');
      const passwordFile = join(folder, 'password');
      writeFileSync(passwordFile, passwordOf('controller'));
      world = await startWorld({
        counts: { controller: 2 },
        nats: { config: users },
        // It may listen to what the controller hears.
        natsUser: { user: 'controller', passwordFile, inboxPrefix: inboxOf('controller') },
        async accounts({ cluster, namespace }) {
          installation = await cluster.namespace();
          elsewhere = await cluster.namespace();
          chart = await renderChart(installation, values(namespace));
          if (scope.keda) await installKeda(cluster.client);
          accounts = await installAccounts(cluster, { namespace: installation, objects: chart });
          const { environment } = accounts;
          return {
            controller: environment('controller'),
            breaker: environment('breaker'),
            activator: environment('activator'),
            detector: environment('detector'),
          };
        },
      });
      when = whenIn(world);
      then = thenIn(world);
    }, 120_000);
    afterAll(async () => {
      await world?.stop();
      await accounts?.end();
      removeFolder(folder);
    }, 60_000);

    const namespaceOf = (place: Place): string => ({ fleets: world.namespace, installation, elsewhere })[place];

    test(`the definition of the resource: ${scope.everywhere ? 'the controller makes it' : 'with namespaces named no controller may, nor tries'}`, async () => {
      const said = () => world.of('controller').flatMap(({ log }) => log.filter(({ msg }) => msg === 'CRD'));
      if (scope.everywhere) {
        await world.until('each of them has told', () => said().length === 2);
        expect(said().map(({ result }) => result)).toContain('installed');
      } else {
        // As Helm does.
        await installCrd(world.kubernetes, crdManifest(), CRD_VERSION_ANNOTATION);
        expect(said()).toEqual([]);
      }
    });

    test('everybody does all of its work: F1, breaks, returns, B7, A4, A5, status, Events', async () => {
      const given = givenIn(world);
      const retry = { period: 1, maxRetryCount: 0, jitter: 0 };
      const fleets = {
        returned: {},
        repaired: { minPodsAvailableCount: 2, activator: { period: 600 } },
        paused: { activator: { ...retry, mode: 'retryAndPause' } },
        evicted: { activator: { ...retry, mode: 'retryAndKill' } },
        deleted: { activator: { ...retry, mode: 'retryAndKill', killPolicy: 'delete' } },
      } satisfies Record<string, Partial<KubervisorServiceSpecInput['breakers'][number]>>;
      const names = Object.keys(fleets) as (keyof typeof fleets)[];
      const firstOf = async (name: string): Promise<string> =>
        (await given.fleet(name, { replicas: 3, labelled: false }))[0] ?? '';
      const [returned, repaired, paused, evicted, deleted] = (await Promise.all(names.map(firstOf))) as [
        string,
        string,
        string,
        string,
        string,
      ];
      await Promise.all(names.map((name) => given.supervision(name, fleets[name])));
      await world.until('all are adopted, and served', () =>
        names.every(
          (name) =>
            world.endpoints(name).length === 3 &&
            world.pods().filter(({ labels }) => labels[LABEL.name] === name).length === 3,
        ),
      );
      when.isBad(returned, repaired, paused, evicted, deleted);
      await Promise.all([
        (async () => {
          await then.leavesTraffic('returned', returned);
          when.isBad(repaired, paused, evicted, deleted);
          await then.isInTraffic('returned', returned);
          for (const reason of ['PodBroken', 'PodActivated'])
            await then.eventsTell(returned, reason, 'Pod', 'KubervisorService');
        })(),
        (async () => {
          await then.leavesTraffic('repaired', repaired);
          await when.podBecomesReady(world.endpoints('repaired')[0] ?? '', false);
          await world.until('it is back before its time', () => then.traffic(repaired) === 'yes');
        })(),
        world.until(
          'it is paused, and status says so',
          () => then.traffic(paused) === 'pause' && world.status('paused')?.pods?.[0]?.heldBy === 'Paused',
        ),
        world.until('it is evicted', () => world.pod(evicted) === undefined),
        scope.allowDelete
          ? world.until('it is deleted', () => world.pod(deleted) === undefined)
          : world.until(
              'it may not be deleted, and status says what holds it',
              () => world.status('deleted')?.pods?.[0]?.heldBy === 'PatchFailed',
            ),
      ]);
      when.allIsWell();
    }, 120_000);

    test('when the leader is killed, the other one leads, with the same account', async () => {
      const leads = ({ log }: (typeof world.processes)[number]) =>
        log.findLast(({ msg }) => ['leading', 'leading no more'].includes(String(msg)))?.['msg'] === 'leading';
      await world.until('one leads', () => world.of('controller').some(leads));
      const [leader] = world.of('controller').filter(leads);
      const [other] = world.of('controller').filter((one) => one !== leader);
      await leader?.kill();
      await world.until('the other leads', () => other !== undefined && leads(other));
      const seen = world.rounds.length;
      await world.until('work goes on', () =>
        world.rounds.slice(seen).some(({ kind, fact }) => kind === 'evaluate' && fact.outcome === 'completed'),
      );
      for (const process of world.processes.filter((one) => one !== leader)) await then.isReady(process);
      await leader?.restart();
    }, 60_000);

    test('all that anybody asked for was granted, but for the deletion that is withheld; the detector asked nothing', () => {
      const refused = (account: Account) =>
        accounts.asked(account).flatMap(({ method, url, status }) => (status === 403 ? [`${method} ${url}`] : []));
      expect(refused('controller')).toEqual([]);
      expect(refused('breaker')).toEqual([]);
      const deletion = new RegExp(`^DELETE /api/v1/namespaces/${world.namespace}/pods/deleted-`);
      expect(refused('activator').filter((one) => !deletion.test(one))).toEqual([]);
      expect(refused('activator').length > 0).toBe(!scope.allowDelete);
      for (const account of ['controller', 'breaker', 'activator'] as const)
        expect(accounts.asked(account).some(({ method, status }) => method === 'PATCH' && status === 200)).toBe(true);
      expect(accounts.asked('detector')).toEqual([]);
      const complaints = world.processes.flatMap(({ name, log }) =>
        log.filter((line) => /permission|authoriz/i.test(JSON.stringify(line))).map((line) => [name, line]),
      );
      expect(complaints).toEqual([]);
    });

    describe('beyond that', () => {
      /** What the API server lets everybody do who has an account. */
      let ofAnybody: string[];
      beforeAll(async () => {
        const { client: admin, kubeconfig } = world.cluster;
        const anybody = createApiClient(
          await kubeconfigOf(admin, { namespace: elsewhere, name: 'default' }, kubeconfig),
        );
        ofAnybody = await grantedTo(anybody, elsewhere);
        await anybody.close();
        for (const place of PLACES) await createVictims(admin, namespaceOf(place));
      }, 60_000);

      test.each(ACCOUNTS)(
        'what is granted to the account of %s is what the design grants, to a verb',
        async (account) => {
          for (const place of PLACES) {
            const granted = await grantedTo(accounts.client(account), namespaceOf(place));
            const own = granted.filter((right) => !ofAnybody.includes(right));
            expect([place, own]).toEqual([place, mayAt(account, scope, place)]);
          }
        },
      );

      test.each(ACCOUNTS)(
        'asked about each verb of each resource that is served, the API server says no to %s but for those',
        async (account) => {
          const questions = await everyRight(world.cluster.client);
          expect(questions.length).toBeGreaterThan(400);
          const wrong: string[] = [];
          const ask = async ({ verb, group, resource, subresource, namespaced }: Question): Promise<void> => {
            const right = `${verb} ${nameOf(group, resource, subresource)}`;
            for (const namespace of namespaced ? [world.namespace, undefined] : [undefined]) {
              const own =
                namespace !== undefined || scope.everywhere
                  ? mayAt(account, scope, namespace === undefined ? 'elsewhere' : 'fleets')
                  : [];
              // What is bound to a name is refused where none is said.
              const may = own.includes(right) || ofAnybody.includes(right);
              const { status } = await accounts
                .client(account)
                .call('POST', `${AUTHORIZATION}/selfsubjectaccessreviews`, {
                  body: { spec: { resourceAttributes: { verb, group, resource, subresource, namespace } } },
                });
              if ((status as { allowed: boolean }).allowed !== may)
                wrong.push(`${may ? 'may not' : 'may'} ${right} in ${namespace ?? 'all namespaces'}`);
            }
          };
          const rest = questions.values();
          const askOn = async (): Promise<void> => {
            for (const question of rest) await ask(question);
          };
          await Promise.all(Array.from({ length: 8 }, askOn));
          expect(wrong).toEqual([]);
        },
        60_000,
      );

      test.each(PLACES)(
        'in the namespace of %s each account tries what it must not, and is refused; an administrator is not',
        async (place) => {
          const namespace = namespaceOf(place);
          const { client: admin } = world.cluster;
          for (const attempt of [...attemptsIn(namespace), ...ATTEMPTS_ON_THE_CLUSTER]) {
            const { right, name, method, path, body, contentType } = attempt;
            const options = {
              body,
              ...(contentType !== undefined && { contentType }),
              query: method === 'GET' ? {} : { dryRun: 'All' },
            };
            // Or it would be refused for what it is, and not for who tries.
            const { code } = await admin.request(method, path, options);
            expect([right, code < 300 ? 'granted' : code]).toEqual([right, 'granted']);
            for (const account of ACCOUNTS) {
              const granted = mayAt(account, scope, place);
              const may = granted.includes(right) || granted.includes(`${right} ${name}`);
              const answer = await accounts.client(account).request(method, path, options);
              expect([account, right, answer.code < 300 ? 'granted' : answer.code]).toEqual([
                account,
                right,
                may ? 'granted' : 403,
              ]);
            }
          }
        },
        60_000,
      );
    });

    test(`the pre-delete hook gives everything back with an account of its own${scope.keda ? ', while KEDA lifts what it stops' : ''}`, async () => {
      await Promise.all(
        world.processes.filter(({ service }) => service !== 'detector').map((process) => process.stop()),
      );
      const keda = scope.keda ? startKeda(world.cluster.client, installation) : undefined;
      // Breakers have one replica to begin with, which is under its minimum.
      if (keda !== undefined) await world.until('it has lifted them', () => keda.lifted() > 0);
      const { status, report } = await release(chart, accounts.kubeconfig('release')).finally(() => keda?.stop());
      expect({ status, problems: report?.problems }).toEqual({ status: 0, problems: [] });
      expect(report?.stopped.map(({ component }) => component).sort()).toEqual(['activator', 'breaker', 'controller']);
      const scale = pathIn(APPS, installation, 'kubervisor-breaker', 'scale');
      // Of a number 0 the API server says nothing.
      expect((await world.cluster.client.call('GET', scale))['spec']).toEqual({});
      expect(world.pods().filter(bearsMarks)).toEqual([]);
      const services = await world.kubernetes.listServices(world.namespace);
      expect(services.filter(({ selector }) => selector !== undefined && LABEL.traffic in selector)).toEqual([]);
      const refused = accounts.asked('release').filter(({ status }) => status === 403);
      // Whether a namespace is there, and whether anybody is out elsewhere, it tells where it may see it.
      expect(refused.map(({ method, url }) => `${method} ${url.split('?')[0]}`)).toEqual(
        scope.everywhere ? [] : [`GET /api/v1/namespaces/${world.namespace}`, 'GET /api/v1/pods'],
      );
    }, 90_000);
  },
);

const SERVERS = {
  'the one on PATH': undefined,
  ...((process.env['NATS_SERVER_CURRENT'] ?? '') !== '' && { 'the current one': process.env['NATS_SERVER_CURRENT'] }),
};
const USERS = ['controller', 'breaker', 'activator'] as const;
type User = (typeof USERS)[number];

const API = '$JS.API';
const CLAIMS_STREAM = `KV_${CLAIMS_BUCKET.name}`;
const OF_STREAMS = [...Object.values(STREAMS).map(({ name }) => name), CLAIMS_STREAM];
const workerOf = (kind: 'evaluate' | 'activate'): User[] => [kind === 'evaluate' ? 'breaker' : 'activator'];

/** Design §6 and §9: who may say what. Of many subjects one. */
const SAYS: [subject: string, ...who: User[]][] = [
  ...(['evaluate', 'activate'] as const).flatMap((kind): [string, ...User[]][] => {
    const { stream, durable } = CONSUMERS[kind];
    return [
      [`kubervisor.work.${kind}.shop.cart`, 'controller'],
      [`kubervisor.round.${kind}.shop.cart`, ...workerOf(kind)],
      [`$KV.${CLAIMS_BUCKET.name}.a-uid.${kind}`, ...workerOf(kind)],
      [`${API}.CONSUMER.MSG.NEXT.${stream}.${durable}`, ...workerOf(kind)],
      [`$JS.ACK.${stream}.${durable}.1.1.1.1.0`, ...workerOf(kind)],
      [`${API}.CONSUMER.CREATE.${stream}.${durable}.kubervisor.work.${kind}.>`, 'controller'],
      [`${API}.CONSUMER.DELETE.${stream}.${durable}`, 'controller'],
      [`${API}.CONSUMER.INFO.${stream}.${durable}`, 'controller', ...workerOf(kind)],
    ];
  }),
  // What the audit trail tells of somebody only that one can have written.
  ['kubervisor.fact.pod-broken.shop.cart', 'breaker'],
  ...['pod-activated', 'pod-paused', 'pod-killed'].map((type): [string, User] => [
    `kubervisor.fact.${type}.shop.cart`,
    'activator',
  ]),
  ['kubervisor.fact.pod-released.shop.cart', 'controller'],
  ...OF_STREAMS.flatMap((name): [string, ...User[]][] => [
    [`${API}.STREAM.CREATE.${name}`, 'controller'],
    [`${API}.STREAM.UPDATE.${name}`, 'controller'],
    [`${API}.STREAM.DELETE.${name}`],
    [`${API}.STREAM.PURGE.${name}`],
    [`${API}.STREAM.MSG.DELETE.${name}`],
    [`${API}.STREAM.SNAPSHOT.${name}`],
    [`${API}.STREAM.RESTORE.${name}`],
  ]),
  // Audit: nobody reads the facts, nor the rounds, but through a consumer, which the controller alone may make.
  ...[STREAMS.facts.name, STREAMS.rounds.name].flatMap((name): [string, ...User[]][] => [
    [`${API}.STREAM.MSG.GET.${name}`],
    [`${API}.DIRECT.GET.${name}`],
    [`${API}.CONSUMER.CREATE.${name}`, 'controller'],
  ]),
  [`${API}.STREAM.MSG.GET.${CLAIMS_STREAM}`, 'breaker', 'activator'],
  [`${API}.CONSUMER.CREATE.${STREAMS.work.name}`],
  [`${API}.STREAM.CREATE.OTHERS`],
  [`${API}.CONSUMER.CREATE.OTHERS`],
  [`${API}.STREAM.LIST`],
  [`${API}.ACCOUNT.PURGE.A`],
  ['kubervisor.other'],
  ['shop.orders'],
  ['_INBOX.of.somebody'],
  ['$SYS.REQ.SERVER.PING'],
];
const HEARS = [
  '>',
  'kubervisor.>',
  'kubervisor.work.>',
  'kubervisor.fact.>',
  `$KV.>`,
  '$JS.>',
  '$SYS.>',
  'shop.orders',
];

describeUnless(noHelm, 'rights of the users of NATS').each(Object.entries(SERVERS))(
  'rights of the users of NATS, %s',
  (_, binary) => {
    let nats: NatsServer;
    beforeAll(async () => {
      const config = natsUsersOf(await renderChart('kubervisor', {}), passwordOf);
      nats = await startNats({ config, ...(binary !== undefined && { binary }) });
    }, 60_000);
    afterAll(() => nats?.stop());

    const as = (user: string, password: string) =>
      connect({
        servers: nats.url,
        authenticator: usernamePasswordAuthenticator(user, password),
        maxReconnectAttempts: 0,
      });

    /** What the server refused of what was done with the connection; it says so before it answers the ping of a flush. */
    async function refused(user: User, act: (connection: NatsConnection) => void): Promise<string[]> {
      const connection = await as(user, passwordOf(user));
      const found: string[] = [];
      const told = (async () => {
        for await (const status of connection.status())
          if (status.type === 'error' && status.error instanceof errors.PermissionViolationError)
            found.push(status.error.subject);
      })();
      act(connection);
      await connection.flush();
      await connection.close();
      await told;
      return found;
    }

    test.each(USERS)('%s says what it must, and nothing else', async (user) => {
      const mustNot = SAYS.filter(([, ...who]) => !who.includes(user)).map(([subject]) => subject);
      expect(
        await refused(user, (connection) => {
          for (const [subject] of SAYS) connection.publish(subject);
        }),
      ).toEqual(SAYS.map(([subject]) => subject).filter((subject) => mustNot.includes(subject)));
    });

    test.each(USERS)('%s hears the answers to what it asks, and nothing else: not those to another', async (user) => {
      const own = `_INBOX.${user}.>`;
      const inboxes = ['_INBOX.>', '_INBOX.*.>', ...USERS.map((one) => `_INBOX.${one}.>`)];
      expect(
        await refused(user, (connection) => {
          for (const subject of [...HEARS, ...inboxes]) connection.subscribe(subject, { callback: () => undefined });
        }),
      ).toEqual([...HEARS, ...inboxes.filter((subject) => subject !== own)]);
    });

    test.each([
      ['the detector, who has no user', 'detector', passwordOf('detector')],
      ['who has the password of another', 'breaker', passwordOf('controller')],
      ['an administrator, whom there is none of', 'admin', ''],
    ])('it does not let in %s', async (_name, user, password) => {
      await expect(as(user, password)).rejects.toThrow(/Authorization Violation/i);
    });
    test('it does not let in who says no name', async () => {
      await expect(connect({ servers: nats.url, maxReconnectAttempts: 0 })).rejects.toThrow(/Authorization Violation/i);
    });
  },
);
