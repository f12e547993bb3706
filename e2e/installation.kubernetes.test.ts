/**
 * A real release, from install to uninstall: the commands of docs/getting-started.md in their order, on a cluster whose nodes run
 * containers, with a client that asks the Service all the while. The cluster: TEST_KUBECONFIG, else a K3s in Docker; the images that it
 * has or can pull: TEST_IMAGES, PREFIX*:TAG, for instance `kubervisor/*:0.1.0`; TEST_BASE_IMAGE, one with Node for the toys,
 * `node:24-slim` unless set.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { history } from '@kubervisor/shared/events/history';
import { ANNOTATION, LABEL } from '@kubervisor/shared/pods/keys';
import { makeFolder, removeFolder } from '@kubervisor/testing/servers/child';
import { BASE_IMAGE as base } from '@kubervisor/testing/servers/docker';
import { lookForProgram } from '@kubervisor/testing/servers/install';
import { describeUnless } from '@kubervisor/testing/needs';
import { parse } from 'yaml';
import { type ContainerCluster, lackingCluster, startContainerCluster } from './fixtures/container-cluster.ts';
import { pluginFolder, ROOT } from './fixtures/kubectl.ts';

jest.setTimeout(300_000);

const HELM = lookForProgram({ name: 'helm', variable: 'HELM' });
const KUBECTL = lookForProgram({ name: 'kubectl', variable: 'KUBECTL' });
const [, prefix, tag] = /^(.*)\*:(.+)$/.exec(process.env['TEST_IMAGES'] ?? '') ?? [];
const { nats } = parse(readFileSync(join(ROOT, 'deploy/k8s/chart/values.yaml'), 'utf8')) as { nats: { image: string } };
const images = [
  ...['controller', 'breaker', 'activator', 'detector', 'release'].map((component) => `${prefix}${component}:${tag}`),
  base,
  nats.image,
];
const lacking = [
  ...(prefix === undefined ? ['images of ours: TEST_IMAGES'] : lackingCluster(images)),
  ...(HELM === undefined ? ['helm'] : []),
  ...(KUBECTL === undefined ? ['kubectl'] : []),
];

const SYSTEM = 'kubervisor';
const FLEET = `kubervisor-e2e-${Date.now().toString(36)}`;
const PERIOD = 2000;

const page = readFileSync(join(ROOT, 'docs/getting-started.md'), 'utf8');
/** By the heading of the section, in the page's order. */
const commands = new Map(
  page
    .split(/^## /m)
    .map((section) => [
      /^(?:# |\d+\. )?(.*)$/m.exec(section)?.[1] ?? '',
      [...section.matchAll(/^```sh\n([\s\S]*?)^```/gm)].flatMap(([, text = '']) =>
        text.split('\n').filter((line) => line.trim() !== ''),
      ),
    ]),
);

interface Served {
  at: number;
  host: string;
  status: number;
}
interface PodObject {
  metadata: {
    name: string;
    labels: Record<string, string>;
    annotations?: Record<string, string>;
    deletionTimestamp?: string;
  };
  status: { conditions?: { type: string; status: string }[] };
}

describeUnless(lacking, 'a real release')('a real release', () => {
  let folder: string;
  let env: Record<string, string>;
  let cluster: ContainerCluster | undefined;
  let client: ChildProcess | undefined;
  const served: Served[] = [];

  /** As a person's shell: what one line sets, the next one has. */
  async function shell(line: string): Promise<string> {
    const script = `set -euo pipefail; [ ! -e state ] || . ./state; ${line}\n[ -z "\${POD:-}" ] || declare -p POD > state`;
    const child = spawn('bash', ['-c', script], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes: Buffer) => (said += bytes.toString()));
    const status = await new Promise((resolve) => child.once('close', resolve));
    if (status !== 0) throw new Error(`${line}: ${status}\n${said}`);
    return said;
  }
  const section = async (name: string): Promise<string> => {
    const lines = commands.get(name) ?? [];
    expect(lines).not.toEqual([]);
    let said = '';
    for (const line of lines) said += await shell(line);
    return said;
  };
  const get = async <T>(words: string): Promise<T> => JSON.parse(await shell(`kubectl get ${words} -o json`)) as T;
  const fleet = async (): Promise<PodObject[]> =>
    (await get<{ items: PodObject[] }>('pods -l app=cart')).items.filter(
      ({ metadata }) => metadata.deletionTimestamp === undefined,
    );
  const trafficOf = async (name: string) =>
    (await fleet()).find(({ metadata }) => metadata.name === name)?.metadata.labels[LABEL.traffic];
  const endpoints = async (): Promise<string[]> => {
    interface Slice {
      endpoints?: { conditions: { ready?: boolean }; targetRef: { name: string } }[];
    }
    const { items } = await get<{ items: Slice[] }>('endpointslices -l kubernetes.io/service-name=cart');
    return items.flatMap(({ endpoints: all = [] }) =>
      all.filter(({ conditions }) => conditions.ready !== false).map(({ targetRef }) => targetRef.name),
    );
  };
  async function until(what: string, holds: () => Promise<boolean> | boolean, within = 60_000): Promise<void> {
    for (const limit = performance.now() + within; !(await holds());) {
      if (performance.now() > limit) throw new Error(`not within ${within / 1000} s: ${what}`);
      await delay(250);
    }
  }
  const tell = (pod: string, what: 'break' | 'heal') =>
    shell(`kubectl exec ${pod} -- node -e "await fetch('http://127.0.0.1:8080/${what}')"`);
  /** When the detector was asked, by its own log. */
  const asked = async (since: number): Promise<number[]> =>
    (await shell('kubectl logs deployment/judge'))
      .split('\n')
      .flatMap((line) => /^asked (\d+)$/.exec(line)?.[1] ?? [])
      .map(Number)
      .filter((at) => at >= since);
  const longestGap = (times: number[]): number =>
    Math.max(...times.slice(1).map((time, index) => time - (times[index] ?? time)));
  /** What the client was answered since then. */
  const answers = (since: number) => served.filter(({ at }) => at >= since);
  async function goesAndComesBack(): Promise<void> {
    const [pod] = await fleet();
    const name = pod?.metadata.name ?? '';
    await tell(name, 'break');
    await until(`${name} is out`, async () => (await trafficOf(name)) === 'no');
    await until(`${name} has left the EndpointSlice`, async () => !(await endpoints()).includes(name));
    await tell(name, 'heal');
    await until(`${name} is back`, async () => (await endpoints()).includes(name), 120_000);
  }

  beforeAll(async () => {
    folder = makeFolder('installation');
    mkdirSync(join(folder, 'bin'));
    mkdirSync(join(folder, 'examples'));
    symlinkSync(join(ROOT, 'deploy'), join(folder, 'deploy'));
    const example = readFileSync(join(ROOT, 'examples/getting-started.yaml'), 'utf8').replaceAll('node:24-slim', base);
    const told = example.replace('const { pods } =', 'console.log(`asked ${Date.now()}`); const { pods } =');
    if (told === example) throw new Error('the detector of the example has another form');
    writeFileSync(join(folder, 'examples/getting-started.yaml'), told);
    // Which images there are is the one thing that the page cannot know.
    const values = { image: { prefix, tag } };
    writeFileSync(join(folder, 'values.json'), JSON.stringify(values));
    writeFileSync(
      join(folder, 'bin/helm'),
      `#!/bin/sh\ncase "$1" in install|upgrade) exec '${HELM}' "$@" --values '${folder}/values.json';; esac\nexec '${HELM}' "$@"\n`,
    );
    chmodSync(join(folder, 'bin/helm'), 0o755);
    cluster = await startContainerCluster(images, folder);
    copyFileSync(cluster.kubeconfig, join(folder, 'kubeconfig'));
    const path = [join(folder, 'bin'), await pluginFolder(), dirname(KUBECTL ?? ''), join(ROOT, 'node_modules/.bin')];
    env = {
      PATH: [...path, process.env['PATH']].join(':'),
      HOME: folder,
      KUBECONFIG: join(folder, 'kubeconfig'),
    };
    await shell(`kubectl create namespace ${FLEET}`);
    await shell(`kubectl config set-context --current --namespace ${FLEET}`);
  });
  afterAll(async () => {
    client?.kill();
    await shell(`helm uninstall ${SYSTEM} --namespace ${SYSTEM} --wait --ignore-not-found`);
    await shell(`kubectl delete namespace ${FLEET} --wait=false`);
    await cluster?.stop();
    removeFolder(folder);
  });

  test('Given a cluster, When helm installs, Then all is ready in one go, and a fleet is adopted and not touched', async () => {
    expect(await section('Getting started')).toContain('SelectorNotActivated');
    const { items } = await get<{ items: PodObject[] }>(`pods --namespace ${SYSTEM}`);
    for (const { status } of items)
      expect(status.conditions).toContainEqual(expect.objectContaining({ type: 'Ready', status: 'True' }));
    await shell(`helm test ${SYSTEM} --namespace ${SYSTEM}`);
  });

  test('When the Service is activated under requests, Then none of them fails', async () => {
    const script = [
      'const { get } = await import("node:http");',
      'for (;;) {',
      'const at = Date.now(); let status = 0; let host = "";',
      'await new Promise((done) => { get("http://cart/", { agent: false, timeout: 2000 }, (answer) => { status = answer.statusCode;',
      'answer.on("data", (bytes) => (host += bytes)); answer.on("end", done); })',
      '.on("timeout", function () { this.destroy(); }).on("error", done); });',
      'console.log(JSON.stringify({ at, status, host: host.trim() })); await new Promise((next) => setTimeout(next, 50)); }',
    ].join(' ');
    client = spawn(KUBECTL ?? '', ['exec', 'deployment/judge', '--', 'node', '-e', script], { env, stdio: 'pipe' });
    if (client.stdout === null) throw new Error('no output');
    createInterface({ input: client.stdout }).on('line', (line) => served.push(JSON.parse(line) as Served));
    await until('the client is answered', () => served.length > 20);
    const since = Date.now();
    await section('Still a dry run');
    await until('a hundred more answers', () => answers(since).length > 100);
    expect(answers(since).filter(({ status }) => status !== 200)).toEqual([]);
    expect(new Set(answers(since).map(({ host }) => host)).size).toBe(4);
  });

  test('When a pod goes bad, Then it leaves the EndpointSlice, requests stop reaching it, and explain says why', async () => {
    const said = await section('A pod goes bad');
    expect(said).toMatch(/answers 500/);
    const [bad = ''] = (await fleet())
      .filter(({ metadata }) => metadata.labels[LABEL.traffic] === 'no')
      .map(({ metadata }) => metadata.name);
    await until('it has left the EndpointSlice', async () => !(await endpoints()).includes(bad));
    // kube-proxy hears of it a moment later.
    await delay(2000);
    const since = Date.now();
    await until('a hundred more answers', () => answers(since).length > 100);
    expect(answers(since).filter(({ host, status }) => host === bad || status !== 200)).toEqual([]);
  });

  test('When it heals, Then it comes back and is asked again; history tells of both', async () => {
    const said = await section('And comes back');
    expect(said).toMatch(/WaitOver/);
    const since = Date.now();
    await until('all four answer', () => new Set(answers(since).map(({ host }) => host)).size === 4);
  });

  test('When breakers are scaled to 5 and back and the release is upgraded with other values, Then no period is missed and nobody else is broken', async () => {
    const [pod] = await fleet();
    const bad = pod?.metadata.name ?? '';
    // The longest that a controller may take to hand over is part of a period, as it is by default.
    await shell(
      `kubectl patch kubervisorservice cart --type json --patch '[{"op":"replace","path":"/spec/breakers/0/evaluationPeriod","value":5}]'`,
    );
    await tell(bad, 'break');
    await delay(PERIOD);
    const since = Date.now();
    const system = `--namespace ${SYSTEM}`;
    await shell(`kubectl scale deployment/kubervisor-breaker --replicas 5 ${system}`);
    await shell(`kubectl rollout status deployment/kubervisor-breaker ${system}`);
    await shell(`kubectl scale deployment/kubervisor-breaker --replicas 2 ${system}`);
    await shell(`kubectl rollout status deployment/kubervisor-breaker ${system}`);
    await shell(
      `helm upgrade ${SYSTEM} deploy/k8s/chart ${system} --set logLevel=debug --set breaker.concurrency=4 --wait`,
    );
    await until('three evaluations after it', async () => (await asked(since)).length > 3);
    await delay(3 * 5000);
    const gap = longestGap(await asked(since));
    console.log(`longest gap between two evaluations of a period of 5 s: ${(gap / 1000).toFixed(1)} s`);
    expect(gap).toBeLessThan(2 * 5000);
    const { facts } = history.parse(JSON.parse(await shell('kubectl kubervisor history cart --limit 500 -o json')));
    const broken = facts.filter(({ type, at }) => type === 'pod-broken' && Date.parse(at) >= since);
    expect(broken.filter((fact) => fact.pod !== bad)).toEqual([]);
    await tell(bad, 'heal');
    await shell(
      `kubectl patch kubervisorservice cart --type json --patch '[{"op":"replace","path":"/spec/breakers/0/evaluationPeriod","value":2}]'`,
    );
    await until('it is back', async () => (await endpoints()).includes(bad), 120_000);
  });

  test('When NATS becomes a cluster of three, Then the upgrade ends, and the loop goes on', async () => {
    await shell(`helm upgrade ${SYSTEM} deploy/k8s/chart --namespace ${SYSTEM} --set nats.replicas=3 --wait`);
    await goesAndComesBack();
  });

  test.each(['controller', 'breaker', 'activator', 'detector', 'nats'])(
    'When a pod of the %s is deleted, Then the loop goes on',
    async (component) => {
      const pods = `pods --namespace ${SYSTEM} -l app.kubernetes.io/component=${component}`;
      const [first] = (await get<{ items: PodObject[] }>(pods)).items;
      await shell(`kubectl delete pod ${first?.metadata.name} --namespace ${SYSTEM} --wait=false`);
      await goesAndComesBack();
    },
  );

  test('When helm uninstalls with a pod out, Then every pod is back in traffic, and nothing of ours is left but the definition', async () => {
    const [pod] = await fleet();
    const bad = pod?.metadata.name ?? '';
    const lines = commands.get('Off, and out again') ?? [];
    const uninstall = lines.findIndex((line) => line.startsWith('helm uninstall'));
    for (const line of lines.slice(0, uninstall)) await shell(line);
    await tell(bad, 'break');
    await until('it is out', async () => (await trafficOf(bad)) === 'no');
    await shell(lines[uninstall] ?? '');
    for (const { metadata } of await fleet()) {
      const { [LABEL.traffic]: traffic, ...labels } = metadata.labels;
      expect(traffic).toBe('yes');
      expect(Object.keys(labels).filter((key) => key.startsWith('kubervisor/'))).toEqual([]);
      expect(Object.values(ANNOTATION).filter((key) => metadata.annotations?.[key] !== undefined)).toEqual([]);
    }
    const { spec } = await get<{ spec: { selector: Record<string, string> } }>('service cart');
    expect(spec.selector).toEqual({ app: 'cart' });
    const kinds = 'all,serviceaccount,secret,role,rolebinding,networkpolicy,poddisruptionbudget,lease';
    const left = async () =>
      (await shell(`kubectl get ${kinds} --namespace ${SYSTEM} -o name`))
        .split('\n')
        .filter((line) => line.includes('kubervisor'));
    // Helm waits for what it deletes; pods of detectors end a moment after their Deployment.
    await until('all of ours is gone', async () => (await left()).length === 0);
    expect(await shell('kubectl get clusterrole,clusterrolebinding -o name')).not.toContain('kubervisor');
    expect(await shell('kubectl get crd -o name')).toContain('kubervisorservices.kubervisor.k8s.io');
    client?.kill();
    for (const line of lines.slice(uninstall + 1)) await shell(line);
  });
});
