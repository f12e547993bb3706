/**
 * What a plug-in by contract v1 answered, read as the detector service reads it; the conformance check of plug-ins reads it by the same
 * code, so that what the one accepts the other does. Its words are never trusted further than the pods it was asked about.
 */
import type * as z from 'zod';
import { detectorInfo, verdictResponse, type DetectorInfo, type JudgedPod, type Verdict } from './contract.ts';
import { parseForeign } from './foreign-json.ts';

/** `problem` completes "the answer …", by our own names of the fields and by nothing that was sent. */
export type Read<T> = { value: T } | { problem: string };

/** The whole answer counts or none of it. */
export function readVerdicts(text: string): Read<Verdict[]> {
  const read = readAs(verdictResponse, text);
  return 'problem' in read ? read : { value: read.value.verdicts };
}

export const readInfo = (text: string): Read<DetectorInfo> => readAs(detectorInfo, text);

function readAs<T>(schema: z.ZodType<T>, text: string): Read<T> {
  const given = parseForeign(text);
  if ('problem' in given) return given;
  const answer = schema.safeParse(given.json);
  if (answer.success) return { value: answer.data };
  const { path = [], code } = answer.error.issues[0] ?? {};
  const at = path.length === 0 ? 'the answer' : path.join('.');
  const problem = PROBLEMS[code ?? ''] ?? 'is not as agreed';
  return { problem: `is not of the agreed shape: ${at} ${problem}` };
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
export function judgeVerdicts(
  given: readonly Verdict[],
  fleet: readonly JudgedPod[],
): { verdicts: Verdict[]; ignored: Record<string, number> } {
  const ignored: Record<string, number> = {};
  const ignore = (reason: string) => void (ignored[reason] = (ignored[reason] ?? 0) + 1);
  const byName = new Map(fleet.map((pod) => [pod.name, pod]));
  const verdicts = new Map<JudgedPod, Verdict>();
  for (const one of given) {
    const pod = byName.get(one.pod);
    if (pod === undefined) ignore('notAsked');
    else if (one.uid !== undefined && one.uid !== pod.uid) ignore('otherUid');
    else if (verdicts.has(pod)) {
      ignore('duplicateVerdict');
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
  const line = oneLine(reason ?? '');
  const bad = verdict.outcome === 'anomalous';
  return {
    ...verdict,
    uid,
    ...(bad && { score: verdict.score ?? 1, reason: line || 'named by the plug-in' }),
    ...(!bad && line !== '' && { reason: line }),
  };
}

/** As it is written to the pod: without line breaks and control characters. */
export const oneLine = (text: string): string => text.replace(/[\p{C}\p{Z}]+/gu, ' ').trim();
