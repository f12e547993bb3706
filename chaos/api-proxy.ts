/**
 * Stands between one process of ours and the API server: it tells who asked for what and when, and it misbehaves when told to.
 *
 * What the rules rest on it must never break itself (W3, W4):
 * - Nothing that a client sent takes effect later than PATCH_TIMEOUT afterwards. So what is held back dies with the connection of its
 *   client; a write that is held back longer is never passed on, for a client that stands still cannot hang up; and the server is told
 *   how much of its time is left.
 * - 409 and 429 mean that nothing was done: they are answered in place of passing a request on. Only a 500, or no answer at all, may
 *   come after the server did what was asked.
 * - What a silent connection swallowed never arrives.
 */
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { accessOf } from '@kubervisor/kube-sandbox/client';
import { kubeconfigFor } from '@kubervisor/testing/kubernetes/kubeconfig';
import { PATCH_TIMEOUT } from '@kubervisor/shared/policy/claim';

/** One request on its way. */
export interface Passage {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: string;
  /** `performance.now()`. */
  readonly receivedAt: number;
  /** What the API server, or in its place the proxy, answered; missing: nothing (yet). */
  status?: number;
  /** It reached the API server. */
  passedOn: boolean;
}

/**
 * Whether it is known that nothing came of it: the API server said so, or never got it. Where that breaks down (5xx) it may have stored
 * what it was asked for.
 */
export const cameToNothing = ({ status, passedOn }: Pick<Passage, 'status' | 'passedOn'>): boolean =>
  status !== undefined && (!passedOn || (status >= 400 && status < 500));

/** What befalls requests; each `share` in [0, 1]. */
export interface Mischief {
  /** Answered so, and not passed on. */
  refuse?: { status: 409 | 429 | 500; share: number };
  /** Passed on, and then answered with a 500, or not at all. */
  loseAnswer?: { as: 'cut' | 500; share: number };
  /** Held back for so many milliseconds at most. */
  slow?: number;
}

export interface ProxyListener {
  /** Before it is passed on. */
  requested(passage: Passage): void;
  /** What the API server answered, before the client gets it. Not of a watch. */
  answered(passage: Passage, body: string): void;
}

export interface ApiProxy {
  /** Of the way through it. */
  readonly kubeconfig: string;
  /** None unless set. */
  mischief: Mischief;
  /** Ends every open connection. */
  cut(): void;
  /** Nothing comes through any more, and nobody is told; `watches`: only of the watches that are open now. */
  silence(what: 'all' | 'watches'): void;
  /** As if nothing had been: no mischief. What a silent connection swallowed stays lost, so all that are open are cut. */
  pass(): void;
  close(): Promise<void>;
}

const isWrite = ({ method }: Passage): boolean => method !== 'GET';
const isWatch = ({ query }: Passage): boolean => ['true', '1'].includes(query.get('watch') ?? '');

const REASONS = { 409: 'Conflict', 429: 'TooManyRequests', 500: 'InternalError' } as const;

/** @param kubeconfig its text. @param random of [0, 1). */
export async function startApiProxy(
  kubeconfig: string,
  listener: ProxyListener,
  random: () => number,
): Promise<ApiProxy> {
  const { server: target, token, ca, cert, key } = accessOf(kubeconfig);
  const { protocol, hostname, port } = new URL(target);
  const agent = new Agent({ keepAlive: true, ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) });
  let silent = false;
  /** Answers to which nothing may be written any more. */
  const dead = new WeakSet<ServerResponse>();
  const watches = new Set<ServerResponse>();

  const refuse = (response: ServerResponse, status: 409 | 429 | 500): void => {
    const body = { kind: 'Status', apiVersion: 'v1', status: 'Failure', code: status, reason: REASONS[status] };
    response.writeHead(status, { 'content-type': 'application/json', ...(status === 429 && { 'retry-after': '1' }) });
    response.end(JSON.stringify({ ...body, message: `the proxy says ${status}` }));
  };

  function passOn(passage: Passage, headers: IncomingMessage['headers'], response: ServerResponse): void {
    const { method, path, query, body, receivedAt } = passage;
    const left = PATCH_TIMEOUT - (performance.now() - receivedAt);
    if (isWrite(passage) && left <= 0) return void response.destroy();
    if (isWrite(passage) && query.has('timeout')) query.set('timeout', `${Math.max(1, Math.floor(left))}ms`);
    const options = {
      hostname,
      port,
      method,
      path: `${path}${query.size > 0 ? `?${query}` : ''}`,
      headers: {
        ...headers,
        host: `${hostname}:${port}`,
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
      },
    };
    const onward = protocol === 'https:' ? httpsRequest({ ...options, agent }) : httpRequest(options);
    passage.passedOn = true;
    onward.on('response', (answer) => {
      const status = answer.statusCode ?? 502;
      if (isWatch(passage) && status === 200) return passWatch(status, answer, response);
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', () => response.destroy());
      answer.on('end', () => {
        const bytes = Buffer.concat(chunks);
        passage.status = status;
        listener.answered(passage, bytes.toString());
        if (silent || dead.has(response) || response.destroyed) return;
        const { loseAnswer } = mischief;
        if (loseAnswer !== undefined && random() < loseAnswer.share) {
          if (loseAnswer.as === 500) refuse(response, 500);
          else response.destroy();
          return;
        }
        const { 'transfer-encoding': _, ...rest } = answer.headers;
        response.writeHead(status, rest);
        response.end(bytes);
      });
    });
    onward.on('error', () => silent || dead.has(response) || response.destroy());
    response.on('close', () => onward.destroy());
    onward.end(body);
  }

  function passWatch(status: number, answer: IncomingMessage, response: ServerResponse): void {
    watches.add(response);
    response.on('close', () => watches.delete(response));
    response.writeHead(status, answer.headers);
    // A watch sends its headers long before its first event.
    response.flushHeaders();
    answer.on('data', (chunk: Buffer) => void (silent || dead.has(response) || response.write(chunk)));
    answer.on('end', () => void (silent || dead.has(response) || response.end()));
    answer.on('error', () => void (silent || dead.has(response) || response.destroy()));
  }

  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('error', () => response.destroy());
    request.on('end', () => {
      const url = new URL(request.url ?? '/', 'http://proxy');
      const passage: Passage = {
        method: request.method ?? '',
        path: url.pathname,
        query: url.searchParams,
        body: Buffer.concat(chunks).toString(),
        receivedAt: performance.now(),
        passedOn: false,
      };
      // What hears of it may kill or freeze who asked: that must come before the way on.
      listener.requested(passage);
      if (silent) return void dead.add(response);
      const { refuse: refusal, slow } = mischief;
      if (refusal !== undefined && random() < refusal.share) {
        passage.status = refusal.status;
        return refuse(response, refusal.status);
      }
      if (slow === undefined || isWatch(passage)) return passOn(passage, request.headers, response);
      const held = setTimeout(() => {
        if (silent) dead.add(response);
        else passOn(passage, request.headers, response);
      }, slow * random());
      response.on('close', () => clearTimeout(held));
    });
  });
  let mischief: Mischief = {};
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const way = kubeconfigFor(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  return {
    kubeconfig: way.file,
    get mischief() {
      return mischief;
    },
    set mischief(next) {
      mischief = next;
    },
    cut: () => server.closeAllConnections(),
    silence(what) {
      if (what === 'all') silent = true;
      else for (const response of watches) dead.add(response);
    },
    pass() {
      mischief = {};
      silent = false;
      server.closeAllConnections();
    },
    close: () =>
      new Promise((resolve) => {
        way.remove();
        agent.destroy();
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
