/** Each kind that judges one figure a pod, on a real Prometheus that scrapes real counters of a fleet. */
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readConfig } from '@kubervisor/runtime/config';
import { askDetector } from '@kubervisor/runtime/http/detector-client';
import { createLogger } from '@kubervisor/runtime/logs';
import { createMetrics } from '@kubervisor/runtime/metrics';
import { KIND, type DetectorKind } from '@kubervisor/shared/crd/kubervisor-service';
import { resolveSpec } from '@kubervisor/shared/crd/resolve';
import { validateResource } from '@kubervisor/shared/crd/validate';
import type { EvaluationRequest, EvaluationResponse } from '@kubervisor/shared/detection/service';
import { startPrometheus, type PrometheusServer } from '@kubervisor/testing/servers/prometheus';
import { parseAllDocuments } from 'yaml';
import { createDetectorService, detectorConfig, type DetectorService } from './service.ts';

/** A pod of the test. What it has counted follows from the time alone: a scrape that comes late, or not at all, changes no rate. */
interface Workload {
  perSecond: number;
  /** How long a request takes. */
  seconds: number;
  /** By how much perSecond rises each second. */
  growth: number;
  /** Seconds of performance.now(). */
  since: number;
}
const SCRAPE_SECONDS = 0.25;
const seconds = (): number => performance.now() / 1000;
const workload = (perSecond: number, duration: number, growth = 0): Workload => ({
  perSecond,
  seconds: duration,
  growth,
  since: seconds(),
});
const workloads: Record<string, Workload> = {
  'cart-1': workload(80, 0.1),
  'cart-2': workload(80, 0.11),
  'cart-3': workload(80, 0.09),
  'cart-4': workload(80, 0.1),
  'cart-slow': workload(80, 0.9),
  'cart-idle': workload(0, 0),
  // Slower than the slow one, and more of them than of all others: counted in, they would be what is usual.
  ...Object.fromEntries(Array.from({ length: 8 }, (_, n) => [`out-${n}`, workload(80, 5)])),
  'cart-growing': workload(80, 0.1, 32),
};
function scrape(): string {
  const lines = Object.entries(workloads).flatMap(([pod, { perSecond, seconds: each, growth, since }]) => {
    const elapsed = seconds() - since;
    const count = perSecond * elapsed + (growth * elapsed ** 2) / 2;
    return [`latency_seconds_sum{pod="${pod}"} ${count * each}`, `latency_seconds_count{pod="${pod}"} ${count}`];
  });
  const many = Array.from({ length: manyPods }, (_, n) => `many{pod="many-${n}"} ${n % 1000 === 7 ? 9 : 1}`);
  return [...lines, ...many, ''].join('\n');
}
let manyPods = 0;

let exporter: Server;
let prometheus: PrometheusServer;
let service: DetectorService;
let url: string;
let configYaml: string;

beforeAll(async () => {
  exporter = createServer((_request, response) => response.setHeader('content-type', 'text/plain').end(scrape()));
  await new Promise<void>((resolve) => exporter.listen(0, '127.0.0.1', resolve));
  const target = `127.0.0.1:${(exporter.address() as AddressInfo).port}`;
  // JSON is YAML.
  configYaml = JSON.stringify({
    global: { scrape_interval: `${SCRAPE_SECONDS * 1000}ms`, scrape_timeout: `${SCRAPE_SECONDS * 1000}ms` },
    scrape_configs: [{ job_name: 'pods', static_configs: [{ targets: [target] }] }],
  });
  prometheus = await startPrometheus({ configYaml });
  service = await createDetectorService(
    readConfig(detectorConfig, { DETECTOR_ALLOW: '127.0.0.1:*', LOG_LEVEL: 'silent' }),
    { log: createLogger('detector', 'silent'), metrics: createMetrics('detector') },
  );
  url = await service.server.listen({ host: '127.0.0.1', port: 0 });
}, 120_000);

afterAll(async () => {
  await service?.stop();
  await prometheus?.stop();
  exporter?.closeAllConnections();
  exporter?.close();
});

const FLEET = ['cart-1', 'cart-2', 'cart-3', 'cart-4', 'cart-slow', 'cart-idle', 'cart-absent'];
const outcomesOf = ({ verdicts }: EvaluationResponse) =>
  Object.fromEntries(verdicts.map(({ pod, outcome }) => [pod, outcome]));

