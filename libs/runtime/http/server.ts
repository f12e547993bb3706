/** The HTTP side of every service: /healthz, /readyz, /metrics, and errors of one shape. */
import { fastify, type FastifyInstance } from 'fastify';
import type * as z from 'zod';
import type { Logger } from '../logs.ts';
import { defineMetrics, type Metrics } from '../metrics.ts';

/** `checks`: a line for each thing that readiness rests on, `ok` or what is wrong with it. */
export interface Readiness {
  ready: boolean;
  checks: Record<string, string>;
}

export interface HttpServerSettings {
  log: Logger;
  metrics: Metrics;
  readiness: () => Readiness;
  /** Of a request's body; 16 MiB unless told. */
  maxBodyBytes?: number;
}

export const httpMetrics = defineMetrics({
  requests: {
    type: 'histogram',
    name: 'kubervisor_http_request_duration_seconds',
    help: 'Time from a request to the end of its answer.',
    labels: ['method', 'route', 'status'],
  },
});

/** An answer other than 2xx that the caller is meant to understand. `code` is stable, `message` is for people. */
export class HttpError extends Error {
  override readonly name = 'HttpError';
  readonly statusCode: number;
  readonly code: string;

  constructor(statusCode: number, code: string, message: string) {
    super(message);
    this.statusCode = statusCode;
    this.code = code;
  }
}

/** What every answer other than 2xx holds. Of a fault of ours (5xx) it says only that it is one: the cause is in the log. */
export interface ErrorBody {
  error: { code: string; message: string };
}

const CODES: Record<number, string> = {
  400: 'InvalidRequest',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  413: 'TooLarge',
  415: 'UnsupportedMediaType',
  503: 'Unavailable',
};

const DEFAULT_MAX_BODY_BYTES = 16 * 1024 * 1024;

export function createHttpServer({ log, metrics, readiness, maxBodyBytes }: HttpServerSettings): FastifyInstance {
  const { requests } = metrics.declare(httpMetrics);
  const server = fastify({
    bodyLimit: maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES,
    // A client that sends its request drop by drop would otherwise hold a connection for ever.
    requestTimeout: 30_000,
    logger: false,
  });

  server.setErrorHandler((error: unknown, request, reply) => {
    const { status, body } = describeFault(error);
    if (status >= 500) log.error({ err: error, method: request.method, route: routeOf(request) }, 'request failed');
    return reply.code(status).send(body);
  });
  server.setNotFoundHandler((_request, reply) =>
    reply.code(404).send({ error: { code: 'NotFound', message: 'no such path' } } satisfies ErrorBody),
  );
  server.addHook('onResponse', async (request, reply) => {
    requests.observe(
      { method: request.method, route: routeOf(request), status: String(reply.statusCode) },
      reply.elapsedTime / 1000,
    );
  });

  server.get('/healthz', async () => ({ status: 'ok' }));
  server.get('/readyz', async (_request, reply) => {
    const state = readiness();
    return reply.code(state.ready ? 200 : 503).send(state);
  });
  server.get('/metrics', async (_request, reply) => {
    const text = await metrics.registry.metrics();
    return reply.type(metrics.registry.contentType).send(text);
  });
  return server;
}

/** The body by `schema`. Throws the 400 that names each field, what is wrong with it and what is allowed. */
export function parseBody<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.slice(0, 10).map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`);
  const more = parsed.error.issues.length - issues.length;
  throw new HttpError(400, 'InvalidRequest', [...issues, ...(more > 0 ? [`and ${more} more`] : [])].join('; '));
}

/** Listens and answers the URL under which the server is reached from this host. */
export async function listen(server: FastifyInstance, at: { HTTP_HOST: string; HTTP_PORT: number }): Promise<string> {
  return server.listen({ host: at.HTTP_HOST, port: at.HTTP_PORT });
}

/** The declared route, never the path that was asked: that one is unbounded. */
function routeOf(request: { routeOptions: { url?: string | undefined } }): string {
  return request.routeOptions.url ?? 'none';
}

function describeFault(error: unknown): { status: number; body: ErrorBody } {
  const status = (error as { statusCode?: unknown } | undefined)?.statusCode;
  if (error instanceof HttpError) {
    return { status: error.statusCode, body: { error: { code: error.code, message: error.message } } };
  }
  // Fastify's own refusals (a body that is no JSON, is too large …): their text is about the request alone.
  if (error instanceof Error && typeof status === 'number' && status >= 400 && status < 500) {
    return { status, body: { error: { code: CODES[status] ?? 'InvalidRequest', message: error.message } } };
  }
  return { status: 500, body: { error: { code: 'Internal', message: 'internal error' } } };
}
