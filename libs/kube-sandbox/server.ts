/** The HTTP side: paths and headers to verbs, refusals to statuses, changes to watch streams. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { parse as parseYaml } from 'yaml';
import { revisionOf, type Api, type WriteOptions } from './api.ts';
import { tableOf } from './columns.ts';
import { discover } from './discovery.ts';
import {
  ApiError,
  badRequest,
  expired,
  internalError,
  methodNotAllowed,
  noSuchPath,
  unsupportedMediaType,
} from './errors.ts';
import { refusalOf, type Faults, type RequestSubject, type Verb } from './faults.ts';
import type { Kind, Subresource } from './kinds.ts';
import { jsonOf, type Fields, type KubeObject } from './objects.ts';
import type { Change } from './store.ts';

export interface ServerOptions {
  api: Api;
  faults: Faults;
  /** Milliseconds between bookmarks of a watch that asked for them. */
  bookmarkInterval?: number;
  /** Where a request to `services/NAME:PORT/proxy/…` goes; undefined: 503. */
  serviceProxy?: (service: { namespace: string; name: string; port: string }) => URL | undefined;
}

interface Target {
  kind: Kind;
  namespace?: string | undefined;
  name?: string | undefined;
  subresource?: string | undefined;
  /** After the subresource: of a proxy request. */
  rest: string;
}

const DEFAULT_BOOKMARK_INTERVAL = 60_000;
/** A bookmark comes so long before a watch's own end. */
const BOOKMARK_BEFORE_END = 2_000;
const MAX_BODY_BYTES = 3 * 1024 * 1024;

function targetOf(api: Api, path: string): Target | undefined {
  const parts = path.split('/').slice(1).map(decodeURIComponent);
  const [root, ...tail] = parts;
  const [group, version, rest] =
    root === 'api'
      ? ['', tail[0], tail.slice(1)]
      : root === 'apis'
        ? [tail[0] ?? '', tail[1], tail.slice(2)]
        : ['', undefined, []];
  if (version === undefined || rest.length === 0) return undefined;
  const inNamespace = rest[0] === 'namespaces' && rest.length > 2 && !['status', 'finalize'].includes(rest[2] ?? '');
  const [plural = '', name, subresource, ...more] = inNamespace ? rest.slice(2) : rest;
  const kind = api.find(group, version, plural);
  if (kind === undefined) return undefined;
  return { kind, namespace: inNamespace ? rest[1] : undefined, name, subresource, rest: more.join('/') };
}

const isTrue = (value: string | null): boolean => value === 'true' || value === '1' || value === '';

