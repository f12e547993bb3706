/** The bytes of a message: JSON, gzipped above COMPRESS_ABOVE_BYTES with the header `Content-Encoding: gzip`. */
import { promisify } from 'node:util';
import { gunzipSync, gzip } from 'node:zlib';
import { COMPRESS_ABOVE_BYTES } from '@kubervisor/shared/events/subjects';

const compress = promisify(gzip);
const ENCODING = 'Content-Encoding';
/** A few kilobytes of zeros can unpack to gigabytes; ten times the largest fleet is enough. */
const MAX_UNPACKED_BYTES = 64 * 1024 * 1024;

interface Headers {
  get(name: string): string;
}

export async function pack(text: string): Promise<{ data: Uint8Array; headers: Record<string, string> }> {
  const data = Buffer.from(text);
  if (data.length <= COMPRESS_ABOVE_BYTES) return { data, headers: {} };
  return { data: await compress(data), headers: { [ENCODING]: 'gzip' } };
}

/**
 * Synchronous, so that messages keep their order. What does not unpack is handed on as it is: it will not parse either, and
 * so is counted as poison in the one place where that is done.
 */
export function unpack(data: Uint8Array, headers?: Headers): string {
  if (headers?.get(ENCODING) === 'gzip') {
    try {
      return gunzipSync(data, { maxOutputLength: MAX_UNPACKED_BYTES }).toString();
    } catch {
      // falls through
    }
  }
  return Buffer.from(data).toString();
}
