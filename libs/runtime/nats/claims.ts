/** The claims of W3: an ordinary KV bucket (ADR-8), so that `nats kv` shows it, written by compare-and-set alone. */
import { CLAIMS_BUCKET } from '@kubervisor/shared/events/subjects';
import type { Logger } from 'pino';
import type { Connection, Session } from './connection.ts';
import type { Consumption } from './consume.ts';
import { messageOf, NotConnected, PublishFailed } from './errors.ts';
import { follow } from './follow.ts';
import { store } from './store.ts';
import { notBound } from './words.ts';

export type ClaimResult =
  | { outcome: 'claimed'; revision: number }
  /** `revision`: the one found; 0 = none (never made, deleted or expired). */
  | { outcome: 'refused'; revision: number };

export interface Claims {
  /**
   * Compare-and-set from `supersedes` (0 = none). Sent once, never again: whether a claim that got no answer stands is for the
   * watch to tell. Throws without a connection, without the bucket, or when no answer comes within 2 s.
   *
   * `bucket`: the one that `supersedes` is of. In another, which was made since, a claim is refused although it was stored: of whoever
   * acts on a claim of the bucket before, that one knows nothing. Which it is, is asked after the claim was stored: before, it
   * could be deleted and made anew in between. No answer to that is no answer to the claim.
   */
  claim(key: string, supersedes: number, value: string, bucket?: string): Promise<ClaimResult>;
  /** The bucket there was at the last look of `watch` or `Bus.ensure`. */
  bucket(): string | undefined;
  /** Every present claim, then each change. After an interruption all of it again: `begun`, claims, `current`. */
  watch(on: ClaimWatcher): Consumption;
}

export interface ClaimWatcher {
  /** The bucket is another than the one seen before, so live claims may be forgotten. Before `begun`. */
  forgotten?(bucket: string): void;
  /** All that follows is of this bucket. */
  begun?(bucket: string): void;
  /** Revision 0: the claim was deleted. One that expires goes without a word. */
  claim(key: string, revision: number): void;
  current?(): void;
}

/**
 * Which bucket it is, known by when it was made. A person, or another leader, may have deleted it and made it anew between two looks of
 * ours; to us it is then always there, and yet has forgotten every claim.
 */
export interface Bucket {
  seen(created: string): void;
  /** It was not there, and was made. */
  made(created: string): void;
  /** The one at the last look. */
  known(): string | undefined;
  /** Whether claims were forgotten since this was last asked. */
  takeForgotten(): boolean;
}

export function knowBucket(): Bucket {
  let known: string | undefined;
  let forgotten = false;
  return {
    seen(created) {
      if (known !== undefined && known !== created) forgotten = true;
      known = created;
    },
    made(created) {
      known = created;
      forgotten = true;
    },
    known: () => known,
    takeForgotten() {
      const told = forgotten;
      forgotten = false;
      return told;
    },
  };
}

export const CLAIMS_STREAM = `KV_${CLAIMS_BUCKET.name}`;
const PREFIX = `$KV.${CLAIMS_BUCKET.name}.`;
interface Headers {
  get(name: string): string;
}
/** A deleted key keeps a message that says so, with a revision of its own. */
const isTombstone = (headers: Headers | undefined): boolean =>
  ['DEL', 'PURGE'].includes(headers?.get('KV-Operation') ?? '') || (headers?.get('Nats-Marker-Reason') ?? '') !== '';

export function openClaims(connection: Connection, log: Logger, bucket: Bucket): Claims {
  /** The revision written, or undefined where another was there. */
  async function put(session: Session, key: string, expected: number, value: string): Promise<number | undefined> {
    const expect = { lastSubjectSequence: expected };
    return (await store(connection, session, PREFIX + key, value, { expect }))?.seq;
  }
  /** From the stream's leader, never from a replica that lags. */
  async function read({ manager }: Session, key: string): Promise<{ revision: number; deleted: boolean }> {
    const found = await manager.streams
      .getMessage(CLAIMS_STREAM, { last_by_subj: PREFIX + key })
      .catch((error: unknown) => {
        connection.troubles.met(`publish ${PREFIX}`, notBound(`stream ${CLAIMS_STREAM}`, error));
        throw new PublishFailed(messageOf(error), { cause: error });
      });
    connection.troubles.worked(`publish ${PREFIX}`);
    return found === null
      ? { revision: 0, deleted: false }
      : { revision: found.seq, deleted: isTombstone(found.header) };
  }

  /** When the bucket was made that is there now. */
  async function created({ manager }: Session): Promise<string> {
    const info = await manager.streams.info(CLAIMS_STREAM).catch((error: unknown) => {
      connection.troubles.met(`publish ${PREFIX}`, notBound(`stream ${CLAIMS_STREAM}`, error));
      throw new PublishFailed(messageOf(error), { cause: error });
    });
    connection.troubles.worked(`publish ${PREFIX}`);
    return info.created;
  }
  async function stored(session: Session, revision: number, named: string | undefined): Promise<ClaimResult> {
    const isThatOne = named === undefined || named === (await created(session));
    return { outcome: isThatOne ? 'claimed' : 'refused', revision };
  }

  return {
    async claim(key, supersedes, value, named) {
      const session = connection.session();
      if (session === undefined) throw new NotConnected();
      let revision = await put(session, key, supersedes, value);
      if (revision !== undefined) return stored(session, revision, named);
      const found = await read(session, key);
      if (supersedes === 0 && found.deleted) {
        revision = await put(session, key, found.revision, value);
        if (revision !== undefined) return stored(session, revision, named);
        const winner = await read(session, key);
        return { outcome: 'refused', revision: winner.deleted ? 0 : winner.revision };
      }
      return { outcome: 'refused', revision: found.deleted ? 0 : found.revision };
    },
    bucket: () => bucket.known(),
    watch(on) {
      let looked: string | undefined;
      return follow(
        connection,
        { stream: CLAIMS_STREAM, filter: `${PREFIX}>`, from: 'last' },
        {
          begun(found) {
            looked = found;
            bucket.seen(found);
            if (on.forgotten !== undefined && bucket.takeForgotten()) on.forgotten(found);
            on.begun?.(found);
          },
          message({ subject, headers, sequence }) {
            // What was under way when `ensure` found another: its revisions would be taken for those of that one.
            if (looked === bucket.known()) on.claim(subject.slice(PREFIX.length), isTombstone(headers) ? 0 : sequence);
          },
          current: () => on.current?.(),
        },
        log,
      );
    },
  };
}
