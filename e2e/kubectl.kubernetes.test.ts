/** The plug-in in the hands of somebody who runs a fleet: the released file, on a cluster in which Kubervisor is at work. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { explainView } from '../apps/kubectl-kubervisor/core/explain.ts';
import { COMMANDS } from '../apps/kubectl-kubervisor/commands.ts';
import { ROLES } from '../apps/kubectl-kubervisor/rights.ts';
import {
  actionView,
  changeView,
  getView,
  listView,
  versionView,
  type ActionView,
} from '../apps/kubectl-kubervisor/core/views.ts';
import { history } from '@kubervisor/shared/events/history';
import type { ServiceProcess } from '@kubervisor/testing/services';
import { kubeconfigWithToken } from '@kubervisor/testing/kubernetes/kubeconfig';
import { pathIn } from '@kubervisor/runtime/kubernetes/resources';
import { LABEL } from '@kubervisor/shared/pods/keys';
import { controllerService, endCommands, kubervisor, plugin, ROOT, start } from './fixtures/kubectl.ts';
import { given as givenIn } from './fixtures/given.ts';
import { then as thenIn } from './fixtures/then.ts';
import { when as whenIn } from './fixtures/when.ts';
import { startWorld, type World } from './fixtures/world.ts';

const fleet = 'cart';
let world: World;
let when: ReturnType<typeof whenIn>;
let then: ReturnType<typeof thenIn>;
let kubectl: ReturnType<typeof plugin>;
let pods: string[];
let sick: string;

beforeAll(async () => {
  world = await startWorld({ counts: { controller: 2 } });
  when = whenIn(world);
  then = thenIn(world);
  kubectl = plugin(world);
}, 120_000);
/** Of util-linux: it alone takes the command as an option. */
const hasTerminals = ((): boolean => {
  try {
    return execFileSync('script', ['--version'], { encoding: 'utf8' }).includes('util-linux');
  } catch {
    return false;
  }
})();

const cleanups: (() => unknown)[] = [];
afterAll(async () => {
  endCommands();
  for (const cleanup of cleanups) await cleanup();
  await world?.stop();
}, 60_000);

const json = async (...words: string[]): Promise<unknown> => {
  const { status, out, err } = await kubectl.run(...words, '-o', 'json');
  if (status !== 0) throw new Error(`${words.join(' ')}: ${status} ${out}${err}`);
  return JSON.parse(out) as unknown;
};
const selector = async () => (await world.kubernetes.getService(world.namespace, fleet))?.selector;

test('Given a fleet without the label, When activate is asked before anybody supervises it, Then it refuses, for all would lose their traffic', async () => {
  pods = await givenIn(world).fleet(fleet, { replicas: 5, activated: false, labelled: false });
  [sick = ''] = [...pods].sort();
  const { status, out } = await kubectl.run('activate', fleet);
  expect(status).toBe(1);
  expect(out).toMatch(/^Not done: 5 pods of cart would lose their traffic.*no KubervisorService for cart is there/);
  expect(out).toMatch(/Next: write kubervisor\/traffic: "yes" into the pod template/);
  expect(await selector()).toEqual({ app: fleet });
}, 90_000);

test('When a resource is there and activate is asked again, Then it waits until every pod carries the label, adds the key, and no pod leaves the EndpointSlice', async () => {
  await world.until('all are served', () => world.endpoints(fleet).length === 5);
  const supervised = givenIn(world).supervision(fleet, {
    minPodsAvailableCount: 2,
    activator: { period: 600, jitter: 0 },
  });
  const before = performance.now();
  await world.until('the resource is there', () => world.resources().length === 1);
  const { status, out } = await kubectl.run('activate', fleet, '--timeout', '60');
  expect([status, out]).toEqual([0, expect.stringMatching(/^cart takes part: .*all 5 pods carry it/)]);
  expect(out).toContain('kubervisor/traffic: "yes"');
  expect(out).toMatch(/Warning: the pod template of Deployment cart lacks kubervisor\/traffic: "yes"/);
  expect(await selector()).toEqual({ app: fleet, [LABEL.traffic]: 'yes' });
  expect(world.changes.filter(({ at, after }) => at > before && after?.labels[LABEL.traffic] === 'no')).toEqual([]);
  expect(world.endpoints(fleet)).toHaveLength(5);
  await supervised;
  await then.statusSays(fleet, 'Active', 'SelectorActivated');
}, 120_000);

