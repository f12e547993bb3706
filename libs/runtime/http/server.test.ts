import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import { createLogger } from '../logs.ts';
import { createMetrics } from '../metrics.ts';
import { createHttpServer, HttpError, parseBody, type Readiness } from './server.ts';

let server: FastifyInstance;
let readiness: Readiness;
let lines: string[];

beforeEach(() => {
  readiness = { ready: true, checks: { bus: 'ok' } };
  lines = [];
  server = createHttpServer({
    log: createLogger('test', 'info', 'test-1', { write: (line) => void lines.push(line) }),
    metrics: createMetrics('test'),
    readiness: () => readiness,
    maxBodyBytes: 1000,
  });
  server.get('/boom/:id', async () => {
    throw new Error('password is hunter2');
  });
  server.get('/teapot', async () => {
    throw new HttpError(418, 'Teapot', 'short and stout');
  });
  server.post('/numbers', async (request) => parseBody(z.object({ numbers: z.array(z.int()) }), request.body));
});
afterEach(() => server.close());

describe('http server', () => {
  test('/healthz answers as long as the process runs', async () => {
    readiness = { ready: false, checks: { bus: 'away' } };
    expect((await server.inject('/healthz')).statusCode).toBe(200);
  });

  test('/readyz shows each check, 503 where one fails', async () => {
    expect((await server.inject('/readyz')).json()).toEqual({ ready: true, checks: { bus: 'ok' } });
    readiness = { ready: false, checks: { bus: 'disconnected' } };
    const answer = await server.inject('/readyz');
    expect(answer.statusCode).toBe(503);
    expect(answer.json()).toEqual({ ready: false, checks: { bus: 'disconnected' } });
  });

  test('a fault of ours never carries its cause to the caller; the log has it', async () => {
    const answer = await server.inject('/boom/1');
    expect(answer.statusCode).toBe(500);
    expect(answer.json()).toEqual({ error: { code: 'Internal', message: 'internal error' } });
    expect(lines.join('')).toContain('hunter2');
  });

  test('refusals have stable codes', async () => {
    expect((await server.inject('/teapot')).json()).toEqual({ error: { code: 'Teapot', message: 'short and stout' } });
    expect((await server.inject('/nowhere')).json()).toEqual({ error: { code: 'NotFound', message: 'no such path' } });
    const post = (payload: string, type = 'application/json') =>
      server.inject({ method: 'POST', url: '/numbers', payload, headers: { 'content-type': type } });
    expect((await post('{')).json()).toMatchObject({ error: { code: 'InvalidRequest' } });
    expect((await post('x'.repeat(2000))).json()).toMatchObject({ error: { code: 'TooLarge' } });
    expect((await post('a', 'text/csv')).json()).toMatchObject({ error: { code: 'UnsupportedMediaType' } });
  });

  test('a body that is not of the schema is told field by field', async () => {
    const answer = await server.inject({ method: 'POST', url: '/numbers', payload: { numbers: [1, 'two', 3.5] } });
    expect(answer.statusCode).toBe(400);
    const { error } = answer.json<{ error: { code: string; message: string } }>();
    expect(error.code).toBe('InvalidRequest');
    expect(error.message).toContain('numbers.1: ');
    expect(error.message).toContain('numbers.2: ');
  });

  test('/metrics counts requests by route, never by the path asked', async () => {
    await server.inject('/boom/1');
    await server.inject('/boom/2');
    await server.inject('/no/such/path');
    const text = (await server.inject('/metrics')).body;
    expect(text).toContain(
      'kubervisor_http_request_duration_seconds_count{method="GET",route="/boom/:id",status="500"} 2',
    );
    expect(text).toContain('kubervisor_http_request_duration_seconds_count{method="GET",route="none",status="404"} 1');
  });
});
