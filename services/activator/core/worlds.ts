/** A6: enforcing and dry run are the same decision over two sights of the same fleet. */
import type { ResolvedBreaker } from '@kubervisor/shared/crd/resolve';
import { marksOf } from '@kubervisor/shared/pods/codec';
import { isOut, isPaused, ownedBy } from '@kubervisor/shared/pods/fleet';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { withSimulated } from '@kubervisor/shared/pods/simulated';
import { activatorOf, enforcementOf } from '@kubervisor/shared/policy/return';
import type { ActivationInput } from './decide-activations.ts';

/** The real pods, or the pods as a dry run believes them to be: the same rules hold in both. */
export interface World {
  enforced: boolean;
  /** The pods of the Service, ending ones included, by uid. */
  owned: readonly Pod[];
  /** Whose floors are kept in this world. */
  breakers: readonly ResolvedBreaker[];
  /** Those of `owned` that are decided on: at `no` or `pause`, and not ending. */
  ours: readonly Pod[];
}

/** Only those worlds in which somebody is out. */
export function worldsOf({ resource, resolved, selector, pods, active, simulated }: ActivationInput): World[] {
  const enforcementFor = (pod: Pod) =>
    enforcementOf(activatorOf(marksOf(pod), resolved).breaker?.mode ?? resolved.mode, active);
  const breakersOf = (wanted: 'enforced' | 'simulated') =>
    resolved.breakers.filter(({ mode }) => enforcementOf(mode, active) === wanted);

  const owned = ownedBy(pods, selector, resource.name).sort((one, other) => (one.uid < other.uid ? -1 : 1));
  // Who is out by a breaker that does not enforce is not held by anybody: the controller lets such pods in (F4). `pause` stays.
  const real = owned.filter((pod) => {
    const { traffic } = marksOf(pod);
    return !pod.terminating && (traffic === 'pause' || (traffic === 'no' && enforcementFor(pod) === 'enforced'));
  });

  const beliefs = new Map(simulated.map((belief) => [belief.uid, belief]));
  const believed = new Set<string>();
  const overlay = owned.map((pod) => {
    const belief = beliefs.get(pod.uid);
    const laid = belief === undefined ? pod : withSimulated(pod, belief);
    if (laid === pod) return pod;
    // A breaker that enforces by now shows what it does on the pods themselves.
    if (marksOf(laid).traffic !== 'yes' && enforcementFor(laid) !== 'simulated') return pod;
    believed.add(pod.uid);
    return laid;
  });
  const simulatedOut = overlay.filter(
    (pod) => !pod.terminating && believed.has(pod.uid) && (isOut(pod) || isPaused(pod)),
  );
  const worlds = [
    { enforced: true, owned, breakers: breakersOf('enforced'), ours: real },
    { enforced: false, owned: overlay, breakers: breakersOf('simulated'), ours: simulatedOut },
  ];
  return worlds.filter(({ ours }) => ours.length > 0);
}
