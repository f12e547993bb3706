/** A3: how often a pod was broken, with what its time in traffic forgave. */
import type { ResolvedActivator } from '@kubervisor/shared/crd/resolve';
import type { Marks } from '@kubervisor/shared/pods/codec';

/**
 * The count to write at a break at `now`. The time on probation forgives nothing; neither does a clock that ran backwards, for a
 * time in traffic is never negative. `readySince` stands in where the pod never came back.
 */
export function retryCountAtBreak(
  { retryCount, activatedAt }: Pick<Marks, 'retryCount' | 'activatedAt'>,
  readySince: number | undefined,
  { retryDecayPeriod, probation }: Pick<ResolvedActivator, 'retryDecayPeriod' | 'probation'>,
  now: number,
): number {
  const since = activatedAt === undefined ? (readySince ?? now) : activatedAt + 1000 * probation;
  const forgiven = Math.floor(Math.max(0, now - since) / (1000 * retryDecayPeriod));
  return Math.max(0, retryCount - forgiven) + 1;
}
