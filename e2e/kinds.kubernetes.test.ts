/** Every kind that judges one figure a pod, each as a breaker of one fleet, on a real Prometheus that scrapes real counters. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ANNOTATION, LABEL } from '@kubervisor/shared/pods/keys';
import { startPrometheus, type PrometheusServer } from '@kubervisor/testing/servers/prometheus';
import { given as givenIn } from './fixtures/given.ts';
import { then as thenIn } from './fixtures/then.ts';
import { startWorld, type World } from './fixtures/world.ts';

const fleet = 'search';
const REPLICAS = 10;
/** Each has a figure of its own, so that nobody is bad by the sickness of another. */
const SICKNESSES = ['errors', 'bytes', 'work', 'leak'] as const;
type Sickness = (typeof SICKNESSES)[number];

let world: World;
let then: ReturnType<typeof thenIn>;
let exporter: Server;
let prometheus: PrometheusServer;
let configYaml: string;
let pods: string[];
const sick = new Map<string, Sickness>();

const counters = new Map<string, Record<Sickness, number> & { growth: number }>();
/** Pods work only while the EndpointSlices of the Service hold them. */
function scrape(): string {
  for (const pod of world.endpoints(fleet)) {
    const counter = counters.get(pod) ?? { errors: 0, bytes: 0, work: 0, leak: 0, growth: 0 };
    const has = (sickness: Sickness): boolean => sick.get(pod) === sickness;
    const growth = has('leak') ? counter.growth + 2 : 0;
    counters.set(pod, {
      errors: counter.errors + (has('errors') ? 10 : 0),
      bytes: counter.bytes + (has('bytes') ? 600 : 100),
      work: counter.work + (has('work') ? 2 : 20 + (pods.indexOf(pod) % 3)),
      leak: counter.leak + 1 + growth,
      growth,
    });
  }
  const lines = [...counters].flatMap(([pod, counter]) =>
    SICKNESSES.map((name) => `${name}_total{pod="${pod}"} ${counter[name]}`),
  );
  return [...lines, ''].join('\n');
}

const rate = (name: Sickness): string => `sum by (pod) (rate(${name}_total[3s]))`;
const status = () => world.status(fleet);
const breakerOf = (name: string) => status()?.breakers?.find((one) => one.name === name);

beforeAll(async () => {
  world = await startWorld();
  then = thenIn(world);
  pods = await givenIn(world).fleet(fleet, { replicas: REPLICAS });
  exporter = createServer((_request, response) => response.setHeader('content-type', 'text/plain').end(scrape()));
  await new Promise<void>((resolve) => exporter.listen(0, '127.0.0.1', resolve));
  const target = `127.0.0.1:${(exporter.address() as AddressInfo).port}`;
  // JSON is YAML.
  configYaml = JSON.stringify({
    global: { scrape_interval: '500ms', scrape_timeout: '500ms' },
    scrape_configs: [{ job_name: 'pods', static_configs: [{ targets: [target] }] }],
  });
  prometheus = await startPrometheus({ configYaml });
  const query = (promQL: string) => ({ prometheusService: `127.0.0.1:${prometheus.port}`, podNamekey: 'pod', promQL });
  // The grace is longer than a rate needs to be that of a pod in traffic again, on a busy machine too.
  const breaker = {
    evaluationPeriod: 1,
    minPodsAvailableRatio: 60,
    gracePeriod: 8,
    activator: { period: 3, jitter: 0 },
  };
  await givenIn(world).supervision(
    fleet,
    {},
    {
      breakers: [
        { ...breaker, name: 'errors', threshold: { ...query(rate('errors')), max: 5 } },
        {
          ...breaker,
          name: 'bytes',
          continuousValueDeviation: {
            ...query(`${rate('bytes')} / scalar(avg(${rate('bytes')} > 0))`),
            maxDeviationPercent: 100,
          },
        },
        {
          ...breaker,
          name: 'work',
          outlier: { ...query(rate('work')), direction: 'below', minDeviationPercent: 50, minFleet: 5 },
        },
        { ...breaker, name: 'leak', trend: { ...query(rate('leak')), window: 6, maxPerMinute: 200 } },
      ],
    },
  );
}, 120_000);
afterAll(async () => {
  await prometheus?.stop();
  exporter?.closeAllConnections();
  exporter?.close();
  await world?.stop();
}, 60_000);

const allWell = () =>
  world.until(
    'every breaker finds all well',
    () => SICKNESSES.every((name) => breakerOf(name)?.result === 'ok'),
    40_000,
  );

test('V5: of four sick pods each leaves traffic by the breaker of its sickness, for a reason in figures; healed they come back and stay', async () => {
  await then.isInTraffic(fleet, ...pods);
  await allWell();
  const patients = SICKNESSES.map((sickness, n) => ({ sickness, pod: pods[n] ?? '' }));
  for (const { sickness, pod } of patients) sick.set(pod, sickness);
  /** What is written to a pod when it is taken out; some are back before the slowest of the kinds has seen enough. */
  const reasonOf = ({ pod, sickness }: (typeof patients)[number]): string | undefined =>
    world.changes.filter(({ after }) => after?.name === pod && after.labels[LABEL.strategy] === sickness).at(-1)?.after
      ?.annotations[ANNOTATION.reason];
  await world.until('the four were taken out', () => patients.every((one) => reasonOf(one) !== undefined), 40_000);
  expect(Object.fromEntries(patients.map((one) => [one.sickness, reasonOf(one)]))).toEqual({
    errors: expect.stringMatching(/^value [\d.]+, at most 5 /),
    bytes: expect.stringMatching(/^\d+ % above the fleet \(ratio [\d.]+\), tolerated 100 %/),
    work: expect.stringMatching(/^value [\d.]+, limit [\d.]+, median of the fleet [\d.]+ \(\d+ pods\)/),
    leak: expect.stringMatching(/^rises by \d+ a minute over 6 s, at most 200 is allowed/),
  });
  const others = pods.slice(patients.length);
  expect(
    world.changes.filter(({ after }) => after?.labels[LABEL.traffic] === 'no' && others.includes(after.name)),
  ).toEqual([]);
  then.floorHeld(fleet, 6);
  sick.clear();
  await then.isInTraffic(fleet, ...pods);
  await allWell();
  // Longer than the grace period: those that came back are judged again.
  await then.nobodyLeaves(fleet, 12_000);
}, 150_000);

test('V1: what Prometheus warns of is in status, and breaks nobody', async () => {
  const config = JSON.parse(configYaml) as object;
  // A store of old samples that is away: Prometheus answers with what it has itself, and a warning.
  const away = [{ url: 'http://127.0.0.1:1/read', read_recent: true }];
  await prometheus.reload({ configYaml: JSON.stringify({ ...config, remote_read: away }) });
  const warns = (): boolean => SICKNESSES.every((name) => breakerOf(name)?.message?.includes('warning: ') === true);
  await world.until('every breaker tells the warning', warns, 20_000);
  expect(breakerOf('work')).toMatchObject({ result: 'ok', message: expect.stringContaining('warning: remote_read') });
  expect(then.out(fleet)).toEqual([]);
  await prometheus.reload({ configYaml });
  await world.until(
    'and no more',
    () => !SICKNESSES.some((name) => breakerOf(name)?.message?.includes('warning')),
    20_000,
  );
}, 60_000);
