import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readConfig } from '@kubervisor/runtime/config';
import { askDetector } from '@kubervisor/runtime/http/detector-client';
import { createLogger } from '@kubervisor/runtime/logs';
import { createMetrics } from '@kubervisor/runtime/metrics';
import type { EvaluationRequest, EvaluationResponse } from '@kubervisor/shared/detection/service';
import { startPrometheus, type PrometheusServer } from '@kubervisor/testing/servers/prometheus';
import { createDetectorService, detectorConfig, type DetectorService } from './service.ts';

/** Requests that each pod of the test has answered so far, by code; Prometheus scrapes them. */
const served = new Map<string, number>();
const serve = (pod: string, code: string, requests: number) =>
  served.set(`requests_total{pod="${pod}",code="${code}"}`, requests);
const exposition = () =>
  ['# TYPE requests_total counter', ...[...served].map(([series, n]) => `${series} ${n}`), ''].join('\n');

let fleet: Server;
let prometheus: PrometheusServer;
let service: DetectorService;
let url: string;

beforeAll(async () => {
  fleet = createServer((_request, response) => response.setHeader('content-type', 'text/plain').end(exposition()));
  await new Promise<void>((resolve) => fleet.listen(0, '127.0.0.1', resolve));
  prometheus = await startPrometheus({
    scrapeTargets: [{ address: `127.0.0.1:${(fleet.address() as AddressInfo).port}` }],
    // `pod` and `code` are the exposed ones.
  });
  const sources = join(prometheus.dir, 'sources.yaml');
  writeFileSync(sources, `sources: [{ name: central, url: "${prometheus.url}", timeoutSeconds: 2 }]\n`);
  service = await createDetectorService(
    readConfig(detectorConfig, { DETECTOR_ALLOW: '127.0.0.1:*', DETECTOR_SOURCES: sources, LOG_LEVEL: 'silent' }),
    { log: createLogger('detector', 'silent'), metrics: createMetrics('detector') },
  );
  url = await service.server.listen({ host: '127.0.0.1', port: 0 });
}, 120_000);

afterAll(async () => {
  await service?.stop();
  await prometheus?.stop();
  fleet?.closeAllConnections();
  fleet?.close();
});

function evaluate(stanza: object, pods: string[], timeoutMilliseconds = 5000): Promise<EvaluationResponse> {
  const request: EvaluationRequest = {
    apiVersion: 'detector.kubervisor.io/v1',
    evaluationId: 'round-1',
    timeoutMilliseconds,
    service: { namespace: 'shop', name: 'cart' },
    breaker: 'errors',
    parameters: {},
    pods: pods.map((name) => ({ name, uid: `uid-${name}` })),
    kind: 'discreteValueOutOfList',
    detector: {
      prometheusService: `127.0.0.1:${prometheus.port}`,
      promQL: 'sum by (pod, code) (requests_total)',
      key: 'code',
      podNamekey: 'pod',
      badValues: ['500'],
      ...stanza,
    },
  };
  return askDetector(url, request, timeoutMilliseconds + 500);
}
const outcomes = ({ verdicts }: EvaluationResponse) =>
  Object.fromEntries(verdicts.map(({ pod, outcome }) => [pod, outcome]));

/** Prometheus scrapes once a second: asks until the verdicts are as expected, or fails with the last ones. */
async function eventually(ask: () => Promise<EvaluationResponse>, expected: Record<string, string>) {
  const deadline = performance.now() + 15_000;
  let answer = await ask();
  while (JSON.stringify(outcomes(answer)) !== JSON.stringify(expected) && performance.now() < deadline) {
    await setTimeout(100);
    answer = await ask();
  }
  expect(answer.error).toBeUndefined();
  expect(outcomes(answer)).toEqual(expected);
  return answer;
}

