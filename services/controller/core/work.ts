/** The messages that workers act on, made of what the controller knows. */
import type { Round } from '@kubervisor/shared/events/common';
import type { FleetPod, WorkEvaluate } from '@kubervisor/shared/events/work-evaluate';
import type { WorkActivate } from '@kubervisor/shared/events/work-activate';
import { marksOf, writeTime } from '@kubervisor/shared/pods/codec';
import { ownedBy, type Selector } from '@kubervisor/shared/pods/fleet';
import type { Pod } from '@kubervisor/shared/pods/pod';
import type { Memory } from './memory.ts';
import type { Supervised } from './supervision.ts';

export interface RoundOf {
  supervised: Supervised & { spec: NonNullable<Supervised['spec']>; selector: Selector };
  round: Round;
  claimRevision: number;
  claimBucket: string;
  memory: Memory;
}

const common = ({
  supervised: { resource, spec, selector, active },
  round,
  claimRevision,
  claimBucket,
  memory,
}: RoundOf) => ({
  round,
  resource: { namespace: resource.namespace, name: resource.name, uid: resource.uid, generation: resource.generation },
  spec,
  selector: { ...selector },
  active,
  claimRevision,
  claimBucket,
  simulated: Object.values(memory.simulated),
});

function fleetPod(pod: Pod): FleetPod {
  const marks = marksOf(pod);
  return {
    name: pod.name,
    uid: pod.uid,
    ready: pod.ready,
    ...(marks.traffic !== undefined && { traffic: marks.traffic }),
    ...(pod.readySince !== undefined && { readySince: writeTime(pod.readySince) }),
    ...(marks.activatedAt !== undefined && { activatedAt: writeTime(marks.activatedAt) }),
    ...(marks.exempt && { exempt: true }),
    ...(pod.ip !== undefined && { ip: pod.ip }),
    ...(pod.node !== undefined && { node: pod.node }),
    ...(pod.revision !== undefined && { revision: pod.revision }),
    ...(pod.zone !== undefined && { zone: pod.zone }),
  };
}

/** V3: what is not known counts as good, so who was good all the time needs no place in a message that may grow too large. */
const wasAnomalous = (history: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(history).filter(([, outcomes]) => outcomes.includes('1')));

/** `pods`: those of the namespace that the cache has. */
export function evaluationWork(
  from: RoundOf & { due: string[]; pods: readonly Pod[]; others: { name: string; selector: Selector }[] },
): WorkEvaluate {
  const { resource, selector } = from.supervised;
  const history = Object.fromEntries(
    from.due.flatMap((name) =>
      from.memory.history[name] === undefined ? [] : [[name, wasAnomalous(from.memory.history[name])]],
    ),
  );
  return {
    ...common(from),
    due: from.due,
    fleet: ownedBy(from.pods, selector, resource.name)
      .filter((pod) => !pod.terminating)
      .map(fleetPod),
    history,
    others: from.others.map((other) => ({ name: other.name, selector: { ...other.selector } })),
  };
}

/**
 * `now`: of the clock that the times of refused kills are on, which is ours. A kill that is due is sent as due since ever: by a worker's
 * clock that is behind ours it would not be yet, would be told as refused once more, and be put off again and again (A7).
 */
export function activationWork(from: RoundOf & { now: number }): WorkActivate {
  return {
    ...common(from),
    refusedKills: Object.entries(from.memory.refusedKills).map(([uid, { refusals, nextAttempt }]) => ({
      uid,
      refusals,
      nextAttempt: writeTime(nextAttempt <= from.now ? 0 : nextAttempt),
    })),
  };
}
