/** Instant queries to Prometheus, or to anything with its API. */
import { failure, type Result } from '../core/answer.ts';
import type { Destination } from '../core/address.ts';
import { readQueryAnswer, type Vector } from '../core/prometheus-answer.ts';
import type { Outbound } from './outbound.ts';
import { createSharedFlights } from './shared-flights.ts';

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
}

export interface PrometheusObserver {
  shared(): void;
  /** One request to a source ended, well or with the reason. */
  asked(seconds: number, result: string): void;
}

export function createPrometheusClient(observer: PrometheusObserver): PrometheusClient {
  const flights = createSharedFlights<Result<Vector>>(() => observer.shared());

  async function ask(source: Source, promQL: string, signal: AbortSignal): Promise<Result<Vector>> {
    let headers: Record<string, string> = {};
    try {
      headers = (await source.headers?.()) ?? {};
    } catch {
      return failure('Unreachable', 'the bearer token of the source could not be read');
    }
    const base = source.destination.url.href.replace(/\/+$/, '');
    const answer = await source.outbound.send(source.destination.via, {
      method: 'POST',
      url: new URL(`${base}/api/v1/query`),
      headers: { ...headers, accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ query: promQL }).toString(),
      signal:
        source.timeoutMilliseconds === undefined
          ? signal
          : AbortSignal.any([signal, AbortSignal.timeout(source.timeoutMilliseconds)]),
      peer: 'Prometheus',
    });
    return answer.ok ? readQueryAnswer(answer.value.status, answer.value.text) : answer;
  }

  return {
    async query(source, promQL, signal) {
      // By name too: two sources may be one address with the credentials of different tenants.
      const key = JSON.stringify([source.name, source.destination.via, source.destination.url.href, promQL]);
      const timed = async (until: AbortSignal) => {
        const started = performance.now();
        const result = await ask(source, promQL, until);
        observer.asked((performance.now() - started) / 1000, result.ok ? 'ok' : result.fault.reason);
        return result;
      };
      return (await flights.join(key, timed, signal)) ?? failure('Timeout', 'Prometheus did not answer in time');
    },
  };
}
