/** Reads a body that somebody else sends, up to a limit: a peer that goes on sending must not fill our memory. */
import { Buffer } from 'node:buffer';

export class BodyTooLarge extends Error {
  override readonly name = 'BodyTooLarge';
}

/** The text of the body. Throws `BodyTooLarge` as soon as more than `maxBytes` came; the stream is then destroyed. */
export async function readBounded(
  body: AsyncIterable<Uint8Array> & { destroy(): unknown },
  maxBytes: number,
): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Leaving the loop, also by the throw, destroys the stream and with it the connection.
  for await (const chunk of body) {
    size += chunk.byteLength;
    if (size > maxBytes) throw new BodyTooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
