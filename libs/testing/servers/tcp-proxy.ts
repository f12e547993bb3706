/** A TCP proxy with faults, to stand between a client and a real server. It knows nothing of what goes through it. */
import { connect, createServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { setTimeout } from 'node:timers/promises';

export interface TcpProxy {
  /** Where clients connect: a port on 127.0.0.1. */
  readonly port: number;
  /** Connections that are open now. */
  readonly open: number;
  /** Connections that were ever accepted. */
  readonly accepted: number;
  /** Ends every open connection at once (RST), as a crash of the other side does. New ones are let through. */
  cut(): void;
  /** Swallows every byte in both directions and tells nobody: a half-open connection. Also new ones, until `pass()`. */
  silence(): void;
  /** Silences the connections that are open now; new ones work. */
  silenceOpen(): void;
  /** Refuses new connections and cuts the open ones, until `pass()`. */
  refuse(): void;
  /** Holds every byte back by so many milliseconds. */
  delay(milliseconds: number): void;
  /** Changes what the server says on connections from now on. The bytes come as they arrive: whoever changes lines takes care of it. */
  rewrite(change: ((said: Buffer) => Buffer) | undefined): void;
  /** Back to plain forwarding. What a silent connection swallowed stays lost, so those are cut. */
  pass(): void;
  close(): Promise<void>;
}

export async function startTcpProxy(target: { host: string; port: number }): Promise<TcpProxy> {
  interface Pair {
    client: Socket;
    server: Socket;
    silent: boolean;
  }
  const pairs = new Set<Pair>();
  let mode: 'pass' | 'silence' | 'refuse' = 'pass';
  let held = 0;
  let accepted = 0;
  let change: ((said: Buffer) => Buffer) | undefined;

  const end = (pair: Pair) => {
    pairs.delete(pair);
    pair.client.resetAndDestroy();
    pair.server.resetAndDestroy();
  };
  const cut = () => [...pairs].forEach(end);

  const listener = createServer((client) => {
    if (mode === 'refuse') return void client.resetAndDestroy();
    accepted++;
    const server = connect(target);
    const pair: Pair = { client, server, silent: mode === 'silence' };
    pairs.add(pair);
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.setNoDelay(true);
      const changed = from === server ? change : undefined;
      const write = (bytes: Buffer) =>
        void (!pair.silent && !to.destroyed && to.write(changed === undefined ? bytes : changed(bytes)));
      // What is held back keeps its order, also when the delay gets shorter meanwhile.
      let waiting = 0;
      let last = Promise.resolve();
      from.on('data', (bytes: Buffer) => {
        if (held === 0 && waiting === 0) return write(bytes);
        waiting++;
        const due = setTimeout(held);
        last = last.then(() => due).then(() => (waiting--, write(bytes)));
      });
      // A silent connection does not tell one side that the other has gone.
      from.on('close', () => pair.silent || end(pair));
      from.on('error', () => pair.silent || end(pair));
    }
    client.on('close', () => end(pair));
  });
  await new Promise<void>((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(0, '127.0.0.1', resolve);
  });

  return {
    port: (listener.address() as AddressInfo).port,
    get open() {
      return pairs.size;
    },
    get accepted() {
      return accepted;
    },
    cut,
    silence() {
      mode = 'silence';
      for (const pair of pairs) pair.silent = true;
    },
    silenceOpen() {
      for (const pair of pairs) pair.silent = true;
    },
    refuse() {
      mode = 'refuse';
      cut();
    },
    delay(milliseconds) {
      held = milliseconds;
    },
    rewrite(wanted) {
      change = wanted;
    },
    pass() {
      mode = 'pass';
      held = 0;
      [...pairs].filter((pair) => pair.silent).forEach(end);
    },
    async close() {
      cut();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}
