/**
 * Takes work from a shared pull consumer. It asks for exactly as many messages as it has free places, so none waits here
 * unseen while another worker is idle, and the time of receipt is the time that the work begins.
 */
import { nanos, type Msg, type NatsConnection, type Subscription } from '@nats-io/transport-node';
import type { Logger } from 'pino';
import type { Connection, Session } from './connection.ts';
import { readDelivery } from './delivery.ts';
import { messageOf } from './errors.ts';
import { unpack } from './payload.ts';
import { SilenceWatch } from './silence.ts';
import { notBound } from './words.ts';

export interface WorkMessage {
  subject: string;
  text: string;
  /** performance.now() at receipt. */
  receivedAt: number;
  /** 1 at the first delivery. */
  deliveries: number;
  /** When the round is over, whichever way (W5). Safe at any time: to a message that was replaced or is gone it does nothing. */
  ack(): void;
  /** Poison: never deliver again. */
  term(reason: string): void;
}

export interface Consumption {
  /** Takes nothing more, and waits for what is under way. */
  stop(): Promise<void>;
}

export interface ConsumerRef {
  stream: string;
  durable: string;
}

const LOOK_EVERY = 250;
const HEARTBEAT = 500;
/**
 * What a process asked for and then hangs is handed to it all the same, while others are idle: for so long at most. (That of one
 * that was killed ends with its connection.)
 */
const EXPIRES = 5_000;

/** A request for messages and what is still to come of it. A new one takes the place of one that fell silent. */
interface Binding {
  nc: NatsConnection;
  inbox: Subscription;
  /** Asked for, and neither delivered nor expired yet. */
  outstanding: number;
  silence: SilenceWatch;
  isBound: boolean;
}

export function consumeWork(
  connection: Connection,
  { stream, durable }: ConsumerRef,
  handler: (message: WorkMessage) => Promise<void>,
  { concurrency }: { concurrency: number },
  log: Logger,
): Consumption {
  const underWay = new Set<Promise<void>>();
  const trouble = `bind ${durable}` as const;
  let binding: Binding | undefined;
  let stopped = false;

  /** Nothing answers a request to a consumer that is missing; so it is looked for first. */
  async function bind({ nc, manager, inbox }: Session): Promise<void> {
    unbind();
    const mine: Binding = {
      nc,
      inbox: nc.subscribe(inbox(), {
        callback: (error, message) => {
          if (error === null) receive(mine, message);
          else lose(mine, messageOf(error));
        },
      }),
      outstanding: 0,
      silence: new SilenceWatch(HEARTBEAT),
      isBound: false,
    };
    binding = mine;
    try {
      await manager.consumers.info(stream, durable);
      mine.isBound = true;
      connection.troubles.set(trouble, undefined);
      ask(mine);
    } catch (error) {
      if (binding === mine) connection.troubles.set(trouble, notBound(`consumer ${durable} of ${stream}`, error));
      lose(mine, messageOf(error));
    }
  }
  function unbind(): void {
    if (binding !== undefined && !binding.nc.isClosed()) binding.inbox.unsubscribe();
    binding = undefined;
  }
  /** Bound anew at the next look, not at once: the consumer may be missing until the leader has made it. */
  function lose(mine: Binding, why: string): void {
    if (binding !== mine) return;
    if (mine.isBound) log.info({ stream, consumer: durable, why }, 'work consumer lost, will bind anew');
    unbind();
  }

  function ask(mine: Binding): void {
    const free = concurrency - underWay.size - mine.outstanding;
    if (stopped || binding !== mine || !mine.isBound || free <= 0) return;
    if (connection.session()?.nc !== mine.nc) return;
    if (mine.outstanding === 0) mine.silence.heard();
    mine.outstanding += free;
    mine.nc.publish(
      `$JS.API.CONSUMER.MSG.NEXT.${stream}.${durable}`,
      JSON.stringify({ batch: free, expires: nanos(EXPIRES), idle_heartbeat: nanos(HEARTBEAT) }),
      { reply: mine.inbox.getSubject() },
    );
  }

  function receive(mine: Binding, message: Msg): void {
    mine.silence.heard();
    const delivery = readDelivery(message.reply);
    if (delivery !== undefined) {
      mine.outstanding--;
      take(message, delivery.deliveries);
      return;
    }
    const code = message.headers?.code;
    if (code === 100) return;
    // A request ran out: 408, or 409 with the reason. Without the header that says how much of it, nothing is known any more.
    const left = Number(message.headers?.get('Nats-Pending-Messages') || Number.NaN);
    if (code !== 408 || Number.isNaN(left)) return lose(mine, `${code} ${message.headers?.description ?? ''}`);
    mine.outstanding -= left;
    ask(mine);
  }

  function take(message: Msg, deliveries: number): void {
    const answer = (text: string): void => {
      // A lost ack is harmless: the message lives 30 s, and every round claims.
      try {
        message.respond(text);
      } catch (error) {
        log.debug({ subject: message.subject, error: messageOf(error) }, 'work could not be acknowledged');
      }
    };
    const round = handler({
      subject: message.subject,
      text: unpack(message.data, message.headers),
      receivedAt: performance.now(),
      deliveries,
      ack: () => answer('+ACK'),
      term(reason) {
        log.debug({ subject: message.subject, reason }, 'work ended for good');
        // With the reason behind it servers before 2.11 do not understand the word.
        answer('+TERM');
      },
    })
      .catch((error: unknown) => log.error({ subject: message.subject, error: messageOf(error) }, 'work failed'))
      .finally(() => {
        underWay.delete(round);
        if (binding !== undefined) ask(binding);
      });
    underWay.add(round);
  }

  const look = setInterval(() => {
    const session = connection.session();
    if (session === undefined) return unbind();
    if (binding === undefined) return void bind(session);
    if (binding.outstanding > 0 && binding.silence.tooLong()) lose(binding, 'silence');
  }, LOOK_EVERY);
  const forget = connection.onConnect((session) => void bind(session));
  const session = connection.session();
  if (session !== undefined) void bind(session);

  return {
    async stop() {
      stopped = true;
      clearInterval(look);
      forget();
      unbind();
      connection.troubles.set(trouble, undefined);
      await Promise.all(underWay);
    },
  };
}
