/** Makes what libs/shared/events/subjects declares where it is missing. The leader alone does so, again and again. */
import {
  AckPolicy,
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
import { CLAIMS_STREAM } from './claims.ts';

const seconds = (value: number): number => nanos(value * 1000);
const STREAM_NOT_FOUND = 10059;
const CONSUMER_NOT_FOUND = 10014;

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
    max_age: seconds(CLAIMS_BUCKET.ttlSeconds),
    allow_rollup_hdrs: true,
    deny_delete: true,
    allow_direct: true,
    num_replicas: replicas,
  };
}

/** No server changes these of a stream that exists. */
const FIXED = ['retention', 'storage'] as const;

export interface Differences {
  /** In words, each: only a person can mend it. */
  fixed: string[];
  /** To be updated in place. */
  changes: Partial<StreamConfig>;
}

export function differences(wanted: Partial<StreamConfig>, found: Partial<StreamConfig>): Differences {
  const different = (Object.keys(wanted) as (keyof StreamConfig)[]).filter(
    (key) => JSON.stringify(wanted[key]) !== JSON.stringify(found[key]),
  );
  const isFixed = (key: string): boolean => (FIXED as readonly string[]).includes(key);
  return {
    fixed: different.filter(isFixed).map((key) => `${key} is ${String(found[key])}, ${String(wanted[key])} is needed`),
    changes: Object.fromEntries(different.filter((key) => !isFixed(key)).map((key) => [key, wanted[key]])),
  };
}

export interface Ensured {
  /** What could not be made as declared, in words. */
  problems: string[];
}

/**
 * Throws where the server is away or does not answer; what it refuses is a problem. `onBucketMade`: the bucket of claims was not
 * there. Told at once, for what comes after may throw, and nobody would know that live claims were forgotten.
 */
export async function ensureDeclared(
  manager: JetStreamManager,
  replicas: number,
  log: Logger,
  onBucketMade: () => void,
): Promise<Ensured> {
  const problems: string[] = [];
  const attempt = async <T>(what: string, act: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await act();
    } catch (error) {
      if (!(error instanceof JetStreamApiError)) throw error;
      problems.push(`${what}: ${error.message}`);
      return undefined;
    }
  };

  const ensureStream = (wanted: Partial<StreamConfig> & { name: string }) =>
    attempt(`stream ${wanted.name}`, async () => {
      const { name } = wanted;
      const info = await orMissing(manager.streams.info(name), STREAM_NOT_FOUND);
      if (info === undefined) {
        await manager.streams.add(wanted);
        log.info({ stream: name }, 'stream made');
        return 'made';
      }
      const { fixed, changes } = differences(wanted, info.config);
      if (fixed.length > 0) {
        problems.push(
          `stream ${name}: ${fixed.join(', ')}; this cannot be changed: delete the stream, it is made anew`,
        );
        return 'there';
      }
      if (Object.keys(changes).length > 0) {
        await manager.streams.update(name, changes);
        log.info({ stream: name, changes: Object.keys(changes) }, 'stream updated');
      }
      return 'there';
    });

  const ensureConsumer = ({ stream, durable, filter, ackWaitSeconds }: (typeof CONSUMERS)[keyof typeof CONSUMERS]) =>
    attempt(`consumer ${durable}`, async () => {
      const wanted = { filter_subject: filter, ack_wait: seconds(ackWaitSeconds) };
      const info = await orMissing(manager.consumers.info(stream, durable), CONSUMER_NOT_FOUND, STREAM_NOT_FOUND);
      if (info === undefined) {
        await manager.consumers.add(stream, {
          ...wanted,
          durable_name: durable,
          deliver_policy: DeliverPolicy.All,
          ack_policy: AckPolicy.Explicit,
          replay_policy: ReplayPolicy.Instant,
          max_deliver: -1,
          // Workers limit themselves: each asks for as much as it has places.
          max_ack_pending: -1,
          max_waiting: 8192,
        });
        log.info({ stream, consumer: durable }, 'consumer made');
      } else if (info.config.filter_subject !== wanted.filter_subject || info.config.ack_wait !== wanted.ack_wait) {
        await manager.consumers.update(stream, durable, wanted);
        log.info({ stream, consumer: durable }, 'consumer updated');
      }
    });

  // The bucket first: as soon as work can flow, claims must be possible.
  if ((await ensureStream(bucketConfig(replicas))) === 'made') onBucketMade();
  for (const declared of Object.values(STREAMS)) await ensureStream(streamConfig(declared, replicas));
  for (const declared of Object.values(CONSUMERS)) await ensureConsumer(declared);
  return { problems };
}

async function orMissing<T>(answer: Promise<T>, ...codes: number[]): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof JetStreamApiError && codes.includes(error.code)) return undefined;
    throw error;
  }
}