function evaluate(
  kind: DetectorKind,
  stanza: object,
  pods: readonly string[] = FLEET,
  timeoutMilliseconds = 5000,
): Promise<EvaluationResponse> {
  const request: EvaluationRequest = {
    apiVersion: 'detector.kubervisor.io/v1',
    evaluationId: 'round-1',
    timeoutMilliseconds,
    service: { namespace: 'shop', name: 'cart' },
    breaker: 'slow',
    parameters: {},
    pods: pods.map((name) => ({ name, uid: `uid-${name}` })),
    kind,
    detector: { podNamekey: 'pod', ...stanza, prometheusService: `127.0.0.1:${prometheus.port}` },
  };
  return askDetector(url, request, timeoutMilliseconds + 500);
}

/** Asks until the outcomes are as expected, or fails with the last answer. */
async function eventually(ask: () => Promise<EvaluationResponse>, expected: Record<string, string>) {
  const deadline = performance.now() + 30_000;
  let answer = await ask();
  while (JSON.stringify(outcomesOf(answer)) !== JSON.stringify(expected) && performance.now() < deadline) {
    await setTimeout(100);
    answer = await ask();
  }
  expect(answer.error).toBeUndefined();
  expect(outcomesOf(answer)).toEqual(expected);
  return answer;
}

/** A series of the query's own, at every step: what an edge case sees must not hang on which scrapes a busy machine let through. */
const series = (pod: string, value: string | number, labels: Record<string, string> = {}) =>
  Object.entries({ pod, ...labels }).reduce(
    (vector, [label, text]) => `label_replace(${vector}, "${label}", "${text}", "", "")`,
    `vector(${value})`,
  );
const TWO_SERIES = `${series('cart-1', 1)} or ${series('cart-1', 2, { code: '500' })}`;

const per = (by: string) => `sum${by} (rate(latency_seconds_sum[3s])) / sum${by} (rate(latency_seconds_count[3s]))`;
const latency = per(' by (pod)');
const inTraffic = latency.replaceAll('[3s]', '{pod=~"cart-.*"}[3s]');
const average = per('').replaceAll('[3s]', '{pod=~"cart-.*"}[3s]');

const KINDS: [string, DetectorKind, object][] = [
  ['threshold', 'threshold', { promQL: latency, max: 0.5 }],
  ['outlier by mad', 'outlier', { promQL: latency, minDeviationPercent: 50 }],
  ['outlier by iqr', 'outlier', { promQL: latency, minDeviationPercent: 50, method: 'iqr' }],
  [
    'continuousValueDeviation',
    'continuousValueDeviation',
    { promQL: `(${inTraffic}) / scalar(${average})`, maxDeviationPercent: 100 },
  ],
];

describe.each(KINDS)('%s on a real Prometheus', (_name, kind, stanza) => {
  test('counters of a fleet become verdicts: the slow one is bad; the idle and the absent one, and those that are out, count for nothing', async () => {
    const answer = await eventually(() => evaluate(kind, stanza), {
      'cart-1': 'ok',
      'cart-2': 'ok',
      'cart-3': 'ok',
      'cart-4': 'ok',
      'cart-slow': 'anomalous',
      'cart-idle': 'inconclusive',
      'cart-absent': 'inconclusive',
    });
    const { reason, score } = answer.verdicts[4] ?? {};
    expect(score).toBeGreaterThan(1);
    expect(reason).toMatch(/^[^\n]+$/);
    // 0 requests in 0 seconds.
    expect(answer.ignored).toMatchObject({ notANumber: 1 });
    expect(answer.verdicts[5]?.reason).toContain('not a number');
    expect(answer.verdicts[6]?.reason).toBe('the query has no value for the pod');
  }, 60_000);

  // Of this kind, on the value of one pod that is there.
  const edge = (promQL: string, timeoutMilliseconds?: number) =>
    evaluate(kind, { ...stanza, promQL, ...(kind === 'outlier' && { minFleet: 3 }) }, ['cart-1'], timeoutMilliseconds);

  test.each([
    ['an empty result', 'no_such_metric', {}],
    ['NaN', series('cart-1', 'NaN'), { notANumber: 1 }],
    ['+Inf', `${series('cart-1', 1)} / 0`, { notANumber: 1 }],
    ['-Inf', `-${series('cart-1', 1)} / 0`, { notANumber: 1 }],
    ['a missing pod label', 'vector(1)', { noPodLabel: 1 }],
    ['an unknown pod', series('cart-2', 1), { notAsked: 1 }],
    ['two series a pod', TWO_SERIES, { duplicateSeries: 2 }],
  ])('V1: %s is inconclusive, and is counted', async (_what, promQL, ignored) => {
    expect(await edge(promQL)).toMatchObject({ verdicts: [{ outcome: 'inconclusive' }], ignored, warnings: [] });
  });

  test.each([
    ['a scalar', '1', 'BadAnswer', 'the query must give an instant vector, not a scalar'],
    ['a matrix', 'latency_seconds_count[1m]', 'BadAnswer', 'the query must give an instant vector, not a matrix'],
    ['a string', '"text"', 'BadAnswer', 'the query must give an instant vector, not a string'],
    ['a query that does not parse', 'sum by (', 'QueryFailed', 'Prometheus refused the query: bad_data'],
  ])('V1: %s is an error with a reason', async (_what, promQL, reason, message) => {
    expect(await edge(promQL)).toMatchObject({ verdicts: [], error: { reason, message } });
  });

  test('V1: a query that takes too long is a time-out', async () => {
    const slow = 'sum_over_time((vector(1) > 0)[30d:250ms])';
    expect(await edge(slow, 50)).toMatchObject({ verdicts: [], error: { reason: 'Timeout' } });
  });
});