describe('on a real Prometheus', () => {
  test('V5: counters of a fleet become verdicts, with figures and a reason', async () => {
    serve('cart-1', '200', 40);
    serve('cart-1', '500', 60);
    serve('cart-2', '200', 99);
    serve('cart-2', '500', 1);
    serve('cart-3', '200', 1);
    serve('stranger', '500', 100);
    const pods = ['cart-1', 'cart-2', 'cart-3', 'cart-4'];
    const answer = await eventually(() => evaluate({}, pods), {
      'cart-1': 'anomalous',
      'cart-2': 'ok',
      'cart-3': 'inconclusive',
      'cart-4': 'inconclusive',
    });
    expect(answer.verdicts[0]).toEqual({
      pod: 'cart-1',
      uid: 'uid-cart-1',
      outcome: 'anomalous',
      score: 1.2,
      observed: 60,
      limit: 50,
      reason: '60 % bad values of code, tolerated 50 % (60 of 100 requests)',
    });
    expect(answer.ignored).toEqual({ notAsked: 1 });
  });

  test('a rate over a range sees what a pod does now', async () => {
    serve('late-1', '200', 10);
    serve('late-1', '500', 10);
    const query = { promQL: 'sum by (pod, code) (increase(requests_total[10s]))', tolerance: 20 };
    let requests = 10;
    await eventually(
      async () => {
        serve('late-1', '500', (requests += 10));
        return evaluate(query, ['late-1']);
      },
      { 'late-1': 'anomalous' },
    );
  });

  test('a named source is asked by its name', async () => {
    await eventually(() => evaluate({ prometheusService: 'central' }, ['cart-2']), { 'cart-2': 'ok' });
  });

  test.each([
    ['V1: a query that does not parse', 'sum by (', 'QueryFailed', 'Prometheus refused the query: bad_data'],
    ['V1: a scalar', '1', 'BadAnswer', 'the query must give an instant vector, not a scalar'],
    ['V1: a range', 'requests_total[1m]', 'BadAnswer', 'the query must give an instant vector, not a matrix'],
    ['V1: a text', '"text"', 'BadAnswer', 'the query must give an instant vector, not a string'],
  ])('%s is an error with a reason', async (_what, promQL, reason, message) => {
    expect(await evaluate({ promQL }, ['cart-1'])).toMatchObject({ verdicts: [], error: { reason, message } });
  });

  test('V1: no series, NaN, infinite and negative samples break nobody and are counted', async () => {
    const count = (promQL: string) => evaluate({ promQL }, ['cart-1']);
    const one = 'sum by (pod, code) (requests_total{pod="cart-1",code="500"})';
    expect(await count('no_such_metric')).toMatchObject({ verdicts: [{ outcome: 'inconclusive' }], ignored: {} });
    for (const [promQL, reason] of [
      [`${one} * NaN`, 'notANumber'],
      [`${one} / 0`, 'notANumber'],
      [`-${one}`, 'negativeSample'],
      ['sum by (code) (requests_total{pod="cart-1",code="500"})', 'noPodLabel'],
      ['sum by (pod) (requests_total{pod="cart-1",code="500"})', 'noKeyLabel'],
    ] as const) {
      expect(await count(promQL)).toMatchObject({
        verdicts: [{ outcome: 'inconclusive' }],
        ignored: { [reason]: 1 },
      });
    }
  });

  test('10,000 series are judged', async () => {
    const pods = Array.from({ length: 5000 }, (_, n) => `many-${n}`);
    for (const pod of pods) {
      serve(pod, '200', 5);
      serve(pod, '500', pod.endsWith('00') ? 50 : 1);
    }
    const expected = Object.fromEntries(pods.map((pod) => [pod, pod.endsWith('00') ? 'anomalous' : 'ok']));
    await eventually(() => evaluate({ promQL: 'requests_total' }, pods, 10_000), expected);
  }, 60_000);

  test('W7: a Prometheus that hangs is a time-out, one that is gone Unreachable; after that it is asked as before', async () => {
    prometheus.freeze();
    const frozen = await evaluate({}, ['cart-2'], 300);
    prometheus.thaw();
    expect(frozen).toMatchObject({ verdicts: [], error: { reason: 'Timeout' } });
    await eventually(() => evaluate({}, ['cart-2']), { 'cart-2': 'ok' });
    await prometheus.stop();
    expect((await evaluate({}, ['cart-2'])).error?.reason).toBe('Unreachable');
  });
});
