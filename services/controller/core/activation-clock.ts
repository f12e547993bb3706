/** When the next activation of a resource is due: as early as any pod that is out can be helped, and never while nobody is out. */
import type { ResolvedSpec } from '@kubervisor/shared/crd/resolve';
import { floorRepairs, nextActionTime } from '@kubervisor/shared/policy/return';
import { isOut } from '@kubervisor/shared/pods/fleet';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { withSimulated } from '@kubervisor/shared/pods/simulated';
import type { Memory } from './memory.ts';
import type { Supervised } from './supervision.ts';

/**
 * What was due at the last activation, and is still out in our view, is looked at again after this: the patch may not have come
 * through the watch yet, the activator's clock may be behind ours, or a floor could not be repaired. Milliseconds.
 */
const DUE_AGAIN = 1000;

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
  // A wall clock that was set back since has nothing to say about when that was.
  const activation =
    memory.activation !== undefined && memory.activation.endedAt <= now ? memory.activation : undefined;
  const times: number[] = [];
  // A return that ran into the end of the claim is due still, and nothing but that held it.
  const held = new Set(
    activation?.withheld.filter(({ reason }) => !['WaitNotOver', 'Deadline'].includes(reason)).map(({ uid }) => uid),
  );
  const consider = (pod: Pod): void => {
    const refused = memory.refusedKills[pod.uid];
    // Held since the last activation: the wait until the next look counts from there, or it would begin anew with every look.
    const since = held.has(pod.uid) && activation !== undefined ? activation.endedAt : now;
    const time = nextActionTime(pod, resolved, since, {
      withheld: held.has(pod.uid),
      ...(refused !== undefined && { refusedKill: refused.nextAttempt }),
    });
    if (time !== undefined) times.push(notAgainAtOnce(time));
  };
  const notAgainAtOnce = (time: number): number =>
    activation === undefined || time > activation.endedAt ? time : activation.endedAt + DUE_AGAIN;

  if (supervised.enforcing) {
    const out = pods.filter(isOut);
    for (const pod of out) consider(pod);
    const enforced = resolved.breakers.filter(({ mode }) => mode === 'enforce');
    if (out.length > 0 && floorRepairs(pods, enforced).length > 0)
      times.push(Math.max(now, (activation?.endedAt ?? -Infinity) + DUE_AGAIN));
  }
  for (const pod of pods) {
    const simulated = memory.simulated[pod.uid];
    if (simulated?.traffic === 'no' && !isOut(pod)) consider(withSimulated(pod, simulated));
  }
  return times.length === 0 ? undefined : Math.min(...times);
}