test('When a pod goes bad and is taken out, Then list, get and explain say who, why, by which figures, and until when', async () => {
  const watching = await kubectl.start('watch', fleet);
  await watching.says(/cart: mode enforce/);
  when.isBad(sick);
  await then.leavesTraffic(fleet, sick);
  await watching.says(new RegExp(`${sick}: in traffic → out by plugin`));
  await world.until('status says so', () => (world.status(fleet)?.pods ?? []).length === 1);

  const { status, out } = await kubectl.run('explain', sick);
  expect(status).toBe(0);
  expect(out).toMatch(
    new RegExp(`^${sick} is out of traffic: taken out by the breaker plugin of the KubervisorService cart, \\w+ ago`),
  );
  expect(out).toMatch(/^Why: .+\(.*score/m);
  expect(out).toMatch(/^It was taken out once of late/m);
  expect(out).toMatch(/^It comes back in \d+m.*by the activator of plugin \(periodic, period 600 s\)/m);
  expect(out).toMatch(/^4 of the 5 pods of the fleet are in traffic; plugin may take out 2 more \(floor 2\)/m);
  expect(out).toContain(`kubectl kubervisor release ${sick}`);
  expect(out).not.toContain('\u001b');
  const explained = explainView.parse(await json('explain', `pod/${sick}`));
  expect(explained).toMatchObject({
    owner: fleet,
    inTraffic: false,
    pod: { state: 'open', breaker: 'plugin', retryCount: 1 },
  });
  expect(explained.floors).toEqual([{ breaker: 'plugin', floor: 2, mayLeave: 2 }]);
  expect(explainView.parse(await json('explain', pods.find((name) => name !== sick) ?? ''))).toMatchObject({
    inTraffic: true,
    pod: { state: 'closed' },
  });

  const list = await kubectl.run();
  expect(list.out).toMatch(
    /^NAME +SERVICE +MODE +ACTIVE +AVAILABLE +FLOOR +OUT +PAUSED +HEALTH +AGE\ncart +cart +enforce +True +4\/5 +2 +1 +0 +\w+ +\w+\n$/,
  );
  expect(listView.parse(await json('list')).resources).toMatchObject([{ name: fleet, out: 1, available: 4 }]);
  const got = getView.parse(await json('-k', fleet));
  expect(got.pods.map(({ name, state }) => [name === sick, state])).toEqual([
    [true, 'open'],
    ...Array.from({ length: 4 }, () => [false, 'closed']),
  ]);
  expect((await kubectl.run('get', fleet, '-o', 'yaml')).out).toContain('state: open');

  watching.signal('SIGINT');
  expect((await watching.ended).status).toBe(0);
}, 90_000);

test('When it is released by hand, Then it is back and on probation, and history tells of the break, asked of a controller that leads or of one that stands by', async () => {
  when.allIsWell();
  expect(actionView.parse(await json('release', sick, '--dry-run')).results).toMatchObject([{ result: 'wouldChange' }]);
  expect(then.traffic(sick)).toBe('no');
  const { status, out } = await kubectl.run('release', sick);
  expect([status, out]).toEqual([0, `${sick} is back in traffic, on probation.\n`]);
  await then.isInTraffic(fleet, sick);
  expect((await kubectl.run('release', sick)).out).toMatch(/^Nothing to do/);

  if (world.cluster.answersFor === undefined)
    return console.log('history is not asked: this API server reaches no process of the test');
  for (const index of [0, 1]) {
    if (index === 0) await controllerService(world, index);
    else {
      const pod = world.pods().find((one) => one.labels['app'] === 'kubervisor-controller');
      world.cluster.answersFor(
        { namespace: world.namespace, service: 'kubervisor-controller', address: pod?.ip ?? '', port: 8080 },
        world.of('controller')[index]?.url ?? '',
      );
    }
    const told = history.parse(await json('history', fleet, '--system-namespace', world.namespace));
    expect(told.facts.map(({ type, pod, enforced }) => [type, pod, enforced])).toContainEqual([
      'pod-broken',
      sick,
      true,
    ]);
  }
  const text = await kubectl.run('history', fleet, '--pod', sick, '--limit', '1');
  expect(text.out).toMatch(new RegExp(`broken +${sick} +plugin +Anomalous`));
}, 90_000);

test('When it is exempt, Then it is bad and stays in; and when it is exempt no more, it goes', async () => {
  expect((await kubectl.run('exempt', sick)).out).toBe(`${sick} is exempt: never broken, never killed.\n`);
  expect((await kubectl.run('exempt', sick)).out).toMatch(/^Nothing to do/);
  when.isBad(sick);
  await world.until('it is withheld', () => (world.status(fleet)?.breakers?.[0]?.message ?? '').includes('Exempt'));
  expect((await kubectl.run('explain', sick)).out).toMatch(/^A person exempted it/m);
  expect((await kubectl.run('exempt', sick, '--remove')).status).toBe(0);
  await then.leavesTraffic(fleet, sick);
}, 60_000);

test('When the mode is dryRun, Then it comes back, and explain says what enforcing would do', async () => {
  const [result] = ((await json('mode', fleet, 'dryRun')) as ActionView).results;
  expect(result).toMatchObject({ result: 'changed', message: expect.stringMatching(/enforce → dryRun/) });
  await then.isInTraffic(fleet, sick);
  await world.until('the dry run says so', () =>
    (world.status(fleet)?.pods ?? []).some(({ state }) => state === 'wouldBeBroken'),
  );
  expect((await kubectl.run('explain', sick)).out).toMatch(/^In the dry run it would be out now/m);
  expect((await kubectl.run('mode', fleet, 'disabled', '--breaker', 'plugin')).status).toBe(0);
  expect((await kubectl.run('mode', fleet, 'enforce')).out).toMatch(/Warning: the breaker plugin stays disabled/);
}, 60_000);

test('When it is watched on a terminal, Then one picture is drawn over the other, in colours; elsewhere a line or an object a change, without', async () => {
  const { mode } = world.resources()[0]?.spec as { mode: string };
  const watching = await kubectl.start('watch', '-o', 'json');
  await watching.says(/"kind":"KubervisorService"/);
  await kubectl.run('exempt', sick);
  await watching.says(/exempt/);
  await kubectl.run('exempt', sick, '--remove');
  await watching.says(/exempt no more/);
  watching.signal('SIGTERM');
  const { out, status } = await watching.ended;
  const changes = out
    .trim()
    .split('\n')
    .map((line) => changeView.parse(JSON.parse(line)));
  expect(status).toBe(0);
  expect(changes[0]).toMatchObject({ kind: 'KubervisorService', name: fleet, message: expect.stringContaining(mode) });
  expect(changes.filter(({ name }) => name === sick).map(({ message }) => message)).toEqual(
    expect.arrayContaining(['exempt', 'exempt no more']),
  );

  if (!hasTerminals) return console.log('no terminal is made: there is no script(1)');
  const line = `kubectl-kubervisor watch ${fleet} -n ${world.namespace}`;
  const terminal = await start('script', ['-qec', line, '/dev/null'], { ...kubectl.env, TERM: 'xterm' });
  // Ages count on, so it is drawn anew though nothing happens.
  await terminal.says(/(\u001b\[H[^]*){3}/);
  terminal.signal('SIGTERM');
  const drawn = (await terminal.ended).out;
  expect(drawn).toMatch(/NAME +SERVICE/);
  expect(drawn).toContain('\u001b[3');
  const dull = await start('script', ['-qec', `kubectl-kubervisor list -n ${world.namespace}`, '/dev/null'], {
    ...kubectl.env,
    NO_COLOR: '1',
  });
  expect((await dull.ended).out).not.toContain('\u001b[3');
}, 60_000);

test('When it is deactivated, Then the key is gone, and every pod is served', async () => {
  expect((await kubectl.run('deactivate', sick)).out).toMatch(/^cart takes part no more/);
  expect(await selector()).toEqual({ app: fleet });
  await world.until('all are served', () => world.endpoints(fleet).length === 5);
  expect((await kubectl.run('deactivate', fleet)).out).toMatch(/^Nothing to do/);
}, 60_000);

test('Then version tells of the plug-in, the API server, the definition, and what is installed', async () => {
  const version = versionView.parse(await json('version', '--system-namespace', world.namespace));
  expect(version).toMatchObject({
    client: { version: expect.stringMatching(/^\d+\.\d+\.\d+$/) },
    server: { kubernetes: expect.stringMatching(/^v1\./), crd: '1' },
    problems: [],
  });
}, 30_000);

/** An account with the rights that the page names, and no more; the simulator knows no rights. */
async function account(): Promise<string> {
  if (world.cluster.kind === 'sandbox') return world.cluster.kubeconfig;
  const { api } = world.kubernetes;
  const { namespace } = world;
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  await api.request('POST', pathIn('/api/v1/serviceaccounts', namespace), { body: { metadata: { name: 'person' } } });
  for (const role of ROLES.filter(({ name }) => name !== 'kubervisor-editor')) {
    const name = `${role.name}-${namespace}`;
    await api.request('POST', `${rbac}/clusterroles`, { body: { metadata: { name }, rules: role.rules } });
    const body = {
      metadata: { name },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
      subjects: [{ kind: 'ServiceAccount', name: 'person', namespace }],
    };
    // `list -A` and the definition are of the whole cluster.
    const whole = role.in === 'cluster' || role.name === 'kubervisor-viewer';
    await api.request('POST', whole ? `${rbac}/clusterrolebindings` : pathIn(`${rbac}/rolebindings`, namespace), {
      body,
    });
  }
  const { status } = await api.request<{ status: { token: string } }>(
    'POST',
    pathIn('/api/v1/serviceaccounts', namespace, 'person', 'token'),
    { body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} } },
  );
  const { file, remove } = kubeconfigWithToken(status.token, world.cluster.kubeconfig);
  cleanups.push(remove, async () => {
    for (const role of ROLES) {
      const name = `${role.name}-${namespace}`;
      await api.request('DELETE', `${rbac}/clusterroles/${name}`).catch(() => undefined);
      await api.request('DELETE', `${rbac}/clusterrolebindings/${name}`).catch(() => undefined);
    }
  });
  return file;
}

