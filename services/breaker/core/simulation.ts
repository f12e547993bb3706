/** A6: the fleet as it would be had all been enforced. What does not enforce judges and decides on that, and touches nothing. */
import type { SimulatedPod } from '@kubervisor/shared/events/common';
import type { FleetPod } from '@kubervisor/shared/events/work-evaluate';
import { EDITS, edited } from '@kubervisor/shared/pods/codec';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { withSimulated } from '@kubervisor/shared/pods/simulated';
import type { Break } from './decide-breaks.ts';

/** The fleet of a message. A pod that is out for real stays as it is, as in `withSimulated`. */
export function fleetAsSimulated(fleet: readonly FleetPod[], simulated: readonly SimulatedPod[]): FleetPod[] {
  const beliefs = new Map(simulated.map((belief) => [belief.uid, belief]));
  return fleet.map((pod) => {
    const belief = beliefs.get(pod.uid);
    if (belief === undefined || pod.traffic !== 'yes') return pod;
    const { activatedAt: _, ...rest } = pod;
    return {
      ...rest,
      traffic: belief.traffic,
      ...(belief.activatedAt !== undefined && { activatedAt: belief.activatedAt }),
    };
  });
}

/** A fresh list, with the breaks that this round made, or may have made, for real. */
export function podsAsSimulated(
  pods: readonly Pod[],
  { simulated, breaks, at }: { simulated: readonly SimulatedPod[]; breaks: readonly Break[]; at: number },
): Pod[] {
  const beliefs = new Map(simulated.map((belief) => [belief.uid, belief]));
  const broken = new Map(breaks.map((one) => [one.pod.uid, one]));
  return pods.map((pod) => {
    const real = broken.get(pod.uid);
    if (real !== undefined) return edited(pod, EDITS.break(pod, { ...real, at }));
    const belief = beliefs.get(pod.uid);
    return belief === undefined ? pod : withSimulated(pod, belief);
  });
}
