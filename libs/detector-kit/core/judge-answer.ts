/** What is wrong with an answer, by the obligation that it breaks. What the detector service reads, and how, is the service's own code. */
import type { Verdict, VerdictRequest } from '@kubervisor/shared/detection/contract';
import { judgeVerdicts, readVerdicts } from '@kubervisor/shared/detection/plugin-answer';
import type { ObligationName } from './obligations.ts';

export type Answer =
  | { status: number; contentType?: string; text: string }
  /** There was none that could be read. `code`: of the connection's error. */
  | { failed: 'late' | 'tooLarge' | 'broken'; code?: string };

export interface Problem {
  obligation: ObligationName;
  /** A sentence without its full stop. */
  problem: string;
}

const problem = (obligation: ObligationName, text: string): Problem => ({ obligation, problem: text });

/** None: Kubervisor takes the answer as it is. */
export function problemsOf(request: VerdictRequest, answer: Answer): Problem[] {
  if ('failed' in answer) {
    switch (answer.failed) {
      case 'late':
        return [problem('in-time', `there was no whole answer within ${request.timeoutMilliseconds} ms`)];
      case 'tooLarge':
        return [problem('size', 'the answer is larger')];
      case 'broken':
        return [problem('status', `the connection broke before the answer was whole (${answer.code ?? 'failed'})`)];
    }
  }
  const { status, contentType, text } = answer;
  if (status < 200 || status > 299) return [problem('status', `it answered ${status}`)];
  return [...contentTypeProblems(contentType), ...verdictProblems(request, text)];
}

/** `application/json`, with or without a charset. */
export function contentTypeProblems(contentType: string | undefined): Problem[] {
  const type = contentType?.split(';', 1)[0]?.trim().toLowerCase();
  if (type === 'application/json') return [];
  return [problem('content-type', type === undefined ? 'there is no content-type' : `the content-type is ${type}`)];
}

function verdictProblems({ pods }: VerdictRequest, text: string): Problem[] {
  const read = readVerdicts(text);
  if ('problem' in read) return [problem('shape', `the answer ${read.problem}${hint(text)}`)];
  const { ignored } = judgeVerdicts(read.value, pods);
  const uidOf = new Map(pods.map(({ name, uid }) => [name, uid]));
  const seen = new Set<string>();
  const counted: [reason: string, obligation: ObligationName, says: string, is: (one: Verdict) => boolean][] = [
    ['notAsked', 'asked-pods', 'a pod that was not asked about', ({ pod }) => !uidOf.has(pod)],
    ['otherUid', 'uid', 'another uid than was sent', ({ pod, uid }) => uid !== undefined && uidOf.get(pod) !== uid],
    [
      'duplicateVerdict',
      'one-verdict',
      'a pod that has one already',
      ({ pod, uid }) => {
        if (uid !== undefined && uidOf.get(pod) !== uid) return false;
        return seen.has(pod) || !seen.add(pod);
      },
    ],
  ];
  const dropped = counted.flatMap(([reason, obligation, says, is]) => {
    const times = ignored[reason];
    if (times === undefined) return [];
    const index = read.value.findIndex(is);
    const which = `verdicts.${index} (${JSON.stringify(read.value[index]?.pod)}) is about ${says}`;
    return [problem(obligation, times === 1 ? which : `${which}, and ${times - 1} more`)];
  });
  const index = read.value.findIndex(({ reason }) => /[\p{Cc}\u2028\u2029]/u.test(reason ?? ''));
  return [
    ...dropped,
    ...(index < 0 ? [] : [problem('one-line', `verdicts.${index}.reason has line breaks or control characters`)]),
  ];
}

/** Why a text that looks like JSON to its author is none. */
function hint(text: string): string {
  try {
    JSON.parse(text);
    return '';
  } catch {
    const [, number] = /[:[,]\s*(-?(?:NaN|Infinity))\b/.exec(text) ?? [];
    if (number !== undefined) return ` (JSON has no ${number})`;
    if (text.startsWith('\ufeff')) return ' (it begins with a byte order mark)';
    if (text.trim() === '') return ' (it is empty)';
    return text.startsWith('\u001f') || text.includes('\ufffd') ? ' (it is compressed, which was not asked for)' : '';
  }
}
