/**
 * The way from a real API server to pods that are not there: it asks a proxy for each connection into the cluster (an EgressSelector, as
 * with konnectivity), and ours leads it to a process of the test. So the API server's service proxy works without a network of pods.
 */
import { createServer, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Egress {
  /** For --egress-selector-config-file. */
  configFile: string;
  /** Connections to `address` (`10.1.2.3:8080`) lead to this port of the loopback from now on. */
  lead(address: string, port: number): void;
  close(): Promise<void>;
}

export async function startEgress(folder: string): Promise<Egress> {
  const socket = join(folder, 'egress.sock');
  const configFile = join(folder, 'egress.yaml');
  writeFileSync(
    configFile,
    JSON.stringify({
      apiVersion: 'apiserver.k8s.io/v1beta1',
      kind: 'EgressSelectorConfiguration',
      egressSelections: [
        {
          name: 'cluster',
          connection: { proxyProtocol: 'HTTPConnect', transport: { uds: { udsName: socket } } },
        },
      ],
    }),
  );
  const led = new Map<string, number>();
  const open = new Set<{ destroy(): void }>();
  const server = createServer();
  server.on('connect', ({ url = '' }: IncomingMessage, client: Socket, first: Buffer) => {
    const port = led.get(url);
    client.on('error', () => client.destroy());
    open.add(client);
    client.on('close', () => open.delete(client));
    if (port === undefined) return void client.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
    const target = connect(port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      target.write(first);
      target.pipe(client).pipe(target);
    });
    target.on('error', () => client.destroy());
    client.on('close', () => target.destroy());
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  return {
    configFile,
    lead: (address, port) => void led.set(address, port),
    async close() {
      for (const one of open) one.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