test('Every command of docs/kubectl.md does what it says, in its order, with the rights that the page names', async () => {
  const page = readFileSync(join(ROOT, 'docs/kubectl.md'), 'utf8');
  const lines = [...page.matchAll(/```sh\n([^`]*)```/g)]
    .flatMap(([, block = '']) => block.split('\n'))
    .filter((line) => line.startsWith('kubectl kubervisor'))
    .map((line) => line.replace(/ # .*/, ''));
  for (const name of Object.keys(COMMANDS).filter((one) => one !== 'list'))
    expect(lines.some((line) => line.startsWith(`kubectl kubervisor ${name}`))).toBe(true);
  const KUBECONFIG = await account();
  const system = ['history', 'version'];
  for (const line of lines) {
    const words = line.replace('cart-7d9c5b8-x2x4v', sick).replace('slow', 'plugin').split(' ').slice(2);
    if (words[0] === 'history' && world.cluster.answersFor === undefined) continue;
    const more = system.includes(words[0] ?? '') ? ['--system-namespace', world.namespace] : [];
    const said = await kubervisor([...words, ...more, '-n', world.namespace], { KUBECONFIG });
    // In two seconds of watching a busy machine may have nothing to tell.
    const out = words[0] === 'watch' ? expect.any(String) : expect.stringMatching(/./);
    expect({ line, ...said }).toMatchObject({ line, status: 0, out });
    expect(said.out).not.toMatch(/Not seen|could not be looked at|\u001b/);
  }
}, 180_000);

test('When NATS is gone, Then history says so, and what to look at', async () => {
  if (world.cluster.answersFor === undefined)
    return console.log('history is not asked: this API server reaches no process of the test');
  await world.nats.kill();
  await then.isNotReady(world.of('controller')[1] as ServiceProcess, 'nats');
  const { status, out, err } = await kubectl.run('history', fleet, '--system-namespace', world.namespace);
  expect([status, out]).toEqual([1, '']);
  expect(err).toMatch(
    /^Error: the controller could not tell the history: the facts are in NATS, which cannot be read now: .*\n {2}Next: /,
  );
}, 60_000);
