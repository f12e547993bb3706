/** What JetStream writes into the reply subject of each message it delivers. */
export interface Delivery {
  /** 1 at the first delivery. */
  deliveries: number;
  streamSequence: number;
  /** Counts the deliveries of one consumer without gaps. */
  consumerSequence: number;
  /** Messages that wait behind this one. */
  pending: number;
}

/** Nine parts up to now; newer servers may send domain and account before the stream, and something after `pending`. */
export function readDelivery(reply: string | undefined): Delivery | undefined {
  const parts = reply?.split('.') ?? [];
  if (parts[0] !== '$JS' || parts[1] !== 'ACK') return undefined;
  const from = parts.length === 9 ? 4 : parts.length >= 11 ? 6 : undefined;
  if (from === undefined) return undefined;
  const numbers = parts.slice(from, from + 5).map(Number);
  if (!numbers.every(Number.isFinite)) return undefined;
  const [deliveries = 0, streamSequence = 0, consumerSequence = 0, , pending = 0] = numbers;
  return { deliveries, streamSequence, consumerSequence, pending };
}
