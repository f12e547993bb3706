/** What publishing may throw. Each is a state that the caller acts on, not a bug. */

/** Even gzipped the event does not fit into one message: `FleetTooLarge`. */
export class PayloadTooLarge extends Error {
  override readonly name = 'PayloadTooLarge';
  readonly bytes: number;
  readonly limit: number;
  constructor(bytes: number, limit: number) {
    super('payload is larger than the server takes');
    this.bytes = bytes;
    this.limit = limit;
  }
}

/** No stream listens on the subject (or JetStream is off): the leader ensures, then publishes again. */
export class StreamMissing extends Error {
  override readonly name = 'StreamMissing';
  readonly subject: string;
  constructor(subject: string) {
    super('no stream listens on the subject');
    this.subject = subject;
  }
}

/** Away, too slow, or refused by the stream. The message may have been stored all the same: an answer can be lost. */
export class PublishFailed extends Error {
  override readonly name = 'PublishFailed';
}

/** There is no connection now. Nothing was sent and nothing is kept for later: what waited in a buffer would be stale. */
export class NotConnected extends Error {
  override readonly name = 'NotConnected';
  constructor() {
    super('not connected to NATS');
  }
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
