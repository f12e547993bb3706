/** W7: NATS goes away, comes back, is emptied, freezes. Nothing ends, pods stay as they are, and work resumes by itself. */
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { given as givenIn } from './fixtures/given.ts';
import { then as thenIn } from './fixtures/then.ts';
import { when as whenIn } from './fixtures/when.ts';
import { startWorld, type World } from './fixtures/world.ts';

const fleet = 'cart';
const FLOOR = 3;
const OUTAGE = 30_000;
/** From the moment NATS is there again until a bad pod is out: to connect, to bind, a round; 5 s more where claims were forgotten. */
const RESUMED_WITHIN = 10_000;
const RESUMED_AFTER_A_WIPE_WITHIN = 15_000;

let world: World;
let when: ReturnType<typeof whenIn>;
let then: ReturnType<typeof thenIn>;
let pods: string[];
let pids: number[];

const pidsNow = (): number[] => world.processes.map(({ pid }) => pid);

beforeAll(async () => {
  world = await startWorld({ counts: { controller: 2 } });
  when = whenIn(world);
  then = thenIn(world);
  pods = await givenIn(world).fleet(fleet, { replicas: 6 });
  await givenIn(world).supervision(fleet, { minPodsAvailableCount: FLOOR, activator: { period: 3, jitter: 0 } });
  pids = pidsNow();
}, 120_000);
afterAll(() => world.stop(), 60_000);

beforeEach(async () => {
  when.allIsWell();
  await then.isInTraffic(fleet, ...pods);
  await then.statusSays(fleet, 'Degraded', 'Healthy');
}, 30_000);

/** One pod is out and its wait is about to end; another one goes bad in the moment in which NATS does. */
async function outage(begin: () => Promise<void> | void): Promise<{ out: string; bad: string }> {
  const [out = '', bad = ''] = pods;
  when.isBad(out);
  await then.leavesTraffic(fleet, out);
  await begin();
  when.isBad(bad);
  return { out, bad };
}
const labelsStay = (during: number): Promise<void> => {
  const before = pods.map(then.traffic).join();
  return world.always('pods stay as they are', () => pods.map(then.traffic).join() === before, during);
};
async function resumes({ out, bad }: { out: string; bad: string }, within: number): Promise<void> {
  await world.until(`${bad} is out`, () => then.traffic(bad) === 'no', within);
  await world.until(`${out} is back`, () => then.traffic(out) === 'yes', within);
  when.allIsWell();
  await then.isInTraffic(fleet, ...pods);
  await then.statusSays(fleet, 'Degraded', 'Healthy');
  for (const process of world.processes) await then.isReady(process);
  expect(pidsNow()).toEqual(pids);
  then.floorHeld(fleet, FLOOR);
}

test('W7: killed for 30 s and started again with its files', async () => {
  const who = await outage(() => world.nats.kill());
  const begun = performance.now();
  const whole = labelsStay(OUTAGE);
  await Promise.all(
    (['controller', 'breaker', 'activator'] as const)
      .flatMap((service) => world.of(service))
      .map((process) => then.isNotReady(process, 'nats')),
  );
  await then.statusSays(fleet, 'Degraded', 'RoundsMissing', OUTAGE - (performance.now() - begun));
  await whole;
  await world.nats.restart();
  await resumes(who, RESUMED_WITHIN);
}, 120_000);

test('W7: killed and started again empty: streams, consumers and claims are made anew', async () => {
  const who = await outage(() => world.nats.restart({ wipe: true }));
  await resumes(who, RESUMED_AFTER_A_WIPE_WITHIN);
}, 120_000);

test('W7, W3: frozen for 10 s, its connections half-open', async () => {
  const who = await outage(() => world.nats.freeze());
  await labelsStay(10_000);
  world.nats.thaw();
  await resumes(who, RESUMED_WITHIN);
}, 120_000);
