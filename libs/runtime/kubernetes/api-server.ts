/**
 * Requests to the Kubernetes API server. The client library gives who we are and whom to trust (kubeconfig, in-cluster account,
 * exec plug-ins, token files); the requests are our own, because its typed client has no time-outs, opens a connection a call and
 * turns 5,000 pods into 5,000 object trees with Dates of which nine tenths are thrown away.
 *
 * HTTP/1.1 on purpose: one request a connection. So giving up a request closes its connection and touches no other, a silent
 * connection costs one request, and nothing repeats a request by itself (as an HTTP/2 client may after GOAWAY). It is as fast.
 */
import { KubeConfig, RequestContext, type DispatcherOptions } from '@kubernetes/client-node';
import { Agent, DecoratorHandler, ProxyAgent, type Dispatcher } from 'undici';

/**
 * A moment on this process's monotonic clock (`performance.now()`) after which a request may not leave any more. It may move while the
 * request waits: that of a leader's mandate does.
 */
export interface Deadline {
  readonly at: number;
}

export const MEDIA_TYPE = {
  json: 'application/json',
  jsonPatch: 'application/json-patch+json',
  mergePatch: 'application/merge-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;

/** Reads: the longest a list of 5,000 pods may take on a busy server. Writes: see PATCH_TIMEOUT. Milliseconds. */
export const READ_TIMEOUT = 10_000;
export const WRITE_TIMEOUT = 5_000;
/** Files of the account (token, certificates) are read again this often, so that a rotation is seen. Milliseconds. */
const CREDENTIALS_LIFE = 10_000;
/** Under the 90 s after which an API server closes an idle connection, so that we are the one who closes it. */
const KEEP_ALIVE = 60_000;

/**
 * The API server refused, or did not answer. The message is one line of at most 200 characters, without headers: fit for logs,
 * status and facts.
 */
export class ApiError extends Error {
  /** HTTP status; 0 where there was no answer. */
  readonly status: number;
  /** The API's own word (`NotFound`, `Invalid`, `TooManyRequests` …), `Timeout` or the network error's code. */
  readonly reason: string;
  /** What the server asks us to wait before the next try. */
  readonly retryAfterSeconds: number | undefined;

  constructor(status: number, reason: string, message: string, retryAfterSeconds?: number) {
    super(shorten(message));
    this.name = 'ApiError';
    this.status = status;
    this.reason = reason;
    this.retryAfterSeconds = retryAfterSeconds;
  }

  /** Whether a write may have taken effect all the same: no answer, or the server broke down over it. */
  get uncertain(): boolean {
    return (this.status === 0 && !NEVER_SENT.includes(this.reason)) || this.status >= 500;
  }
}

/** The deadline passed before the request left: nothing was sent. */
export class DeadlinePassed extends Error {
  override name = 'DeadlinePassed';
}

const NEVER_SENT = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_CLOSED'];

const shorten = (text: string): string => {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length <= 200 ? line : `${line.slice(0, 199)}…`;
};

export interface RequestOptions {
  body?: unknown;
  /** One of MEDIA_TYPE; JSON by default. */
  contentType?: string;
  query?: Readonly<Record<string, string | number | boolean | undefined>>;
  /** Milliseconds for all of it, from the call to the last byte. */
  timeout?: number;
  deadline?: Deadline | undefined;
  signal?: AbortSignal;
}

export interface ApiServer {
  /** Where it is, for logs. */
  readonly url: string;
  /** Of the context; undefined where it names none. */
  readonly namespace?: string | undefined;
  /** One attempt. Throws ApiError or DeadlinePassed. */
  request<T = unknown>(method: string, path: string, options?: RequestOptions): Promise<T>;
  /** A GET; 429 and a connection that broke are tried again as long as the time-out allows. */
  read<T = unknown>(path: string, options?: RequestOptions): Promise<T>;
  /** As `read`; undefined where there is no such object. */
  find<T = unknown>(path: string, options?: RequestOptions): Promise<T | undefined>;
  /**
   * The lines of an answer that goes on (a watch). Throws ApiError when nothing came for `silence` milliseconds or the
   * connection broke; ends when the server ends it or the signal is aborted. `opened`: the server has agreed to it.
   */
  lines(
    path: string,
    options: { query: RequestOptions['query']; silence: number; signal: AbortSignal; opened?: () => void },
  ): AsyncGenerator<string>;
  close(): Promise<void>;
}

/** Takes its ways of connecting from the library and leaves the connecting to us. */
class Account extends KubeConfig {
  transport: DispatcherOptions = { type: 'none' };

  override createDispatcherOptions(...args: Parameters<KubeConfig['createDispatcherOptions']>): DispatcherOptions {
    this.transport = super.createDispatcherOptions(...args);
    return { type: 'none' };
  }
}

/** Checked at the very moment the request would be written, for it may have waited for a connection. */
class NotAfter extends DecoratorHandler implements Dispatcher.DispatchHandler {
  readonly #deadline: Deadline;

  constructor(handler: Dispatcher.DispatchHandler, deadline: Deadline) {
    super(handler);
    this.#deadline = deadline;
  }

  onRequestStart(controller: Dispatcher.DispatchController, context: unknown): void {
    if (performance.now() > this.#deadline.at)
      controller.abort(new DeadlinePassed('the deadline passed before the request left'));
    // @ts-expect-error the library's declaration of DecoratorHandler leaves out its methods
    else super.onRequestStart(controller, context);
  }
}

const notAfter: Dispatcher.DispatcherComposeInterceptor = (dispatch) => (options, handler) => {
  const { deadline } = options as { deadline?: Deadline };
  return dispatch(options, deadline === undefined ? handler : new NotAfter(handler, deadline));
};

function dispatcherOf(transport: DispatcherOptions): Agent | ProxyAgent {
  const pool = { allowH2: false, pipelining: 1, keepAliveTimeout: KEEP_ALIVE, keepAliveMaxTimeout: KEEP_ALIVE };
  const connect = { keepAlive: true, keepAliveInitialDelay: 15_000, timeout: 5_000 };
  switch (transport.type) {
    case 'none':
      return new Agent({ ...pool, connect });
    case 'agent':
      return new Agent({ ...pool, connect: { ...transport.connect, ...connect } as Agent.Options['connect'] & object });
    case 'proxy':
      return new ProxyAgent({
        ...pool,
        uri: transport.uri,
        connect,
        requestTls: transport.requestTls,
      } as ProxyAgent.Options);
    case 'socks':
      throw new Error('kubeconfig: a SOCKS proxy-url is not supported; allowed are http:// and https:// proxies');
  }
}

export interface ApiServerSettings {
  /** A kubeconfig file, or several of which the first says most; without one the account that Kubernetes mounts into a pod. */
  kubeconfigFile?: string | readonly string[];
  /** One of the kubeconfig; else its current one. */
  context?: string;
  userAgent: string;
}

/** Connects with the first request. Throws where the kubeconfig cannot be read or names no cluster. */
export function connectApiServer({ kubeconfigFile, context, userAgent }: ApiServerSettings): ApiServer {
  const account = new Account();
  const [file, ...more] = kubeconfigFile === undefined ? [] : [kubeconfigFile].flat();
  if (file === undefined) account.loadFromCluster();
  else account.loadFromFile(file);
  for (const another of more) {
    const config = new KubeConfig();
    config.loadFromFile(another);
    account.mergeConfig(config, true);
  }
  if (context !== undefined) {
    const known = account.getContexts().map(({ name }) => name);
    if (!known.includes(context))
      throw new Error(`${file ?? 'in-cluster account'}: no context "${context}"; there are: ${known.join(', ')}`);
    account.setCurrentContext(context);
  }
  const server = account.getCurrentCluster()?.server.replace(/\/$/, '');
  if (server === undefined)
    throw new Error(`${file ?? 'in-cluster account'}: current-context names no cluster with a server`);

  const { origin, pathname } = new URL(server);
  const basePath = pathname.replace(/\/$/, '');

  interface Credentials {
    headers: Record<string, string>;
    pool: Pool;
  }
  interface Pool {
    fingerprint: string;
    agent: Agent | ProxyAgent;
    dispatcher: Dispatcher;
  }
  const pools = new Set<Pool>();
  let pool: Pool | undefined;
  let known: Promise<Credentials> | undefined;
  let knownUntil = 0;

  const readCredentials = async (): Promise<Credentials> => {
    const context = new RequestContext(server, 'GET' as ConstructorParameters<typeof RequestContext>[1]);
    await account.applySecurityAuthentication(context);
    const fingerprint = JSON.stringify(account.transport);
    // New certificates need new connections.
    if (pool?.fingerprint !== fingerprint) {
      leave(pool);
      const agent = dispatcherOf(account.transport);
      pool = { fingerprint, agent, dispatcher: agent.compose(notAfter) };
      pools.add(pool);
    }
    return { headers: context.getHeaders(), pool };
  };
  /**
   * What is under way on its connections ends there; nothing new begins. So after a request that got no answer: where one
   * connection is half-open the idle ones beside it are too, and each would cost another time-out.
   */
  const leave = (left: Pool | undefined) => {
    if (left === undefined || left !== pool) return;
    pool = undefined;
    knownUntil = 0;
    void left.agent
      .close()
      .catch(() => {})
      .then(() => pools.delete(left));
  };
  const credentials = (): Promise<Credentials> => {
    if (known === undefined || performance.now() > knownUntil) {
      knownUntil = performance.now() + CREDENTIALS_LIFE;
      known = readCredentials();
      known.catch(() => (known = undefined));
    }
    return known;
  };

  async function send(
    method: string,
    path: string,
    options: RequestOptions & { bodyTimeout: number; signal: AbortSignal; onPool: (pool: Pool) => void },
  ) {
    const { headers, pool } = await credentials();
    options.onPool(pool);
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(options.query ?? {}))
      if (value !== undefined && value !== '') query.set(name, String(value));
    const request: Dispatcher.RequestOptions & { deadline?: Deadline } = {
      origin,
      path: basePath + path + (query.size > 0 ? `?${query}` : ''),
      method: method as Dispatcher.HttpMethod,
      headers: {
        ...headers,
        accept: MEDIA_TYPE.json,
        'user-agent': userAgent,
        ...(options.body !== undefined && { 'content-type': options.contentType ?? MEDIA_TYPE.json }),
      },
      ...(options.body !== undefined && { body: JSON.stringify(options.body) }),
      signal: options.signal,
      headersTimeout: 0,
      bodyTimeout: options.bodyTimeout,
      ...(options.deadline !== undefined && { deadline: options.deadline }),
    };
    const answer: Dispatcher.ResponseData = await pool.dispatcher.request(request);
    if (answer.statusCode === 401) knownUntil = 0;
    if (answer.statusCode >= 300) throw refusal(answer.statusCode, answer.headers, await answer.body.text());
    return answer;
  }

  const api: ApiServer = {
    url: server,
    namespace: account.getContextObject(account.getCurrentContext())?.namespace,

    async request<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
      const timeout = options.timeout ?? (method === 'GET' ? READ_TIMEOUT : WRITE_TIMEOUT);
      // By hand: AbortSignal.any leaves something behind on a signal that outlives the request, and AbortSignal.timeout its timer.
      const ending = new AbortController();
      const { signal } = ending;
      let isLate = false;
      const late = setTimeout(() => {
        isLate = true;
        ending.abort();
      }, timeout);
      const stop = () => ending.abort(options.signal?.reason);
      options.signal?.addEventListener('abort', stop, { once: true });
      if (options.signal?.aborted === true) stop();
      let used: Pool | undefined;
      const onPool = (pool: Pool) => void (used = pool);
      try {
        // A slow credential plug-in counts too, but cannot be aborted: so it races against the time-out.
        const answer = await untilAborted(send(method, path, { ...options, bodyTimeout: 0, signal, onPool }), signal);
        return JSON.parse(await answer.body.text()) as T;
      } catch (error) {
        if (error instanceof ApiError || error instanceof DeadlinePassed) throw error;
        if (!isLate) throw noAnswer(error);
        leave(used);
        throw new ApiError(0, 'Timeout', `no answer within ${timeout} ms`);
      } finally {
        clearTimeout(late);
        options.signal?.removeEventListener('abort', stop);
      }
    },

    async read<T>(path: string, options: RequestOptions = {}): Promise<T> {
      const timeout = options.timeout ?? READ_TIMEOUT;
      const giveUpAt = performance.now() + timeout;
      for (let broken = 0; ;) {
        try {
          return await api.request<T>('GET', path, {
            ...options,
            timeout: Math.max(1, Math.ceil(giveUpAt - performance.now())),
          });
        } catch (error) {
          if (!(error instanceof ApiError)) throw error;
          const busy = error.status === 429;
          // An idle connection that the server closed just now is noticed by the next request only.
          const stale = STALE_CONNECTION.includes(error.reason) && broken++ === 0;
          const wait = busy ? Math.max(1, error.retryAfterSeconds ?? 1) * 1000 : 0;
          if ((!busy && !stale) || performance.now() + wait >= giveUpAt) throw error;
          await pause(wait, options.signal);
        }
      }
    },

    async find<T>(path: string, options?: RequestOptions): Promise<T | undefined> {
      try {
        return await api.read<T>(path, options);
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) return undefined;
        throw error;
      }
    },

    async *lines(path, { query, silence, signal, opened }) {
      const ending = new AbortController();
      const stop = () => ending.abort(signal.reason);
      const late = setTimeout(
        () => ending.abort(new ApiError(0, 'Timeout', `no answer within ${READ_TIMEOUT} ms`)),
        READ_TIMEOUT,
      );
      signal.addEventListener('abort', stop, { once: true });
      let used: Pool | undefined;
      const onPool = (pool: Pool) => void (used = pool);
      try {
        const answer = await untilAborted(
          send('GET', path, { ...(query && { query }), bodyTimeout: silence, signal: ending.signal, onPool }),
          ending.signal,
        );
        clearTimeout(late);
        opened?.();
        answer.body.setEncoding('utf8');
        let rest = '';
        for await (const chunk of answer.body as AsyncIterable<string>) {
          const lines = (rest + chunk).split('\n');
          rest = lines.pop() ?? '';
          for (const line of lines) if (line !== '') yield line;
        }
      } catch (error) {
        if (signal.aborted) return;
        const known = error instanceof ApiError ? error : noAnswer(error);
        if (SILENCE.includes(known.reason)) leave(used);
        throw known;
      } finally {
        clearTimeout(late);
        signal.removeEventListener('abort', stop);
        // A reader that leaves early must not leave the connection open behind it.
        ending.abort();
      }
    },

    async close() {
      await Promise.all([...pools].map(({ agent }) => agent.destroy()));
    },
  };
  return api;
}

