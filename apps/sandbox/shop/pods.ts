/**
 * The insides of the shop's pods: an HTTP server each, which answers, counts its answers, and shows the counts to Prometheus. The
 * cluster is simulated, the traffic and its figures are real.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { NAME } from './manifests.ts';

/** The codes that are counted from the start: `increase` does not see the first value of a series that is new. */
const CODES = [200, 404, 500];

interface PodServer {
  server: Server;
  port: number;
  /** The code it answers with because of a fault; undefined: it is well. */
  fault: number | undefined;
}

export interface ShopPods {
  /** For the kubelet: starts the server of a pod before the pod is ready, and answers the pod's address. */
  start: (name: string) => Promise<string>;
  /** What the API says of the pods: ends the servers of those that are gone, gives the others their faults. */
  reconcile: (pods: readonly { name: string; fault: number | undefined }[]) => void;
  /** Where the pod really listens; undefined: there is none of this name. */
  portOf: (name: string) => number | undefined;
  stop: () => Promise<void>;
}

/** `host`: where they listen. `onChange`: the pods that can be scraped are others now. */
export function createShopPods(host: string, onChange: (pods: { name: string; port: number }[]) => void): ShopPods {
  const pods = new Map<string, PodServer>();
  let lastAddress = 0;
  const changed = (): void => onChange([...pods].map(([name, { port }]) => ({ name, port })));

  const close = ({ server }: PodServer): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });

  return {
    async start(name) {
      const counts = new Map(CODES.map((code) => [code, 0]));
      const pod: PodServer = { server: createServer(), port: 0, fault: undefined };
      pod.server.on('request', (request, response) => {
        if (request.url === '/metrics') {
          const lines = [...counts].map(
            ([code, count]) => `http_requests_total{app="${NAME}",code="${code}"} ${count}`,
          );
          response.end(`# TYPE http_requests_total counter\n${lines.join('\n')}\n`);
          return;
        }
        const code = pod.fault ?? (request.url === '/cart' ? 200 : 404);
        counts.set(code, (counts.get(code) ?? 0) + 1);
        response.statusCode = code;
        response.end(code === 200 ? '{"items":3}' : '{}');
      });
      await new Promise<void>((resolve, reject) => {
        pod.server.once('error', reject);
        pod.server.listen(0, host, resolve);
      });
      pod.port = (pod.server.address() as AddressInfo).port;
      pods.set(name, pod);
      changed();
      lastAddress += 1;
      return `10.244.${lastAddress >> 8}.${lastAddress & 255}`;
    },
    reconcile(present) {
      const faults = new Map(present.map(({ name, fault }) => [name, fault]));
      let gone = false;
      for (const [name, pod] of pods) {
        if (faults.has(name)) pod.fault = faults.get(name);
        else {
          pods.delete(name);
          void close(pod);
          gone = true;
        }
      }
      if (gone) changed();
    },
    portOf: (name) => pods.get(name)?.port,
    async stop() {
      await Promise.all([...pods.values()].map(close));
      pods.clear();
    },
  };
}
