/** What a test lets the detector ask: servers on loopback, which end with whatever is still open. */
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';

export interface Peers {
  /** Each resolves to the port. */
  listenOn(server: Server): Promise<number>;
  serve(listener: RequestListener): Promise<number>;
  /** One that need not speak HTTP. */
  serveTcp(onSocket: (socket: Socket) => void): Promise<number>;
  /** All of them; others may listen afterwards. */
  close(): Promise<void>;
}

export function createPeers(): Peers {
  const closers: (() => Promise<void>)[] = [];

  const peers: Peers = {
    async listenOn(server) {
      const sockets = new Set<Socket>();
      server.on('connection', (socket: Socket) => {
        sockets.add(socket);
        socket.on('close', () => sockets.delete(socket));
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      closers.push(() => {
        for (const socket of sockets) socket.destroy();
        return new Promise((resolve) => server.close(() => resolve()));
      });
      return (server.address() as AddressInfo).port;
    },
    serve: (listener) => peers.listenOn(createHttpServer(listener)),
    serveTcp: (onSocket) =>
      peers.listenOn(
        createServer((socket) => {
          socket.on('error', () => undefined);
          onSocket(socket);
        }),
      ),
    async close() {
      await Promise.all(closers.splice(0).map((close) => close()));
    },
  };
  return peers;
}
