/** What the plug-in says where something is wrong: each time what, and the next step. And how kubectl itself finds it. */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { connectKubernetes, type Kubernetes } from '@kubervisor/runtime/kubernetes/client';
import { installCrd } from '@kubervisor/runtime/kubernetes/crd';
import { PATHS, pathIn } from '@kubervisor/runtime/kubernetes/resources';
import { API_VERSION, KIND } from '@kubervisor/shared/crd/kubervisor-service';
import { CRD_NAME, CRD_VERSION_ANNOTATION, crdManifest } from '@kubervisor/shared/crd/manifest';
import { startCluster, type TestCluster } from '@kubervisor/testing/kubernetes/cluster';
import { startCountingProxy } from '@kubervisor/testing/kubernetes/counting-proxy';
import { kubeconfigFor, kubeconfigWithToken } from '@kubervisor/testing/kubernetes/kubeconfig';
import { describeUnless } from '@kubervisor/testing/needs';
import { environment, kubervisor, pluginFolder, start, type Said } from './fixtures/kubectl.ts';

let cluster: TestCluster;
let kubernetes: Kubernetes;
let namespace: string;
const cleanups: (() => unknown)[] = [];
const definition = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${CRD_NAME}`;

beforeAll(async () => {
  cluster = await startCluster({ runPods: false });
  kubernetes = connectKubernetes(
    { kubeconfigFile: cluster.kubeconfig, userAgent: 'kubervisor-e2e' },
    pino({ level: 'silent' }),
  );
  namespace = await cluster.namespace();
  await pluginFolder();
}, 120_000);
afterAll(async () => {
  for (const cleanup of cleanups) await cleanup();
  await kubernetes?.close();
  await cluster?.stop();
}, 60_000);

const run = (line: string, env: Record<string, string> = { KUBECONFIG: cluster.kubeconfig }): Promise<Said> =>
  kubervisor([...line.split(' '), '-n', namespace], env);
/** On stderr two lines, what and the next step; nothing on stdout; status 1. */
async function fails(said: Promise<Said>, problem: RegExp, next: RegExp): Promise<void> {
  const { status, out, err } = await said;
  expect({ status, out, lines: err.trimEnd().split('\n') }).toEqual({
    status: 1,
    out: '',
    lines: [expect.stringMatching(problem), expect.stringMatching(next)],
  });
}
const create = (path: string, body: object) => kubernetes.api.request('POST', pathIn(path, namespace), { body });
const given = (process.env['TEST_KUBECONFIG'] ?? '') !== '';

describe('the cluster', () => {
  test('none is named', () =>
    fails(run('list', {}), /^Error: no cluster: name one with --kubeconfig/, /Next: .*kubectl config view/));

  test('the kubeconfig is not there, or no kubeconfig', async () => {
    await fails(run('list --kubeconfig /nowhere', {}), /--kubeconfig \/nowhere: there is no such file/, /Next/);
    const file = join(await pluginFolder(), 'garbage');
    writeFileSync(file, '}{');
    await fails(run(`list --kubeconfig ${file}`, {}), /the kubeconfig is of no use/, /Next: .*kubectl config view/);
  });

  test('a context that it does not have: those it has are named', () =>
    fails(run('list --context elsewhere'), /no context "elsewhere"; there are: \w+/, /Next/));

  test('it does not answer', async () => {
    // Nobody listens there: the port was ours and is closed.
    const { file, remove } = kubeconfigFor('https://127.0.0.1:1');
    cleanups.push(remove);
    await fails(
      run('explain a', { KUBECONFIG: file }),
      /the API server at https:\/\/127\.0\.0\.1:1 does not answer \(ECONNREFUSED\)/,
      /kubectl cluster-info/,
    );
    const version = await run('version', { KUBECONFIG: file });
    expect(version).toMatchObject({
      status: 0,
      out: expect.stringMatching(/^kubectl kubervisor \d.*\n(.*\n)*Not seen: .*does not answer/),
    });
  });
});

(given ? describe.skip : describe)('Kubervisor is not installed', () => {
  test.each(['list', 'list -o json', 'get cart', 'watch', 'watch cart', 'mode cart dryRun'])('%s', (line) =>
    fails(run(line), /^Error: Kubervisor is not installed on http.*there is no kubervisorservices/, /Next: install it/),
  );

  test('version says it, and is no error', async () => {
    expect(await run('version')).toMatchObject({
      status: 0,
      out: expect.stringContaining('Kubervisor is not installed'),
    });
  });
});

describe('Kubervisor is installed, and the name is wrong', () => {
  beforeAll(async () => {
    await installCrd(kubernetes, crdManifest() as Parameters<typeof installCrd>[1], CRD_VERSION_ANNOTATION);
    const established = async (): Promise<boolean> => {
      const found = await kubernetes.api.find<{ status?: { conditions?: { type: string; status: string }[] } }>(
        definition,
      );
      return (
        found?.status?.conditions?.some(({ type, status }) => type === 'Established' && status === 'True') === true
      );
    };
    for (const giveUpAt = performance.now() + 20_000; !(await established());)
      if (performance.now() > giveUpAt) throw new Error('the definition was not established');
  }, 30_000);

  test('there are none', async () => {
    expect(await run('list')).toEqual({
      status: 0,
      err: '',
      out: `No KubervisorServices in ${namespace}; -A shows those of all namespaces.\n`,
    });
    expect(JSON.parse((await run('list -o json')).out)).toEqual({ resources: [] });
  });

  test('no such resource: those that there are, are named', async () => {
    await create(PATHS.kubervisorServices, {
      apiVersion: API_VERSION,
      kind: KIND,
      metadata: { name: 'cart' },
      spec: { service: 'cart', breakers: [{ name: 'plugin', customService: 'plugin' }] },
    });
    for (const line of ['get crat', 'mode crat dryRun', 'watch crat'])
      await fails(run(line), /there is no KubervisorService crat in test-/, /Next: there are: cart/);
  });

  test('watch: the cluster is not heard of any more, and is again', async () => {
    const proxy = await startCountingProxy(readFileSync(cluster.kubeconfig, 'utf8'));
    cleanups.push(() => proxy.close());
    const watching = await start('kubectl-kubervisor', ['watch', '-n', namespace], { KUBECONFIG: proxy.kubeconfig });
    await watching.says(/cart: /);
    proxy.before = () => ({ status: 503 });
    proxy.cut();
    await watching.says(/^Nothing is heard of the cluster for \d+ s: .+ It is asked on\.$/m, 'err');
    proxy.before = () => undefined;
    await watching.says(/^The cluster is heard again; what changed meanwhile was told\.$/m, 'err');
    watching.signal('SIGINT');
    expect((await watching.ended).status).toBe(0);
  }, 60_000);

  test('no such pod, no such Service, no controller', async () => {
    for (const line of ['explain nobody', 'release nobody', 'exempt nobody'])
      await fails(run(line), /there is no pod nobody in test-/, /kubectl get pods -n test-/);
    await fails(run('activate nothing'), /there is no Service nothing in/, /kubectl get services/);
    await fails(run('activate kvs/cart'), /the Service cart of cart does not exist/, /make it/);
    await fails(
      run(`history cart --system-namespace ${namespace}`),
      /no Service of the controller was found/,
      /--system-namespace/,
    );
  });

  test('a resource without a controller has no status yet', async () => {
    expect((await run('get cart')).out).toContain('No status yet: is the controller running?');
  });

  test('§4: a Service whose workload selects by our key is not activated', async () => {
    const labels = { app: 'cart', 'kubervisor/traffic': 'yes' };
    await create(PATHS.services, {
      metadata: { name: 'cart' },
      spec: { selector: { app: 'cart' }, ports: [{ port: 80 }] },
    });
    await create('/apis/apps/v1/deployments', {
      metadata: { name: 'cart' },
      spec: {
        replicas: 0,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [{ name: 'app', image: 'app' }] } },
      },
    });
    expect(await run('activate cart')).toMatchObject({
      status: 1,
      out: expect.stringMatching(/^Not done: the selector of Deployment cart holds a kubervisor\/ key.*\n {2}Next: /),
    });
    expect((await kubernetes.getService(namespace, 'cart'))?.selector).toEqual({ app: 'cart' });
  });

  test('no controller labels the pods: it waits as long as it is told, and then says who lacks the label', async () => {
    await create(PATHS.services, {
      metadata: { name: 'bare' },
      spec: { selector: { app: 'bare' }, ports: [{ port: 80 }] },
    });
    await create(PATHS.kubervisorServices, {
      apiVersion: API_VERSION,
      kind: KIND,
      metadata: { name: 'bare' },
      spec: { service: 'bare', breakers: [{ name: 'plugin', customService: 'plugin' }] },
    });
    await create(PATHS.pods, {
      metadata: { name: 'bare-1', labels: { app: 'bare' } },
      spec: { schedulerName: 'nobody', containers: [{ name: 'app', image: 'app' }] },
    });
    const said = await run('activate bare --timeout 1');
    expect(said).toMatchObject({
      status: 1,
      out: expect.stringMatching(
        /^Not done: waited in vain for 1 pod of 1.*bare-1\.\n {2}Next: is the controller running\?/,
      ),
      err: expect.stringMatching(/^Waiting for 1 pod of 1/),
    });
    expect((await kubernetes.getService(namespace, 'bare'))?.selector).toEqual({ app: 'bare' });
  });
});

test('bad arguments: status 2, and whose help tells more', async () => {
  expect(await run('mode cart off')).toEqual({
    status: 2,
    out: '',
    err: 'Error: "off" must be one of enforce, dryRun, disabled\n  Next: kubectl kubervisor mode --help\n',
  });
});

describe('the account', () => {
  /** The simulator knows no rights. */
  const onReal = (process.env['KUBEBUILDER_ASSETS'] ?? '') !== '' || given ? test : test.skip;

  onReal('may not: what, and whom to ask', async () => {
    await create('/api/v1/serviceaccounts', { metadata: { name: 'nobody' } });
    const { status } = await kubernetes.api.request<{ status: { token: string } }>(
      'POST',
      pathIn('/api/v1/serviceaccounts', namespace, 'nobody', 'token'),
      { body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} } },
    );
    const { file, remove } = kubeconfigWithToken(status.token, cluster.kubeconfig);
    cleanups.push(remove);
    const env = { KUBECONFIG: file };
    await fails(
      run('list', env),
      /this account may not list KubervisorServices in test-.*cannot list resource/,
      /ask whoever administers/,
    );
    await fails(run('list -A', env), /may not list KubervisorServices in all namespaces/, /Next/);
    await fails(run('explain a', env), /may not get the pod a in test-/, /Next/);
    await fails(
      run('history cart', env),
      /may not list Services in all namespaces, to find the controller/,
      /--system-namespace NAME/,
    );
    expect(await run('version', env)).toMatchObject({
      status: 0,
      out: expect.stringMatching(/Not seen: what is installed: this account may not/),
    });
  });

  onReal('is not known', async () => {
    const { file, remove } = kubeconfigWithToken('expired', cluster.kubeconfig);
    cleanups.push(remove);
    await fails(run('list', { KUBECONFIG: file }), /does not know who you are/, /log in anew/);
  });
});

/** That of KUBEBUILDER_ASSETS, where there is one, else that on PATH. */
function findKubectl(): string | undefined {
  const own = join(process.env['KUBEBUILDER_ASSETS'] ?? '', 'kubectl');
  if ((process.env['KUBEBUILDER_ASSETS'] ?? '') !== '' && existsSync(own)) return own;
  try {
    execFileSync('kubectl', ['version', '--client'], { stdio: 'ignore' });
    return 'kubectl';
  } catch {
    return undefined;
  }
}
const kubectl = findKubectl();

describeUnless(kubectl === undefined ? ['none, neither in KUBEBUILDER_ASSETS nor on PATH'] : [], 'kubectl')(
  'kubectl',
  () => {
    const program = kubectl ?? '';
    const env = () => ({ KUBECONFIG: cluster.kubeconfig });

    test('finds it by its name, hands the arguments over and the status back', async () => {
      const list = await (await start(program, ['kubervisor', 'list', '-n', namespace, '-o', 'json'], env())).ended;
      expect(list).toMatchObject({ status: 0, err: '' });
      const { resources } = JSON.parse(list.out) as { resources: { name: string }[] };
      expect(resources.map(({ name }) => name)).toEqual(['bare', 'cart']);
      expect((await (await start(program, ['kubervisor', 'get', 'crat', '-n', namespace], env())).ended).status).toBe(
        1,
      );
      expect((await (await start(program, ['plugin', 'list'], env())).ended).out).toContain('kubectl-kubervisor');
    });

    test('asks it for completion, through the program that it prints', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'kubervisor-completion-'));
      cleanups.push(() => rmSync(folder, { recursive: true }));
      const asked = join(folder, 'kubectl_complete-kubervisor');
      writeFileSync(asked, (await run('completion kubectl')).out);
      chmodSync(asked, 0o755);
      const PATH = `${folder}:${(await environment())['PATH']}`;
      const complete = async (...words: string[]) =>
        (await (await start(program, ['__complete', 'kubervisor', ...words], { ...env(), PATH })).ended).out.split(
          '\n',
        );
      expect(await complete('ex')).toEqual(
        expect.arrayContaining([expect.stringMatching(/^explain/), expect.stringMatching(/^exempt/)]),
      );
      // Names that do not come within 3 s are not offered, for somebody waits at a prompt: on a busy machine the next Tab finds them.
      let names: string[] = [];
      for (let tabs = 0; tabs < 5 && !names.includes('cart'); tabs++)
        names = await complete('get', '-n', namespace, 'c');
      expect(names).toContain('cart');
    });
  },
);

describe('completion in the shell', () => {
  const has = (shell: string): boolean => {
    try {
      execFileSync(shell, ['-c', 'true'], { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  };

  (has('bash') ? test : test.skip)('bash', async () => {
    const script = (await run('completion bash')).out;
    const typed = `${script}\nCOMP_WORDS=(kubectl-kubervisor mode cart ''); COMP_CWORD=3; _kubectl_kubervisor; echo "\${COMPREPLY[@]}"`;
    expect((await (await start('bash', ['-c', typed], { KUBECONFIG: cluster.kubeconfig })).ended).out.trim()).toBe(
      'enforce dryRun disabled',
    );
  });
  for (const shell of ['zsh', 'fish'])
    (has(shell) ? test : test.skip)(`${shell}: a script that it takes`, async () => {
      const script = (await run(`completion ${shell}`)).out;
      expect((await (await start(shell, ['-n', '-c', script])).ended).status).toBe(0);
    });
});
