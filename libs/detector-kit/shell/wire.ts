/** Asks a plug-in as the detector service does: the same client, the same headers, the same bounds; redirects are not followed. */
import { BodyTooLarge, errorCode, exchange } from '@kubervisor/runtime/http/exchange';
import { MAX_ANSWER_BYTES } from '@kubervisor/shared/detection/contract';
import { Agent } from 'undici';
import type { Answer } from '../core/judge-answer.ts';

export interface Wire {
  get(path: string, timeoutMilliseconds: number): Promise<Answer>;
  post(path: string, body: string, timeoutMilliseconds: number): Promise<Answer>;
  close(): Promise<void>;
}

export function connect(base: URL): Wire {
  const dispatcher = new Agent({
    connections: 32,
    keepAliveTimeout: 10_000,
    headersTimeout: 0,
    bodyTimeout: 0,
    allowH2: false,
  });
  async function ask(
    method: 'GET' | 'POST',
    path: string,
    timeoutMilliseconds: number,
    body?: string,
  ): Promise<Answer> {
    const url = new URL(base);
    url.pathname = url.pathname.replace(/\/+$/, '') + path;
    const signal = AbortSignal.timeout(timeoutMilliseconds);
    try {
      return await exchange(url, {
        method,
        headers: { accept: 'application/json', ...(body !== undefined && { 'content-type': 'application/json' }) },
        ...(body !== undefined && { body }),
        signal,
        dispatcher,
        maxBytes: MAX_ANSWER_BYTES,
      });
    } catch (error) {
      if (signal.aborted) return { failed: 'late' };
      if (error instanceof BodyTooLarge) return { failed: 'tooLarge' };
      return { failed: 'broken', code: errorCode(error) };
    }
  }
  return {
    get: (path, timeoutMilliseconds) => ask('GET', path, timeoutMilliseconds),
    post: (path, body, timeoutMilliseconds) => ask('POST', path, timeoutMilliseconds, body),
    close: () => dispatcher.destroy(),
  };
}
