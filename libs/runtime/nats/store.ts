/** Publishes and waits for the stream's word that it has the message. What goes wrong with that is told here, once, and thrown. */
import { JetStreamApiError, type JetStreamPublishOptions, type PubAck } from '@nats-io/jetstream';
import { type Connection, REQUEST_TIMEOUT, type Session } from './connection.ts';
import { messageOf, PublishFailed, StreamMissing } from './errors.ts';
import { nobodyAnswers, notStored, patternOf, permissionViolation } from './words.ts';

/** The server's codes for "wrong last sequence"; the second is sent by newer ones where they cannot tell which it was. */
const WRONG_LAST_SEQUENCE = [10071, 10164];

/** Undefined: another message than the expected one was there. Throws StreamMissing, PublishFailed. */
export async function store(
  { troubles }: Connection,
  { js }: Session,
  subject: string,
  data: Uint8Array | string,
  options: Partial<JetStreamPublishOptions> = {},
): Promise<PubAck | undefined> {
  const pattern = patternOf(subject);
  const works = (): void => {
    troubles.worked(`publish ${pattern}`);
    troubles.worked(`permission ${pattern}`);
  };
  try {
    const stored = await js.publish(subject, data, { ...options, timeout: REQUEST_TIMEOUT });
    works();
    return stored;
  } catch (error) {
    if (error instanceof JetStreamApiError && WRONG_LAST_SEQUENCE.includes(error.code)) {
      works();
      return undefined;
    }
    // One that is not permitted is told by the connection.
    if (permissionViolation(error) === undefined) troubles.met(`publish ${pattern}`, notStored(subject, error));
    if (nobodyAnswers(error)) throw new StreamMissing(subject);
    throw new PublishFailed(messageOf(error), { cause: error });
  }
}
