/**
 * Watches from the outside whether the rules hold. It shares no code with what it watches: all it knows is what stands on the pods in
 * the API server (labels, readiness), who asked for which change and when, and what the resources allow.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Process } from './event-loop.ts';

/** The parts of a pod, as the API server has it, that are looked at here. */
export interface ObservedPod {
  metadata: {
    name: string;
    uid: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    deletionTimestamp?: string;
    ownerReferences?: unknown[];
  };
  status: { phase: string; conditions: { type: string; status: string }[] };
}

/** What a resource allows, in the words of its manifest. */
export interface Allowed {
  uid: string;
  name: string;
  selector: Record<string, string>;
  /** Dry run or not active, all the time: nothing of it may be touched. */
  passive: boolean;
  breakers: { name: string; count: number; ratio?: number; pauses: number }[];
  defaultPauses: number;
}

/** A message in the hands of a worker. It follows the worker through all its awaits. */
export interface Holder {
  process: Process;
  kind: 'evaluate' | 'activate';
  round: string;
  uid: string;
  claim?: { sentAt: number; appliedAt?: number; key: string };
  sight?: Sight;
  broken: Set<string>;
}
export const holding = new AsyncLocalStorage<Holder>();

/** What a list showed. */
export interface Sight {
  at: number;
  total: number;
  fleet: ReadonlySet<string>;
  available: ReadonlySet<string>;
  paused: ReadonlySet<string>;
  untouchable: ReadonlySet<string>;
}

/** A write of a pod on its way: what its sender knew, and whether it left after the end of its claim (W8). */
export interface Sent {
  holder: Holder | undefined;
  sight: Sight | undefined;
  late: boolean;
}

export interface Violation {
  rule: string;
  at: number;
  message: string;
}

/** How often happened what a model that does nothing would not show. */
export const COUNTED = [
  'lists',
  'claims',
  'breaks',
  'returns',
  'pauses',
  'kills',
  'refusedClaims',
  'lateWrites',
  'floorCrossings',
] as const;
export type Counts = Record<(typeof COUNTED)[number], number>;

const CLAIM_LIFE = 3000;
const trafficOf = (pod: ObservedPod): string | undefined => pod.metadata.labels?.['kubervisor/traffic'];
const isReady = ({ status }: ObservedPod): boolean =>
  status.conditions.some(({ type, status: is }) => type === 'Ready' && is === 'True');
const isEnding = ({ metadata }: ObservedPod): boolean => metadata.deletionTimestamp !== undefined;

export class Observer {
  readonly violations: Violation[] = [];
  readonly counts = Object.fromEntries(COUNTED.map((name) => [name, 0])) as Counts;
  /** Called when a late write (W8) took a fleet under a floor. */
  onCrossing: () => void = () => {};
  readonly #resources: readonly Allowed[];
  readonly #now: () => number;
  /** Claims that stand or stood, by key, oldest first. */
  readonly #claims = new Map<string, Holder[]>();
  readonly #breaks: { at: number; uid: string; breaker: string }[] = [];
  readonly #pauses: { at: number; uid: string; limit: number }[] = [];
  readonly #killed = new Set<string>();
  /** The last write on each claim's key. */
  readonly #writes = new Map<string, { at: number; holder: Holder }>();

  constructor(resources: readonly Allowed[], now: () => number) {
    this.#resources = resources;
    this.#now = now;
  }

