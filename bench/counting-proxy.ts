/**
 * Stands before a Kubernetes API server and counts what comes, by who asks for what. Plain HTTP on loopback; it goes on with the
 * rights of the kubeconfig that it was given, so it lives only as long as one benchmark.
 */
import { createServer, request as httpRequest } from 'node:http';
import { request as httpsRequest, Agent } from 'node:https';
import type { AddressInfo } from 'node:net';
import { accessOf } from '@kubervisor/kube-sandbox/client';
import { kubeconfigFor } from '@kubervisor/testing/kubernetes/kubeconfig';
import type { Asked } from './requests.ts';

export interface CountingProxy {
  /** Of the way through it. */
  readonly kubeconfig: string;
  /** Every request so far. */
  readonly asked: readonly Asked[];
  close(): Promise<void>;
}

/** @param kubeconfig its text */
export async function startCountingProxy(kubeconfig: string): Promise<CountingProxy> {
  const { server: target, token, ca, cert, key } = accessOf(kubeconfig);
  const { protocol, hostname, port } = new URL(target);
  const secure = protocol === 'https:';
  const agent = new Agent({ keepAlive: true, ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) });
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    const { method = '', url = '', headers } = request;
    asked.push({ who: headers['user-agent'] ?? '', method, url });
    const options = {
      hostname,
      port,
      method,
      path: url,
      headers: { ...headers, ...(token !== undefined && { authorization: `Bearer ${token}` }) },
    };
    const onward = secure ? httpsRequest({ ...options, agent }) : httpRequest(options);
    onward.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      // A watch sends its headers long before its first event.
      response.flushHeaders();
      answer.on('error', () => response.destroy());
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const way = kubeconfigFor(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  return {
    kubeconfig: way.file,
    asked,
    close: () =>
      new Promise((resolve) => {
        way.remove();
        agent.destroy();
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