/** The same API server for who may change something until `deadline` alone; reads are free. */
export function writingBefore(api: ApiServer, deadline: Deadline): ApiServer {
  return {
    ...api,
    request: (method, path, options = {}) =>
      api.request(
        method,
        path,
        method === 'GET' ? options : { ...options, deadline: earlier(deadline, options.deadline) },
      ),
  };
}
const earlier = (one: Deadline, other: Deadline | undefined): Deadline =>
  other === undefined
    ? one
    : {
        get at() {
          return Math.min(one.at, other.at);
        },
      };

/** Of a kept connection that had ended meanwhile, or a pool that was just left: a read may go out again. */
const STALE_CONNECTION = ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE', 'UND_ERR_CLOSED'];
const SILENCE = ['Timeout', 'UND_ERR_BODY_TIMEOUT'];

function refusal(status: number, headers: Record<string, string | string[] | undefined>, text: string): ApiError {
  let body: {
    reason?: unknown;
    message?: unknown;
    details?: { causes?: { message?: unknown }[] };
    /** Of a service of ours, asked through the API server. */
    error?: { code?: unknown; message?: unknown };
  } = {};
  try {
    body = JSON.parse(text) as typeof body;
  } catch {
    // Not the API server itself (a proxy, a load balancer): its page is not ours to repeat.
  }
  const causes = (body.details?.causes ?? [])
    .map((cause) => cause.message)
    .filter((message) => typeof message === 'string');
  const message = firstText(body.message, body.error?.message) ?? `HTTP status ${status}`;
  const retryAfter = Number(headers['retry-after']);
  return new ApiError(
    status,
    firstText(body.reason, body.error?.code) ?? String(status),
    [message, ...causes.filter((cause) => !message.includes(cause))].join(' '),
    Number.isFinite(retryAfter) && retryAfter > 0 ? retryAfter : undefined,
  );
}

const firstText = (...values: unknown[]): string | undefined =>
  values.find((value): value is string => typeof value === 'string' && value !== '');

function noAnswer(error: unknown): ApiError {
  const { code, cause, message } = error as { code?: unknown; cause?: { code?: unknown }; message?: unknown };
  const known = [code, cause?.code].find((value) => typeof value === 'string');
  return new ApiError(0, known ?? 'NoAnswer', `no answer: ${known ?? String(message ?? error)}`);
}

async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) throw signal.reason;
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } catch (error) {
    work.catch(() => {});
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** Ends early when the signal is aborted; the caller looks at the signal. */
export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve();
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal?.addEventListener('abort', end, { once: true });
  });
}
