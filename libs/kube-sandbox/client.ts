/**
 * A small client of any Kubernetes API server, for the controller side and the conformance suite: it shows status codes and bodies
 * as they are and never retries.
 */
import { readFileSync } from 'node:fs';
import { Agent } from 'undici';
import { parse as parseYaml } from 'yaml';
import { at, fieldsOf, listOf, type Fields, type KubeObject } from './objects.ts';

export interface CallOptions {
  query?: Record<string, string | number | boolean | undefined>;
  body?: unknown;
  /** Of the body; JSON if left out. Patches name their type. */
  contentType?: string;
  accept?: string;
  signal?: AbortSignal;
}

export interface Answer {
  code: number;
  headers: Record<string, string | string[] | undefined>;
  /** The parsed JSON, or the text where it is none. */
  body: KubeObject & { items?: KubeObject[] } & Fields;
}

export interface WatchEvent {
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  object: KubeObject;
}

export class CallError extends Error {
  readonly code: number;
  readonly answer: Answer;
  constructor(method: string, path: string, answer: Answer) {
    super(`${method} ${path}: ${answer.code} ${String(answer.body.message ?? '')}`);
    this.code = answer.code;
    this.answer = answer;
  }
}

export interface ApiClient {
  readonly server: string;
  /** Answers whatever the status code. @throws only where there is no answer */
  request: (method: string, path: string, options?: CallOptions) => Promise<Answer>;
  /** As `request`, but a status of 300 and more is thrown. @throws CallError */
  call: (method: string, path: string, options?: CallOptions) => Promise<Answer['body']>;
  /** Every event, until the server ends the stream, the signal fires or the connection breaks (thrown). */
  watch: (path: string, query: CallOptions['query'], signal?: AbortSignal) => AsyncGenerator<WatchEvent>;
  close: () => Promise<void>;
}

export interface Access {
  server: string;
  token?: string | undefined;
  ca?: string | undefined;
  cert?: string | undefined;
  key?: string | undefined;
}

/** The current context of a kubeconfig (its text). Data or file names; no exec plug-ins. */
export function accessOf(kubeconfig: string): Access {
  const config = fieldsOf(parseYaml(kubeconfig));
  const named = (list: unknown, name: unknown, field: string) =>
    fieldsOf(listOf(list).find((entry) => entry.name === name)?.[field]);
  const context = named(config.contexts, config['current-context'], 'context');
  const cluster = named(config.clusters, context.cluster, 'cluster');
  const user = named(config.users, context.user, 'user');
  const material = (from: Fields, name: string): string | undefined => {
    const data = from[`${name}-data`];
    if (typeof data === 'string') return Buffer.from(data, 'base64').toString();
    return typeof from[name] === 'string' ? readFileSync(from[name], 'utf8') : undefined;
  };
  const server = at(cluster, 'server');
  if (typeof server !== 'string') throw new Error('kubeconfig: the current context names no cluster with a server');
  return {
    server,
    token: typeof user.token === 'string' ? user.token : undefined,
    ca: material(cluster, 'certificate-authority'),
    cert: material(user, 'client-certificate'),
    key: material(user, 'client-key'),
  };
}

/** @param kubeconfig its text, not a file's name */
export function createApiClient(kubeconfig: string, { userAgent = 'kubervisor-sandbox-client' } = {}): ApiClient {
  const { server, token, ca, cert, key } = accessOf(kubeconfig);
  const dispatcher = new Agent({
    connections: 64,
    bodyTimeout: 0,
    headersTimeout: 60_000,
    connect: {
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
    },
  });
  const send = (method: string, path: string, { query = {}, body, contentType, accept, signal }: CallOptions) => {
    const url = new URL(server.replace(/\/$/, '') + path);
    for (const [name, value] of Object.entries(query))
      if (value !== undefined) url.searchParams.set(name, String(value));
    return dispatcher.request({
      origin: url.origin,
      path: url.pathname + url.search,
      method,
      headers: {
        'user-agent': userAgent,
        accept: accept ?? 'application/json',
        ...(body !== undefined && { 'content-type': contentType ?? 'application/json' }),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      ...(signal !== undefined && { signal }),
    });
  };
  const request: ApiClient['request'] = async (method, path, options = {}) => {
    const response = await send(method, path, options);
    const text = await response.body.text();
    let body: unknown = text;
    try {
      body = JSON.parse(text);
    } catch {
      // Not JSON (/healthz, /metrics): handed over as text.
    }
    return { code: response.statusCode, headers: response.headers, body: body as Answer['body'] };
  };
  return {
    server,
    request,
    call: async (method, path, options) => {
      const answer = await request(method, path, options);
      if (answer.code >= 300) throw new CallError(method, path, answer);
      return answer.body;
    },
    watch: async function* (path, query, signal) {
      const response = await send('GET', path, {
        query: { ...query, watch: true },
        ...(signal !== undefined && { signal }),
      });
      if (response.statusCode !== 200) {
        const body = (await response.body.json()) as Answer['body'];
        throw new CallError('WATCH', path, { code: response.statusCode, headers: {}, body });
      }
      const decoder = new TextDecoder();
      let rest = '';
      for await (const chunk of response.body) {
        const lines = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) if (line !== '') yield JSON.parse(line) as WatchEvent;
      }
    },
    close: () => dispatcher.destroy(),
  };
}

/** `/api/v1/namespaces/NS/pods/NAME`; parts that are left out shorten it. */
export function pathOf(
  { group = '', version = 'v1', plural }: { group?: string; version?: string; plural: string },
  namespace?: string,
  name?: string,
  subresource?: string,
): string {
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  const rest = [...(namespace === undefined ? [] : ['namespaces', namespace]), plural, name, subresource];
  return [root, ...rest.filter((part) => part !== undefined)].join('/');
}
