/** What a plug-in by contract v1 is asked. */
import { DETECTOR_API_VERSION, type VerdictRequest } from '@kubervisor/shared/detection/contract';
import type { EvaluationRequest } from '@kubervisor/shared/detection/service';

/** What the plug-in is given less than we wait, so that what it has at its deadline still arrives. */
const MAX_HEAD_START_MILLISECONDS = 100;

/** `remaining`: how long we still wait. The breaker's stanza stays here: where a plug-in is asked is none of its business. */
export function pluginRequest(
  { evaluationId, service, breaker, pods }: EvaluationRequest,
  parameters: Record<string, unknown>,
  remaining: number,
): VerdictRequest {
  const given = Math.floor(remaining - Math.min(MAX_HEAD_START_MILLISECONDS, remaining / 5));
  const timeoutMilliseconds = Math.max(1, given);
  return {
    apiVersion: DETECTOR_API_VERSION,
    evaluationId,
    timeoutMilliseconds,
    service,
    breaker,
    parameters,
    pods,
  };
}
