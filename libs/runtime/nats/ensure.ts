/** Makes what libs/shared/events/subjects declares where it is missing. The leader alone does so, again and again. */
import {
  AckPolicy,
  type ConsumerConfig,
  DeliverPolicy,
  DiscardPolicy,
  JetStreamApiError,
  ReplayPolicy,
  type JetStreamManager,
  type RetentionPolicy,
  type StorageType,
  type StreamConfig,
} from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';
import { CLAIMS_BUCKET, CONSUMERS, type StreamDeclaration, STREAMS } from '@kubervisor/shared/events/subjects';
import type { Logger } from 'pino';
import { type Bucket, CLAIMS_STREAM } from './claims.ts';
import { isNoRoom, ROOM } from './words.ts';

const seconds = (value: number): number => nanos(value * 1000);
const STREAM_NOT_FOUND = 10059;
const CONSUMER_NOT_FOUND = 10014;

/** What a person may have set, and what would keep us from storing or reading; declared, so that it is brought right, or said. */
const UNLIMITED = {
  max_msgs: -1,
  max_msg_size: -1,
  max_consumers: -1,
  no_ack: false,
  sealed: false,
} as const satisfies Partial<StreamConfig>;

export function streamConfig(declared: StreamDeclaration, replicas: number): Partial<StreamConfig> & { name: string } {
  return {
    name: declared.name,
    subjects: declared.subjects,
    retention: declared.retention as RetentionPolicy,
    storage: declared.storage as StorageType,
    discard: DiscardPolicy.Old,
    max_msgs_per_subject: declared.maxMessagesPerSubject ?? -1,
    max_bytes: declared.maxBytes ?? -1,
    max_age: seconds(declared.maxAgeSeconds),
    duplicate_window: seconds(declared.duplicateWindowSeconds),
    num_replicas: replicas,
    ...UNLIMITED,
  };
}

/** As KV clients make a bucket. */
export function bucketConfig(replicas: number): Partial<StreamConfig> & { name: string } {
  return {
    name: CLAIMS_STREAM,
    subjects: [`$KV.${CLAIMS_BUCKET.name}.>`],
    retention: 'limits' as RetentionPolicy,
    storage: CLAIMS_BUCKET.storage as StorageType,
    discard: DiscardPolicy.New,
    max_msgs_per_subject: CLAIMS_BUCKET.history,
    max_bytes: -1,
    max_age: seconds(CLAIMS_BUCKET.ttlSeconds),
    allow_rollup_hdrs: true,
    deny_delete: true,
    allow_direct: true,
    num_replicas: replicas,
    ...UNLIMITED,
  };
}

/** No server changes these of a stream that exists. */
const FIXED = ['retention', 'storage', 'max_consumers', 'sealed'] as const;

export interface Differences {
  /** In words, each: only a person can mend it. */
  fixed: string[];
  /** To be updated in place. */
  changes: Partial<StreamConfig>;
}

export function differences(wanted: Partial<StreamConfig>, found: Partial<StreamConfig>): Differences {
  const different = (Object.keys(wanted) as (keyof StreamConfig)[]).filter(
    // Servers leave out what is false.
    (key) => JSON.stringify(wanted[key]) !== JSON.stringify(found[key] ?? (wanted[key] === false ? false : undefined)),
  );
  const isFixed = (key: string): boolean => (FIXED as readonly string[]).includes(key);
  return {
    fixed: different.filter(isFixed).map((key) => `${key} is ${String(found[key])} and must be ${String(wanted[key])}`),
    changes: Object.fromEntries(different.filter((key) => !isFixed(key)).map((key) => [key, wanted[key]])),
  };
}

const remake = (stream: string, why: string): string =>
  `stream ${stream}: ${why}. No server changes that: "nats stream rm ${stream}", and it is made anew within 10 s (what goes with it: ${LOST[stream] ?? 'its messages'})`;
const LOST: Record<string, string> = {
  [STREAMS.work.name]: 'one round',
  [STREAMS.rounds.name]: 'how the last rounds ended',
  [STREAMS.facts.name]: 'the audit trail',
  [CLAIMS_STREAM]: 'the claims; nothing is published for 5 s',
};

/** Of a single server, and of a cluster with too few. */
const NO_PEERS = [10005, 10074];
const SUBJECTS_OVERLAP = 10065;

const tooManyReplicas = (replicas: number, why: string): string =>
  `NATS_REPLICAS of the controller is ${replicas}, and NATS cannot keep so many (${why}): set it to the number of NATS servers or less, or join more servers to the cluster`;

/**
 * Answers what could not be made as declared, in words; throws where the server is away or does not answer. Told of the bucket at
 * once, for what comes after may throw, and nobody would know that live claims were forgotten.
 */
