/**
 * Stands between one process of ours and NATS, and tells what it publishes and which claims it makes: who claimed what, from when on it
 * counts, and by which revision. That is on the wire alone, for a claim itself names a round and nobody.
 */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { CLAIMS_BUCKET } from '@kubervisor/shared/events/subjects';

export interface TapListener {
  /** Work and facts, as they are sent. */
  published(subject: string, payload: string): void;
  /** Before the server gets it. */
  claimSent(claim: { key: string; round: string }): void;
  /** The server stored it, before the process is told. */
  claimStored(claim: { key: string; round: string; revision: number }): void;
}

export interface NatsTap {
  readonly url: string;
  cut(): void;
  /** Swallows everything of the connections that are open, and of new ones, until `pass()`, and tells nobody. */
  silence(): void;
  pass(): void;
  close(): Promise<void>;
}

const CLAIMS = `$KV.${CLAIMS_BUCKET.name}.`;

interface Message {
  subject: string;
  reply: string;
  payload: string;
}

/**
 * Reads one direction of NATS's text protocol: publications and deliveries have a payload, the rest is lines. Of subjects that
 * begin with none of `prefixes` nothing is decoded.
 */
export function readProtocol(
  prefixes: readonly string[],
  onMessage: (message: Message) => void,
): (bytes: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (bytes) => {
    let data = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    for (let end = data.indexOf('\r\n'); end >= 0; end = data.indexOf('\r\n')) {
      const words = data.toString('latin1', 0, end).split(/[ \t]+/);
      const verb = words[0]?.toUpperCase() ?? '';
      const begin = end + 2;
      if (!['PUB', 'HPUB', 'MSG', 'HMSG'].includes(verb)) {
        data = data.subarray(begin);
        continue;
      }
      // PUB subject [reply] size; MSG has the subscription after the subject; with an H the size of the headers is before that of all.
      const headers = verb.startsWith('H') ? Number(words.at(-2)) : 0;
      const size = Number(words.at(-1));
      const named = words.slice(1, verb.startsWith('H') ? -2 : -1);
      if (data.length < begin + size + 2) break;
      const subject = named[0] ?? '';
      if (prefixes.some((prefix) => subject.startsWith(prefix))) {
        const payload = data.toString('utf8', begin + headers, begin + size);
        onMessage({ subject, reply: named[verb.endsWith('PUB') ? 1 : 2] ?? '', payload });
      }
      data = data.subarray(begin + size + 2);
    }
    rest = Buffer.from(data);
  };
}

export async function startNatsTap(port: number, listener: TapListener): Promise<NatsTap> {
  interface Pair {
    client: Socket;
    server: Socket;
    silent: boolean;
  }
  const pairs = new Set<Pair>();
  let silent = false;
  const end = (pair: Pair): void => {
    pairs.delete(pair);
    pair.client.resetAndDestroy();
    pair.server.resetAndDestroy();
  };
  const cut = (): void => [...pairs].forEach(end);

  const server = createServer((client) => {
    const onward = connect({ host: '127.0.0.1', port });
    const pair: Pair = { client, server: onward, silent };
    pairs.add(pair);
    /** Claims that the server has not answered, by where the answer goes. */
    const asked = new Map<string, { key: string; round: string }>();
    const sent = readProtocol([CLAIMS, 'kubervisor.'], ({ subject, reply, payload }) => {
      if (!subject.startsWith(CLAIMS)) return listener.published(subject, payload);
      const claim = { key: subject.slice(CLAIMS.length), round: payload };
      if (reply !== '') asked.set(reply, claim);
      listener.claimSent(claim);
    });
    const heard = readProtocol(['_INBOX.'], ({ subject, payload }) => {
      const claim = asked.get(subject);
      if (claim === undefined) return;
      asked.delete(subject);
      // Empty: nobody listens on that subject.
      const answer = (payload === '' ? {} : JSON.parse(payload)) as { seq?: number; error?: unknown };
      if (answer.error === undefined && answer.seq !== undefined)
        listener.claimStored({ ...claim, revision: answer.seq });
    });
    for (const [from, to, read] of [
      [client, onward, sent],
      [onward, client, heard],
    ] as const) {
      from.setNoDelay(true);
      from.on('data', (bytes: Buffer) => {
        if (pair.silent) return;
        read(bytes);
        if (!to.destroyed) to.write(bytes);
      });
      // A silent connection does not tell one side that the other has gone.
      from.on('close', () => pair.silent || end(pair));
      from.on('error', () => pair.silent || end(pair));
    }
    client.on('close', () => end(pair));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `nats://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut,
    silence() {
      silent = true;
      for (const pair of pairs) pair.silent = true;
    },
    pass() {
      silent = false;
      [...pairs].filter((pair) => pair.silent).forEach(end);
    },
    async close() {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
