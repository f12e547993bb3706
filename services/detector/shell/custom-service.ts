/** Asks a legacy plug-in (`customService`): GET, and it answers a `v1.PodList` of the bad pods. */
import type { Destination } from '../core/address.ts';
import { failure, type Result } from '../core/answer.ts';
import { readPodList, type NamedPod } from '../core/pod-list.ts';
import type { Outbound } from './outbound.ts';

export interface CustomServiceClient {
  badPods(destination: Destination, signal: AbortSignal): Promise<Result<NamedPod[]>>;
}

export function createCustomServiceClient(
  outbound: Outbound,
  onAsked: (seconds: number, result: string) => void,
): CustomServiceClient {
  async function ask({ url, via }: Destination, signal: AbortSignal): Promise<Result<NamedPod[]>> {
    const headers = { accept: 'application/json' };
    const answer = await outbound.send(via, { method: 'GET', url, headers, signal, peer: 'the plug-in' });
    if (!answer.ok) return answer;
    const { status, text } = answer.value;
    if (status < 200 || status > 299) return failure('BadStatus', `the plug-in answered ${status}`);
    return readPodList(text);
  }
  return {
    async badPods(destination, signal) {
      const started = performance.now();
      const result = await ask(destination, signal);
      onAsked((performance.now() - started) / 1000, result.ok ? 'ok' : result.fault.reason);
      return result;
    },
  };
}