  claimSent(holder: Holder, key: string): void {
    holder.claim = { sentAt: this.#now(), key };
  }
  claimed(holder: Holder, key: string): void {
    if (holder.claim !== undefined) holder.claim.appliedAt = this.#now();
    this.counts.claims += 1;
    const before = this.#claims.get(key);
    if (before === undefined) this.#claims.set(key, [holder]);
    else before.push(holder);
  }

  /** What a list shows that is served now. */
  sight(holder: Holder | undefined, pods: readonly ObservedPod[]): Sight | undefined {
    const resource = this.#resourceOf(holder);
    return resource === undefined ? undefined : this.sightOf(resource, pods);
  }
  /** It has arrived. */
  listed(holder: Holder | undefined, sight: Sight | undefined): void {
    if (holder === undefined || sight === undefined) return;
    this.counts.lists += 1;
    holder.sight = sight;
    if (holder.claim?.appliedAt === undefined) return this.#report('W3', `${holder.round} listed without a claim`);
    const ofKey = this.#claims.get(holder.claim.key) ?? [];
    const earlier = this.#writes.get(holder.claim.key);
    if (earlier !== undefined && earlier.at > sight.at && ofKey.indexOf(earlier.holder) < ofKey.indexOf(holder))
      this.#report('W3 overlap', `${earlier.holder.round} wrote after ${holder.round}, on a later claim, had listed`);
  }

  /** The fleet of a resource as it stands. */
  sightOf(resource: Allowed, pods: readonly ObservedPod[]): Sight {
    const owned = pods.filter((pod) => this.#isOwned(resource, pod));
    const present = owned.filter((pod) => !isEnding(pod));
    const uids = (of: readonly ObservedPod[]) => new Set(of.map(({ metadata }) => metadata.uid));
    return {
      at: this.#now(),
      total: owned.length,
      fleet: uids(present),
      available: uids(present.filter((pod) => isReady(pod) && trafficOf(pod) === 'yes')),
      paused: uids(present.filter((pod) => trafficOf(pod) === 'pause')),
      untouchable: uids(owned.filter(({ metadata }) => metadata.annotations?.['kubervisor/exempt'] === 'true')),
    };
  }

  floorOf(breaker: Allowed['breakers'][number], total: number): number {
    return Math.max(breaker.count, Math.ceil((total * (breaker.ratio ?? 0)) / 100));
  }

  /** A write leaves its process. `frozen`: the process stood still after its last look at the clock. */
  left(holder: Holder | undefined, frozen: boolean): Sent {
    const claim = holder?.claim;
    const late = claim !== undefined && this.#now() > claim.sentAt + CLAIM_LIFE + 1;
    if (late && frozen) this.counts.lateWrites += 1;
    else if (late)
      this.#report(
        'W3 late',
        `${holder?.round} started a write ${Math.round(this.#now() - claim.sentAt)} ms after its claim`,
      );
    return { holder, sight: holder?.sight, late: late && frozen };
  }

  /** A write took effect. `after` undefined: an eviction or deletion. */
  wrote(
    { holder, sight, late }: Sent,
    before: ObservedPod,
    after: ObservedPod | undefined,
    all: readonly ObservedPod[],
  ): void {
    if (holder === undefined) return;
    const resource = this.#resourceOf(holder);
    const { uid, name } = before.metadata;
    const report = (rule: string, message: string) => this.#report(rule, `${holder.round} ${name}: ${message}`);
    if (resource === undefined || sight === undefined) return report('W3', 'written without a list');
    if (resource.passive) report('A6', 'touched, though the resource does not enforce or is not active');
    if (!sight.fleet.has(uid)) report('V2', 'touched, though it is not of the fleet');
    if (before.metadata.labels?.['kubervisor/name'] !== resource.name) report('W4', 'touched, though another owns it');
    if (!late) this.#overlap(holder, name);

    const from = trafficOf(before);
    const to = after === undefined ? 'killed' : trafficOf(after);
    if (after === undefined) this.#kill(resource, sight, before, late, all, report);
    else if (from !== to && holder.kind === 'evaluate') {
      if (to === 'no') this.#break(resource, sight, holder, after, late, all, report);
      else report('life cycle', `a breaker wrote ${from} → ${to}`);
    } else if (from !== to && to === 'pause') this.#pause(resource, sight, before, late, report);
    else if (from !== to && to === 'yes') this.counts.returns += 1;
    else if (from !== to) report('life cycle', `an activator wrote ${from} → ${to}`);
  }

  /** W3: nobody else has looked at the fleet on a later claim. Who did would count on what it saw. */
  #overlap(holder: Holder, pod: string): void {
    const key = holder.claim?.key ?? '';
    this.#writes.set(key, { at: this.#now(), holder });
    const ofKey = this.#claims.get(key) ?? [];
    const later = ofKey.slice(ofKey.indexOf(holder) + 1).find(({ sight }) => sight !== undefined);
    if (later !== undefined)
      this.#report('W3 overlap', `${holder.round} wrote ${pod} after ${later.round}, on a later claim, had listed`);
  }

