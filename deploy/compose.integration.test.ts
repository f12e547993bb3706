/**
 * docker-compose.yml as a person runs it, on a Docker engine. It tells the story again and again, so a machine too slow for a time limit of
 * an act gets another telling; what must never happen may not happen in any of them.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { describeUnless } from '@kubervisor/testing/needs';
import { BASE_IMAGE as base, docker, hasEngine, hasImage } from '@kubervisor/testing/servers/docker';
import { lookForProgram } from '@kubervisor/testing/servers/install';
import type { StartedDockerComposeEnvironment } from 'testcontainers';
import { parse } from 'yaml';

jest.setTimeout(600_000);
const ROOT = join(import.meta.dirname, '..');
const BUILT = ['demo', 'controller', 'breaker', 'activator', 'detector'];
const PROJECT = `kubervisor-test-${process.pid}`;

const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');

const { services } = parse(
  // What it takes from the registry unless told otherwise.
  docker('compose', 'config', '--no-interpolate').stdout || 'services: {}',
) as { services: Record<string, { image?: string }> };
const foreign = Object.values(services).flatMap(({ image }) => /:-(.*)\}/.exec(image ?? '')?.[1] ?? []);

const missing = ((): string[] => {
  if (!hasEngine()) return ['no Docker engine'];
  const [major = 0, minor = 0] = docker('compose', 'version', '--short')
    .stdout.replace(/^v/, '')
    .split('.')
    .map(Number);
  if (major < 2 || (major === 2 && minor < 20)) return ['no docker compose of 2.20 or newer'];
  const absent = [base, ...foreign].filter((image) => !hasImage(image));
  if (absent.length === 0) return [];
  return [`the engine has no ${absent.join(', ')}; another image with Node 24 and npm: TEST_BASE_IMAGE`];
})();
const kubectl = lookForProgram({ name: 'kubectl', variable: 'KUBECTL' });

interface Inspected {
  Name: string;
  Config: { User: string };
  HostConfig: { ReadonlyRootfs: boolean; PortBindings: Record<string, { HostIp: string }[]> };
  Mounts: { Type: string; RW: boolean }[];
}
/** What there is of the project, by the engine's own account. */
const belongings = (kind: 'container' | 'volume' | 'network'): string[] => {
  const all = kind === 'container' ? ['--all'] : [];
  return lines(docker(kind, 'ls', ...all, '--quiet', '--filter', `label=com.docker.compose.project=${PROJECT}`).stdout);
};

