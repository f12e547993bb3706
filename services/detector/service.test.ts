import { readFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { readConfig } from '@kubervisor/runtime/config';
import { createLogger } from '@kubervisor/runtime/logs';
import { createMetrics } from '@kubervisor/runtime/metrics';
import type { DetectorKind } from '@kubervisor/shared/crd/kubervisor-service';
import {
  evaluationResponse,
  type EvaluationRequest,
  type EvaluationResponse,
} from '@kubervisor/shared/detection/service';
import { createDetectorService, detectorConfig, type DetectorService } from './service.ts';
import { createPeers } from './shell/peers.fixture.ts';

let service: DetectorService;
const peers = createPeers();
let peerPort: number;
let listener: RequestListener;
let lines: string[];

async function start(env: Record<string, string> = {}): Promise<void> {
  service = await createDetectorService(
    readConfig(detectorConfig, { HTTP_PORT: '0', HTTP_HOST: '127.0.0.1', ...env }),
    {
      log: createLogger('detector', 'debug', 'detector-1', { write: (line) => void lines.push(line) }),
      metrics: createMetrics('detector'),
    },
  );
}
beforeEach(async () => {
  lines = [];
  peerPort = await peers.serve((request, response) => listener(request, response));
  await start({ DETECTOR_ALLOW: '127.0.0.1:*' });
});
afterEach(async () => {
  await service.stop();
  await peers.close();
});

const requestOf = (kind: DetectorKind, detector: unknown, change: Partial<EvaluationRequest> = {}) => ({
  apiVersion: 'detector.kubervisor.io/v1',
  evaluationId: 'round-1',
  // Long: the thread that checks parameters may have to start within it.
  timeoutMilliseconds: 25_000,
  service: { namespace: 'shop', name: 'cart' },
  breaker: 'errors',
  pods: [
    { name: 'cart-1', uid: 'u1' },
    { name: 'cart-2', uid: 'u2' },
  ],
  kind,
  detector,
  ...change,
});
async function ask(payload: object): Promise<EvaluationResponse> {
  const answer = await service.server.inject({ method: 'POST', url: '/v1/verdicts', payload });
  expect(answer.statusCode).toBe(200);
  return evaluationResponse.parse(answer.json());
}
const discrete = (change: object = {}) => ({
  prometheusService: `127.0.0.1:${peerPort}`,
  promQL: 'q',
  key: 'code',
  podNamekey: 'pod',
  badValues: ['500'],
  ...change,
});
const queried = (fields: object = {}) => ({
  prometheusService: `127.0.0.1:${peerPort}`,
  promQL: 'q',
  podNamekey: 'pod',
  ...fields,
});
const vector = (...series: [pod: string, code: string, value: string][]) =>
  JSON.stringify({
    status: 'success',
    data: {
      resultType: 'vector',
      result: series.map(([pod, code, value]) => ({ metric: { pod, code }, value: [0, value] })),
    },
  });
const plugin = () => `127.0.0.1:${peerPort}/bad-pods`;
const info = (parameters: object) => JSON.stringify({ name: 'judge', version: '1', parameters });
const outcomes = ({ verdicts }: EvaluationResponse) => verdicts.map(({ pod, outcome }) => `${pod} ${outcome}`);
const metric = async (start: string) =>
  (await service.server.inject('/metrics')).body.split('\n').find((line) => line.startsWith(start));

describe('POST /v1/verdicts', () => {
  test('discreteValueOutOfList: asks Prometheus and judges by the defaults of the resource', async () => {
    let body = '';
    listener = (request, response) => {
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () =>
        response.end(vector(['cart-1', '500', '9'], ['cart-1', '200', '1'], ['cart-2', '200', '9'], ['x', '500', '1'])),
      );
      expect([request.method, request.url]).toEqual(['POST', '/api/v1/query']);
    };
    const answer = await ask(requestOf('discreteValueOutOfList', discrete({ promQL: 'sum(x{a="b&c"})' })));
    expect(new URLSearchParams(body).get('query')).toBe('sum(x{a="b&c"})');
    expect(outcomes(answer)).toEqual(['cart-1 anomalous', 'cart-2 ok']);
    expect(answer.verdicts[0]).toMatchObject({ uid: 'u1', observed: 90, limit: 50, score: 1.8 });
    expect(answer.ignored).toEqual({ notAsked: 1 });
    expect(
      await metric('kubervisor_detector_verdicts_total{kind="discreteValueOutOfList",outcome="anomalous"}'),
    ).toMatch(/ 1$/);
    expect(await metric('kubervisor_detector_ignored_total{kind="discreteValueOutOfList",reason="notAsked"}')).toMatch(
      / 1$/,
    );
  });

  test('V1: an empty vector leaves everybody inconclusive', async () => {
    listener = (_request, response) => response.end(vector());
    expect(outcomes(await ask(requestOf('discreteValueOutOfList', discrete())))).toEqual([
      'cart-1 inconclusive',
      'cart-2 inconclusive',
    ]);
  });

  test('customService: asks the plug-in by GET at its path', async () => {
    let asked: unknown;
    listener = (request, response) => {
      asked = [request.method, request.url];
      response.end('{"items":[{"metadata":{"name":"cart-2","namespace":"shop"}},{"metadata":{"name":"x"}}]}');
    };
    const answer = await ask(requestOf('customService', plugin()));
    expect(asked).toEqual(['GET', '/bad-pods']);
    expect(outcomes(answer)).toEqual(['cart-1 ok', 'cart-2 anomalous']);
    expect(answer.ignored).toEqual({ notAsked: 1 });
  });

  test('nobody to judge: nobody is asked', async () => {
    listener = () => {
      throw new Error('asked');
    };
    expect(await ask(requestOf('customService', plugin(), { pods: [] }))).toEqual({
      verdicts: [],
      ignored: {},
      warnings: [],
    });
  });

  test.each<[string, string, RequestListener]>([
    ['BadAnswer', 'garbage', (_request, response) => response.end('secret <html>')],
    ['BadStatus', 'a 500', (_request, response) => response.writeHead(500).end('secret')],
    ['BadStatus', 'a redirect', (_request, response) => response.writeHead(302, { location: '/secret' }).end()],
    ['Timeout', 'silence', () => undefined],
    ['Timeout', 'headers and then silence', (_request, response) => void response.write('secret')],
    ['Unreachable', 'a hang-up', (request) => void request.socket.destroy()],
  ])('V1: %s for %s, from a plug-in as from Prometheus; nothing of it is repeated', async (reason, _what, hostile) => {
    listener = hostile;
    const late = reason === 'Timeout' ? { timeoutMilliseconds: 150 } : {};
    for (const [kind, detector] of [
      ['customService', plugin()],
      ['detector', { url: `http://127.0.0.1:${peerPort}` }],
      ['discreteValueOutOfList', discrete()],
      ['trend', queried({ window: 60, maxPerMinute: 1 })],
    ] as const) {
      const started = performance.now();
      const answer = await ask(requestOf(kind, detector, late));
      expect(answer).toMatchObject({ verdicts: [], error: { reason } });
      expect(performance.now() - started).toBeLessThan(2500);
      expect(JSON.stringify(answer) + lines.join('')).not.toContain('secret');
      expect(await metric(`kubervisor_detector_evaluations_total{kind="${kind}",result="${reason}"}`)).toMatch(/ 1$/);
    }
  });

  test('a line in the log names namespace, service, breaker and round of what could not be judged', async () => {
    listener = (_request, response) => response.writeHead(500).end();
    await ask(requestOf('customService', plugin()));
    expect(JSON.parse(lines.find((line) => line.includes('could not judge')) ?? '{}')).toMatchObject({
      level: 'warn',
      namespace: 'shop',
      service: 'cart',
      breaker: 'errors',
      round: 'round-1',
      reason: 'BadStatus',
      problem: 'the plug-in answered 500',
    });
  });

  test.each<[DetectorKind, unknown, string]>([
    ['customService', '169.254.169.254/latest/meta-data', 'AddressRefused'],
    ['customService', 'judge.pay', 'AddressRefused'],
    ['customService', 'http://[::1]:1/', 'AddressRefused'],
    ['detector', { url: 'http://169.254.169.254' }, 'AddressRefused'],
    ['detector', { url: 'https://judge.pay:8443/fleet' }, 'AddressRefused'],
    ['detector', { service: { name: 'localhost', port: 80 } }, 'AddressRefused'],
    ['discreteValueOutOfList', discrete({ prometheusService: 'prometheus.example.com:443' }), 'AddressRefused'],
    ['discreteValueOutOfList', discrete({ prometheusService: 'central' }), 'UnknownSource'],
  ])('D: %s %j is %s', async (kind, detector, reason) => {
    const stanza = kind === 'discreteValueOutOfList' ? { ...discrete(), ...(detector as object) } : detector;
    expect((await ask(requestOf(kind, stanza))).error?.reason).toBe(reason);
  });

  test('D: without DETECTOR_ALLOW loopback is not reached', async () => {
    await service.stop();
    await start();
    listener = (_request, response) => response.end('{"items":[]}');
    expect((await ask(requestOf('customService', plugin()))).error).toEqual({
      reason: 'AddressRefused',
      message: `127.0.0.1 is an address, and DETECTOR_ALLOW does not admit 127.0.0.1:${peerPort}`,
    });
  });

  test('identical queries under way are asked once', async () => {
    let queries = 0;
    const waiting: (() => void)[] = [];
    let arrived: (() => void) | undefined;
    const first = new Promise<void>((resolve) => (arrived = resolve));
    listener = (_request, response) => {
      queries += 1;
      waiting.push(() => response.end(vector(['cart-1', '500', '9'])));
      arrived?.();
    };
    const one = ask(requestOf('discreteValueOutOfList', discrete()));
    await first;
    const others = ['pay', 'web'].map((name) =>
      ask(requestOf('discreteValueOutOfList', discrete(), { service: { namespace: 'shop', name } })),
    );
    while (!(await metric('kubervisor_detector_shared_queries_total'))?.endsWith(' 2')) await setImmediate();
    waiting.forEach((answer) => answer());
    expect((await Promise.all([one, ...others])).map(outcomes)).toEqual(
      Array(3).fill(['cart-1 anomalous', 'cart-2 inconclusive']),
    );
    expect(queries).toBe(1);
  });

  test.each<[DetectorKind, object]>([
    ['continuousValueDeviation', {}],
    ['threshold', { max: 5 }],
    ['outlier', { minFleet: 3 }],
  ])(
    '%s: asks Prometheus and judges by the defaults of the resource; what it says beside the answer comes along',
    async (kind, fields) => {
      const samples = { 'cart-1': '9', 'cart-2': '1', 'cart-3': '1', 'cart-4': 'NaN', stranger: '9' };
      listener = (_request, response) =>
        response.end(
          JSON.stringify({
            status: 'success',
            data: {
              resultType: 'vector',
              result: [
                ...Object.entries(samples).map(([pod, value]) => ({ metric: { pod }, value: [0, value] })),
                { metric: { pod: 'cart-2' }, histogram: [0, {}] },
              ],
            },
            warnings: ['a store did not answer'],
            infos: ['metric might not be a counter'],
          }),
        );
      const pods = [1, 2, 3, 4].map((n) => ({ name: `cart-${n}`, uid: `u${n}` }));
      const answer = await ask(requestOf(kind, queried(fields), { pods }));
      expect(outcomes(answer)).toEqual(['cart-1 anomalous', 'cart-2 ok', 'cart-3 ok', 'cart-4 inconclusive']);
      expect(answer.ignored).toEqual({ notAsked: 1, notANumber: 1, nativeHistogram: 1 });
      expect(answer.warnings).toEqual(['a store did not answer', 'metric might not be a counter']);
    },
  );

  test('trend: asks for the range of its window and judges the slope', async () => {
    const asked: string[] = [];
    listener = (request, response) => {
      request.on('data', (chunk: Buffer) => asked.push(request.url ?? '', chunk.toString()));
      const end = Date.now() / 1000;
      const rising = (perMinute: number) =>
        Array.from({ length: 16 }, (_, step) => [end - 600 + 40 * step, String((perMinute * 40 * step) / 60)]);
      const result = ['cart-1', 'cart-2'].map((pod, n) => ({ metric: { pod }, values: rising(n === 0 ? 9 : 3) }));
      response.end(JSON.stringify({ status: 'success', data: { resultType: 'matrix', result }, warnings: ['w'] }));
    };
    const answer = await ask(requestOf('trend', queried({ window: 600, maxPerMinute: 5 })));
    expect(outcomes(answer)).toEqual(['cart-1 anomalous', 'cart-2 ok']);
    expect(answer.verdicts[0]).toMatchObject({
      observed: expect.closeTo(9, 6),
      limit: 5,
      score: expect.closeTo(1.8, 6),
    });
    expect(answer.warnings).toEqual(['w']);
    const { start, end, step } = Object.fromEntries(new URLSearchParams(asked[1]));
    expect([asked[0], step]).toEqual(['/api/v1/query_range', '40.000']);
    expect(Number(end) - Number(start)).toBeCloseTo(600, 2);
  });

  test('outlier: what its verdicts rest on is a warning beside those of the source, and all of them are bounded', async () => {
    const result = [0, 0, 0, 0, 7].map((value, n) => ({ metric: { pod: `cart-${n}` }, value: [0, String(value)] }));
    const warnings = Array.from({ length: 30 }, (_, n) => `warning ${n}`);
    listener = (_request, response) =>
      response.end(JSON.stringify({ status: 'success', data: { resultType: 'vector', result }, warnings }));
    const pods = result.map((_, n) => ({ name: `cart-${n}`, uid: `u${n}` }));
    const answer = await ask(requestOf('outlier', queried(), { pods }));
    expect(answer.warnings).toHaveLength(20);
    expect(answer.warnings.slice(0, 2)).toEqual([expect.stringContaining('clamp_min'), 'warning 0']);
  });

  test.each([
    ['its url', () => ({ url: `http://127.0.0.1:${peerPort}/fleet/` }), '/fleet/v1/verdicts'],
    ['its url without a path', () => ({ url: `http://127.0.0.1:${peerPort}` }), '/v1/verdicts'],
  ])('detector: asks the plug-in by contract v1 below %s', async (_what, stanza, path) => {
    let asked: unknown[] = [];
    listener = (request, response) => {
      if (request.method === 'GET') return void response.end(info({}));
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        asked = [request.method, request.url, request.headers['content-type'], JSON.parse(body)];
        response.end(
          JSON.stringify({
            verdicts: [
              { pod: 'cart-2', uid: 'u2', outcome: 'anomalous', score: 2.4, reason: 'p99 2.4 s,\nlimit 1 s' },
              { pod: 'x', outcome: 'anomalous' },
            ],
          }),
        );
      });
    };
    const answer = await ask(requestOf('detector', { ...stanza(), parameters: { limit: 1 } }));
    expect(asked).toEqual([
      'POST',
      path,
      'application/json',
      {
        apiVersion: 'detector.kubervisor.io/v1',
        evaluationId: 'round-1',
        timeoutMilliseconds: expect.any(Number),
        service: { namespace: 'shop', name: 'cart' },
        breaker: 'errors',
        parameters: { limit: 1 },
        pods: requestOf('detector', {}).pods,
      },
    ]);
    expect(answer.verdicts).toEqual([
      { pod: 'cart-1', uid: 'u1', outcome: 'inconclusive', reason: 'the plug-in gave no verdict' },
      { pod: 'cart-2', uid: 'u2', outcome: 'anomalous', score: 2.4, reason: 'p99 2.4 s, limit 1 s' },
    ]);
    expect(answer).toMatchObject({ ignored: { notAsked: 1 }, warnings: [] });
    expect(
      await metric('kubervisor_detector_source_request_duration_seconds_count{source="detector",result="ok"}'),
    ).toMatch(/ 1$/);
  });

  test('parameters that do not fit the schema of the plug-in are told before it is asked for a verdict', async () => {
    const asked: string[] = [];
    listener = (request, response) => {
      asked.push(`${request.method} ${request.url}`);
      if (request.method === 'POST') return void response.end('{"verdicts":[]}');
      response.end(info({ properties: { limit: { type: 'number' } }, required: ['limit'] }));
    };
    const withParameters = (parameters?: object) =>
      ask(requestOf('detector', { url: `http://127.0.0.1:${peerPort}/fleet`, ...(parameters && { parameters }) }));
    for (const [parameters, message] of [
      [undefined, 'parameters.limit is missing'],
      [{ limit: '1' }, 'parameters.limit must be of type number'],
      [{ limit: '1' }, 'parameters.limit must be of type number'],
    ] as const) {
      const answer = await withParameters(parameters);
      expect(answer).toMatchObject({ verdicts: [], error: { reason: 'InvalidParameters', message } });
    }
    expect(asked).not.toContain('POST /fleet/v1/verdicts');
    expect(await withParameters({ limit: 1 })).not.toHaveProperty('error');
    expect(asked).toContain('GET /fleet/v1/info');
    expect(asked.at(-1)).toBe('POST /fleet/v1/verdicts');
  });

  test.each<[string, RequestListener]>([
    ['/v1/info of the plug-in answered 404', (_request, response) => response.writeHead(404).end('secret')],
    [
      'the answer of /v1/info of the plug-in is not of the agreed shape',
      (_request, response) => response.end('secret'),
    ],
    ['/v1/info of the plug-in answered too much', (_request, response) => response.end(info({ a: 'x'.repeat(3e5) }))],
    [
      'the JSON Schema of the plug-in is not one that can',
      (_request, response) => response.end(info({ type: 'secret' })),
    ],
    [
      'the JSON Schema of the plug-in takes too long to check',
      (_request, response) => response.end(info({ properties: { text: { pattern: '^(a+)+$' } } })),
    ],
    ['no connection to /v1/info of the plug-in', (request) => void request.socket.destroy()],
    ['/v1/info of the plug-in did not answer in time', () => undefined],
  ])('a plug-in that cannot say what its parameters are is asked, and status warns: %s', async (problem, told) => {
    listener = (request, response) =>
      request.method === 'GET'
        ? told(request, response)
        : response.end('{"verdicts":[{"pod":"cart-1","outcome":"anomalous"}]}');
    const parameters = { text: `${'a'.repeat(40)}!` };
    const answer = await ask(requestOf('detector', { url: `http://127.0.0.1:${peerPort}`, parameters }));
    expect(outcomes(answer)).toEqual(['cart-1 anomalous', 'cart-2 inconclusive']);
    expect(answer.warnings).toEqual([expect.stringContaining(`the parameters were not checked: ${problem}`)]);
    expect(JSON.stringify(answer)).not.toContain('secret');
  });

  test('V1: an answer of a plug-in that is larger than allowed is TooLarge, whatever it begins with', async () => {
    const verdicts = JSON.stringify({ verdicts: [{ pod: 'cart-1', outcome: 'anomalous' }] });
    listener = (_request, response) => response.end(verdicts + ' '.repeat(9 * 1024 * 1024));
    expect(await ask(requestOf('detector', { url: `http://127.0.0.1:${peerPort}` }))).toMatchObject({
      verdicts: [],
      error: { reason: 'TooLarge' },
    });
  });

  test('V1: a plug-in that answers drop by drop is a time-out at the deadline', async () => {
    listener = (_request, response) => {
      const drip = setInterval(() => response.write(' '), 20);
      response.on('close', () => clearInterval(drip));
    };
    const change = { timeoutMilliseconds: 200 };
    expect(await ask(requestOf('detector', { url: `http://127.0.0.1:${peerPort}` }, change))).toMatchObject({
      verdicts: [],
      error: { reason: 'Timeout' },
    });
  });

  test.each<[string, object]>([
    ['pods: ', { ...requestOf('customService', 'x'), pods: 'all' }],
    ['kind: ', { ...requestOf('customService', 'x'), kind: 'guess' }],
    ['customService: ', requestOf('customService', 7)],
    ['exactly one of url and service', requestOf('detector', {})],
    ['detector.url: ', requestOf('detector', { url: 'http://me:secret@judge' })],
    ['discreteValueOutOfList.key: ', requestOf('discreteValueOutOfList', { ...discrete(), key: 7 })],
    ['max or min must be given', requestOf('threshold', { ...queried() })],
    ['trend.window: ', requestOf('trend', queried({ maxPerMinute: 1 }))],
    ['exactly one of goodValues and badValues', requestOf('discreteValueOutOfList', discrete({ goodValues: ['200'] }))],
  ])('a request that is none is told by field: %s', async (problem, payload) => {
    const answer = await service.server.inject({ method: 'POST', url: '/v1/verdicts', payload });
    expect(answer.statusCode).toBe(400);
    expect(answer.json<{ error: { message: string } }>().error.message).toContain(problem);
  });

  test('a fleet of 5,000 pods and 10,000 series is judged', async () => {
    const pods = Array.from({ length: 5000 }, (_, n) => ({ name: `cart-${n}`, uid: `u${n}` }));
    const series = pods.flatMap(({ name }, n): [string, string, string][] => [
      [name, '200', '5'],
      [name, '500', n < 10 ? '50' : '1'],
    ]);
    listener = (_request, response) => response.end(vector(...series));
    const { verdicts } = await ask(requestOf('discreteValueOutOfList', discrete(), { pods }));
    expect(verdicts.filter(({ outcome }) => outcome === 'anomalous').map(({ pod }) => pod)).toEqual(
      pods.slice(0, 10).map(({ name }) => name),
    );
  });
});

describe('the service', () => {
  test('is ready once it listens', async () => {
    await service.server.ready();
    expect((await service.server.inject('/readyz')).statusCode).toBe(503);
    const url = await service.server.listen({ host: '127.0.0.1', port: 0 });
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
  });

  test('serves the contract of plug-ins as OpenAPI, the same that stands in the docs', async () => {
    const page = new URL('../../docs/detectors/openapi.json', import.meta.url);
    expect((await service.server.inject('/openapi.json')).json()).toEqual(JSON.parse(readFileSync(page, 'utf8')));
  });

  test.each([
    [
      'DETECTOR_ALLOW',
      'nonsense, judge.example:443, host:70000',
      'configuration: DETECTOR_ALLOW: "nonsense", lacks the port: host:443, or host:* for any; DETECTOR_ALLOW: "host:70000", the port must be * or from 1 to 65535',
    ],
    ['DETECTOR_SOURCES', '/nowhere.yaml', 'cannot be read (ENOENT)'],
    ['CLUSTER_DOMAIN', 'Not A Domain', 'must be a DNS domain'],
  ])('does not start with %s=%s', async (variable, value, problem) => {
    await expect(start({ [variable]: value })).rejects.toThrow(problem);
  });
});
