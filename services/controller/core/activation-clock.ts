/** When the next activation of a resource is due: as early as any pod that is out can be helped, and never while nobody is out. */
import type { ResolvedSpec } from '@kubervisor/shared/crd/resolve';
import { floorRepairs, nextActionTime } from '@kubervisor/shared/policy/return';
import { isOut } from '@kubervisor/shared/pods/fleet';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { withSimulated } from '@kubervisor/shared/pods/simulated';
import type { Memory } from './memory.ts';
import type { Supervised } from './supervision.ts';

/** A floor that the last activation could not repair is tried again after this; milliseconds. */
const REPAIR_AGAIN = 1000;

/** Milliseconds since 1970, `now` or earlier where it is due; undefined: nobody is out. `pods`: as `ownedBy` chose them. */
export function activationDueAt({
  supervised,
  resolved,
  pods,
  memory,
  now,
}: {
  supervised: Supervised;
  resolved: ResolvedSpec;
  pods: readonly Pod[];
  memory: Memory;
  now: number;
}): number | undefined {
  const { activation } = memory;
  const times: number[] = [];
  const held = new Set(activation?.withheld.filter(({ reason }) => reason !== 'WaitNotOver').map(({ uid }) => uid));
  const consider = (pod: Pod): void => {
    const refused = memory.refusedKills[pod.uid];
    // Held since the last activation: the wait until the next look counts from there, or it would begin anew with every look.
    const since = held.has(pod.uid) && activation !== undefined ? Math.min(activation.endedAt, now) : now;
    const time = nextActionTime(pod, resolved, since, {
      withheld: held.has(pod.uid),
      ...(refused !== undefined && { refusedKill: refused.nextAttempt }),
    });
    if (time !== undefined) times.push(time);
  };

  if (supervised.enforcing) {
    for (const pod of pods) if (isOut(pod)) consider(pod);
    const enforced = resolved.breakers.filter(({ mode }) => mode === 'enforce');
    if (floorRepairs(pods, enforced).length > 0)
      times.push(Math.max(now, (activation?.endedAt ?? -Infinity) + REPAIR_AGAIN));
  }
  for (const pod of pods) {
    const simulated = memory.simulated[pod.uid];
    if (simulated?.traffic === 'no' && !isOut(pod)) consider(withSimulated(pod, simulated));
  }
  return times.length === 0 ? undefined : Math.min(...times);
}
