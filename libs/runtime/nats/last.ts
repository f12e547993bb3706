/**
 * The last messages of a stream that fit a filter, without keeping anything at rest. JetStream reads forwards alone, but says of any
 * place how many messages follow it; so the place is searched for from which there are enough, and read from there.
 */
import { AckPolicy, DeliverPolicy, ReplayPolicy, type ConsumerConfig } from '@nats-io/jetstream';
import { nanos, type Msg } from '@nats-io/transport-node';
import type { Session } from './connection.ts';
import { readDelivery } from './delivery.ts';
import type { Followed } from './follow.ts';

export interface LastOptions {
  stream: string;
  filter: string;
  limit: number;
}

/** At most twice as many as were asked for are read, whatever the stream holds. */
const SLACK = 2;
/** A stream of 2^40 messages; what changes under the search must not keep it going. */
const MOST_PROBES = 40;
/** A consumer of a search lives so long after it; who may not delete any need not. */
const ABANDONED_AFTER = 1000;
const READ_WITHIN = 5000;

/** A sequence from which at least `limit` messages are left (or all there are), and not many more. `count`: how many are left from one on. */
export async function startOfLast(
  count: (sequence: number) => Promise<number>,
  { first, last }: { first: number; last: number },
  limit: number,
): Promise<number> {
  let enough = first;
  let tooFew = last + 1;
  for (let probes = 0; probes < MOST_PROBES && tooFew - enough > 1; probes++) {
    const middle = Math.floor((enough + tooFew) / 2);
    const left = await count(middle);
    if (left < limit) tooFew = middle;
    else if (left <= SLACK * limit) return middle;
    else enough = middle;
  }
  return enough;
}

/** The oldest first. `more`: there are older ones. Throws what the client throws, and where the server does not answer in time. */
export async function readLast(
  session: Session,
  { stream, filter, limit }: LastOptions,
): Promise<{ messages: Followed[]; more: boolean }> {
  const { nc, manager } = session;
  const { state } = await manager.streams.info(stream);
  const consumer = (sequence: number): Partial<ConsumerConfig> => ({
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: Math.max(1, sequence),
    filter_subject: filter,
    ack_policy: AckPolicy.None,
    replay_policy: ReplayPolicy.Instant,
    inactive_threshold: nanos(ABANDONED_AFTER),
    mem_storage: true,
    num_replicas: 1,
  });
  const count = async (sequence: number): Promise<number> =>
    (await manager.consumers.add(stream, consumer(sequence))).num_pending;
  const all = await count(state.first_seq);
  if (all === 0) return { messages: [], more: false };
  const start =
    all <= SLACK * limit
      ? state.first_seq
      : await startOfLast(count, { first: state.first_seq, last: state.last_seq }, limit);

  const found: Followed[] = [];
  const read = Promise.withResolvers<void>();
  const inbox = nc.subscribe(session.inbox(), {
    callback: (error, message) => {
      if (error !== null) return read.reject(error);
      take(message);
    },
  });
  const take = ({ subject, data, headers, reply }: Msg): void => {
    const delivery = readDelivery(reply);
    if (delivery === undefined) return;
    found.push({ subject, data, headers, sequence: delivery.streamSequence });
    if (found.length > limit) found.shift();
    if (delivery.pending === 0) read.resolve();
  };
  const late = setTimeout(() => read.reject(new Error(`no answer within ${READ_WITHIN} ms`)), READ_WITHIN);
  try {
    const made = await manager.consumers.add(stream, { ...consumer(start), deliver_subject: inbox.getSubject() });
    // They may be gone meanwhile: too old, or the stream is another.
    if (made.num_pending === 0 && made.delivered.consumer_seq === 0) read.resolve();
    await read.promise;
  } finally {
    clearTimeout(late);
    read.promise.catch(() => {});
    if (!nc.isClosed()) inbox.unsubscribe();
  }
  return { messages: found, more: all > found.length };
}
