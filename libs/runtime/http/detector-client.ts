/** The breaker's side of `POST /v1/verdicts`. It never throws: a detector that could not answer is an answer (V1 holds everything). */
import { Agent, request, type Dispatcher } from 'undici';
import {
  evaluationResponse,
  type EvaluationRequest,
  type EvaluationResponse,
} from '@kubervisor/shared/detection/service';
import type { DetectorErrorReason } from '@kubervisor/shared/reasons';
import { BodyTooLarge, readBounded } from './bounded-body.ts';

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
    const answer = await post(`${url.replace(/\/+$/, '')}/v1/verdicts`, JSON.stringify(evaluation), signal, dispatcher);
    if (answer.status !== 200) return failed('BadStatus', `the detector answered ${answer.status}`);
    const parsed = evaluationResponse.safeParse(parseJson(answer.text));
    return parsed.success ? parsed.data : failed('BadAnswer', 'the answer of the detector is not of the agreed shape');
  } catch (error) {
    if (signal.aborted) return failed('Timeout', `no answer of the detector within ${timeoutMilliseconds} ms`);
    if (error instanceof BodyTooLarge) return failed('TooLarge', `the answer is larger than ${MAX_ANSWER_BYTES} bytes`);
    return failed('Unreachable', `no connection to the detector (${codeOf(error)})`);
  }
}

async function post(url: string, body: string, signal: AbortSignal, dispatcher: Dispatcher) {
  const once = async () => {
    const response = await request(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      signal,
      dispatcher,
    });
    return { status: response.statusCode, text: await readBounded(response.body, MAX_ANSWER_BYTES) };
  };
  try {
    return await once();
  } catch (error) {
    // A kept connection may have been closed by the other end just now. To ask twice is harmless: an evaluation changes nothing.
    if (signal.aborted || !['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'].includes(codeOf(error))) throw error;
    return once();
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

/** The code of a network error; never its message, which may repeat what the peer sent. */
function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' && /^[A-Z_0-9]{1,40}$/.test(code) ? code : 'failed';
}
