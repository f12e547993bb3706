/** Faults on demand: what a test or the demo does to the API server, by verb and resource, so often as wanted. */
import { ApiError } from './errors.ts';

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection';

/** Of a request; a field that is left out matches all. */
export interface Match {
  verb?: Verb | readonly Verb[];
  /** Plural name; with the subresource after a slash: `pods`, `pods/eviction`. */
  resource?: string;
  namespace?: string;
  name?: string;
  /** Part of the User-Agent header. */
  userAgent?: string;
}

export type Fault = Match & {
  /** How many requests it strikes; without it, all until it is removed. */
  count?: number;
  /** Milliseconds before the request is looked at; may stand alone or with any other fault. */
  latency?: number;
} & (
    | { status?: never; drop?: never }
    /** The request has no effect and is answered so. */
    | { status: 409 | 410 | 429 | 500 | 503; retryAfterSeconds?: number; drop?: never }
    /** The connection breaks: `before` the request takes effect, or `after`, so that only its answer is lost. */
    | { drop: 'before' | 'after'; status?: never }
  );

export interface RequestSubject {
  verb: Verb;
  /** `pods` or `pods/status`. */
  resource: string;
  namespace?: string | undefined;
  name?: string | undefined;
  userAgent?: string | undefined;
}

/** An open watch, as the server lends it to the faults. */
export interface OpenWatch {
  subject: RequestSubject;
  drop: () => void;
  /** Delivers nothing any more, neither events nor bookmarks nor its end. */
  silence: () => void;
  /** Ends with a 410 in the stream. */
  expire: () => void;
}

export interface ArmedFault {
  /** How many requests it struck. */
  readonly hits: number;
  remove: () => void;
}

export function matches(match: Match, subject: RequestSubject): boolean {
  const verbs = match.verb === undefined ? undefined : [match.verb].flat();
  return (
    (verbs === undefined || verbs.includes(subject.verb)) &&
    (match.resource === undefined || match.resource === subject.resource) &&
    (match.namespace === undefined || match.namespace === subject.namespace) &&
    (match.name === undefined || match.name === subject.name) &&
    (match.userAgent === undefined || (subject.userAgent ?? '').includes(match.userAgent))
  );
}

const REASONS: Readonly<Record<number, [reason: string, message: string]>> = {
  409: ['Conflict', 'the object has been modified; please apply your changes to the latest version and try again'],
  410: ['Expired', 'The resourceVersion for the provided watch is too old.'],
  429: ['TooManyRequests', 'the server has received too many requests and has asked us to try again later'],
  500: ['InternalError', 'an error on the server has prevented the request from succeeding'],
  503: ['ServiceUnavailable', 'the server is currently unable to handle the request'],
};

export function refusalOf(fault: Fault): ApiError | undefined {
  if (fault.status === undefined) return undefined;
  const [reason = '', message = ''] = REASONS[fault.status] ?? [];
  const { retryAfterSeconds = fault.status === 429 ? 1 : undefined } = fault;
  return new ApiError(fault.status, reason, message, retryAfterSeconds === undefined ? {} : { retryAfterSeconds });
}

export class Faults {
  readonly #armed = new Set<{ fault: Fault; hits: number }>();
  readonly #watches = new Set<OpenWatch>();
  readonly #silent = new Set<Match>();

  /** Arms a fault; the oldest that matches strikes, one a request. */
  add(fault: Fault): ArmedFault {
    const armed = { fault, hits: 0 };
    this.#armed.add(armed);
    return {
      get hits() {
        return armed.hits;
      },
      remove: () => void this.#armed.delete(armed),
    };
  }

  /** Removes every fault; watches that are silent already stay so until they are dropped. */
  clear(): void {
    this.#armed.clear();
    this.#silent.clear();
  }

  /** Breaks the connections of open watches; returns how many. */
  dropWatches(match: Match = {}): number {
    return this.#each(match, (watch) => watch.drop());
  }

  /** Open watches go quiet without ending, and so do those that begin until `end` is called. */
  silenceWatches(match: Match = {}): { silenced: number; end: () => void } {
    this.#silent.add(match);
    const silenced = this.#each(match, (watch) => watch.silence());
    return { silenced, end: () => void this.#silent.delete(match) };
  }

  /** Ends open watches with a 410, as after a compaction. To refuse also those that resume: `state.compact()` before. */
  expireWatches(match: Match = {}): number {
    return this.#each(match, (watch) => watch.expire());
  }

  openWatches(match: Match = {}): number {
    return this.#each(match, () => undefined);
  }

  #each(match: Match, act: (watch: OpenWatch) => void): number {
    const found = [...this.#watches].filter(({ subject }) => matches(match, subject));
    found.forEach(act);
    return found.length;
  }

  /** For the server: the fault that strikes this request. */
  strike(subject: RequestSubject): Fault | undefined {
    for (const armed of this.#armed) {
      if (!matches(armed.fault, subject)) continue;
      armed.hits += 1;
      if (armed.fault.count !== undefined && armed.hits >= armed.fault.count) this.#armed.delete(armed);
      return armed.fault;
    }
    return undefined;
  }

  /** For the server: a watch begins. Returns what to call when it ends. */
  opened(watch: OpenWatch): () => void {
    this.#watches.add(watch);
    if ([...this.#silent].some((match) => matches(match, watch.subject))) watch.silence();
    return () => void this.#watches.delete(watch);
  }
}
