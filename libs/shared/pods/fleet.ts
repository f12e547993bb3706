/** Which pods a resource answers for (design §5, Fleet), and the counts that floors rest on. */
import { LABEL } from './keys.ts';
import type { Pod } from './pod.ts';

export type Selector = Readonly<Record<string, string>>;

/** The Service's selector without our key; undefined where nothing is left, for such a selector selects nobody. */
export function fleetSelector(selector: Selector | undefined): Selector | undefined {
  const rest = Object.entries(selector ?? {}).filter(([key]) => key !== LABEL.traffic);
  return rest.length === 0 ? undefined : Object.fromEntries(rest);
}

/** Whether the Service takes part: its selector holds `kubervisor/traffic: "yes"`. */
export const isActivated = (selector: Selector | undefined): boolean => selector?.[LABEL.traffic] === 'yes';

export const selects = (selector: Selector, labels: Readonly<Record<string, string>>): boolean =>
  Object.entries(selector).every(([key, value]) => labels[key] === value);

/** As the API server takes it in `labelSelector`. */
export const selectorString = (selector: Selector): string =>
  Object.entries(selector)
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(',');

/** Pods that match and are owned, ending ones included: what `total` counts for a break or a kill. */
export const ownedBy = (pods: readonly Pod[], selector: Selector, name: string): Pod[] =>
  pods.filter((pod) => !pod.finished && pod.labels[LABEL.name] === name && selects(selector, pod.labels));

/** Of the label alone, for these are asked of every pod of a fleet again and again. */
export const isAvailable = (pod: Pod): boolean => !pod.terminating && pod.ready && pod.labels[LABEL.traffic] === 'yes';
export const isOut = (pod: Pod): boolean => pod.labels[LABEL.traffic] === 'no';
export const isPaused = (pod: Pod): boolean => pod.labels[LABEL.traffic] === 'pause';

export interface FleetCounts {
  /** Ready ∧ `yes`. */
  available: number;
  /** For a break or a kill: the fleet and its terminating pods. */
  total: number;
  /** For B7: neither terminating pods nor those that were never ready. */
  repairTotal: number;
}

/** Of pods that `ownedBy` chose. */
export function countsOf(owned: readonly Pod[]): FleetCounts {
  return {
    available: owned.filter(isAvailable).length,
    total: owned.length,
    repairTotal: owned.filter((pod) => !pod.terminating && pod.everReady).length,
  };
}
