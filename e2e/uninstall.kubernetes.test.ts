/** `npm run release` as a person runs it, on a cluster in which Kubervisor is at work; NATS is gone by then, as after half an uninstall. */
import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { ReleaseReport } from '@kubervisor/runtime/release/release';
import { LABEL } from '@kubervisor/shared/pods/keys';
import { bearsMarks } from '@kubervisor/shared/release/decide';
import { given as givenIn } from './fixtures/given.ts';
import { then as thenIn } from './fixtures/then.ts';
import { when as whenIn } from './fixtures/when.ts';
import { startWorld, type World } from './fixtures/world.ts';

const fleet = 'cart';
const REPLICAS = 40;
let world: World;
let when: ReturnType<typeof whenIn>;
let then: ReturnType<typeof thenIn>;
let out: string[];

beforeAll(async () => {
  world = await startWorld({ counts: { controller: 2 } });
  when = whenIn(world);
  then = thenIn(world);
}, 120_000);
afterAll(() => world.stop(), 60_000);

const ROOT = resolve(import.meta.dirname, '..');
/** Without a terminal, and without NATS: it is told of none. */
function start(...options: string[]) {
  const child = spawn(
    process.execPath,
    [
      ...['--conditions=source', 'apps/release/main.ts', '--json', ...options],
      ...[
        '--kubeconfig',
        world.cluster.kubeconfig,
        '--namespace',
        world.namespace,
        '--system-namespace',
        world.namespace,
      ],
    ],
    { cwd: ROOT, env: { PATH: process.env['PATH'] }, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let text = '';
  child.stdout.on('data', (bytes: Buffer) => (text += bytes.toString()));
  const ended = new Promise<{ status: number | null; report: ReleaseReport | undefined }>((done) =>
    child.on('close', (status) =>
      done({ status, report: text === '' ? undefined : (JSON.parse(text) as ReleaseReport) }),
    ),
  );
  return { ended, kill: () => child.kill('SIGKILL') };
}
const members = () => world.pods().filter((pod) => pod.labels['app'] === fleet && !pod.terminating);
const selector = async () => (await world.kubernetes.getService(world.namespace, fleet))?.selector;

test('Given a fleet of which some are out and one is paused, when controllers run outside of any Deployment, then it refuses and changes nothing', async () => {
  const pods = await givenIn(world).fleet(fleet, { replicas: REPLICAS });
  await givenIn(world).supervision(fleet, { activator: { period: 600 } });
  await world.until('all are adopted', () => members().every(({ labels }) => labels[LABEL.name] === fleet));
  out = pods.slice(0, 10);
  when.isBad(...out);
  await then.leavesTraffic(fleet, ...out);
  when.allIsWell();
  await when.podIsPatched(out[0] ?? '', { labels: { [LABEL.traffic]: 'pause' } });
  await world.until('one is paused', () => then.traffic(out[0] ?? '') === 'pause');
  const { status, report } = await start().ended;
  expect(status).toBe(1);
  expect(report?.problems).toMatchObject([
    { problem: expect.stringContaining('controller'), next: expect.any(String) },
  ]);
  expect(await selector()).toMatchObject({ [LABEL.traffic]: 'yes' });
  expect(members().filter(bearsMarks)).toHaveLength(REPLICAS);
}, 90_000);

test('When NATS and the controllers are gone and it is killed half-way, then everybody is served already, and the next run ends it', async () => {
  await Promise.all(world.of('controller').map((process) => process.kill()));
  await world.nats.kill();
  const first = start();
  await world.until('the first pods are released', () => members().some((pod) => !bearsMarks(pod)), 40_000);
  first.kill();
  expect((await first.ended).status).toBe(null);
  expect(await selector()).toEqual({ app: fleet });
  await world.until('everybody is served', () => world.endpoints(fleet).length === REPLICAS);

  await when.workloadIsRolledOut(fleet);
  const { status, report } = await start().ended;
  expect([status, report?.problems]).toEqual([0, []]);
  expect(report?.kept).toEqual({ kubervisorServices: 1 });
  await world.until(
    'the rollout is over',
    () => members().length === REPLICAS && members().every(({ ready }) => ready),
    60_000,
  );
  expect(
    members()
      .filter(bearsMarks)
      .map(({ name }) => name),
  ).toEqual([]);
  await world.until('everybody is served', () => world.endpoints(fleet).length === REPLICAS);
}, 150_000);

test('Then breakers and activators that still run change nothing any more, and a run finds nothing to do', async () => {
  const before = members().map(({ name, resourceVersion }) => `${name} ${resourceVersion}`);
  const { status, report } = await start().ended;
  expect([status, report?.pods.found]).toEqual([0, 0]);
  expect(members().map(({ name, resourceVersion }) => `${name} ${resourceVersion}`)).toEqual(before);
}, 60_000);
