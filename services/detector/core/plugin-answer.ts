/** What a plug-in by contract v1 is asked and answers; its words are never trusted further than the pods it was asked about. */
import {
  DETECTOR_API_VERSION,
  verdictResponse,
  type JudgedPod,
  type Verdict,
  type VerdictRequest,
} from '@kubervisor/shared/detection/contract';
import type { EvaluationRequest } from '@kubervisor/shared/detection/service';
import { count, failure, success, type Ignored, type Judgement, type Result } from './answer.ts';

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

/** The whole answer counts or none of it. What is wrong is told by our own names of the fields and by nothing that was sent. */
export function readPluginAnswer(text: string): Result<Verdict[]> {
  const given = parse(text);
  if (given === undefined) return failure('BadAnswer', 'the answer of the plug-in is not JSON');
  const answer = verdictResponse.safeParse(given.json);
  if (answer.success) return success(answer.data.verdicts);
  const { path = [], code } = answer.error.issues[0] ?? {};
  const at = path.length === 0 ? 'the answer' : path.join('.');
  const problem = PROBLEMS[code ?? ''] ?? 'is not as agreed';
  return failure('BadAnswer', `the answer of the plug-in is not of the agreed shape: ${at} ${problem}`);
}

const PROBLEMS: Record<string, string> = {
  invalid_type: 'is missing or of another type',
  invalid_value: 'is none of ok, anomalous, inconclusive and error',
  too_big: 'is too long',
  too_small: 'is negative',
};

/**
 * V2: a verdict counts by name and, where given, uid; each pod has one. Ignored: `notAsked` (unknown, out of traffic, or too young to be
 * judged), `otherUid`, `duplicateVerdict` (the pod is then inconclusive: nobody knows which of them holds).
 */
export function judgePluginAnswer(given: readonly Verdict[], fleet: readonly JudgedPod[]): Judgement {
  const ignored: Ignored = {};
  const byName = new Map(fleet.map((pod) => [pod.name, pod]));
  const verdicts = new Map<JudgedPod, Verdict>();
  for (const one of given) {
    const pod = byName.get(one.pod);
    if (pod === undefined) count(ignored, 'notAsked');
    else if (one.uid !== undefined && one.uid !== pod.uid) count(ignored, 'otherUid');
    else if (verdicts.has(pod)) {
      count(ignored, 'duplicateVerdict');
      verdicts.set(pod, inconclusive(pod, 'the plug-in gave several verdicts'));
    } else verdicts.set(pod, asOurs(one, pod));
  }
  return {
    verdicts: fleet.map((pod) => verdicts.get(pod) ?? inconclusive(pod, 'the plug-in gave no verdict')),
    ignored,
  };
}

const inconclusive = ({ name, uid }: JudgedPod, reason: string): Verdict => ({
  pod: name,
  uid,
  outcome: 'inconclusive',
  reason,
});

/** V5: a score for whoever is bad, and a reason of one line: it is written to the pod and shown on terminals. */
function asOurs({ reason, ...verdict }: Verdict, { uid }: JudgedPod): Verdict {
  const line = (reason ?? '').replace(/[\p{C}\p{Z}]+/gu, ' ').trim();
  const bad = verdict.outcome === 'anomalous';
  return {
    ...verdict,
    uid,
    ...(bad && { score: verdict.score ?? 1, reason: line || 'named by the plug-in' }),
    ...(!bad && line !== '' && { reason: line }),
  };
}

function parse(text: string): { json: unknown } | undefined {
  try {
    return { json: JSON.parse(text) as unknown };
  } catch {
    return undefined;
  }
}
