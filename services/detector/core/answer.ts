/** What a provider answers, and how it says that it could not. */
import type { Verdict } from '@kubervisor/shared/detection/contract';
import type { EvaluationResponse } from '@kubervisor/shared/detection/service';
import type { DetectorErrorReason } from '@kubervisor/shared/reasons';

export interface Fault {
  reason: DetectorErrorReason;
  /** One line; never a piece of what somebody else sent. */
  message: string;
}

/** Faults are values here: a source that is down is as ordinary as one that is up. */
export type Result<T> = { ok: true; value: T } | { ok: false; fault: Fault };

export const success = <T>(value: T): Result<T> => ({ ok: true, value });
export const failure = (reason: DetectorErrorReason, message: string): { ok: false; fault: Fault } => ({
  ok: false,
  fault: { reason, message },
});

/** What was left out of the figures, by reason. */
export type Ignored = Record<string, number>;

export interface Judgement {
  verdicts: Verdict[];
  ignored: Ignored;
  /** What a person should know about how the verdicts came about; shown in status. */
  warnings?: string[];
}

export interface Answer extends Judgement {
  warnings: string[];
}

export function count(ignored: Ignored, reason: string): void {
  ignored[reason] = (ignored[reason] ?? 0) + 1;
}

export function faultResponse({ reason, message }: Fault): EvaluationResponse {
  return { verdicts: [], error: { reason, message: message.slice(0, 1024) }, ignored: {}, warnings: [] };
}
