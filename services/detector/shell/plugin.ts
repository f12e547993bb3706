/** Asks a plug-in by contract v1 (`detector`): POST of the fleet, and it answers a verdict a pod. */
import type { Verdict, VerdictRequest } from '@kubervisor/shared/detection/contract';
import { readVerdicts } from '@kubervisor/shared/detection/plugin-answer';
import type { Destination } from '../core/address.ts';
import { failure, success, type Result } from '../core/answer.ts';
import type { Outbound } from './outbound.ts';

export interface PluginClient {
  /** `base`: the plug-in's address, without `/v1/verdicts`. */
  verdicts(base: Destination, request: VerdictRequest, signal: AbortSignal): Promise<Result<Verdict[]>>;
}

export function createPluginClient(
  outbound: Outbound,
  onAsked: (seconds: number, result: string) => void,
): PluginClient {
  async function ask({ url, via }: Destination, request: VerdictRequest, signal: AbortSignal) {
    const answer = await outbound.send(via, {
      method: 'POST',
      url: below(url, '/v1/verdicts'),
      headers: { accept: 'application/json', 'content-type': 'application/json' },
      body: JSON.stringify(request),
      signal,
      peer: 'the plug-in',
    });
    if (!answer.ok) return answer;
    const { status, text } = answer.value;
    if (status < 200 || status > 299) return failure('BadStatus', `the plug-in answered ${status}`);
    const read = readVerdicts(text);
    if ('problem' in read) return failure('BadAnswer', `the answer of the plug-in ${read.problem}`);
    return success(read.value);
  }
  return {
    async verdicts(base, request, signal) {
      const started = performance.now();
      const result = await ask(base, request, signal);
      onAsked((performance.now() - started) / 1000, result.ok ? 'ok' : result.fault.reason);
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
