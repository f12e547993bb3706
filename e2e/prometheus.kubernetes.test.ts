/** discreteValueOutOfList on a real Prometheus, which scrapes real counters of the fleet: the loop with nothing of ours pretended. */
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { startPrometheus, type PrometheusServer } from '@kubervisor/testing/servers/prometheus';
import { given as givenIn } from './fixtures/given.ts';
import { ONE_ROUND, then as thenIn } from './fixtures/then.ts';
import { startTraffic, type Traffic } from './fixtures/traffic.ts';
import { startWorld, type World } from './fixtures/world.ts';

const fleet = 'checkout';
const TOLERANCE = 20;
/** Seconds that the query looks back; as long is the grace period, which is left to its default. */
const LOOK_BACK = 4;
/** Until a change of the traffic is more than TOLERANCE of what the query sees. */
const SEEN_WITHIN = 1000 * LOOK_BACK + ONE_ROUND;

let world: World;
let then: ReturnType<typeof thenIn>;
let traffic: Traffic;
let prometheus: PrometheusServer;
let pods: string[];

const breaker = () => world.status(fleet)?.breakers?.[0];
const judgedWell = () => world.until('all are judged well', () => breaker()?.result === 'ok', 20_000);

beforeAll(async () => {
  world = await startWorld();
  then = thenIn(world);
  pods = await givenIn(world).fleet(fleet, { replicas: 5 });
  traffic = await startTraffic(world, fleet);
  prometheus = await startPrometheus({ scrapeTargets: [{ address: traffic.address }] });
  await givenIn(world).supervision(
    fleet,
    {},
    {
      breakers: [
        {
          name: 'http-errors',
          evaluationPeriod: 1,
          minPodsAvailableRatio: 60,
          discreteValueOutOfList: {
            prometheusService: `127.0.0.1:${prometheus.port}`,
            promQL: `sum by (code, pod) (increase(requests_total[${LOOK_BACK}s]))`,
            key: 'code',
            podNamekey: 'pod',
            goodValues: ['200', '404'],
            tolerance: TOLERANCE,
            minActivity: 10,
          },
          activator: { period: 3, jitter: 0 },
        },
      ],
    },
  );
}, 120_000);
afterAll(async () => {
  await prometheus?.stop();
  await traffic?.close();
  await world?.stop();
}, 60_000);

beforeEach(async () => {
  traffic.failing.clear();
  traffic.requests = 20;
  await then.isInTraffic(fleet, ...pods);
  await judgedWell();
}, 60_000);

test('V5, A2: the share of 5xx of one pod rises: it leaves traffic, status and annotation have the figures; it recovers and stays', async () => {
  const [bad = ''] = pods;
  traffic.failing.set(bad, 12);
  await then.leavesTraffic(fleet, bad);
  await world.until('status shows it', () => world.status(fleet)?.pods?.length === 1);
  const shown = world.status(fleet)?.pods?.[0];
  expect(shown).toMatchObject({ name: bad, state: 'broken', breaker: 'http-errors', limit: TOLERANCE });
  expect(shown?.observed).toBeGreaterThan(TOLERANCE);
  expect(shown?.observed).toBeLessThanOrEqual(61);
  expect(shown?.reason).toMatch(/^\d+(\.\d+)? % bad values of code, tolerated 20 % \(.+ of .+ requests\)/);
  const annotation = world.pod(bad)?.annotations['kubervisor/reason'];
  expect(annotation).toContain(shown?.reason);
  expect(annotation).toMatch(/observed=\d+.*limit=20/);
  traffic.failing.clear();
  await then.isInTraffic(fleet, bad);
  await judgedWell();
  // Its old counters are still in the range of the query when it comes back: that is what the grace period is for.
  await then.nobodyLeaves(fleet, 1000 * LOOK_BACK + 2000);
}, 60_000);

test('V1: too little activity to judge by: inconclusive, nobody leaves', async () => {
  traffic.requests = 1;
  for (const pod of pods.slice(0, 2)) traffic.failing.set(pod, 1);
  const left = then.nobodyLeaves(fleet, SEEN_WITHIN);
  await world.until('nothing is known', () => breaker()?.result === 'inconclusive', SEEN_WITHIN);
  expect(breaker()).toMatchObject({ anomalous: 0, consecutiveErrors: 0 });
  await left;
  expect(then.condition(fleet, 'Degraded')?.reason).toBe('Healthy');
}, 60_000);

test('V1, W7: Prometheus hangs, or is away: status says so within one round, and that it is given a rest; all stay as they are; it is back: the bad pod leaves', async () => {
  const [, bad = ''] = pods;
  prometheus.freeze();
  traffic.failing.set(bad, 20);
  await then.statusSays(fleet, 'Degraded', 'DetectorFailing', ONE_ROUND);
  expect(breaker()).toMatchObject({ result: 'error', message: expect.stringContaining('Timeout') });
  prometheus.thaw();
  await prometheus.stop();
  try {
    await world.until('it cannot be reached', () => breaker()?.message?.includes('Unreachable') === true, ONE_ROUND);
    // Five in a row, and it is left alone until it answers a trivial query; the reason stays to be seen.
    const rest = /^SourceResting: .* \(last: Unreachable, no connection to Prometheus \(ECONNREFUSED\)\)$/;
    await world.until('it is given a rest', () => rest.test(breaker()?.message ?? ''));
    expect(then.condition(fleet, 'Degraded')).toMatchObject({
      reason: 'DetectorFailing',
      message: expect.stringContaining('Breaker http-errors: SourceResting: '),
    });
    expect(then.out(fleet)).toEqual([]);
  } finally {
    prometheus = await startPrometheus({ port: prometheus.port, scrapeTargets: [{ address: traffic.address }] });
  }
  await then.leavesTraffic(fleet, bad);
  await then.statusSays(fleet, 'Degraded', 'Healthy');
  then.floorHeld(fleet, 3);
}, 60_000);
