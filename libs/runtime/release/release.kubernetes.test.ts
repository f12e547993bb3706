/** The release on an API server, without NATS and without any service of ours but where a test plays one. */
import { afterAll, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { COMPONENT, PART_OF } from '@kubervisor/shared/installation';
import { LABEL } from '@kubervisor/shared/pods/keys';
import type { Pod, RawPod } from '@kubervisor/shared/pods/pod';
import { bearsMarks } from '@kubervisor/shared/release/decide';
import { RELEASE_RIGHTS } from '@kubervisor/shared/release/rights';
import { startCluster, type TestCluster } from '@kubervisor/testing/kubernetes/cluster';
import { kubeconfigWithToken } from '@kubervisor/testing/kubernetes/kubeconfig';
import { silent } from '@kubervisor/testing/kubernetes/fixture';
import { describeUnless } from '@kubervisor/testing/needs';
import { ApiError, connectApiServer, MEDIA_TYPE, type ApiServer } from '../kubernetes/api-server.ts';
import { connectKubernetes, type Kubernetes } from '../kubernetes/client.ts';
import { electLeader, LEASES } from '../kubernetes/lease.ts';
import { PATHS, pathIn, type Service } from '../kubernetes/resources.ts';
import { concurrently, PATCHES_AT_ONCE } from '../worker/concurrently.ts';
import { release, type ReleaseListeners, type ReleaseReport, type ReleaseSettings } from './release.ts';

jest.setTimeout(60_000);
const LEASE_NAME = 'kubervisor-controller';
const LEASE_SECONDS = 3;
const DEPLOYMENTS = '/apis/apps/v1/deployments';
const isReal = `${process.env['TEST_KUBECONFIG'] ?? ''}${process.env['KUBEBUILDER_ASSETS'] ?? ''}` !== '';

let cluster: TestCluster;
let kubernetes: Kubernetes;
let namespace: string;

beforeAll(async () => {
  cluster = await startCluster({ runPods: false });
  kubernetes = connectKubernetes({ kubeconfigFile: cluster.kubeconfig, userAgent: 'kubervisor-tests' }, silent);
}, 60_000);
afterAll(async () => {
  await kubernetes.close();
  await cluster.stop();
});
beforeEach(async () => void (namespace = await cluster.namespace()));

const createPod = (name: string, labels: Record<string, string> = {}, annotations?: Record<string, string>) =>
  kubernetes.api.request<RawPod>('POST', pathIn(PATHS.pods, namespace), {
    body: {
      metadata: { name, labels: { app: 'cart', ...labels }, ...(annotations && { annotations }) },
      // Never scheduled: so nobody else changes it.
      spec: {
        schedulerName: 'nobody',
        terminationGracePeriodSeconds: 0,
        containers: [{ name: 'main', image: 'main' }],
      },
    },
  });
const createService = (name: string, selector: Record<string, string>) =>
  kubernetes.api.request('POST', pathIn(PATHS.services, namespace), {
    body: { metadata: { name }, spec: { selector, ports: [{ port: 80 }] } },
  });
const pods = async (): Promise<Pod[]> => await kubernetes.listPods(namespace, '');
const selectorOf = async (name: string) => (await kubernetes.getService(namespace, name))?.selector;
const versions = async (): Promise<string[]> =>
  [...(await pods()), ...(await kubernetes.listServices(namespace))].map(
    ({ name, resourceVersion }: Pod | Service) => `${name} ${resourceVersion}`,
  );

const deploy = (component: string, replicas = 1) =>
  kubernetes.api.request('POST', pathIn(DEPLOYMENTS, namespace), {
    body: {
      metadata: { name: component, labels: { [PART_OF.key]: PART_OF.value, [COMPONENT]: component } },
      spec: {
        replicas,
        selector: { matchLabels: { run: component } },
        template: {
          metadata: { labels: { run: component } },
          spec: {
            schedulerName: 'nobody',
            terminationGracePeriodSeconds: 0,
            containers: [{ name: 'main', image: 'main' }],
          },
        },
      },
    },
  });
const replicasOf = async (name: string): Promise<number | undefined> =>
  (await kubernetes.api.find<{ spec: { replicas: number } }>(pathIn(DEPLOYMENTS, namespace, name)))?.spec.replicas;

const broken = { [LABEL.traffic]: 'no', [LABEL.name]: 'cart', [LABEL.strategy]: 'errors' };
const marks = {
  'breaker/breakAt': '2026-11-23T11:00:00Z',
  'breaker/retryCount': '2',
  'kubervisor/reason': 'bad',
  'controller.kubernetes.io/pod-deletion-cost': '-1000',
};
const activated = { app: 'cart', [LABEL.traffic]: 'yes' };

/** One broken, one paused, one in traffic on which a person put a hand as well; and pods that are none of our business. */
async function aFleet(): Promise<void> {
  await createService('cart', activated);
  await createPod('broken', broken, marks);
  await createPod('paused', { ...broken, [LABEL.traffic]: 'pause' }, { ...marks, 'kubervisor/exempt': 'true' });
  await createPod('adopted', { [LABEL.traffic]: 'yes', [LABEL.name]: 'cart' });
  await createPod('labelled', { [LABEL.traffic]: 'yes' }, { 'example.org/note': 'mine' });
  await createPod('stranger', {});
}
async function expectReleased(): Promise<void> {
  for (const { name, labels, annotations } of await pods()) {
    expect([name, labels]).toEqual([name, { app: 'cart', ...(name !== 'stranger' && { [LABEL.traffic]: 'yes' }) }]);
    expect([name, annotations]).toEqual([name, name === 'paused' ? { 'kubervisor/exempt': 'true' } : {}]);
  }
  for (const { selector } of await kubernetes.listServices(namespace)) expect(selector).toEqual({ app: 'cart' });
}

interface Sent {
  method: string;
  path: string;
}
/** The API with a test's hand in it: before a request leaves, and after its answer came. */
function through(
  api: ApiServer,
  hand: { before?(sent: Sent): unknown; after?(sent: Sent): unknown },
): ApiServer & { sent: Sent[]; most(): number } {
  const sent: Sent[] = [];
  let underWay = 0;
  let most = 0;
  const around = async <T>(one: Sent, go: () => Promise<T>): Promise<T> => {
    await hand.before?.(one);
    sent.push(one);
    most = Math.max(most, ++underWay);
    const answer = await go().finally(() => underWay--);
    await hand.after?.(one);
    return answer;
  };
  return {
    ...api,
    sent,
    /** Requests that were under way at once. */
    most: () => most,
    request: (method, path, options) => around({ method, path }, () => api.request(method, path, options)),
    read: (path, options) => around({ method: 'GET', path }, () => api.read(path, options)),
    find: (path, options) => around({ method: 'GET', path }, () => api.find(path, options)),
  };
}
const isPatchOf =
  (what: 'pods' | 'services') =>
  ({ method, path }: Sent) =>
    method === 'PATCH' && path.includes(`/${what}/`);

interface Told {
  services: string[];
  troubles: string[];
}
const run = async (
  api: ApiServer = kubernetes.api,
  settings: Partial<ReleaseSettings> = {},
  { signal = new AbortController().signal, ...listeners }: Partial<ReleaseListeners> & { signal?: AbortSignal } = {},
): Promise<ReleaseReport & { told: Told }> => {
  const told: Told = { services: [], troubles: [] };
  const report = await release(
    api,
    {
      namespaces: [namespace],
      systemNamespace: namespace,
      leaseName: LEASE_NAME,
      dryRun: false,
      force: false,
      ...settings,
    },
    {
      found: () => undefined,
      confirm: () => Promise.resolve(true),
      stopping: () => undefined,
      waiting: () => undefined,
      watchingLease: () => undefined,
      pods: () => undefined,
      service: ({ name, result }) => void told.services.push(`${name} ${result}`),
      trouble: (message) => void told.troubles.push(message),
      ...listeners,
    },
    signal,
  );
  return { ...report, told };
};

describe('F2: everything is let go', () => {
  beforeEach(aFleet);

  test('selectors lose our key, then pods our marks; what a person wrote stays; and a second run changes nothing', async () => {
    const api = through(kubernetes.api, {});
    const report = await run(api);
    expect(report).toMatchObject({
      ok: true,
      problems: [],
      services: [{ name: 'cart', result: 'removed' }],
      pods: { found: 3, out: 1, paused: 1, released: 3, failed: [] },
    });
    await expectReleased();
    // From the moment that no selector asks for the label, whoever is out is served again.
    const patches = api.sent.filter(({ method }) => method === 'PATCH');
    expect(patches.findLastIndex(isPatchOf('services'))).toBeLessThan(patches.findIndex(isPatchOf('pods')));

    const before = await versions();
    const again = through(kubernetes.api, {});
    expect(await run(again)).toMatchObject({ ok: true, services: [], pods: { found: 0, released: 0 } });
    expect(again.sent.filter(({ method }) => method === 'PATCH')).toEqual([]);
    expect(await versions()).toEqual(before);
  });

  test('a dry run says all of it and changes nothing', async () => {
    const before = await versions();
    const api = through(kubernetes.api, {});
    expect(await run(api, { dryRun: true })).toMatchObject({
      ok: true,
      services: [{ name: 'cart', result: 'wouldRemove' }],
      pods: { found: 3, out: 1, paused: 1, released: 0 },
    });
    expect(api.sent.filter(({ method, path }) => method !== 'GET' && !path.includes('accessreviews'))).toEqual([]);
    expect(await versions()).toEqual(before);
  });

  test('a person who says no has changed nothing', async () => {
    const before = await versions();
    expect(await run(undefined, {}, { confirm: () => Promise.resolve(false) })).toMatchObject({
      ok: false,
      ended: 'declined',
      problems: [],
    });
    expect(await versions()).toEqual(before);
  });

  test.each([1, 2, 3, 4])('stopped after %d changes: the next run goes on where it was', async (after) => {
    const stopping = new AbortController();
    let changes = 0;
    const api = through(kubernetes.api, {
      after: ({ method }) => void (method === 'PATCH' && ++changes === after && stopping.abort()),
    });
    const report = await run(api, {}, { signal: stopping.signal });
    expect(report).toMatchObject({ ok: false, ended: 'interrupted' });
    expect(changes).toBeGreaterThanOrEqual(after);
    // Whoever was out is served already.
    expect(await selectorOf('cart')).toEqual({ app: 'cart' });
    expect(await run()).toMatchObject({ ok: true });
    await expectReleased();
  });

  test('429, 500, 409, silence: before a change and after it, so that nobody knows whether it was made', async () => {
    const faults = [
      new ApiError(429, 'TooManyRequests', 'later', 1),
      new ApiError(500, 'InternalError', 'broken'),
      new ApiError(0, 'ECONNRESET', 'no answer: ECONNRESET'),
      new ApiError(409, 'Conflict', 'changed meanwhile'),
    ];
    // Each of the four objects meets another fault before its first change, and the silence after it.
    const met = new Map<string, number>();
    const api = through(kubernetes.api, {
      before({ method, path }) {
        if (method !== 'PATCH' || met.has(path)) return;
        const fault = faults[met.size % faults.length];
        met.set(path, 0);
        throw fault;
      },
      after({ method, path }) {
        if (method !== 'PATCH' || met.get(path) !== 0) return;
        met.set(path, 1);
        throw new ApiError(0, 'Timeout', 'no answer within 5000 ms');
      },
    });
    const report = await run(api);
    expect(report).toMatchObject({ ok: true, services: [{ result: 'removed' }], pods: { released: 3 } });
    expect(met.size).toBe(4);
    expect(report.told.troubles.length).toBeGreaterThan(3);
    await expectReleased();
  });

  test('the API server is away while it looks: it waits', async () => {
    let away = 3;
    const api = through(kubernetes.api, {
      before({ method, path }) {
        if (method === 'GET' && path.endsWith('/pods') && away-- > 0)
          throw new ApiError(0, 'ECONNREFUSED', 'no answer');
      },
    });
    expect(await run(api)).toMatchObject({ ok: true });
  });

  test('an API server that refuses for good: it says so, and what to do', async () => {
    const api = through(kubernetes.api, {
      before: (sent) => {
        if (isPatchOf('pods')(sent))
          throw new ApiError(403, 'Forbidden', 'admission webhook "no.example.org" denied it');
      },
    });
    const report = await run(api);
    expect(report.ok).toBe(false);
    expect(report.problems).toMatchObject([
      { problem: expect.stringMatching(/3 pods bear marks.*2 of them out.*no\.example\.org/) },
    ]);
  }, 90_000);
});

describe('what changes meanwhile', () => {
  test('pods that are marked while it runs are released too', async () => {
    await aFleet();
    let late = 3;
    const api = through(kubernetes.api, {
      async after(sent) {
        if (isPatchOf('pods')(sent) && late > 0) await createPod(`late-${late--}`, broken, marks);
      },
    });
    expect(await run(api)).toMatchObject({ ok: true, pods: { found: 3, released: 6 } });
    await expectReleased();
  });

  test('whoever marks again and again what was released is told of', async () => {
    await aFleet();
    const api = through(kubernetes.api, {
      async after(sent) {
        if (isPatchOf('pods')(sent) && sent.path.endsWith('/adopted'))
          await kubernetes.api.request('PATCH', sent.path, {
            body: { metadata: { labels: { [LABEL.name]: 'cart' } } },
            contentType: MEDIA_TYPE.mergePatch,
          });
      },
    });
    const report = await run(api);
    expect(report.ok).toBe(false);
    expect(report.problems[0]?.problem).toMatch(/marked again/);
  });

  const changeSelector = (body: object) =>
    kubernetes.api.request('PATCH', pathIn(PATHS.services, namespace, 'cart'), {
      body: { spec: { selector: body } },
      contentType: MEDIA_TYPE.mergePatch,
    });
  const whenPatched = (change: () => Promise<unknown>) => {
    let changed = false;
    return through(kubernetes.api, {
      async before(sent) {
        if (changed || !isPatchOf('services')(sent)) return;
        changed = true;
        await change();
      },
    });
  };

  test('a selector that gets another key', async () => {
    await aFleet();
    const report = await run(whenPatched(() => changeSelector({ tier: 'web' })));
    expect(report).toMatchObject({ ok: true, services: [{ result: 'removed' }] });
    expect(await selectorOf('cart')).toEqual({ app: 'cart', tier: 'web' });
  });
  test('a selector that loses all others: ours is not taken out of it', async () => {
    await aFleet();
    const report = await run(whenPatched(() => changeSelector({ app: null })));
    expect(report).toMatchObject({
      ok: true,
      services: [{ result: 'left', message: expect.stringContaining('no key but ours') }],
    });
    expect(await selectorOf('cart')).toEqual({ [LABEL.traffic]: 'yes' });
  });
  test('a Service that is deleted', async () => {
    await aFleet();
    const gone = () => kubernetes.api.request('DELETE', pathIn(PATHS.services, namespace, 'cart'));
    expect(await run(whenPatched(gone))).toMatchObject({ ok: true, services: [{ result: 'gone' }] });
  });
  test('a selector that somebody puts back: it is not done, and says where it comes from', async () => {
    await aFleet();
    let back = false;
    const api = through(kubernetes.api, {
      async after(sent) {
        if (!isPatchOf('pods')(sent) || back) return;
        back = true;
        await changeSelector({ [LABEL.traffic]: 'yes' });
      },
    });
    const report = await run(api);
    expect(report.ok).toBe(false);
    expect(report.problems).toMatchObject([
      { problem: expect.stringMatching(/Argo CD/), next: expect.stringMatching(/manifest/) },
    ]);
    expect((await pods()).filter(bearsMarks)).toEqual([]);
  });
});

test('Services whose key is not ours to take stay as they are, and are told', async () => {
  await createService('only-ours', { [LABEL.traffic]: 'yes' });
  await createService('of-the-broken', { app: 'cart', [LABEL.traffic]: 'no' });
  await createService('plain', { app: 'cart' });
  const report = await run();
  expect(report.ok).toBe(true);
  expect(report.told.services.sort()).toEqual(['of-the-broken left', 'only-ours left']);
  expect(await selectorOf('only-ours')).toEqual({ [LABEL.traffic]: 'yes' });
  expect(await selectorOf('of-the-broken')).toEqual({ app: 'cart', [LABEL.traffic]: 'no' });
});

test('a namespace with nothing in it is let go at once; one that is not there is an error', async () => {
  expect(await run()).toMatchObject({ ok: true, services: [], pods: { found: 0 }, problems: [] });
  const report = await run(undefined, { namespaces: ['there-is-none'] });
  expect(report).toMatchObject({ ok: false, problems: [{ problem: expect.stringContaining('there-is-none') }] });
});

test('W6: more pods than one page holds, few at once', async () => {
  const names = Array.from({ length: 520 }, (_, index) => `p-${index}`);
  await concurrently(names, 16, (name) => createPod(name, broken, marks));
  const api = through(kubernetes.api, {});
  expect(await run(api)).toMatchObject({ ok: true, pods: { found: 520, released: 520 } });
  expect(api.most()).toBe(PATCHES_AT_ONCE);
  expect((await pods()).filter(bearsMarks)).toEqual([]);
}, 120_000);

describe('our processes', () => {
  test('Deployments of ours go to 0 before anything is changed, and their pods are waited for; the detector stays', async () => {
    await aFleet();
    for (const component of ['controller', 'breaker', 'activator', 'detector']) await deploy(component, 2);
    // It ends late, whoever made it.
    await createPod('lingering', { run: 'breaker' });
    const waits: (readonly string[])[] = [];
    const changed: Sent[] = [];
    const api = through(kubernetes.api, { before: (sent) => void (isPatchOf('services')(sent) && changed.push(sent)) });
    const report = await run(
      api,
      {},
      {
        waiting(names) {
          waits.push(names);
          expect(changed).toEqual([]);
          if (names.length === 1 && names[0]?.endsWith('/lingering') === true)
            void kubernetes.api.request('DELETE', pathIn(PATHS.pods, namespace, 'lingering'), {
              body: { gracePeriodSeconds: 0 },
            });
        },
      },
    );
    expect(report).toMatchObject({ ok: true, stopped: [{ replicas: 2 }, { replicas: 2 }, { replicas: 2 }] });
    expect(report.stopped.map(({ component }) => component).sort()).toEqual(['activator', 'breaker', 'controller']);
    expect(waits.length).toBeGreaterThan(0);
    expect(await Promise.all(['controller', 'breaker', 'activator', 'detector'].map(replicasOf))).toEqual([0, 0, 0, 2]);
  });

  test('a Deployment that may not be scaled: nothing is changed, and the command for it is given', async () => {
    await aFleet();
    await deploy('breaker');
    const before = await versions();
    const api = through(kubernetes.api, {
      before({ path }) {
        if (path.endsWith('/scale')) throw new ApiError(403, 'Forbidden', 'deployments/scale is forbidden');
      },
    });
    const report = await run(api);
    expect(report).toMatchObject({
      ok: false,
      problems: [
        {
          problem: expect.stringContaining('breaker'),
          next: expect.stringContaining(`kubectl scale deployment breaker --namespace ${namespace}`),
        },
      ],
    });
    // Its own pod comes and goes with the Deployment.
    const after = await versions();
    expect(before.filter((one) => !after.includes(one))).toEqual([]);
  });

  describe('lifted again while the pods are released', () => {
    const lift = () =>
      kubernetes.api.request('PATCH', pathIn(DEPLOYMENTS, namespace, 'breaker', 'scale'), {
        body: { spec: { replicas: 2 } },
        contentType: MEDIA_TYPE.mergePatch,
      });
    const lifting = () => {
      let lifted = false;
      return through(kubernetes.api, {
        async after(sent) {
          if (lifted || !isPatchOf('pods')(sent)) return;
          lifted = true;
          await lift();
          // As one that came up with a round in its hands.
          await createPod('broken-late', broken, marks);
        },
      });
    };

    test('a Deployment is stopped again, and what its pods did meanwhile is released, too', async () => {
      await aFleet();
      await deploy('breaker');
      const stops: number[] = [];
      const report = await run(lifting(), {}, { stopping: ({ replicas }) => void stops.push(replicas) });
      expect(report).toMatchObject({ ok: true, problems: [], stopped: [{ name: 'breaker', replicas: 1 }] });
      expect(stops).toEqual([1, 2]);
      expect(await replicasOf('breaker')).toBe(0);
      expect((await pods()).filter(({ labels }) => labels['run'] === 'breaker')).toEqual([]);
      expect((await pods()).filter(bearsMarks)).toEqual([]);
    });

    test('where it is not to be stopped again it is told of, and what to do about it', async () => {
      await aFleet();
      await deploy('breaker');
      expect(await run(lifting(), { force: true })).toMatchObject({
        ok: false,
        problems: [
          {
            problem: expect.stringMatching(/breaker has 2 replicas: somebody scaled it/),
            next: expect.stringContaining(
              `kubectl annotate scaledobject NAME --namespace ${namespace} autoscaling.keda.sh/paused-replicas=0`,
            ),
          },
        ],
      });
    });
  });

  const lead = (identity: string) => {
    let end = (): void => undefined;
    const elected = new Promise<void>((resolve) => (end = resolve));
    const election = electLeader(
      kubernetes,
      { namespace, name: LEASE_NAME, identity, durationSeconds: LEASE_SECONDS },
      { elected: () => end(), lost: () => undefined },
    );
    return { election, elected };
  };

  test('a controller runs outside of any Deployment: refused, and nothing is changed', async () => {
    await aFleet();
    const before = await versions();
    const { election, elected } = lead('laptop_1234');
    await elected;
    try {
      const report = await run();
      expect(report.ok).toBe(false);
      expect(report.problems).toMatchObject([
        { problem: expect.stringContaining('laptop_1234'), next: expect.stringContaining('--force') },
      ]);
      expect(await versions()).toEqual(before);

      const forced = await run(undefined, { force: true });
      expect(forced.ok).toBe(false);
      expect(forced.problems[0]?.problem).toContain('laptop_1234');
      // This one takes nothing back.
      await expectReleased();
    } finally {
      await election.stop();
    }
    // It gave its lease back: nobody is left.
    expect(await run()).toMatchObject({ ok: true });
  });

  test('a controller that died holding the lease stands in nobody’s way, once it was watched for as long as the lease lasts', async () => {
    await aFleet();
    await kubernetes.api.request('POST', pathIn(LEASES, namespace), {
      body: {
        metadata: { name: LEASE_NAME },
        // By somebody's clock it was renewed in the future; clocks are not compared.
        spec: {
          holderIdentity: 'dead_1',
          leaseDurationSeconds: LEASE_SECONDS,
          renewTime: '2099-01-01T00:00:00.000000Z',
        },
      },
    });
    const began = performance.now();
    expect(await run()).toMatchObject({ ok: true });
    expect(performance.now() - began).toBeGreaterThan(LEASE_SECONDS * 1000);
    await expectReleased();
  });

  test('a standby that takes the lease over while it is watched is seen', async () => {
    await aFleet();
    const first = lead('first_1');
    await first.elected;
    const second = lead('second_2');
    await first.election.stop();
    try {
      const report = await run();
      expect(report.problems[0]?.problem).toContain('second_2');
    } finally {
      await second.election.stop();
    }
  });

  test('a Deployment of ours leads: it is stopped, and its lease with it', async () => {
    await aFleet();
    await deploy('controller');
    await createPod('controller-abc', { run: 'controller' });
    const { election, elected } = lead('controller-abc_1234');
    await elected;
    const report = await run(
      undefined,
      {},
      {
        stopping: () =>
          // What a kubelet would do.
          void election.stop().then(() =>
            kubernetes.api.request('DELETE', pathIn(PATHS.pods, namespace, 'controller-abc'), {
              body: { gracePeriodSeconds: 0 },
            }),
          ),
      },
    );
    expect(report).toMatchObject({ ok: true, stopped: [{ component: 'controller' }] });
    await expectReleased();
  });
});

describeUnless(isReal ? [] : ['the simulator knows none'], 'rights of a release')('rights', () => {
  /** An account that may do what is listed, in the namespace. */
  async function account(name: string, rules: { group: string; resource: string; verbs: readonly string[] }[]) {
    const rbac = '/apis/rbac.authorization.k8s.io/v1';
    const { api } = kubernetes;
    await api.request('POST', pathIn('/api/v1/serviceaccounts', namespace), { body: { metadata: { name } } });
    await api.request('POST', pathIn(`${rbac}/roles`, namespace), {
      body: {
        metadata: { name },
        rules: rules.map(({ group, resource, verbs }) => ({ apiGroups: [group], resources: [resource], verbs })),
      },
    });
    await api.request('POST', pathIn(`${rbac}/rolebindings`, namespace), {
      body: {
        metadata: { name },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
        subjects: [{ kind: 'ServiceAccount', name, namespace }],
      },
    });
    const { status } = await api.request<{ status: { token: string } }>(
      'POST',
      pathIn('/api/v1/serviceaccounts', namespace, name, 'token'),
      { body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} } },
    );
    const { file, remove } = kubeconfigWithToken(status.token, cluster.kubeconfig);
    const limited = connectApiServer({ kubeconfigFile: file, userAgent: 'kubervisor-tests' });
    return { api: limited, end: () => limited.close().then(remove) };
  }

  test('those that are declared suffice', async () => {
    await aFleet();
    const { api, end } = await account('uninstall', [...RELEASE_RIGHTS]);
    const report = await run(api);
    expect(report).toMatchObject({ ok: true, problems: [] });
    expect(report.notes.filter((note) => note.includes('may not'))).toEqual([]);
    await expectReleased();
    await end();
  });

  test.each(RELEASE_RIGHTS.filter(({ needed }) => needed).map(({ resource }) => resource))(
    'without the right to change %s nothing is begun, and it says which right is missing',
    async (resource) => {
      await aFleet();
      const before = await versions();
      const { api, end } = await account(
        'less',
        RELEASE_RIGHTS.map((right) =>
          right.resource === resource ? { ...right, verbs: right.verbs.filter((verb) => verb !== 'patch') } : right,
        ),
      );
      const report = await run(api);
      expect(report.ok).toBe(false);
      expect(report.problems).toMatchObject([
        { problem: expect.stringContaining(`may not patch ${resource} in ${namespace}`) },
      ]);
      expect(await versions()).toEqual(before);
      await end();
    },
  );

  test('without the right to scale none of our Deployments is stopped, and the commands for it are given', async () => {
    await aFleet();
    for (const component of ['controller', 'breaker']) await deploy(component);
    const { api, end } = await account(
      'unable',
      RELEASE_RIGHTS.filter(({ resource }) => resource !== 'deployments/scale'),
    );
    const report = await run(api);
    expect(report).toMatchObject({ ok: false, stopped: [] });
    expect(report.problems).toMatchObject([
      {
        problem: expect.stringContaining(`may not patch deployments/scale in ${namespace}`),
        next: expect.stringContaining(`kubectl scale deployment breaker --namespace ${namespace} --replicas 0`),
      },
    ]);
    expect(await Promise.all(['controller', 'breaker'].map(replicasOf))).toEqual([1, 1]);
    await end();
  });

  test('who may see neither Deployments nor Leases is refused: nobody could tell whether a controller runs', async () => {
    await aFleet();
    const { api, end } = await account('blind', [...RELEASE_RIGHTS.filter(({ needed }) => needed)]);
    expect(await run(api)).toMatchObject({
      ok: false,
      problems: [{ problem: expect.stringContaining('neither Deployments nor Leases') }],
    });
    expect((await run(api, { force: true })).problems).toHaveLength(1);
    await expectReleased();
    await end();
  });
});
