import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { JudgedPod, Verdict } from '@kubervisor/shared/detection/contract';
import * as z from 'zod';
import { defineDetector, type Detector, type Question } from './define-detector.ts';
import { ask, checkDetector } from './testing.ts';

const parameters = z.strictObject({ limit: z.number().positive().default(1), mode: z.enum(['a', 'b']).optional() });
type Asked = Question<{ limit: number; mode?: 'a' | 'b' | undefined }>;

let detector: Detector | undefined;
afterEach(() => detector?.close());
const define = (evaluate: (asked: Asked) => readonly Verdict[] | Promise<readonly Verdict[]>): Detector =>
  (detector = defineDetector({ name: 'judge', version: '2.1', parameters, evaluate }));
const ok = ({ name, uid }: JudgedPod): Verdict => ({ pod: name, uid, outcome: 'ok' });

const request = (change: object = {}) => ({
  apiVersion: 'detector.kubervisor.io/v1',
  evaluationId: 'round-1',
  timeoutMilliseconds: 5000,
  service: { namespace: 'shop', name: 'cart' },
  breaker: 'errors',
  parameters: {},
  pods: [{ name: 'cart-1', uid: 'u1' }],
  ...change,
});
const post = async (payload: object) => {
  const { statusCode, body } = await detector!.inject({ method: 'POST', url: '/v1/verdicts', payload });
  return {
    status: statusCode,
    body: JSON.parse(body) as { verdicts?: Verdict[]; error?: { code: string; message: string } },
  };
};

describe('what evaluate is asked', () => {
  test('the pods, whose Service and breaker, and the parameters with their defaults', async () => {
    let asked: Asked | undefined;
    define((question) => ((asked = question), []));
    const pods = [{ name: 'cart-1', uid: 'u1', ip: '10.1.2.3', node: 'n1', revision: '7d9' }];
    await post(request({ pods, addedLater: true }));
    const { signal, ...rest } = asked!;
    expect(rest).toEqual({
      pods,
      parameters: { limit: 1 },
      service: { namespace: 'shop', name: 'cart' },
      breaker: 'errors',
      evaluationId: 'round-1',
    });
    expect(signal.aborted).toBe(false);
  });

  test.each<[string, object, string, string]>([
    ['pods that are none', { pods: 'all' }, 'InvalidRequest', 'pods: '],
    ['another version', { apiVersion: 'detector.kubervisor.io/v2' }, 'InvalidRequest', 'apiVersion: '],
    ['parameters of another type', { parameters: { limit: '1' } }, 'InvalidParameters', 'parameters.limit: '],
    ['parameters that it does not know', { parameters: { limits: 1 } }, 'InvalidParameters', 'limits'],
  ])('never %s: the caller is told the field', async (_what, change, code, message) => {
    let asked = 0;
    define(() => (asked++, []));
    const { status, body } = await post(request(change));
    expect([status, body.error?.code, asked]).toEqual([400, code, 0]);
    expect(body.error?.message).toContain(message);
  });
});

describe('what becomes of its answer', () => {
  test('each pod has a verdict; strangers and earlier pods are dropped and counted, reasons are one line', async () => {
    define(() => [
      { pod: 'cart-1', outcome: 'anomalous', reason: 'slow\nvery' },
      { pod: 'cart-3', uid: 'u0', outcome: 'anomalous' },
      { pod: 'stranger', outcome: 'anomalous' },
    ]);
    const pods = ['cart-1', 'cart-2', 'cart-3'].map((name, n) => ({ name, uid: `u${n + 1}` }));
    expect((await post(request({ pods }))).body.verdicts).toEqual([
      { pod: 'cart-1', uid: 'u1', outcome: 'anomalous', score: 1, reason: 'slow very' },
      { pod: 'cart-2', uid: 'u2', outcome: 'inconclusive', reason: 'the plug-in gave no verdict' },
      { pod: 'cart-3', uid: 'u3', outcome: 'inconclusive', reason: 'the plug-in gave no verdict' },
    ]);
    const { body } = await detector!.inject('/metrics');
    for (const line of [
      'kubervisor_plugin_evaluations_total{result="answered"} 1',
      'kubervisor_plugin_verdicts_total{outcome="anomalous"} 1',
      'kubervisor_plugin_verdicts_total{outcome="inconclusive"} 2',
      'kubervisor_plugin_ignored_total{reason="notAsked"} 1',
      'kubervisor_plugin_ignored_total{reason="otherUid"} 1',
    ])
      expect(body).toContain(line);
  });

  test.each<[string, unknown, string]>([
    ['NaN as a score', [{ pod: 'cart-1', outcome: 'ok', score: NaN }], 'verdicts.0.score: '],
    ['another outcome', [{ pod: 'cart-1', outcome: 'bad' }], 'verdicts.0.outcome: '],
    ['nothing', undefined, 'verdicts: '],
  ])('%s is an error that says which field', async (_what, given, message) => {
    define(() => given as Verdict[]);
    const { status, body } = await post(request());
    expect([status, body.error?.code]).toEqual([500, 'BadVerdicts']);
    expect(body.error?.message).toContain(message);
  });

  test('what it throws is an error that does not say why to whoever asks', async () => {
    define(() => {
      throw new Error('password is hunter2');
    });
    expect(await post(request())).toEqual({
      status: 500,
      body: { error: { code: 'Internal', message: 'internal error' } },
    });
  });
});

