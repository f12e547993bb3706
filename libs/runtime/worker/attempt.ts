/** What every try to change a pod has in common, whatever is tried: it starts before the deadline, and may end without an answer (W3, W4). */
import { PATCH_TIMEOUT } from '@kubervisor/shared/policy/claim';
import type { WithheldReason } from '@kubervisor/shared/reasons';
import type { Deadline, KillResult, PatchResult } from '../kubernetes/client.ts';
import { problemOf } from './problem.ts';

export type AttemptResult = PatchResult | KillResult;

export interface Attempted<Result extends AttemptResult = AttemptResult> {
  /** When its answer came, or the word that none will, on the monotonic clock. It may have waited for a connection: no request left later than this. */
  endedAt: number;
  result: Result;
}

/** Never throws. Nothing is sent once the deadline has passed; the client looks at it once more, immediately before the request leaves. */
export async function sendBefore<Result extends AttemptResult>(
  deadline: Deadline,
  monotonic: () => number,
  request: () => Promise<Result>,
): Promise<Result | Extract<PatchResult, { result: 'deadline' | 'failed' }>> {
  if (monotonic() >= deadline.at) return { result: 'deadline' };
  try {
    return await request();
  } catch (error) {
    return { result: 'failed', message: problemOf(error), uncertain: true };
  }
}

/** No answer came: it may have taken effect, or may yet. */
export const isUncertain = ({ result }: Pick<Attempted, 'result'>): boolean =>
  result.result === 'failed' && result.uncertain === true;

/** From when on these, which got no answer, have either taken effect or never will: each left before it ended, and before the deadline. */
export const settledAt = (uncertain: readonly Attempted[], deadline: Deadline): number =>
  Math.min(deadline.at, Math.max(...uncertain.map(({ endedAt }) => endedAt))) + PATCH_TIMEOUT;

/** Why the pod is left as it was, by what became of the try. */
export const WITHHELD_BY = {
  changed: 'Changed',
  gone: 'Gone',
  deadline: 'Deadline',
  failed: 'PatchFailed',
  refused: 'EvictionRefused',
} as const satisfies Partial<Record<AttemptResult['result'], WithheldReason>>;