describe('a negative value on a real Prometheus', () => {
  // Their last value, also where the last scrape failed.
  const negative = '-last_over_time(latency_seconds_count{pod=~"cart-[1-4]"}[1m])';
  const pods = ['cart-1', 'cart-2', 'cart-3', 'cart-4'];

  test('is judged by a threshold, an outlier and a trend, and is no ratio', async () => {
    for (const [kind, fields] of [
      ['threshold', { max: -1 }],
      ['outlier', {}],
    ] as const) {
      const { ignored } = await eventually(
        () => evaluate(kind, { promQL: negative, ...fields }, pods),
        Object.fromEntries(pods.map((pod) => [pod, 'ok'])),
      );
      expect(ignored).toEqual({});
    }
    const { verdicts, ignored } = await evaluate('continuousValueDeviation', { promQL: negative }, pods);
    expect(verdicts.map(({ outcome }) => outcome)).toEqual(Array(4).fill('inconclusive'));
    expect(ignored).toEqual({ negativeSample: 4 });
  });
});

describe('trend on a real Prometheus', () => {
  // 32/s more each second: 1920 a minute.
  const stanza = { promQL: 'sum by (pod) (rate(latency_seconds_count[2s]))', window: 6, maxPerMinute: 400 };
  const pods = ['cart-1', 'cart-growing', 'cart-idle', 'cart-absent'];

  test('counters of a fleet become slopes: who grows is bad, who is steady or idle is not, who is new or absent is not known', async () => {
    workloads['cart-new'] = workload(80, 0.1, 32);
    await eventually(() => evaluate('threshold', { promQL: stanza.promQL, min: 1 }, ['cart-new']), {
      'cart-new': 'ok',
    });
    const young = await evaluate('trend', stanza, ['cart-new']);
    expect(young.verdicts[0]).toMatchObject({
      outcome: 'inconclusive',
      reason: expect.stringMatching(/^the points cover .* s of the window, at least 4.8 s are needed$/),
    });
    const answer = await eventually(() => evaluate('trend', stanza, [...pods, 'cart-new']), {
      'cart-1': 'ok',
      'cart-growing': 'anomalous',
      'cart-idle': 'ok',
      'cart-absent': 'inconclusive',
      'cart-new': 'anomalous',
    });
    expect(answer.verdicts[1]).toMatchObject({
      observed: expect.any(Number),
      limit: 400,
      reason: expect.stringMatching(/^rises by \d+ a minute over 6 s, at most 400 is allowed$/),
    });
    // How much more than 400 hangs on how even the scrapes were.
    expect(answer.verdicts[1]?.observed).toBeGreaterThan(400);
    expect(answer.verdicts[1]?.score).toBeGreaterThan(1);
  }, 60_000);

  test('the other way round: a fall', async () => {
    const falling = { ...stanza, promQL: `-(${stanza.promQL})` };
    await eventually(() => evaluate('trend', falling, ['cart-1', 'cart-growing']), {
      'cart-1': 'ok',
      'cart-growing': 'ok',
    });
    const { verdicts } = await eventually(
      () => evaluate('trend', { ...falling, direction: 'below' }, ['cart-1', 'cart-growing']),
      { 'cart-1': 'ok', 'cart-growing': 'anomalous' },
    );
    expect(verdicts[1]?.reason).toMatch(/^falls by/);
  }, 60_000);

  const edge = (promQL: string, timeoutMilliseconds?: number) =>
    evaluate('trend', { ...stanza, promQL }, ['cart-1'], timeoutMilliseconds);

  test.each([
    ['an empty result', 'no_such_metric', {}],
    // A range of 15 steps has 16 points.
    ['NaN', series('cart-1', 'NaN'), { notANumber: 16 }],
    ['Inf', `${series('cart-1', 1)} / 0`, { notANumber: 16 }],
    ['a missing pod label', 'vector(1)', { noPodLabel: 1 }],
    ['a scalar, which has none', '1', { noPodLabel: 1 }],
    ['an unknown pod', series('cart-2', 1), { notAsked: 1 }],
    ['two series a pod', TWO_SERIES, { duplicateSeries: 2 }],
  ])('V1: %s is inconclusive, and is counted', async (_what, promQL, ignored) => {
    expect(await edge(promQL)).toMatchObject({ verdicts: [{ outcome: 'inconclusive' }], ignored });
  });

  test.each([
    ['a matrix', 'latency_seconds_count[1m]'],
    ['a string', '"text"'],
    ['a query that does not parse', 'sum by ('],
  ])('V1: %s is refused', async (_what, promQL) => {
    expect(await edge(promQL)).toMatchObject({
      verdicts: [],
      error: { reason: 'QueryFailed', message: 'Prometheus refused the query: bad_data' },
    });
  });

  test('V1: a query that takes too long is a time-out', async () => {
    const slow = 'sum_over_time((vector(1) > 0)[30d:250ms])';
    expect(await edge(slow, 50)).toMatchObject({ verdicts: [], error: { reason: 'Timeout' } });
  });
});

