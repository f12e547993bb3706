/** One HTTP request and its whole answer, as every client of ours asks: bounded, within a deadline, redirects not followed. */
import { Buffer } from 'node:buffer';
import { request, type Dispatcher } from 'undici';

export interface Call {
  method: 'GET' | 'POST';
  headers?: Record<string, string>;
  body?: string;
  /** Ends the call, body included. */
  signal: AbortSignal;
  dispatcher: Dispatcher;
  maxBytes: number;
}

export interface Exchange {
  status: number;
  text: string;
  /** As the other end says. */
  contentType?: string;
}

/** More than `maxBytes` came: a peer that goes on sending must not fill our memory. */
export class BodyTooLarge extends Error {
  override readonly name = 'BodyTooLarge';
}

/**
 * Throws the reason of `signal` when it ends, else what undici throws, or `BodyTooLarge`. Asks once more where the connection broke: a kept one may have been closed by
 * the other end just now. So use it only for requests that change nothing.
 */
export async function exchange(url: string | URL, call: Call): Promise<Exchange> {
  try {
    return await within(call.signal, once(url, call));
  } catch (error) {
    if (call.signal.aborted || !['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'].includes(errorCode(error))) throw error;
    return within(call.signal, once(url, call));
  }
}

/** Undici hears of an abort only once a request has its connection: one that is still made, or awaited, would outlast the deadline. */
async function within<T>(signal: AbortSignal, answer: Promise<T>): Promise<T> {
  let end: (() => void) | undefined;
  const deadline = new Promise<never>((_resolve, reject) => {
    end = () => reject(signal.reason as Error);
    if (signal.aborted) end();
    else signal.addEventListener('abort', end);
  });
  try {
    return await Promise.race([answer, deadline]);
  } finally {
    if (end !== undefined) signal.removeEventListener('abort', end);
  }
}

async function once(url: string | URL, { maxBytes, ...options }: Call): Promise<Exchange> {
  const response = await request(url, options);
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Leaving the loop, also by the throw, destroys the stream and with it the connection.
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    if (size > maxBytes) throw new BodyTooLarge();
    chunks.push(chunk);
  }
  const contentType = response.headers['content-type'];
  return {
    status: response.statusCode,
    text: Buffer.concat(chunks).toString('utf8'),
    ...(typeof contentType === 'string' && { contentType }),
  };
}

/** The code of a network error, `failed` where it has none; never its message, which may repeat what the peer sent. */
export function errorCode(error: unknown): string {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' && /^[A-Z_0-9]{1,40}$/.test(code) ? code : 'failed';
}