  #break(
    resource: Allowed,
    sight: Sight,
    holder: Holder,
    after: ObservedPod,
    late: boolean,
    all: readonly ObservedPod[],
    report: (rule: string, message: string) => void,
  ): void {
    const { uid, labels } = after.metadata;
    this.counts.breaks += 1;
    if (!sight.available.has(uid)) report('F3', 'broken, though it was not Ready and in traffic when listed');
    if (sight.untouchable.has(uid)) report('exempt', 'broken, though it is exempt');
    if (holder.broken.has(uid)) report('W4', 'broken twice in one round');
    holder.broken.add(uid);
    const breaker = resource.breakers.find(({ name }) => name === labels?.['kubervisor/strategy']);
    if (breaker === undefined) return report('B3', 'broken by nobody');
    if (late) {
      const { available, total } = this.sightOf(resource, all);
      if (available.size >= this.floorOf(breaker, total)) return;
      this.counts.floorCrossings += 1;
      this.onCrossing();
      return;
    }
    this.#breaks.push({ at: this.#now(), uid, breaker: breaker.name });
    // Patches of one round arrive in any order; what was decided first, by the higher floor, counts first.
    const floor = this.floorOf(breaker, sight.total);
    const asHigh = new Set(
      resource.breakers.filter((one) => this.floorOf(one, sight.total) >= floor).map(({ name }) => name),
    );
    const broken = breaksSince(this.#breaks, sight).filter(({ breaker: by }) => asHigh.has(by)).length;
    const left = sight.available.size - broken;
    if (left < floor) report('B2', `${left} left of the ${sight.available.size} available when listed, floor ${floor}`);
  }

  #kill(
    resource: Allowed,
    sight: Sight,
    pod: ObservedPod,
    late: boolean,
    all: readonly ObservedPod[],
    report: (rule: string, message: string) => void,
  ): void {
    this.counts.kills += 1;
    const { uid, labels, ownerReferences = [] } = pod.metadata;
    if (trafficOf(pod) !== 'no') report('A5', `killed at ${trafficOf(pod)}`);
    if (sight.untouchable.has(uid)) report('exempt', 'killed, though it is exempt');
    if (ownerReferences.length === 0) report('A5', 'killed, though nothing replaces it');
    const own = resource.breakers.filter(({ name }) => name === labels?.['kubervisor/strategy']);
    const floor = Math.max(...(own.length > 0 ? own : resource.breakers).map((one) => this.floorOf(one, sight.total)));
    if (sight.available.size < floor) report('A5', `killed with ${sight.available.size} available, floor ${floor}`);
    const other = all.find((one) => isEnding(one) && one.metadata.uid !== uid && this.#killed.has(one.metadata.uid));
    if (other !== undefined && !late && this.#isOwned(resource, other))
      report('A5', `killed before ${other.metadata.name} was gone`);
    if (!late) this.#killed.add(uid);
  }

  #pause(
    resource: Allowed,
    sight: Sight,
    pod: ObservedPod,
    late: boolean,
    report: (rule: string, message: string) => void,
  ): void {
    this.counts.pauses += 1;
    if (late) return;
    const limitOf = (strategy: string | undefined): number =>
      resource.breakers.find(({ name }) => name === strategy)?.pauses ?? resource.defaultPauses;
    const limit = limitOf(pod.metadata.labels?.['kubervisor/strategy']);
    this.#pauses.push({ at: this.#now(), uid: pod.metadata.uid, limit });
    // As with floors: what was decided first, by the lower limit, counts first.
    const more = this.#pauses.filter((one) => one.at >= sight.at && one.limit <= limit && !sight.paused.has(one.uid));
    const paused = sight.paused.size + more.length;
    if (paused > limit) report('A4', `${paused} paused, at most ${limit}`);
  }

  #isOwned(resource: Allowed, { metadata: { labels = {} }, status }: ObservedPod): boolean {
    return (
      labels['kubervisor/name'] === resource.name &&
      status.phase === 'Running' &&
      Object.entries(resource.selector).every(([key, value]) => labels[key] === value)
    );
  }
  #resourceOf(holder: Holder | undefined): Allowed | undefined {
    return this.#resources.find(({ uid }) => uid === holder?.uid);
  }
  #report(rule: string, message: string): void {
    this.violations.push({ rule, at: this.#now(), message });
  }
}

/** Breaks, by whomever, of pods that were available when listed, each pod once. */
function breaksSince<Break extends { at: number; uid: string }>(breaks: readonly Break[], sight: Sight): Break[] {
  const found = new Map<string, Break>();
  for (let index = breaks.length - 1; index >= 0 && breaks[index]!.at >= sight.at; index--) {
    const one = breaks[index]!;
    if (sight.available.has(one.uid)) found.set(one.uid, one);
  }
  return [...found.values()];
}
