/** All that services say and hear over NATS JetStream (design §6). */
import { headers } from '@nats-io/transport-node';
import type { CloudEvent } from '@kubervisor/shared/events/envelope';
import { CONSUMERS, factSubject, MAX_PAYLOAD_BYTES, STREAMS, type WorkKind } from '@kubervisor/shared/events/subjects';
import type { Logger } from 'pino';
import { type Claims, knowBucket, openClaims } from './claims.ts';
import { type Connection, keepConnected, type NatsSettings } from './connection.ts';
import { type Consumption, consumeWork, type WorkMessage } from './consume.ts';
import { ensureDeclared } from './ensure.ts';
import { messageOf, NotConnected, NotEnsured, PayloadTooLarge, PublishFailed, ReadFailed } from './errors.ts';
import { follow, type Followed } from './follow.ts';
import { readLast } from './last.ts';
import { pack, unpack } from './payload.ts';
import { store } from './store.ts';
import { jetStreamAway } from './words.ts';

export type { ClaimResult, Claims, ClaimWatcher } from './claims.ts';
export type { NatsSettings } from './connection.ts';
export type { Consumption, WorkMessage } from './consume.ts';
export { BusFault, NotConnected, PayloadTooLarge, PublishFailed, ReadFailed, StreamMissing } from './errors.ts';

export type BusStatus = { ready: true } | { ready: false; problem: string };
export interface StreamMessage {
  subject: string;
  text: string;
}

export interface Bus {
  /** For /readyz, in words: whatever keeps this process from what it does on NATS; and for who ensures, what cannot be made as declared. */
  status(): BusStatus;
  /** At every connect after connectBus has returned: also the first, where the server was away at the start. */
  onReconnect(listener: () => void): () => void;
  /**
   * Stored when it resolves. gzip above COMPRESS_ABOVE_BYTES. Throws PayloadTooLarge, StreamMissing, PublishFailed (also when
   * no answer came in time: it may be stored all the same). `onlyIf` is asked just before it leaves, for it is packed first, and the
   * process may stand still meanwhile; no is a PublishFailed that sent nothing.
   */
  publish(subject: string, event: CloudEvent, options?: { messageId?: string; onlyIf?: () => boolean }): Promise<void>;
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
  /** What happened to the pods of one resource, the oldest first; `more`: older facts are kept. Throws BusFault. */
  lastFacts(
    resource: { namespace: string; name: string },
    limit: number,
  ): Promise<{ messages: StreamMessage[]; more: boolean }>;
  claims: Claims;
  /**
   * Leader only: makes streams, consumers and the bucket where missing. Throws a BusFault while the server is away or does not answer.
   * `bucketMade`: by this call, by one before that then threw, or by somebody else since; so live claims may be forgotten.
   */
  ensure(replicas: number): Promise<{ bucketMade: boolean }>;
  /** Sends what is still to be sent, then ends the connection. Stop consumptions first. */
  close(): Promise<void>;
}

/** Resolves also while the server is away, and never throws for that: `status()` tells, and it goes on by itself. */
export async function connectBus(settings: NatsSettings, log: Logger): Promise<Bus> {
  const connection: Connection = await keepConnected(settings, log);
  const { troubles } = connection;
  const bucket = knowBucket();

  const textOf = ({ subject, data, headers: found }: Followed): StreamMessage => ({
    subject,
    text: unpack(data, found),
  });

  return {
    status() {
      const problems = troubles.list();
      return problems.length === 0 ? { ready: true } : { ready: false, problem: problems.join('; ') };
    },
    onReconnect: (listener) => connection.onConnect(() => listener()),

    async publish(subject, event, { messageId, onlyIf = () => true } = {}) {
      const { data, headers: entries } = await pack(JSON.stringify(event));
      const session = connection.session();
      if (session === undefined) throw new PublishFailed('not connected to NATS', { cause: new NotConnected() });
      const packed = headers();
      for (const [name, value] of Object.entries(entries)) packed.set(name, value);
      const limit = Math.min(MAX_PAYLOAD_BYTES, session.nc.info?.max_payload ?? MAX_PAYLOAD_BYTES) - HEADER_ROOM;
      if (data.length > limit) throw new PayloadTooLarge(data.length, limit);
      if (!onlyIf()) throw new PublishFailed('not wanted any more');
      await store(connection, session, subject, data, {
        headers: packed,
        ...(messageId !== undefined && { msgID: messageId }),
      });
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
    async lastFacts(resource, limit) {
      const session = connection.session();
      if (session === undefined) throw new NotConnected();
      const filter = factSubject('*', resource);
      try {
        const { messages, more } = await readLast(session, { stream: STREAMS.facts.name, filter, limit });
        return { messages: messages.map(textOf), more };
      } catch (error) {
        throw new ReadFailed(messageOf(error), { cause: error });
      }
    },
    claims: openClaims(connection, log, bucket),

    async ensure(replicas) {
      const session = connection.session();
      if (session === undefined) throw new NotConnected();
      try {
        const problems = await ensureDeclared(session.manager, replicas, log, bucket);
        // Who does not ensure any more (another leads) has nothing to say of it for long.
        if (problems.length > 0) troubles.met('ensure', problems.join('; '));
        else troubles.set('ensure', undefined);
      } catch (error) {
        troubles.met('ensure', jetStreamAway(error));
        throw new NotEnsured(messageOf(error), { cause: error });
      }
      return { bucketMade: bucket.takeForgotten() };
    },
    close: () => connection.close(),
  };
}

/** Headers count as payload: the message id (≤ 512 characters), the encoding, and what is around them. */
const HEADER_ROOM = 1024;
