/** The breaker's side of `POST /v1/verdicts`. It never throws: a detector that could not answer is an answer (V1 holds everything). */
import {
  evaluationResponse,
  type EvaluationRequest,
  type EvaluationResponse,
} from '@kubervisor/shared/detection/service';
import type { DetectorErrorReason } from '@kubervisor/shared/reasons';
import { Agent, type Dispatcher } from 'undici';
import { BodyTooLarge, errorCode, exchange } from './exchange.ts';

export const MAX_ANSWER_BYTES = 8 * 1024 * 1024;

/** Its idle connections do not keep the process alive. */
const pool = new Agent({ connections: 64, keepAliveTimeout: 10_000 });

/**
 * Asks the detector service at `url` (DETECTOR_URL, without `/v1/verdicts`). The deadline includes the body; it should be a
 * little longer than the request's own `timeoutMilliseconds`, within which the service answers by itself.
 */
export async function askDetector(
  url: string,
  evaluation: EvaluationRequest,
  timeoutMilliseconds: number,
  dispatcher: Dispatcher = pool,
): Promise<EvaluationResponse> {
  const signal = AbortSignal.timeout(timeoutMilliseconds);
  try {
    const { status, text } = await exchange(`${url.replace(/\/+$/, '')}/v1/verdicts`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(evaluation),
      signal,
      dispatcher,
      maxBytes: MAX_ANSWER_BYTES,
    });
    if (status !== 200) return failed('BadStatus', `the detector answered ${status}`);
    const parsed = evaluationResponse.safeParse(parseJson(text));
    return parsed.success ? parsed.data : failed('BadAnswer', 'the answer of the detector is not of the agreed shape');
  } catch (error) {
    if (signal.aborted) return failed('Timeout', `no answer of the detector within ${timeoutMilliseconds} ms`);
    if (error instanceof BodyTooLarge) return failed('TooLarge', `the answer is larger than ${MAX_ANSWER_BYTES} bytes`);
    return failed('Unreachable', `no connection to the detector (${errorCode(error)})`);
  }
}

function failed(reason: DetectorErrorReason, message: string): EvaluationResponse {
  return { verdicts: [], error: { reason, message }, ignored: {}, warnings: [] };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
