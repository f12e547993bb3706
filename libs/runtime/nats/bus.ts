/** All that services say and hear over NATS JetStream (design §6). */
import { headers } from '@nats-io/transport-node';
import type { CloudEvent } from '@kubervisor/shared/events/envelope';
import { CONSUMERS, MAX_PAYLOAD_BYTES, STREAMS, type WorkKind } from '@kubervisor/shared/events/subjects';
import type { Logger } from 'pino';
import { type Claims, openClaims } from './claims.ts';
import { type Connection, keepConnected, type NatsSettings, REQUEST_TIMEOUT } from './connection.ts';
import { type Consumption, consumeWork, type WorkMessage } from './consume.ts';
import { ensureDeclared } from './ensure.ts';
import { messageOf, NotConnected, PayloadTooLarge, PublishFailed, StreamMissing } from './errors.ts';
import { follow, type Followed } from './follow.ts';
import { pack, unpack } from './payload.ts';

export type { Claims, ClaimResult, ClaimWatcher } from './claims.ts';
export type { NatsSettings } from './connection.ts';
export type { Consumption, WorkMessage } from './consume.ts';
export { NotConnected, PayloadTooLarge, PublishFailed, StreamMissing } from './errors.ts';

export type BusStatus = { ready: true } | { ready: false; problem: string };
export interface StreamMessage {
  subject: string;
  text: string;
}

export interface Bus {
  /** For /readyz: away, too old, without JetStream, bad credentials; and for who ensures, a stream with other settings. */
  status(): BusStatus;
  /** At every connect after connectBus has returned: also the first, where the server was away at the start. */
  onReconnect(listener: () => void): () => void;
  /**
   * Stored when it resolves. gzip above COMPRESS_ABOVE_BYTES. Throws PayloadTooLarge, StreamMissing, PublishFailed (also when
   * no answer came in time: it may be stored all the same).
   */
  publish(subject: string, event: CloudEvent, options?: { messageId?: string }): Promise<void>;
  /** Takes work; at most `concurrency` messages are with the handler at once. A handler that throws leaves its message unacked. */
  consume(
    kind: WorkKind,
    handler: (message: WorkMessage) => Promise<void>,
    options: { concurrency: number },
  ): Consumption;
  /** How each last round ended, then each new one; after an interruption all last ones again. */
  subscribeRounds(handler: (message: StreamMessage) => void): Consumption;
  /** What happens to pods from now on; nothing twice, and across interruptions nothing left out. */
  subscribeFacts(handler: (message: StreamMessage) => void): Consumption;
  claims: Claims;
  /**
   * Leader only: makes streams, consumers and the bucket where missing. Throws while the server is away or does not answer.
   * `bucketMade`: by this call, or by one before that then threw; so live claims may be forgotten.
   */
  ensure(replicas: number): Promise<{ bucketMade: boolean }>;
  /** Sends what is still to be sent, then ends the connection. Stop consumptions first. */
  close(): Promise<void>;
}

/** Resolves also while the server is away, and never throws for that: `status()` tells, and it goes on by itself. */
export async function connectBus(settings: NatsSettings, log: Logger): Promise<Bus> {
  const connection: Connection = await keepConnected(settings, log);
  let misfits: string[] = [];
  /** And nobody was told yet. */
  let bucketMade = false;

  const textOf = ({ subject, data, headers: found }: Followed): StreamMessage => ({
    subject,
    text: unpack(data, found),
  });

  return {
    status() {
      const problem = connection.problem() ?? (misfits.length > 0 ? misfits.join('; ') : undefined);
      return problem === undefined ? { ready: true } : { ready: false, problem };
    },
    onReconnect: (listener) => connection.onConnect(() => listener()),

    async publish(subject, event, { messageId } = {}) {
      const { data, headers: entries } = await pack(JSON.stringify(event));
      const session = connection.session();
      if (session === undefined) throw new PublishFailed('not connected to NATS', { cause: new NotConnected() });
      const packed = headers();
      for (const [name, value] of Object.entries(entries)) packed.set(name, value);
      const limit = Math.min(MAX_PAYLOAD_BYTES, session.nc.info?.max_payload ?? MAX_PAYLOAD_BYTES) - HEADER_ROOM;
      if (data.length > limit) throw new PayloadTooLarge(data.length, limit);
      try {
        await session.js.publish(subject, data, {
          headers: packed,
          timeout: REQUEST_TIMEOUT,
          ...(messageId !== undefined && { msgID: messageId }),
        });
      } catch (error) {
        // The client's name for "nobody answers on this subject".
        if (error instanceof Error && error.name === 'JetStreamNotEnabled') throw new StreamMissing(subject);
        throw new PublishFailed(messageOf(error), { cause: error });
      }
    },

    consume: (kind, handler, options) => consumeWork(connection, CONSUMERS[kind], handler, options, log),
    subscribeRounds: (handler) =>
      follow(
        connection,
        { stream: STREAMS.rounds.name, filter: 'kubervisor.round.>', from: 'last' },
        { message: (message) => handler(textOf(message)) },
        log,
      ),
    subscribeFacts: (handler) =>
      follow(
        connection,
        { stream: STREAMS.facts.name, filter: 'kubervisor.fact.>', from: 'new' },
        { message: (message) => handler(textOf(message)) },
        log,
      ),
    claims: openClaims(connection, log),

    async ensure(replicas) {
      const session = connection.session();
      if (session === undefined) throw new NotConnected();
      const { problems } = await ensureDeclared(session.manager, replicas, log, () => (bucketMade = true));
      if (problems.length > 0 && problems.join() !== misfits.join())
        log.error({ problems }, 'NATS has not what is declared');
      misfits = problems;
      const told = bucketMade;
      bucketMade = false;
      return { bucketMade: told };
    },
    close: () => connection.close(),
  };
}

/** Headers count as payload: the message id (≤ 512 characters), the encoding, and what is around them. */
const HEADER_ROOM = 1024;
