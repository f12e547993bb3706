/**
 * Reads along a stream: the last message of each subject and then each new one, or the new ones alone. Goes on by itself
 * after a reconnect, a lost message, and when the stream was deleted and made anew.
 */
import { AckPolicy, DeliverPolicy, ReplayPolicy, type StreamInfo } from '@nats-io/jetstream';
import { nanos, type Msg, type MsgHdrs, type Subscription } from '@nats-io/transport-node';
import type { Logger } from 'pino';
import type { Connection, Session } from './connection.ts';
import type { Consumption } from './consume.ts';
import { readDelivery } from './delivery.ts';
import { messageOf } from './errors.ts';
import { SilenceWatch } from './silence.ts';
import { notBound } from './words.ts';

export interface Followed {
  subject: string;
  data: Uint8Array;
  headers: MsgHdrs | undefined;
  /** The message's number in the stream; in a bucket its revision. */
  sequence: number;
}

export interface FollowOptions {
  stream: string;
  filter: string;
  /** `last`: after each interruption all last messages come again. `new`: nothing twice, nothing left out. */
  from: 'last' | 'new';
}

export interface Follower {
  /** A new look at the stream begins; when that was made: another time, another stream of the same name. */
  begun?(created: string): void;
  message(message: Followed): void;
  /** What was there when the look began has been told; from here on it is news. */
  current?(): void;
}

const LOOK_EVERY = 250;
const HEARTBEAT = 500;
const ABANDONED_AFTER = 30_000;

interface Binding {
  session: Session;
  inbox: Subscription;
  silence: SilenceWatch;
  /** The consumer's own count; a gap is a lost message. */
  received: number;
  /** The server has said yes; before that silence means nothing. */
  isBound: boolean;
  isCurrent: boolean;
}

export function follow(connection: Connection, options: FollowOptions, follower: Follower, log: Logger): Consumption {
  const { stream, filter, from } = options;
  const trouble = `bind ${stream}` as const;
  let binding: Binding | undefined;
  /** Where `new` goes on: the stream as first seen, and the last message known of it. */
  let place: { created: string; sequence: number } | undefined;
  let firstLook = true;

  function call(what: () => void): void {
    try {
      what();
    } catch (error) {
      log.error({ stream, error: messageOf(error) }, 'handler of a stream failed');
    }
  }
  function unbind(): void {
    if (binding !== undefined && !binding.session.nc.isClosed()) binding.inbox.unsubscribe();
    binding = undefined;
  }
  function lose(mine: Binding, why: string): void {
    if (binding !== mine) return;
    if (mine.isBound) log.info({ stream, why }, 'stream lost, will follow anew');
    unbind();
  }
  function current(mine: Binding): void {
    if (mine.isCurrent) return;
    mine.isCurrent = true;
    call(() => follower.current?.());
  }

  async function bind(session: Session): Promise<void> {
    unbind();
    const { nc, manager } = session;
    const mine: Binding = {
      session,
      inbox: nc.subscribe(session.inbox(), {
        callback: (error, message) => {
          if (binding !== mine) return;
          if (error === null) receive(mine, message);
          else lose(mine, messageOf(error));
        },
      }),
      silence: new SilenceWatch(HEARTBEAT),
      received: 0,
      isBound: false,
      isCurrent: false,
    };
    binding = mine;
    try {
      const found = await manager.streams.info(stream).catch((error: unknown) => {
        // A stream that was not there at the first look is news as a whole.
        if (error instanceof Error && error.name === 'StreamNotFoundError') firstLook = false;
        throw error;
      });
      const start = from === 'last' ? { deliver_policy: DeliverPolicy.LastPerSubject } : afterPlace(found);
      if (binding !== mine) return;
      call(() => follower.begun?.(found.created));
      const consumer = await manager.consumers.add(stream, {
        ...start,
        filter_subject: filter,
        deliver_subject: mine.inbox.getSubject(),
        ack_policy: AckPolicy.None,
        replay_policy: ReplayPolicy.Instant,
        flow_control: true,
        idle_heartbeat: nanos(HEARTBEAT),
        inactive_threshold: nanos(ABANDONED_AFTER),
        mem_storage: true,
        num_replicas: 1,
      });
      mine.silence.heard();
      mine.isBound = true;
      connection.troubles.set(trouble, undefined);
      if (binding === mine && consumer.num_pending === 0 && mine.received >= consumer.delivered.consumer_seq)
        current(mine);
    } catch (error) {
      if (binding === mine) connection.troubles.set(trouble, notBound(`stream ${stream}`, error));
      lose(mine, messageOf(error));
    }
  }

  /** The first look finds where the news begins. A stream that is another now is news as a whole. */
  function afterPlace({ created, state }: StreamInfo) {
    if (place?.created !== created) place = { created, sequence: firstLook ? state.last_seq : 0 };
    firstLook = false;
    return { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: place.sequence + 1 };
  }

  function receive(mine: Binding, message: Msg): void {
    mine.silence.heard();
    const delivery = readDelivery(message.reply);
    if (delivery === undefined) return control(mine, message);
    if (delivery.consumerSequence !== mine.received + 1) return lose(mine, 'a message is missing');
    mine.received++;
    const { streamSequence: sequence, pending } = delivery;
    if (place !== undefined) place.sequence = sequence;
    call(() => follower.message({ subject: message.subject, data: message.data, headers: message.headers, sequence }));
    if (pending === 0) current(mine);
  }

  function control(mine: Binding, message: Msg): void {
    if (message.headers?.code !== 100)
      return lose(mine, `${message.headers?.code} ${message.headers?.description ?? ''}`);
    if (connection.session() !== mine.session) return;
    // Flow control: the server waits for our word before it sends more.
    if (message.reply) message.respond();
    const stalled = message.headers.get('Nats-Consumer-Stalled');
    if (stalled) mine.session.nc.publish(stalled);
    const last = message.headers.get('Nats-Last-Consumer');
    if (!last) return;
    if (Number(last) !== mine.received) lose(mine, 'a message is missing');
    else current(mine);
  }

  const look = setInterval(() => {
    const session = connection.session();
    if (session === undefined) return unbind();
    if (binding === undefined) return void bind(session);
    if (binding.isBound && binding.silence.tooLong()) lose(binding, 'silence');
  }, LOOK_EVERY);
  const forget = connection.onConnect((session) => void bind(session));
  const session = connection.session();
  if (session !== undefined) void bind(session);

  return {
    stop() {
      clearInterval(look);
      forget();
      unbind();
      connection.troubles.set(trouble, undefined);
      return Promise.resolve();
    },
  };
}