describe('10,000 series on a real Prometheus', () => {
  const pods = Array.from({ length: 10_000 }, (_, n) => `many-${n}`);
  const expected = Object.fromEntries(pods.map((pod, n) => [pod, n % 1000 === 7 ? 'anomalous' : 'ok']));

  test('are judged by every kind', async () => {
    manyPods = pods.length;
    await prometheus.reload({ configYaml: configYaml.replaceAll(`"${SCRAPE_SECONDS * 1000}ms"`, '"2s"') });
    for (const [kind, fields] of [
      ['threshold', { max: 5 }],
      ['outlier', {}],
      ['continuousValueDeviation', { promQL: 'many / scalar(avg(many))' }],
    ] as const) {
      await eventually(() => evaluate(kind, { promQL: 'many', ...fields }, pods, 10_000), expected);
    }
    // Rises by the value of the pod a second.
    const rising = { promQL: 'many * on () group_left () vector(time())', window: 2, maxPerMinute: 300 };
    await eventually(() => evaluate('trend', rising, pods, 10_000), expected);
  }, 120_000);
});

describe('what Prometheus says beside its answer', () => {
  test('comes along as a warning: here a store that is away', async () => {
    manyPods = 0;
    const config = JSON.parse(configYaml) as object;
    const away = [{ url: 'http://127.0.0.1:1/read', read_recent: true }];
    await prometheus.reload({ configYaml: JSON.stringify({ ...config, remote_read: away }) });
    for (const [kind, fields] of [
      ['threshold', { max: 0 }],
      ['trend', { window: 2, maxPerMinute: 1 }],
    ] as const) {
      const answer = await evaluate(kind, { promQL: 'latency_seconds_count', ...fields }, ['cart-1']);
      expect(answer.error).toBeUndefined();
      expect(answer.warnings).toEqual([expect.stringContaining('remote_read')]);
    }
    await prometheus.reload({ configYaml });
  });
});

interface Manifest {
  kind: string;
  spec?: unknown;
}

describe('the queries of the examples', () => {
  const folder = join(import.meta.dirname, '../../examples');
  const breakers = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.yaml'))
    .flatMap((file) =>
      parseAllDocuments(readFileSync(join(folder, file), 'utf8'))
        .map((document) => document.toJS() as Manifest & { items?: Manifest[] })
        .flatMap((manifest) => manifest.items ?? [manifest])
        .filter(({ kind }) => kind === KIND)
        .flatMap((resource) => {
          const validated = validateResource(resource);
          if ('problems' in validated) throw new Error(`${file} is not valid`);
          return resolveSpec(validated.spec).breakers.map((breaker) => ({ file, ...breaker }));
        }),
    )
    .filter(({ detector }) => typeof detector === 'object' && 'promQL' in detector);

  test.each(breakers)('$file: $name', async ({ kind, detector }) => {
    const answer = await evaluate(kind, detector as object);
    expect(answer.error).toBeUndefined();
    expect(answer.verdicts.map(({ outcome }) => outcome)).toEqual(FLEET.map(() => 'inconclusive'));
  });
});
