/** Queries to Prometheus, or to anything with its API: instant ones, and ones over a range. */
import { failure, type Result } from '../core/answer.ts';
import type { Destination } from '../core/address.ts';
import { readMatrix, readVector, type Matrix, type Vector } from '../core/prometheus-answer.ts';
import type { Outbound } from './outbound.ts';
import { createSharedFlights, type SharedFlights } from './shared-flights.ts';

export interface Source {
  /** Undefined of a Service that a resource names by its address. */
  name?: string;
  destination: Destination;
  outbound: Outbound;
  /** Of each request, read anew: a token in a file is exchanged while we run. Throws where it cannot be read. */
  headers?: () => Promise<Record<string, string>>;
  timeoutMilliseconds?: number;
}

export interface PrometheusClient {
  query(source: Source, promQL: string, signal: AbortSignal): Promise<Result<Vector>>;
  /** Over the last `steps` × `stepSeconds` until now, both ends included. */
  queryRange(source: Source, promQL: string, range: Range, signal: AbortSignal): Promise<Result<Matrix>>;
}

export interface Range {
  steps: number;
  stepSeconds: number;
}

export interface PrometheusObserver {
  shared(): void;
  /** One request to a source ended, well or with the reason. */
  asked(seconds: number, result: string): void;
}

interface Question<T> {
  path: string;
  /** Of the body; computed when it is sent. */
  fields(): Record<string, string>;
  read(status: number, text: string): Result<T>;
}

/** `now`: milliseconds since 1970; a range is asked for by the clock of this machine. */
export function createPrometheusClient(observer: PrometheusObserver, now = () => Date.now()): PrometheusClient {
  const instant = createSharedFlights<Result<Vector>>(() => observer.shared());
  const ranges = createSharedFlights<Result<Matrix>>(() => observer.shared());

  async function ask<T>(source: Source, { path, read, fields }: Question<T>, signal: AbortSignal): Promise<Result<T>> {
    let headers: Record<string, string> = {};
    try {
      headers = (await source.headers?.()) ?? {};
    } catch {
      return failure('Unreachable', 'the bearer token of the source could not be read');
    }
    const base = source.destination.url.href.replace(/\/+$/, '');
    const answer = await source.outbound.send(source.destination.via, {
      method: 'POST',
      url: new URL(`${base}${path}`),
      headers: { ...headers, accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams(fields()).toString(),
      signal:
        source.timeoutMilliseconds === undefined
          ? signal
          : AbortSignal.any([signal, AbortSignal.timeout(source.timeoutMilliseconds)]),
      peer: 'Prometheus',
    });
    return answer.ok ? read(answer.value.status, answer.value.text) : answer;
  }

  async function share<T>(
    flights: SharedFlights<Result<T>>,
    source: Source,
    asked: unknown[],
    question: Question<T>,
    signal: AbortSignal,
  ): Promise<Result<T>> {
    // By name too: two sources may be one address with the credentials of different tenants.
    const key = JSON.stringify([source.name, source.destination.via, source.destination.url.href, ...asked]);
    const timed = async (until: AbortSignal) => {
      const started = performance.now();
      const result = await ask(source, question, until);
      observer.asked((performance.now() - started) / 1000, result.ok ? 'ok' : result.fault.reason);
      return result;
    };
    return (await flights.join(key, timed, signal)) ?? failure('Timeout', 'Prometheus did not answer in time');
  }

  return {
    query: (source, promQL, signal) =>
      share(
        instant,
        source,
        [promQL],
        { path: '/api/v1/query', fields: () => ({ query: promQL }), read: readVector },
        signal,
      ),
    queryRange: (source, promQL, { steps, stepSeconds }, signal) => {
      const fields = () => {
        const end = now() / 1000;
        const bounds = { start: end - steps * stepSeconds, end, step: stepSeconds };
        const written = Object.entries(bounds).map(([name, seconds]) => [name, seconds.toFixed(3)]);
        return { query: promQL, ...(Object.fromEntries(written) as Record<string, string>) };
      };
      // Without its end: who asks a moment later is content with the range of the question that is under way.
      const asked = [promQL, steps, stepSeconds];
      return share(ranges, source, asked, { path: '/api/v1/query_range', fields, read: readMatrix }, signal);
    },
  };
}
