/** Whom a detector is asked about: in traffic, Ready, and past its grace period (F3, V2, V4). */
import type { ResolvedBreaker } from '@kubervisor/shared/crd/resolve';
import type { FleetPod } from '@kubervisor/shared/events/work-evaluate';
import { isPastGrace, type Clocks } from './grace.ts';

/** `fleet`: of the message, as simulated for a breaker that does not enforce. Exempt pods are judged, though never broken. */
export function judgeable(
  fleet: readonly FleetPod[],
  { gracePeriod }: Pick<ResolvedBreaker, 'gracePeriod'>,
  clocks: Clocks,
): FleetPod[] {
  const millis = (time: string | undefined) => (time === undefined ? undefined : Date.parse(time));
  return fleet.filter(
    ({ ready, traffic, readySince, activatedAt }) =>
      ready &&
      traffic === 'yes' &&
      isPastGrace({ readySince: millis(readySince), activatedAt: millis(activatedAt) }, gracePeriod, clocks),
  );
}
