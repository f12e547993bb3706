/** P: when too much of the fleet is bad at once, the cause is common (a dependency, a release), and to break would make it worse. */
import type { Outcome } from '@kubervisor/shared/detection/contract';
import { exceedsPercent } from '@kubervisor/shared/policy/percent';

/** A pod of the fleet, as far as it counts here. */
export interface Member {
  uid: string;
  /** At `no`, whichever breaker took it out. `pause` counts on neither side. */
  out: boolean;
  revision?: string | undefined;
  node?: string | undefined;
  zone?: string | undefined;
}

/**
 * In a panic one line that says how many are bad and what they share; else undefined. `outcomeOf`: of this evaluation, confirmed
 * or not. Who is inconclusive was not judged, and is on neither side.
 */
export function panicOf(
  members: readonly Member[],
  outcomeOf: (uid: string) => Outcome | undefined,
  panicThreshold: number,
): string | undefined {
  const isBad = ({ uid, out }: Member) => out || outcomeOf(uid) === 'anomalous';
  const counted = members.filter((member) => isBad(member) || outcomeOf(member.uid) === 'ok');
  const bad = counted.filter(isBad);
  if (!exceedsPercent(bad.length, counted.length, panicThreshold)) return undefined;
  const good = counted.filter((member) => !isBad(member));
  return [`${bad.length} of ${counted.length} bad, more than ${panicThreshold} %`, ...shared(bad, good)].join('; ');
}

const TELLING_SHARE = 2 / 3;

/** What most of the bad have in common and the good have not as often: what the whole fleet has in common tells nothing. */
function shared(bad: readonly Member[], good: readonly Member[]): string[] {
  const phrases = [
    { of: (member: Member) => member.revision, phrase: (value: string) => `of revision ${value}` },
    { of: (member: Member) => member.node, phrase: (value: string) => `on node ${value}` },
    { of: (member: Member) => member.zone, phrase: (value: string) => `in zone ${value}` },
  ];
  return phrases.flatMap(({ of, phrase }) => {
    const numbers = new Map<string, number>();
    for (const value of bad.map(of)) if (value !== undefined) numbers.set(value, (numbers.get(value) ?? 0) + 1);
    const [most] = [...numbers].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
    if (most === undefined || bad.length < 2) return [];
    const [value, number] = most;
    const amongGood = good.filter((member) => of(member) === value).length;
    const telling = number / bad.length >= TELLING_SHARE && amongGood * bad.length < number * good.length;
    return telling ? [`${number} of the ${bad.length} are ${phrase(value)}`] : [];
  });
}