describeUnless(missing, 'docker compose up')('docker compose up', () => {
  let folder: string;
  let environment: StartedDockerComposeEnvironment | undefined;
  let following: ChildProcess | undefined;
  /** What `docker compose logs --follow demo` has shown. */
  let story: string;
  const heard = new Set<() => void>();
  const compose = (...words: string[]) => docker('compose', '--project-name', PROJECT, ...words);
  const follow = (...since: string[]): void => {
    following?.kill();
    story = '';
    const words = ['compose', '--project-name', PROJECT, 'logs', '--follow', '--no-log-prefix', ...since, 'demo'];
    const child = spawn('docker', words, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] });
    following = child;
    const look = () => heard.forEach((one) => one());
    child.stdout.on('data', (chunk: Buffer) => {
      if (following !== child) return;
      story += chunk.toString();
      look();
    });
    child.once('close', look);
  };

  /** Resolves once what it tells from there on matches. */
  const tells = (pattern: RegExp, from = 0): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = () => {
        if (pattern.test(story.slice(from))) resolve();
        else if (following?.exitCode !== null) reject(new Error(`the demo ended:\n${story}`));
        else return;
        heard.delete(look);
      };
      heard.add(look);
      look();
    });
  const address = (container: string, port: number): string =>
    `http://127.0.0.1:${environment?.getContainer(container).getMappedPort(port)}`;
  const ask = async (query: string): Promise<number> => {
    const url = `${address('prometheus-1', 9090)}/api/v1/query?${new URLSearchParams({ query }).toString()}`;
    const { data } = (await (await fetch(url)).json()) as { data: { result: { value: [number, string] }[] } };
    return Number(data.result[0]?.value[1] ?? 0);
  };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kubervisor-compose-'));
    // An image of its own that cleans up after a test that was killed; where it cannot be had, afterAll alone does.
    if (!lines(docker('image', 'ls', '--quiet', 'testcontainers/ryuk').stdout).length)
      process.env['TESTCONTAINERS_RYUK_DISABLED'] = 'true';
    // Where it takes itself for a container it would go by the bridge, which the ports are not published on.
    process.env['TESTCONTAINERS_HOST_OVERRIDE'] ||= '127.0.0.1';
    const { DockerComposeEnvironment } = await import('testcontainers');
    // The packages come over the host's network, as in images.integration.test.ts.
    const network = Object.fromEntries(BUILT.map((name) => [name, { build: { network: 'host' } }]));
    writeFileSync(join(folder, 'network.yml'), JSON.stringify({ services: network }));
    environment = await new DockerComposeEnvironment(ROOT, ['docker-compose.yml', join(folder, 'network.yml')])
      .withProjectName(PROJECT)
      // Any free port: a demo of somebody's may run beside this one.
      .withEnvironment({ BASE: base, KUBERNETES_PORT: '', PROMETHEUS_PORT: '' })
      .withBuild()
      .withStartupTimeout(300_000)
      .up();
    follow();
  });
  afterAll(() => {
    following?.kill();
    compose('down', '--volumes', '--timeout', '5');
    docker('image', 'rm', ...BUILT.map((name) => `${PROJECT}-${name}`));
    rmSync(folder, { recursive: true, force: true });
  });

  test('Given the sources, When all of it is up, Then the story is told to its end, and holds', async () => {
    await tells(/^The story held/m);
    const telling = story.slice(story.lastIndexOf('Act 1 of 5', story.indexOf('The story held')));
    const acts = [...telling.matchAll(/Act (\d) of 5|\s(held|FAILED)(?=\n|:)/g)].map(([, act, end]) => act ?? end);
    expect(acts.slice(0, 10)).toEqual(['1', 'held', '2', 'held', '3', 'held', '4', 'held', '5', 'held']);
    expect(telling).toMatch(/is taken out: \d+ % bad values of code/);
    expect(story).not.toContain('what must not happen did');
  });

  test('Then the verdicts rest on what the Prometheus in its container has scraped', async () => {
    expect(await ask('sum(http_requests_total{job="shop",code="500"})')).toBeGreaterThan(0);
    const answered = 'kubervisor_detector_source_request_duration_seconds_count{source="prometheus",result="ok"}';
    expect(await ask(`sum(${answered})`)).toBeGreaterThan(0);
    expect(await ask('sum(kubervisor_detector_verdicts_total{outcome="anomalous"})')).toBeGreaterThan(0);
    expect(await ask('count(max_over_time(up{job="kubervisor"}[1m]) == 1)')).toBe(6);
  });

  (kubectl === undefined ? test.skip : test)('Then kubectl on the host sees the resource', () => {
    const words = ['--kubeconfig', 'deploy/compose/kubeconfig.yaml', '--server', address('demo-1', 16443)];
    const { stdout, stderr } = spawnSync(
      kubectl ?? '',
      [...words, '--namespace', 'shop', 'get', 'kvs', 'cart', '--output', 'json'],
      { cwd: ROOT, encoding: 'utf8' },
    );
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toMatchObject({
      spec: { service: 'cart' },
      status: {
        floor: 5,
        conditions: expect.arrayContaining([expect.objectContaining({ type: 'Active', status: 'True' })]),
      },
    });
  });

  test('Then nobody is root, may write to his image, keeps a volume, or is reached but over loopback', () => {
    const containers = JSON.parse(docker('inspect', ...belongings('container')).stdout) as Inspected[];
    expect(containers).toHaveLength(9);
    for (const { Name, Config, HostConfig, Mounts } of containers) {
      expect([Name, Config.User, HostConfig.ReadonlyRootfs]).toEqual([Name, '65532:65532', true]);
      expect(Mounts.filter(({ Type, RW }) => Type !== 'bind' || RW)).toEqual([]);
      for (const { HostIp } of Object.values(HostConfig.PortBindings).flat()) expect(HostIp).toBe('127.0.0.1');
    }
  });

  test('When NATS is emptied and every breaker killed, Then nobody suffers, and with new breakers the story holds again', async () => {
    const from = story.length;
    for (const words of [
      ['restart', 'nats'],
      ['kill', 'breaker'],
      ['start', 'breaker'],
    ])
      expect([words, compose(...words)]).toEqual([words, expect.objectContaining({ status: 0 })]);
    await tells(/Act 1 of 5[\s\S]*^The story held/m, from);
    expect(story).not.toContain('what must not happen did');
  });

  test('When the demo is restarted, Then its new cluster is taken for new, and the story holds in it', async () => {
    const before = new Date().toISOString();
    expect(compose('restart', 'demo')).toMatchObject({ status: 0 });
    follow('--since', before);
    // What it says at its end is of the old one.
    await tells(/Act 1 of 5[\s\S]*^The story held/m);
    expect(story).not.toContain('what must not happen did');
  });

  test('When it is taken down, Then nothing of it is left', () => {
    expect(compose('down')).toMatchObject({ status: 0 });
    for (const kind of ['container', 'volume', 'network'] as const)
      expect([kind, belongings(kind)]).toEqual([kind, []]);
  });
});
