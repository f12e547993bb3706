/** Asks a plug-in by contract v1 (`detector`): POST of the fleet, and it answers a verdict a pod. */
import type { Exchange } from '@kubervisor/runtime/http/exchange';
import type { VerdictRequest } from '@kubervisor/shared/detection/contract';
import type { Destination } from '../core/address.ts';
import type { Result } from '../core/answer.ts';
import type { Outbound } from './outbound.ts';

export interface PluginClient {
  /** `base`: the plug-in's address, without `/v1/verdicts`. */
  verdicts<T>(
    base: Destination,
    request: VerdictRequest,
    signal: AbortSignal,
    judge: (answer: Exchange) => Promise<Result<T>>,
  ): Promise<Result<T>>;
}

export function createPluginClient(
  outbound: Outbound,
  onAsked: (seconds: number, result: string) => void,
): PluginClient {
  return {
    async verdicts({ url, via }, request, signal, judge) {
      const started = performance.now();
      const answer = await outbound.send(via, {
        method: 'POST',
        url: below(url, '/v1/verdicts'),
        headers: { accept: 'application/json', 'content-type': 'application/json' },
        body: JSON.stringify(request),
        signal,
        peer: 'the plug-in',
      });
      const seconds = (performance.now() - started) / 1000;
      const result = answer.ok ? await judge(answer.value) : answer;
      onAsked(seconds, result.ok ? 'ok' : result.fault.reason);
      return result;
    },
  };
}

/** `path` appended to that of `base`. */
export function below(base: URL, path: string): URL {
  const url = new URL(base);
  url.pathname = url.pathname.replace(/\/+$/, '') + path;
  return url;
}
