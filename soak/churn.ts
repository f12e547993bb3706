/** What happens to the fleets while the soak runs. Pure: all chance comes from the seed. */
import type { Random } from '@kubervisor/testing/random';

export type Act =
  /** The detector names it bad for so long. */
  | { kind: 'spoil'; fleet: string; pod: string; seconds: number }
  /** Deleted as by a node that goes away: its ReplicaSet makes another. */
  | { kind: 'deletePod'; fleet: string; pod: string }
  /** Every pod of the fleet is replaced. */
  | { kind: 'rollout'; fleet: string }
  /** The KubervisorService is deleted and made anew. */
  | { kind: 'recreate'; fleet: string };

/** Pods by the name of their fleet. */
export type Fleets = ReadonlyMap<string, readonly string[]>;

/** Of 5,000 pods: two go bad and one is replaced a second; so some sixty of them are bad at any time. */
const SPOILED_A_SECOND = 1 / 2500;
const DELETED_A_SECOND = 1 / 5000;
/** Fewer would leave nothing to see in a small run. */
const AT_LEAST = 0.2;
/** Some heal before anybody takes them out, some only after they came back bad. Seconds. */
const BAD_FOR = { least: 5, most: 60 };
/** Seconds between two, on average. */
const ROLLOUTS_APART = 60;
const RECREATIONS_APART = 45;

/** What happens in the next second. */
export function churn(fleets: Fleets, random: Random): Act[] {
  const names = [...fleets.keys()].filter((name) => (fleets.get(name)?.length ?? 0) > 0);
  if (names.length === 0) return [];
  const total = names.reduce((sum, name) => sum + (fleets.get(name)?.length ?? 0), 0);
  const aFleet = (): string => random.pick(...names);
  const aPod = (): { fleet: string; pod: string } => {
    const fleet = aFleet();
    return { fleet, pod: random.pick(...(fleets.get(fleet) ?? [])) };
  };
  const times = (rate: number): number => Math.floor(rate) + (random.chance(rate % 1) ? 1 : 0);
  const repeat = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make);
  return [
    ...repeat(times(Math.max(AT_LEAST, total * SPOILED_A_SECOND)), (): Act => {
      return { kind: 'spoil', ...aPod(), seconds: random.between(BAD_FOR.least, BAD_FOR.most) };
    }),
    ...repeat(times(Math.max(AT_LEAST, total * DELETED_A_SECOND)), (): Act => ({ kind: 'deletePod', ...aPod() })),
    ...repeat(times(1 / ROLLOUTS_APART), (): Act => ({ kind: 'rollout', fleet: aFleet() })),
    ...repeat(times(1 / RECREATIONS_APART), (): Act => ({ kind: 'recreate', fleet: aFleet() })),
  ];
}
