/** Queries to Prometheus, or to anything with its API: instant ones, and ones over a range. */
import type { Exchange } from '@kubervisor/runtime/http/exchange';
import { failure, success, type Fault, type Result } from '../core/answer.ts';
import type { Destination } from '../core/address.ts';
import { readVector } from '../core/prometheus-answer.ts';
import { createFairFlights, type Outcome } from './fair-flights.ts';
import { CONNECTIONS, type Outbound } from './outbound.ts';
import { createRests } from './rests.ts';
import { createTurns, type Turns } from './turns.ts';

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
  /** Queries at once; as many as the outbound has connections, which is 32 unless told. */
  concurrency?: number;
}

export interface Query {
  source: Source;
  /** Of the resource: the queries of one do not hold up those of another. */
  namespace: string;
  promQL: string;
  /** Undefined: an instant query. */
  range?: Range;
  signal: AbortSignal;
}

/** The last `steps` × `stepSeconds` until now, both ends included. */
export interface Range {
  steps: number;
  stepSeconds: number;
}

export interface PrometheusClient {
  /** `judge` makes of the answer what is wanted of it: by what becomes of it the source is known to be well, too. */
  query<T>(query: Query, judge: (answer: Exchange) => Promise<Result<T>>): Promise<Result<T>>;
}

export interface PrometheusObserver {
  shared(): void;
  /** One request to a source ended, well or with the reason. */
  asked(seconds: number, result: string): void;
  /** A source rests because of `fault`, or, undefined, is back. */
  turned(source: Source, fault: Fault | undefined): void;
}

/** What all that wait for one request are given. */
interface Landed {
  answer: Result<Exchange>;
  /** Whoever is the first to know what is to be made of the answer tells it. */
  tell(result: Result<unknown>): void;
}

const PROBE_TIMEOUT_MILLISECONDS = 5000;
/** Of a namespace, for one source. Beyond it nothing would be asked before its time is over. */
const MOST_WAITING = 100;

const WHY: Record<Extract<Outcome<unknown>, { ended: unknown }>['ended'], string> = {
  underWay: 'Prometheus did not answer in time',
  waiting:
    'Prometheus was not asked: until the time-out other queries held every place that the namespace may have there',
  crowded: `Prometheus was not asked: ${MOST_WAITING} queries of the namespace wait for a place there already`,
};
/** One series without a label. */
const MAX_PROBE_LENGTH = 64 * 1024;

/** `now`: milliseconds since 1970; a range is asked for by the clock of this machine. */
export function createPrometheusClient(observer: PrometheusObserver, now = () => Date.now()): PrometheusClient {
  const flights = createFairFlights<Landed>(() => observer.shared());
  /** Of the sources that are asked at the moment. */
  const places = new Map<string, Turns>();
  const rests = createRests<Source>(probe, observer, () => performance.now());

  function placesAt(sourceKey: string, { concurrency = CONNECTIONS }: Source): Turns {
    const present = places.get(sourceKey);
    if (present !== undefined) return present;
    const onIdle = (): void => void places.delete(sourceKey);
    const turns = createTurns({ places: concurrency, mostWaiting: MOST_WAITING, onIdle });
    places.set(sourceKey, turns);
    return turns;
  }

  async function send(
    source: Source,
    credentials: Record<string, string>,
    {
      path,
      fields,
      signal,
      apart,
    }: { path: string; fields: Record<string, string>; signal: AbortSignal; apart: boolean },
  ): Promise<Result<Exchange>> {
    const base = source.destination.url.href.replace(/\/+$/, '');
    return source.outbound.send(source.destination.via, {
      method: 'POST',
      url: new URL(`${base}${path}`),
      headers: { ...credentials, accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams(fields).toString(),
      signal:
        source.timeoutMilliseconds === undefined
          ? signal
          : AbortSignal.any([signal, AbortSignal.timeout(source.timeoutMilliseconds)]),
      peer: 'Prometheus',
      apart,
    });
  }

  const credentialsOf = async (source: Source) => (await source.credentials?.()) ?? success({});

  /** The trivial question. */
  async function probe(source: Source): Promise<Result<unknown>> {
    const credentials = await credentialsOf(source);
    if (!credentials.ok) return credentials;
    const answer = await send(source, credentials.value, {
      path: '/api/v1/query',
      fields: { query: 'vector(1)' },
      signal: AbortSignal.timeout(PROBE_TIMEOUT_MILLISECONDS),
      // Queries that hold every connection would else make a source rest that answers.
      apart: true,
    });
    if (!answer.ok) return answer;
    const { status, text } = answer.value;
    if (text.length > MAX_PROBE_LENGTH) return failure('BadAnswer', 'the answer of Prometheus to vector(1) is no such');
    return readVector(status, text);
  }

  function questionOf({ promQL, range }: Query): { path: string; fields: Record<string, string> } {
    if (range === undefined) return { path: '/api/v1/query', fields: { query: promQL } };
    const { steps, stepSeconds } = range;
    const end = now() / 1000;
    const bounds = { start: end - steps * stepSeconds, end, step: stepSeconds };
    const written = Object.entries(bounds).map(([name, seconds]) => [name, seconds.toFixed(3)]);
    return {
      path: '/api/v1/query_range',
      fields: { query: promQL, ...(Object.fromEntries(written) as Record<string, string>) },
    };
  }

  return {
    async query(query, judge) {
      const { source, namespace, promQL, range, signal } = query;
      // By name too: two sources may be one address with the credentials of different tenants.
      const ofSource = [source.name, source.destination.via, source.destination.url.href];
      const sourceKey = JSON.stringify(ofSource);
      const rest = await rests.admit(sourceKey, signal);
      if (rest !== undefined) return { ok: false, fault: rest };

      const fly = async (until: AbortSignal): Promise<Landed> => {
        const started = performance.now();
        const credentials = await credentialsOf(source);
        const answer = credentials.ok
          ? await send(source, credentials.value, { ...questionOf(query), signal: until, apart: false })
          : credentials;
        const seconds = (performance.now() - started) / 1000;
        let isTold = false;
        const tell = (result: Result<unknown>): void => {
          if (isTold) return;
          isTold = true;
          observer.asked(seconds, result.ok ? 'ok' : result.fault.reason);
          // Without credentials it was not asked, so it did not fail either: no rest mends a file.
          if (credentials.ok) rests.heard(sourceKey, source, result);
        };
        // Perhaps nobody waits any more.
        if (!answer.ok) tell(answer);
        return { answer, tell };
      };
      // Without the end of a range: who asks a moment later is content with that of the question that is under way.
      const key = JSON.stringify([...ofSource, promQL, range?.steps, range?.stepSeconds]);
      const turns = placesAt(sourceKey, source);
      const outcome = await flights.join({ namespace, key, turns, start: fly, signal });
      if ('ended' in outcome) return failure('Timeout', WHY[outcome.ended]);
      const { answer, tell } = outcome.landed;
      if (!answer.ok) return answer;
      const result = await judge(answer.value);
      tell(result);
      return result;
    },
  };
}
