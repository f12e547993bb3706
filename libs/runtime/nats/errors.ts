/** What publishing and reading may throw. Each is a state that the caller acts on, not a bug. */

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

/** A state of NATS. The bus itself tells it, once, on /readyz and in the log: whoever meets it has nothing to add there. */
export abstract class BusFault extends Error {}

/** No stream listens on the subject (or JetStream is off): the leader ensures, then publishes again. */
export class StreamMissing extends BusFault {
  override readonly name = 'StreamMissing';
  readonly subject: string;
  constructor(subject: string) {
    super('no stream listens on the subject');
    this.subject = subject;
  }
}

/** Away, too slow, or refused by the stream. The message may have been stored all the same: an answer can be lost. */
export class PublishFailed extends BusFault {
  override readonly name = 'PublishFailed';
}

/** A stream could not be read: it is not there, or the server is away, does not answer, or does not permit it. */
export class ReadFailed extends BusFault {
  override readonly name = 'ReadFailed';
}

/** What is declared could not be looked at, or not be made: the server is away, does not answer, or does not permit it. */
export class NotEnsured extends BusFault {
  override readonly name = 'NotEnsured';
}

/** There is no connection now. Nothing was sent and nothing is kept for later: what waited in a buffer would be stale. */
export class NotConnected extends BusFault {
  override readonly name = 'NotConnected';
  constructor() {
    super('not connected to NATS');
  }
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