function verbOf(method: string, { name }: Target, query: URLSearchParams): Verb {
  switch (method) {
    case 'GET':
      if (name !== undefined) return 'get';
      return query.has('watch') && isTrue(query.get('watch')) ? 'watch' : 'list';
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'PATCH':
      return 'patch';
    case 'DELETE':
      return name === undefined ? 'deletecollection' : 'delete';
    default:
      throw methodNotAllowed();
  }
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES)
      throw new ApiError(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${MAX_BODY_BYTES}`);
    chunks.push(chunk);
  }
  if (size === 0) return undefined;
  const text = Buffer.concat(chunks).toString();
  const type = request.headers['content-type'] ?? 'application/json';
  if (type.includes('protobuf') || type.includes('cbor'))
    throw unsupportedMediaType(type, 'application/json, application/yaml');
  try {
    return type.includes('yaml') ? (parseYaml(text) as unknown) : (JSON.parse(text) as unknown);
  } catch (error) {
    throw badRequest(`the body of the request could not be decoded: ${(error as Error).message}`);
  }
}

function send(response: ServerResponse, code: number, body: string, headers: Record<string, string> = {}): void {
  response.writeHead(code, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
    ...headers,
  });
  response.end(body);
}

function sendError(response: ServerResponse, error: unknown): void {
  const refusal =
    error instanceof ApiError
      ? error
      : internalError(error instanceof Error ? (error.stack ?? error.message) : String(error));
  const wait = refusal.details?.retryAfterSeconds;
  if (response.headersSent) return void response.destroy();
  send(
    response,
    refusal.code,
    JSON.stringify(refusal.status),
    wait === undefined ? {} : { 'Retry-After': String(wait) },
  );
}

const number = (value: string | null): number | undefined =>
  value === null || value === '' ? undefined : Number(value);
const text = (value: string | null): string | undefined => value ?? undefined;

const asTable = (accept: string): boolean =>
  /as=Table/.test(accept.split(',')[0] ?? '') || /as=Table;v=v1;/.test(accept);

export function createApiServer({
  api,
  faults,
  bookmarkInterval = DEFAULT_BOOKMARK_INTERVAL,
  serviceProxy,
}: ServerOptions): Server {
  const listSelection = (query: URLSearchParams) => ({
    labelSelector: text(query.get('labelSelector')),
    fieldSelector: text(query.get('fieldSelector')),
    limit: number(query.get('limit')),
    continue: text(query.get('continue')),
    resourceVersion: text(query.get('resourceVersion')),
  });

  function answerList(
    response: ServerResponse,
    { kind, namespace }: Target,
    query: URLSearchParams,
    table: boolean,
  ): void {
    const { metadata, items } = api.list(kind, namespace, listSelection(query));
    if (table) {
      const includeObject = query.get('includeObject') ?? 'Metadata';
      return send(
        response,
        200,
        JSON.stringify(tableOf(kind.columns, items, metadata, { includeObject, now: api.now() })),
      );
    }
    const apiVersion = kind.group === '' ? kind.version : `${kind.group}/${kind.version}`;
    const head = JSON.stringify({ kind: `${kind.kind}List`, apiVersion, metadata });
    send(response, 200, `${head.slice(0, -1)},"items":[${items.map(jsonOf).join(',')}]}`);
  }

  /** Streams changes until the time is over, the client goes, or a fault ends it. */
  function answerWatch(
    request: IncomingMessage,
    response: ServerResponse,
    target: Target,
    query: URLSearchParams,
    subject: RequestSubject,
    table: boolean,
  ): void {
    const { kind } = target;
    const namespace = kind.namespaced ? target.namespace : undefined;
    // One object is watched by its name, as a client that has a single resource's path would.
    const selected = api.matcher(kind, listSelection(query));
    const mine = (object: KubeObject) =>
      (namespace === undefined || object.metadata.namespace === namespace) &&
      (selected === undefined || selected(shown(object)));
    const shown = (object: KubeObject) => kind.fromStorage?.(object) ?? object;
    const from = revisionOf(text(query.get('resourceVersion')));
    const initialEvents = query.get('sendInitialEvents') === 'true';
    const bookmarks = isTrue(query.get('allowWatchBookmarks') ?? 'false');
    const includeObject = query.get('includeObject') ?? 'Metadata';
    let headers = true;
    let silent = false;

    response.writeHead(200, { 'Content-Type': 'application/json', 'Transfer-Encoding': 'chunked' });
    response.flushHeaders();
    const write = (type: string, body: string) => {
      if (!silent) response.write(`{"type":"${type}","object":${body}}\n`);
    };
    const writeObject = (type: string, object: KubeObject) => {
      const body = shown(object);
      if (!table) return write(type, jsonOf(body));
      const { resourceVersion } = object.metadata;
      write(
        type,
        JSON.stringify(tableOf(kind.columns, [body], { resourceVersion }, { includeObject, headers, now: api.now() })),
      );
      headers = false;
    };
    const bookmark = (annotations?: Fields) => {
      const apiVersion = kind.group === '' ? kind.version : `${kind.group}/${kind.version}`;
      const metadata = {
        resourceVersion: String(Math.max(api.state.revision, from)),
        creationTimestamp: null,
        ...(annotations && { annotations }),
      };
      if (!table) return write('BOOKMARK', JSON.stringify({ kind: kind.kind, apiVersion, metadata }));
      write('BOOKMARK', JSON.stringify(tableOf(kind.columns, [], metadata, { headers, now: api.now() })));
      headers = false;
    };
    const tell = ({ revision, type, object, previous }: Change) => {
      if (revision <= from) return;
      const is = type !== 'DELETED' && mine(object);
      const was = previous !== undefined && mine(previous);
      if (is) writeObject(was ? 'MODIFIED' : 'ADDED', object);
      else if (was) {
        const { resourceVersion } = object.metadata;
        // As it was when it was last selected, with the revision of the change.
        writeObject('DELETED', { ...previous, metadata: { ...previous.metadata, resourceVersion } });
      }
    };

    const expire = () => {
      const refusal = expired(`too old resource version: ${from} (${api.state.revision})`);
      write('ERROR', JSON.stringify(refusal.status));
      response.end();
    };
    if (from === 0 || initialEvents) {
      for (const object of api.state.list(kind.storage, namespace)) if (mine(object)) writeObject('ADDED', object);
      if (initialEvents && bookmarks) bookmark({ 'k8s.io/initial-events-end': 'true' });
    } else {
      const missed = api.state.changesSince(kind.storage, from);
      if (missed === undefined) return expire();
      missed.forEach(tell);
    }
    const unsubscribe = api.state.subscribe(kind.storage, tell);
    const seconds = number(query.get('timeoutSeconds'));
    const timers: NodeJS.Timeout[] = [];
    if (bookmarks) {
      timers.push(setInterval(bookmark, bookmarkInterval));
      if (seconds !== undefined && seconds * 1000 > BOOKMARK_BEFORE_END)
        timers.push(setTimeout(bookmark, seconds * 1000 - BOOKMARK_BEFORE_END));
    }
    if (seconds !== undefined && seconds > 0)
      timers.push(
        setTimeout(() => {
          if (!silent) response.end();
        }, seconds * 1000),
      );
    const closed = faults.opened({
      subject,
      drop: () => request.socket.destroy(),
      silence: () => {
        silent = true;
      },
      expire,
    });
    response.on('close', () => {
      unsubscribe();
      timers.forEach((timer) => clearTimeout(timer));
      closed();
    });
  }

  async function proxy(
    request: IncomingMessage,
    response: ServerResponse,
    { namespace = '', name = '', rest }: Target,
    search: string,
  ): Promise<void> {
    const parts = name.split(':');
    const [service = '', port = ''] = parts.length === 3 ? parts.slice(1) : parts;
    const base = serviceProxy?.({ namespace, name: service, port });
    if (base === undefined)
      throw new ApiError(503, 'ServiceUnavailable', `no endpoints available for service ${JSON.stringify(name)}`);
    const body = request.method === 'GET' ? undefined : JSON.stringify(await readBody(request));
    const answer = await fetch(new URL(`/${rest}${search}`, base), {
      method: request.method ?? 'GET',
      ...(body !== undefined && { body, headers: { 'Content-Type': 'application/json' } }),
    });
    send(response, answer.status, await answer.text(), {
      'Content-Type': answer.headers.get('content-type') ?? 'text/plain',
    });
  }

  function writeOptions(query: URLSearchParams): WriteOptions & { force: boolean } {
    const fieldManager = text(query.get('fieldManager'));
    const fieldValidation = text(query.get('fieldValidation'));
    return {
      dryRun: query.get('dryRun') === 'All',
      force: isTrue(query.get('force') ?? 'false'),
      ...(fieldManager !== undefined && { fieldManager }),
      ...(fieldValidation !== undefined && { fieldValidation }),
    };
  }

  function write(verb: Verb, target: Target, query: URLSearchParams, body: unknown, contentType: string) {
    const { kind, namespace, name = '', subresource } = target;
    const options = writeOptions(query);
    const of = subresource as Subresource | undefined;
    switch (verb) {
      case 'create':
        if (subresource === 'eviction')
          return { code: 201, object: api.evict(namespace ?? '', name, body, options), warnings: [] };
        if (subresource === 'binding')
          return { code: 201, object: api.bind(namespace ?? '', name, body), warnings: [] };
        if (subresource !== undefined || name !== '') throw methodNotAllowed();
        return api.create(kind, namespace, body, options);
      case 'update':
        return api.update(kind, namespace, name, body, of, options);
      case 'patch': {
        const type = contentType.split(';')[0]?.trim() ?? '';
        return api.patch(kind, namespace, name, type, body, of, options);
      }
      case 'delete': {
        // kubectl sends the options as a body, others as query parameters.
        const grace = number(query.get('gracePeriodSeconds'));
        const policy = text(query.get('propagationPolicy'));
        const given = {
          ...(grace !== undefined && { gracePeriodSeconds: grace }),
          ...(policy !== undefined && { propagationPolicy: policy }),
          ...(body as Fields | undefined),
        };
        const dryRun = options.dryRun === true || JSON.stringify((body as Fields | undefined)?.dryRun) === '["All"]';
        return api.delete(kind, namespace, name, given, { ...options, dryRun });
      }
      default:
        throw methodNotAllowed();
    }
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://sandbox');
    const query = url.searchParams;
    const accept = request.headers.accept ?? '';
    const target = targetOf(api, url.pathname);
    if (target === undefined) {
      const found =
        request.method === 'GET' ? discover(url.pathname.replace(/(.)\/$/, '$1'), api.kinds(), accept) : undefined;
      if (found === undefined) throw noSuchPath();
      if (typeof found === 'string') return send(response, 200, found, { 'Content-Type': 'text/plain' });
      return send(response, 200, JSON.stringify(found));
    }
    const { kind, namespace, name, subresource } = target;
    if (subresource === 'proxy' && kind.storage === 'services') return proxy(request, response, target, url.search);
    if (subresource !== undefined && !kind.subresources.includes(subresource as Subresource)) throw noSuchPath();
    const verb = verbOf(request.method ?? 'GET', target, query);
    const subject: RequestSubject = {
      verb,
      resource: subresource === undefined ? kind.plural : `${kind.plural}/${subresource}`,
      namespace,
      name,
      userAgent: request.headers['user-agent'],
    };
    const body = verb === 'get' || verb === 'list' || verb === 'watch' ? undefined : await readBody(request);
    const fault = faults.strike(subject);
    if (fault?.latency !== undefined) await delay(fault.latency);
    if (fault?.drop === 'before') return void request.socket.destroy();
    const refusal = fault === undefined ? undefined : refusalOf(fault);
    if (refusal !== undefined) throw refusal;
    // Past this line nothing waits: a request takes effect as a whole.
    const lose = fault?.drop === 'after';
    const table = asTable(accept);
    if (verb === 'watch') {
      if (lose) return void request.socket.destroy();
      return answerWatch(request, response, target, query, subject, table);
    }
    if (verb === 'list') {
      if (lose) return void request.socket.destroy();
      return answerList(response, target, query, table);
    }
    if (kind.namespaced && namespace === undefined && (name !== undefined || verb === 'create')) throw noSuchPath();
    if (verb === 'get') {
      const object =
        subresource === 'scale' ? api.scale(kind, namespace, name ?? '') : api.get(kind, namespace, name ?? '');
      if (lose) return void request.socket.destroy();
      if (!table) return send(response, 200, jsonOf(object));
      const includeObject = query.get('includeObject') ?? 'Metadata';
      const metadata = { resourceVersion: object.metadata.resourceVersion };
      return send(
        response,
        200,
        JSON.stringify(tableOf(kind.columns, [object], metadata, { includeObject, now: api.now() })),
      );
    }
    if (verb === 'deletecollection') {
      const { metadata, items } = api.deleteCollection(
        kind,
        namespace,
        listSelection(query),
        body,
        writeOptions(query),
      );
      const apiVersion = kind.group === '' ? kind.version : `${kind.group}/${kind.version}`;
      if (lose) return void request.socket.destroy();
      return send(response, 200, JSON.stringify({ kind: `${kind.kind}List`, apiVersion, metadata, items }));
    }
    const { code, object, warnings } = write(verb, target, query, body, request.headers['content-type'] ?? '');
    if (lose) return void request.socket.destroy();
    const warning = warnings.map((message) => `299 - "${message.replaceAll('"', '\\"')}"`).join(', ');
    send(response, code, jsonOf(object), warning === '' ? {} : { Warning: warning });
  }

  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => sendError(response, error));
  });
  // An idle connection of a client's pool is not closed under its hands.
  server.keepAliveTimeout = 0;
  server.requestTimeout = 0;
  return server;
}
