/** W7: the API server goes away and comes back, or answers badly. Nothing ends, nothing wrong is done, and work resumes by itself. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Fault } from '@kubervisor/kube-sandbox/faults';
import { given as givenIn } from './fixtures/given.ts';
import { then as thenIn } from './fixtures/then.ts';
import { when as whenIn } from './fixtures/when.ts';
import { startWorld, type World } from './fixtures/world.ts';

const fleet = 'cart';
const FLOOR = 3;
const OUTAGE = 30_000;
/** To find the API server (back-off), to be elected anew (a lease of 3 s), to list, a round. */
const RESUMED_WITHIN = 15_000;

const isGiven = (process.env['TEST_KUBECONFIG'] ?? '') !== '';
const isSimulator = !isGiven && (process.env['KUBEBUILDER_ASSETS'] ?? '') === '';

let world: World;
let when: ReturnType<typeof whenIn>;
let then: ReturnType<typeof thenIn>;
let pods: string[];
let pids: number[];

/** By the label alone: a real cluster's own controllers may take a minute after an outage until the EndpointSlices follow. */
const areBack = (): Promise<void> =>
  world.until('all are back', () => pods.every((name) => then.traffic(name) === 'yes'));

const pidsNow = (): number[] => world.processes.map(({ pid }) => pid);

beforeAll(async () => {
  world = await startWorld({ counts: { controller: 2 }, wired: ['breaker'] });
  when = whenIn(world);
  then = thenIn(world);
  pods = await givenIn(world).fleet(fleet, { replicas: 6 });
  await givenIn(world).supervision(fleet, {
    minPodsAvailableCount: FLOOR,
    panicThreshold: 100,
    activator: { period: 3, jitter: 0 },
  });
  pids = pidsNow();
}, 120_000);
afterAll(() => world.stop(), 60_000);

beforeEach(async () => {
  when.allIsWell();
  await areBack();
  await then.statusSays(fleet, 'Degraded', 'Healthy');
}, 30_000);

async function resumes(bad: string, within: number): Promise<void> {
  await world.until(`${bad} is out`, () => then.traffic(bad) === 'no', within);
  when.allIsWell();
  await areBack();
  await then.statusSays(fleet, 'Degraded', 'Healthy');
  expect(pidsNow()).toEqual(pids);
  then.floorHeld(fleet, FLOOR);
}

(isGiven ? test.skip : test)(
  'W7: killed for 30 s and started again (not on a cluster that was given: it is not ours to kill)',
  async () => {
    const [out = '', bad = ''] = pods;
    when.isBad(out);
    await then.leavesTraffic(fleet, out);
    await world.cluster.outage?.begin();
    let changes = 0;
    try {
      when.isBad(bad);
      changes = world.changes.length;
      const rounds = () => world.rounds.filter(({ kind }) => kind === 'evaluate').length;
      const before = rounds();
      await world.always('nobody ends', () => pidsNow().join() === pids.join(), OUTAGE);
      // The lease cannot be renewed: whoever led has stopped, and asks nobody to do anything.
      expect(rounds() - before).toBeLessThanOrEqual(5);
      await world.until('nobody leads', () =>
        world.of('controller').every((process) => lastOf(process.log, /^leading/) !== 'leading'),
      );
      // What they know of the cluster is as old as the outage.
      await Promise.all(world.of('controller').map((process) => then.isNotReady(process, 'kubernetes')));
    } finally {
      await world.cluster.outage?.end();
    }
    await resumes(bad, RESUMED_WITHIN);
    await Promise.all(world.of('controller').map((process) => then.isReady(process)));
    // All that happened since the outage began: the bad pod left once, both came back.
    const moved = world.changes
      .slice(changes)
      .filter(({ before, after }) => before?.labels['kubervisor/traffic'] !== after?.labels['kubervisor/traffic'])
      .map(({ after }) => `${after?.name} ${after?.labels['kubervisor/traffic']}`);
    expect(moved.toSorted()).toEqual([`${bad} no`, `${bad} yes`, `${out} yes`].toSorted());
    expect(world.of('controller').filter((process) => lastOf(process.log, /^leading/) === 'leading')).toHaveLength(1);
  },
  90_000,
);

test('W7: the way of the breakers to it is silent, connections half-open: nobody leaves, status says RoundsMissing', async () => {
  const [bad = ''] = pods;
  world.wire?.silence();
  try {
    when.isBad(bad);
    await then.statusSays(fleet, 'Degraded', 'RoundsMissing', 30_000);
    expect(then.out(fleet)).toEqual([]);
  } finally {
    world.wire?.pass();
  }
  await resumes(bad, RESUMED_WITHIN);
}, 60_000);

(isSimulator ? describe : describe.skip)('on demand of the simulator: the API server answers the breaker', () => {
  const breaker = { userAgent: 'kubervisor-breaker' };
  test.each<[string, Fault]>([
    ['429 to each list', { ...breaker, verb: 'list', resource: 'pods', status: 429, count: 3 }],
    ['500 to each list', { ...breaker, verb: 'list', resource: 'pods', status: 500, count: 3 }],
    ['429 to patches', { ...breaker, verb: 'patch', resource: 'pods', status: 429, count: 3 }],
    ['500 to patches', { ...breaker, verb: 'patch', resource: 'pods', status: 500, count: 3 }],
    ['409 to patches', { ...breaker, verb: 'patch', resource: 'pods', status: 409, count: 3 }],
    ['a patch later than anybody waits', { ...breaker, verb: 'patch', resource: 'pods', latency: 2500, count: 3 }],
    ['a patch by hanging up before it', { ...breaker, verb: 'patch', resource: 'pods', drop: 'before', count: 3 }],
    ['a patch by hanging up after it', { ...breaker, verb: 'patch', resource: 'pods', drop: 'after', count: 3 }],
  ])(
    'W4, B2: %s: three bad pods leave all the same, and the floor holds',
    async (_what, fault) => {
      const bad = pods.slice(0, 4);
      const armed = world.cluster.sandbox?.faults.add(fault);
      when.isBad(...bad);
      await world.until('three are out', () => then.out(fleet).length === 3, 20_000);
      expect(armed?.hits).toBeGreaterThan(0);
      armed?.remove();
      then.floorHeld(fleet, FLOOR);
    },
    40_000,
  );

  test('W7: watches break, or end with 410: what happens meanwhile is seen', async () => {
    const faults = world.cluster.sandbox?.faults;
    const [bad = '', other = ''] = pods;
    expect(faults?.dropWatches({ userAgent: 'kubervisor-controller' })).toBeGreaterThan(0);
    when.isBad(bad);
    await then.leavesTraffic(fleet, bad);
    world.cluster.sandbox?.state.compact();
    expect(faults?.expireWatches({ userAgent: 'kubervisor-controller' })).toBeGreaterThan(0);
    when.isBad(other);
    await then.leavesTraffic(fleet, other);
    await resumes(other, RESUMED_WITHIN);
  });
});

function lastOf(log: readonly Record<string, unknown>[], message: RegExp): unknown {
  return log.findLast(({ msg }) => typeof msg === 'string' && message.test(msg))?.['msg'];
}
