/**
 * W7, W3: NATS loses what the leader made, or was used by others. The leader says in /readyz what it cannot make and what mends it, pods
 * stay as they are, and the next round acts when it is mended, without a restart of anything. (What every process says of NATS without
 * a leader is in nats-states.integration.test.ts.)
 */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { jetstreamManager, type JetStreamManager, type StreamConfig } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { CONSUMERS, STREAMS } from '@kubervisor/shared/events/subjects';
import type { ServiceProcess } from '@kubervisor/testing/services';
import { given as givenIn } from './fixtures/given.ts';
import { then as thenIn } from './fixtures/then.ts';
import { when as whenIn } from './fixtures/when.ts';
import { startWorld, type World } from './fixtures/world.ts';

const fleet = 'cart';
const FLOOR = 3;
const CLAIMS = 'KV_kubervisor-claims';
/** A leader looks every 10 s, and waits 5 s where claims were forgotten; then a round. */
const MENDED_WITHIN = 25_000;

let world: World;
let when: ReturnType<typeof whenIn>;
let then: ReturnType<typeof thenIn>;
let pods: string[];
let pids: number[];
let client: NatsConnection;
let manager: JetStreamManager;

async function reach(): Promise<void> {
  await client?.close();
  client = await connect({ servers: world.nats.url });
  manager = await jetstreamManager(client, { checkAPI: false });
}
beforeAll(async () => {
  world = await startWorld({ counts: { controller: 2 } });
  when = whenIn(world);
  then = thenIn(world);
  pods = await givenIn(world).fleet(fleet, { replicas: 6 });
  await givenIn(world).supervision(fleet, { minPodsAvailableCount: FLOOR, activator: { period: 3, jitter: 0 } });
  pids = world.processes.map(({ pid }) => pid);
  await reach();
}, 120_000);
afterAll(async () => {
  await client.close();
  await world.stop();
}, 120_000);

let from: number[];
beforeEach(() => void (from = world.processes.map(({ log }) => log.length)));
afterEach(async () => {
  expect(world.processes.map(({ pid }) => pid)).toEqual(pids);
  then.floorHeld(fleet, FLOOR);
  for (const [index, process] of world.processes.entries()) {
    expect((await fetch(`${process.url}/healthz`)).status).toBe(200);
    const told = process.log.slice(from[index]).filter(({ msg }) => msg === 'NATS is not ready');
    // Lost, cannot be had, streams missing, what is wrong: each once, not once a second.
    expect({ of: process.name, told, tooMany: told.length > 6 }).toMatchObject({ tooMany: false });
  }
});

/** Work published, taken, and told of: by a pod that goes and comes back. */
async function theLoopRuns(): Promise<void> {
  const [bad = ''] = pods;
  when.isBad(bad);
  await world.until(`${bad} is out`, () => then.traffic(bad) === 'no', MENDED_WITHIN);
  when.allIsWell();
  await then.isInTraffic(fleet, ...pods);
  for (const process of world.processes) await then.isReady(process);
}
async function someoneSays(words: string): Promise<ServiceProcess> {
  for (const limit = performance.now() + 20_000; performance.now() < limit;) {
    for (const process of world.of('controller')) {
      const { checks } = (await (await fetch(`${process.url}/readyz`)).json()) as { checks: Record<string, string> };
      if (checks['nats']?.includes(words) === true) return process;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`no controller says "${words}"`);
}
async function isMade(stream: string): Promise<void> {
  for (const limit = performance.now() + MENDED_WITHIN; performance.now() < limit;) {
    const found = await manager.streams.info(stream).catch(() => undefined);
    if (found !== undefined) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`stream ${stream} was not made anew`);
}
/** NATS is empty, and what is there was put there before a leader saw it. */
async function foundByTheLeader(put: () => Promise<unknown>): Promise<void> {
  for (const controller of world.of('controller')) controller.freeze();
  await world.nats.restart({ wipe: true });
  await reach();
  await put();
  for (const controller of world.of('controller')) controller.thaw();
}

test.each([
  ...[...Object.values(STREAMS).map(({ name }) => name), CLAIMS].map((name) => [`stream ${name}`, name] as const),
  ['everything', undefined] as const,
])(
  'W7: %s is deleted while all is running: made anew, and the loop runs',
  async (_what, name) => {
    const names = name === undefined ? [...Object.values(STREAMS).map((stream) => stream.name), CLAIMS] : [name];
    for (const one of names) await manager.streams.delete(one);
    await theLoopRuns();
    // The loop runs without it, so it may be over before the leader has looked again; what is told from then on is kept.
    await isMade(STREAMS.facts.name);
    await theLoopRuns();
    expect((await manager.streams.info(STREAMS.facts.name)).state.messages).toBeGreaterThan(0);
  },
  180_000,
);

test('W7: both consumers are deleted while work is waited for', async () => {
  for (const { stream, durable } of Object.values(CONSUMERS)) await manager.consumers.delete(stream, durable);
  await theLoopRuns();
}, 120_000);

test('W3: a person deletes the bucket of claims and makes it anew at once: the leader notices and publishes nothing for 5 s', async () => {
  const { config } = await manager.streams.info(CLAIMS);
  await manager.streams.delete(CLAIMS);
  await manager.streams.add(config);
  const notices = () =>
    world.of('controller').flatMap((process) => {
      const at = world.processes.indexOf(process);
      return process.log
        .slice(from[at])
        .filter(({ msg }) => msg === 'claims bucket was made: no work for the life of a claim');
    });
  await world.until('the leader notices', () => notices().length > 0, 5000);
  const noticed = performance.now();
  await theLoopRuns();
  const next = world.rounds.find(({ at, fact }) => at > noticed + 200 && fact.claim.outcome === 'claimed');
  expect((next?.at ?? 0) - noticed).toBeGreaterThan(4500);
  expect(notices()).toHaveLength(1);
}, 120_000);

test('W7: a stream of ours with a retention that no server changes: said by the leader with the command, pods stay, mended by it', async () => {
  await foundByTheLeader(() =>
    manager.streams.add({ name: STREAMS.work.name, subjects: [...STREAMS.work.subjects] } as Partial<StreamConfig> & {
      name: string;
    }),
  );
  await someoneSays(
    'stream KUBERVISOR_WORK: retention is limits and must be workqueue, storage is file and must be memory. ' +
      'No server changes that: "nats stream rm KUBERVISOR_WORK"',
  );
  await manager.streams.delete(STREAMS.work.name);
  await theLoopRuns();
}, 120_000);

test('W7: a stream of others has our subjects: said which, nobody is touched, mended by taking them from it', async () => {
  await foundByTheLeader(() => manager.streams.add({ name: 'OTHERS', subjects: ['kubervisor.work.>'] }));
  await someoneSays('stream KUBERVISOR_WORK cannot have kubervisor.work.>: stream OTHERS has it');
  when.isBad(pods[0] ?? '');
  await then.nobodyLeaves(fleet, 3000);
  when.allIsWell();
  await manager.streams.delete('OTHERS');
  await theLoopRuns();
}, 120_000);