export async function ensureDeclared(
  manager: JetStreamManager,
  replicas: number,
  log: Logger,
  bucket: Pick<Bucket, 'seen' | 'made'>,
): Promise<string[]> {
  const problems = new Set<string>();
  /** Streams that are not there: their consumers need no words of their own. */
  const absent = new Set<string>();

  /** Which stream it is that has them; to ask may not be permitted. */
  async function holderOf(subjects: string[], name: string): Promise<string | undefined> {
    for (const subject of subjects)
      for await (const other of manager.streams.names(subject)) if (other !== name) return other;
    return undefined;
  }
  async function inWords({ name, subjects = [] }: StreamToBe, error: JetStreamApiError): Promise<string> {
    if (NO_PEERS.includes(error.code)) return tooManyReplicas(replicas, error.message);
    if (isNoRoom(error)) return `stream ${name} finds no room on NATS (${error.message}): ${ROOM}`;
    if (error.code === SUBJECTS_OVERLAP) {
      const holder = await holderOf(subjects, name).catch(() => undefined);
      return `stream ${name} cannot have ${subjects.join(', ')}: ${holder === undefined ? 'another stream' : `stream ${holder}`} has it. Take the subject out of that one ("nats stream edit ${holder ?? 'NAME'}") or remove it ("nats stream rm ${holder ?? 'NAME'}")`;
    }
    return remake(name, error.message);
  }

  async function ensureStream(wanted: StreamToBe): Promise<void> {
    const { name } = wanted;
    try {
      const before = await orMissing(manager.streams.info(name), STREAM_NOT_FOUND);
      if (before === undefined) absent.add(name);
      let info = before ?? (await manager.streams.add(wanted));
      // The bucket is told of before anything else may fail.
      if (name === CLAIMS_STREAM) bucket[before === undefined ? 'made' : 'seen'](info.created);
      if (before === undefined) {
        absent.delete(name);
        log.info({ stream: name }, 'stream made');
      }
      const { fixed, changes } = differences(wanted, info.config);
      if (fixed.length > 0) problems.add(remake(name, fixed.join(', ')));
      if (Object.keys(changes).length > 0) {
        info = await manager.streams.update(name, changes);
        const { changes: left } = differences(wanted, info.config);
        // Else it would be changed again and again, and never be so.
        if (Object.keys(left).length > 0)
          problems.add(remake(name, `the server does not take ${Object.keys(left).join(', ')}`));
        else log.info({ stream: name, changes: Object.keys(changes) }, 'stream updated');
      }
      const kept = 1 + (info.cluster?.replicas?.length ?? 0);
      // A single server takes any number, and keeps one.
      if (replicas > kept) problems.add(tooManyReplicas(replicas, `of stream ${name} there is ${kept}`));
    } catch (error) {
      if (!(error instanceof JetStreamApiError)) throw error;
      problems.add(await inWords(wanted, error));
    }
  }

  async function ensureConsumer(declared: (typeof CONSUMERS)[keyof typeof CONSUMERS]): Promise<void> {
    const { stream, durable } = declared;
    const wanted = consumerConfig(declared);
    try {
      const info = await orMissing(manager.consumers.info(stream, durable), CONSUMER_NOT_FOUND, STREAM_NOT_FOUND);
      const different = info === undefined ? [] : consumerDifferences(wanted, info.config);
      // It holds nothing that is not delivered again: so what differs is made anew, not asked for.
      if (different.length > 0) await manager.consumers.delete(stream, durable);
      if (info === undefined || different.length > 0) {
        await manager.consumers.add(stream, wanted);
        log.info({ stream, consumer: durable, different }, 'consumer made');
      } else if (info.paused === true) {
        problems.add(
          `consumer ${durable} of ${stream} is paused: no work is taken until "nats consumer resume ${stream} ${durable}"`,
        );
      }
    } catch (error) {
      if (!(error instanceof JetStreamApiError)) throw error;
      problems.add(`consumer ${durable} of ${stream} cannot be made: ${error.message}`);
    }
  }

  // The bucket first: as soon as work can flow, claims must be possible.
  await ensureStream(bucketConfig(replicas));
  for (const declared of Object.values(STREAMS)) await ensureStream(streamConfig(declared, replicas));
  for (const declared of Object.values(CONSUMERS)) if (!absent.has(declared.stream)) await ensureConsumer(declared);
  return [...problems];
}

type StreamToBe = Partial<StreamConfig> & { name: string };

function consumerConfig({ durable, filter, ackWaitSeconds }: (typeof CONSUMERS)[keyof typeof CONSUMERS]) {
  return {
    durable_name: durable,
    filter_subject: filter,
    ack_wait: seconds(ackWaitSeconds),
    deliver_policy: DeliverPolicy.All,
    ack_policy: AckPolicy.Explicit,
    replay_policy: ReplayPolicy.Instant,
    max_deliver: -1,
    // Workers limit themselves: each asks for as much as it has places.
    max_ack_pending: -1,
    max_waiting: 8192,
  } satisfies Partial<ConsumerConfig>;
}

/** Also one that pushes: nobody could take work from it. */
function consumerDifferences(wanted: ReturnType<typeof consumerConfig>, found: Partial<ConsumerConfig>): string[] {
  const different = (Object.keys(wanted) as (keyof typeof wanted)[]).filter((key) => wanted[key] !== found[key]);
  return found.deliver_subject === undefined ? different : [...different, 'deliver_subject'];
}

async function orMissing<T>(answer: Promise<T>, ...codes: number[]): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof JetStreamApiError && codes.includes(error.code)) return undefined;
    throw error;
  }
}
