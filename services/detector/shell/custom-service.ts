/** Asks a legacy plug-in (`customService`): GET, and it answers a `v1.PodList` of the bad pods. */
import type { Exchange } from '@kubervisor/runtime/http/exchange';
import type { Destination } from '../core/address.ts';
import type { Result } from '../core/answer.ts';
import type { Outbound } from './outbound.ts';

export interface CustomServiceClient {
  badPods<T>(
    destination: Destination,
    signal: AbortSignal,
    judge: (answer: Exchange) => Promise<Result<T>>,
  ): Promise<Result<T>>;
}

export function createCustomServiceClient(
  outbound: Outbound,
  onAsked: (seconds: number, result: string) => void,
): CustomServiceClient {
  return {
    async badPods({ url, via }, signal, judge) {
      const started = performance.now();
      const headers = { accept: 'application/json' };
      const answer = await outbound.send(via, { method: 'GET', url, headers, signal, peer: 'the plug-in' });
      const seconds = (performance.now() - started) / 1000;
      const result = answer.ok ? await judge(answer.value) : answer;
      onAsked(seconds, result.ok ? 'ok' : result.fault.reason);
      return result;
    },
  };
}
