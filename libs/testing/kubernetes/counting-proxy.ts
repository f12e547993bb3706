/**
 * Stands before a Kubernetes API server and counts what comes, by who asks for what; a test may hold a request or its answer there.
 * Plain HTTP on loopback; it goes on with the rights of the kubeconfig that it was given, so it lives only as long as one benchmark
 * or test.
 */
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { request as httpsRequest, Agent } from 'node:https';
import type { AddressInfo } from 'node:net';
import { accessOf } from '@kubervisor/kube-sandbox/client';
import { kubeconfigFor } from './kubeconfig.ts';

export interface Asked {
  /** User-Agent. */
  who: string;
  method: string;
  /** Path and query. */
  url: string;
  /** What the API server answered, once it has. */
  status?: number;
}

/** Answered by the proxy itself. */
export interface Refusal {
  status: number;
  retryAfterSeconds?: number;
}

export interface CountingProxy {
  /** Of the way through it. */
  readonly kubeconfig: string;
  /** Every request so far, in the order in which they came. */
  readonly asked: readonly Asked[];
  /** Awaited before a request is handed on; what it resolves to is the answer instead. */
  before: (asked: Asked) => Promise<Refusal | void> | Refusal | void;
  /** Awaited when the API server has answered, before the client hears of it. Not of a watch. */
  after: (asked: Asked) => Promise<void> | void;
  /** From now on the watches that are open tell nothing, and do not end; new ones do tell. */
  muteWatches(): void;
  /** Breaks every connection. */
  cut(): void;
  close(): Promise<void>;
}

const isWatch = ({ url }: Asked): boolean => new URL(url, 'http://server').searchParams.get('watch') === 'true';

/** @param kubeconfig its text */
export async function startCountingProxy(kubeconfig: string): Promise<CountingProxy> {
  const { server: target, token, ca, cert, key } = accessOf(kubeconfig);
  const { protocol, hostname, port } = new URL(target);
  const secure = protocol === 'https:';
  const agent = new Agent({ keepAlive: true, ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) });
  const asked: Asked[] = [];
  const watches = new Set<{ muted: boolean }>();

  const refuse = (response: ServerResponse, { status, retryAfterSeconds }: Refusal): void => {
    response.writeHead(status, {
      'content-type': 'application/json',
      ...(retryAfterSeconds !== undefined && { 'retry-after': String(retryAfterSeconds) }),
    });
    response.end(JSON.stringify({ kind: 'Status', code: status, message: `the proxy says ${status}` }));
  };

  const answerWatch = (answer: IncomingMessage, response: ServerResponse): void => {
    const watch = { muted: false };
    watches.add(watch);
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    // A watch sends its headers long before its first event.
    response.flushHeaders();
    answer.on('data', (chunk: Buffer) => void (watch.muted || response.write(chunk)));
    answer.on('end', () => void (watch.muted || response.end()));
    answer.on('error', () => void (watch.muted || response.destroy()));
    response.on('close', () => watches.delete(watch));
  };

  const handOn = async (one: Asked, request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const refusal = await proxy.before(one);
    if (refusal !== undefined) return refuse(response, refusal);
    if (response.destroyed) return;
    const options = {
      hostname,
      port,
      method: one.method,
      path: one.url,
      headers: { ...request.headers, ...(token !== undefined && { authorization: `Bearer ${token}` }) },
    };
    const onward = secure ? httpsRequest({ ...options, agent }) : httpRequest(options);
    onward.on('response', (answer) => {
      one.status = answer.statusCode ?? 0;
      answer.on('error', () => response.destroy());
      if (isWatch(one) && answer.statusCode === 200) return answerWatch(answer, response);
      void Promise.resolve(proxy.after(one)).then(() => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      });
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  };

  const server = createServer((request, response) => {
    const { method = '', url = '', headers } = request;
    const one: Asked = { who: headers['user-agent'] ?? '', method, url };
    asked.push(one);
    void handOn(one, request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const way = kubeconfigFor(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const proxy: CountingProxy = {
    kubeconfig: way.file,
    asked,
    before: () => {},
    after: () => {},
    muteWatches() {
      for (const watch of watches) watch.muted = true;
    },
    cut: () => server.closeAllConnections(),
    close: () =>
      new Promise((resolve) => {
        way.remove();
        agent.destroy();
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  return proxy;
}
