/** Queries to Prometheus, or to anything with its API: instant ones, and ones over a range. */
import { failure, success, type Fault, type Result } from '../core/answer.ts';
import type { Destination } from '../core/address.ts';
import { readMatrix, readVector, type Matrix, type Vector } from '../core/prometheus-answer.ts';
import type { Outbound } from './outbound.ts';
import { createRests } from './rests.ts';
import { createSharedFlights, type SharedFlights } from './shared-flights.ts';

export interface Source {
  /** Undefined of a Service that a resource names by its address. */
  name?: string;
  destination: Destination;
  outbound: Outbound;
  /**
   * Headers of each request, from files that may have been exchanged since the last one; a fault where one cannot be used. Undefined of
   * a source without credentials.
   */
  credentials?: () => Promise<Result<Record<string, string>>>;
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
  /** A source rests because of `fault`, or, undefined, is back. */
  turned(source: Source, fault: Fault | undefined): void;
}

interface Question<T> {
  path: string;
  /** Of the body; computed when it is sent. */
  fields(): Record<string, string>;
  read(status: number, text: string): Result<T>;
  apart?: boolean;
}

const PROBE_TIMEOUT_MILLISECONDS = 5000;

/** `now`: milliseconds since 1970; a range is asked for by the clock of this machine. */
export function createPrometheusClient(observer: PrometheusObserver, now = () => Date.now()): PrometheusClient {
  const instant = createSharedFlights<Result<Vector>>(() => observer.shared());
  const ranges = createSharedFlights<Result<Matrix>>(() => observer.shared());

  const trivial: Question<Vector> = {
    path: '/api/v1/query',
    fields: () => ({ query: 'vector(1)' }),
    read: readVector,
    // Queries that hold every connection would else make a source rest that answers.
    apart: true,
  };
  const rests = createRests<Source>(
    (source) => ask(source, trivial, AbortSignal.timeout(PROBE_TIMEOUT_MILLISECONDS), () => undefined),
    { turned: (source, fault) => observer.turned(source, fault) },
    () => performance.now(),
  );

  async function ask<T>(
    source: Source,
    { path, read, fields, apart = false }: Question<T>,
    signal: AbortSignal,
    onAnswer: (result: Result<T>) => void,
  ): Promise<Result<T>> {
    const credentials = (await source.credentials?.()) ?? success({});
    // It was not asked, so it did not fail either: no rest mends a file.
    if (!credentials.ok) return credentials;
    const base = source.destination.url.href.replace(/\/+$/, '');
    const answer = await source.outbound.send(source.destination.via, {
      method: 'POST',
      url: new URL(`${base}${path}`),
      headers: {
        ...credentials.value,
        accept: 'application/json',
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: new URLSearchParams(fields()).toString(),
      signal:
        source.timeoutMilliseconds === undefined
          ? signal
          : AbortSignal.any([signal, AbortSignal.timeout(source.timeoutMilliseconds)]),
      peer: 'Prometheus',
      apart,
    });
    const result = answer.ok ? read(answer.value.status, answer.value.text) : answer;
    onAnswer(result);
    return result;
  }

  async function share<T>(
    flights: SharedFlights<Result<T>>,
    source: Source,
    asked: unknown[],
    question: Question<T>,
    signal: AbortSignal,
  ): Promise<Result<T>> {
    // By name too: two sources may be one address with the credentials of different tenants.
    const ofSource = [source.name, source.destination.via, source.destination.url.href];
    const key = JSON.stringify([...ofSource, ...asked]);
    const sourceKey = JSON.stringify(ofSource);
    const rest = await rests.admit(sourceKey, signal);
    if (rest !== undefined) return { ok: false, fault: rest };
    const timed = async (until: AbortSignal) => {
      const started = performance.now();
      const result = await ask(source, question, until, (heard) => rests.heard(sourceKey, source, heard));
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
      // One more than both ends included: some that speak this API align the range to the step.
      const read = (status: number, text: string) => readMatrix(status, text, steps + 2);
      return share(ranges, source, asked, { path: '/api/v1/query_range', fields, read }, signal);
    },
  };
}