describe('the deadline', () => {
  test('evaluate is told by its signal, and the caller by an error, in time', async () => {
    let told: Promise<unknown> | undefined;
    define(({ signal }) => {
      told = new Promise((resolve) => signal.addEventListener('abort', () => resolve(signal.reason)));
      return new Promise<Verdict[]>(() => undefined);
    });
    const { status, body } = await post(request({ timeoutMilliseconds: 300 }));
    expect([status, body.error]).toEqual([504, { code: 'DeadlineExceeded', message: 'no verdicts within 270 ms' }]);
    expect(await told).toMatchObject({ code: 'DeadlineExceeded' });
    expect((await detector!.inject('/metrics')).body).toContain('evaluations_total{result="DeadlineExceeded"} 1');
  });

  test('an evaluate that ends because of its signal does not change that, nor one that answers later', async () => {
    define(({ signal, parameters: { mode }, pods }) =>
      mode === 'a' ? setTimeout(60_000, [], { signal }) : setTimeout(400, pods.map(ok)));
    for (const mode of ['a', 'b']) {
      const { body } = await post(request({ timeoutMilliseconds: 100, parameters: { mode } }));
      expect(body.error?.code).toBe('DeadlineExceeded');
    }
  });
});

describe('the app', () => {
  test('keeps the contract', async () => {
    const report = await checkDetector(define(({ pods }) => pods.map(ok)));
    expect(report.findings.filter(({ result }) => result !== 'held')).toEqual([]);
    expect(report).toMatchObject({ ok: true, plugin: { name: 'judge', version: '2.1' } });
  });

  test('says what it is, its parameters as JSON Schema: of what may be written, so a default is not required', async () => {
    define(() => []);
    expect((await detector!.inject('/v1/info')).json()).toEqual({
      name: 'judge',
      version: '2.1',
      parameters: {
        $schema: 'https://json-schema.org/draft/2020-12/schema',
        type: 'object',
        properties: {
          limit: { type: 'number', exclusiveMinimum: 0, default: 1 },
          mode: { type: 'string', enum: ['a', 'b'] },
        },
        additionalProperties: false,
      },
    });
  });

  test('serves the contract as OpenAPI: the one of the docs, but for its name and its own parameters', async () => {
    define(() => []);
    const page = new URL('../../docs/detectors/openapi.json', import.meta.url);
    const general = JSON.parse(readFileSync(page, 'utf8')) as Record<string, object>;
    const own = (await detector!.inject('/openapi.json')).json<Record<string, object>>();
    expect(own['paths']).toEqual(general['paths']);
    expect(own['info']).toMatchObject({ title: 'judge', version: '2.1' });
    expect(own).toHaveProperty('components.schemas.VerdictRequest.properties.parameters.properties.limit');
  });

  test('is ready once it listens', async () => {
    define(() => []);
    expect((await detector!.inject('/readyz')).statusCode).toBe(503);
    const url = await detector!.listen({ host: '127.0.0.1', port: 0 });
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
  });

  test('a stop answers what is under way first', async () => {
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const { promise: end, resolve: finish } = Promise.withResolvers<void>();
    define(async ({ pods }) => {
      begin();
      await end;
      return pods.map(ok);
    });
    const url = await detector!.listen({ host: '127.0.0.1', port: 0 });
    const answer = fetch(`${url}/v1/verdicts`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(request({ timeoutMilliseconds: 20_000 })),
    });
    await begun;
    const closed = detector!.close();
    finish();
    expect((await answer).status).toBe(200);
    await closed;
  });

  test('a definition that the contract does not allow is refused where it is made', () => {
    const definition = { version: '1', parameters: z.strictObject({}), evaluate: () => [] };
    expect(() => defineDetector({ ...definition, name: 'x'.repeat(129) })).toThrow(/name/);
    expect(() => defineDetector({ ...definition, name: 'x', parameters: z.strictObject({ at: z.date() }) })).toThrow(
      /Date/,
    );
  });
});

describe('ask, of tests of plug-ins', () => {
  test('answers what Kubervisor would make of it, by pod', async () => {
    define(({ pods, parameters: { limit } }) => pods.slice(0, 1).map((pod) => ({ ...ok(pod), limit })));
    expect(await ask(detector!, { pods: ['a', { name: 'b', ip: '10.0.0.1' }], parameters: { limit: 3 } })).toEqual({
      a: { pod: 'a', uid: 'uid-of-a', outcome: 'ok', limit: 3 },
      b: { pod: 'b', uid: 'uid-of-b', outcome: 'inconclusive', reason: 'the plug-in gave no verdict' },
    });
  });

  test('rejects with what the detector said', async () => {
    define(() => []);
    await expect(ask(detector!, { pods: ['a'], parameters: { limit: -1 } })).rejects.toThrow(
      /answered 400: .*InvalidParameters.*parameters.limit/,
    );
  });
});
