/**
 * Watches from the outside whether the rules hold. It shares no code with what it watches: all it knows is what stands on the pods in
 * the API server (labels, readiness), who asked for which change and when, and what the manifests allow at that time. One for each
 * namespace. It takes no part in what it watches: simulated or real, whoever stands between the processes and the servers tells it.
 */
import { floorOf, History, selects, termsOf, type Allowed, type AllowedBreaker, type AllowedHere } from './allowed.ts';
import type { ResourceManifest, ServiceManifest, Span } from './allowed.ts';

/** The parts of a pod, as the API server has it, that are looked at here. Never changed in place. */
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

/** A message in the hands of a worker. */
export interface Holder {
  /** Name of the worker. */
  process: string;
  kind: 'evaluate' | 'activate';
  round: string;
  /** Of the resource. */
  uid: string;
  name: string;
  /** What the message rests on stood at some time of this: until it was published, from as long before as its sender's sight was behind. */
  known: Span;
  /** By the worker; undefined where that is not seen. */
  receivedAt?: number;
  claim?: { sentAt: number; appliedAt?: number };
  sight?: Sight;
  /** uids. */
  broken: Set<string>;
}

/** What a list showed. */
export interface Sight {
  at: number;
  pods: readonly ObservedPod[];
  /** What it shows of a resource, as it was looked for. */
  fleets: Map<Allowed, Fleet>;
}
interface Fleet {
  total: number;
  fleet: ReadonlySet<string>;
  available: ReadonlySet<string>;
  paused: ReadonlySet<string>;
}

/** A write of a pod on its way: what its sender knew, and whether it left after the end of its claim (W8). */
export interface Sent {
  holder: Holder | undefined;
  sight: Sight | undefined;
  late: boolean;
}

export interface Problem {
  rule: string;
  message: string;
}
export interface Violation extends Problem {
  at: number;
}

/** How often happened what a model that does nothing would not show. */
export const COUNTED = [
  'lists',
  'claims',
  'breaks',
  'returns',
  'pauses',
  'kills',
  'adoptions',
  'releases',
  'refusedClaims',
  'lateWrites',
  'floorCrossings',
] as const;
export type Counts = Record<(typeof COUNTED)[number], number>;

const CLAIM_LIFE = 3000;
/** Beyond the longest time-out: a worker gives up a message that it received longer ago. */
const GIVE_UP_SLACK = 2000;
/** F2: the first of two looks that found a resource missing may be that long ago when the release of its pods arrives. */
const LOOKS_LAST = 30_000;
const MARKS = {
  labels: ['kubervisor/name', 'kubervisor/strategy'],
  annotations: ['breaker/breakAt', 'breaker/retryCount', 'kubervisor/activatedAt', 'kubervisor/reason'],
};
const EXEMPT = 'kubervisor/exempt';
const DELETION_COST = 'controller.kubernetes.io/pod-deletion-cost';

const labelsOf = ({ metadata: { labels = {} } }: ObservedPod): Record<string, string> => labels;
const trafficOf = (pod: ObservedPod): string | undefined => labelsOf(pod)['kubervisor/traffic'];
const nameOf = (pod: ObservedPod): string | undefined => labelsOf(pod)['kubervisor/name'];
const strategyOf = (pod: ObservedPod): string | undefined => labelsOf(pod)['kubervisor/strategy'];
const isExempt = ({ metadata }: ObservedPod): boolean => metadata.annotations?.[EXEMPT] === 'true';
const isReady = ({ status }: ObservedPod): boolean =>
  status.conditions.some(({ type, status: is }) => type === 'Ready' && is === 'True');
const isEnding = ({ metadata }: ObservedPod): boolean => metadata.deletionTimestamp !== undefined;
const isRunning = ({ status }: ObservedPod): boolean => status.phase !== 'Succeeded' && status.phase !== 'Failed';
const isSelected = ({ selector }: Allowed, pod: ObservedPod): boolean =>
  selector !== undefined && selects(selector, labelsOf(pod));
const isOwned = (allowed: Allowed, pod: ObservedPod): boolean =>
  nameOf(pod) === allowed.name && isRunning(pod) && isSelected(allowed, pod);

/** What a worker did to a pod. */
interface Act {
  holder: Holder;
  sight: Sight;
  late: boolean;
  before: ObservedPod;
  /** Undefined: it was evicted or deleted. */
  after: ObservedPod | undefined;
  /** All pods, as they are after it. */
  all: readonly ObservedPod[];
}

export class Observer {
  readonly violations: Violation[] = [];
  readonly counts = Object.fromEntries(COUNTED.map((name) => [name, 0])) as Counts;
  /** Called when a late write (W8) took a fleet under a floor. */
  onCrossing: () => void = () => {};
  readonly #now: () => number;
  readonly #history = new History();
  /** Claims that stand or stood, by the fleet and the kind that they fence, oldest first. */
  readonly #claims = new Map<string, Holder[]>();
  /** The last write under each. */
  readonly #writes = new Map<string, { at: number; holder: Holder }>();
  readonly #breaks: { at: number; uid: string; breaker: string | undefined }[] = [];
  readonly #pauses: { at: number; uid: string; breaker: string | undefined }[] = [];
  readonly #killed = new Set<string>();
  /** By controller and name of a resource: its last looks for it, and whether it was there. */
  readonly #looks = new Map<string, { at: number; isThere: boolean }[]>();
  /** Who holds the lease; undefined where nobody need know. */
  #leader: string | undefined;

  /** `now`: milliseconds, on a clock that nothing turns back. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** All that stand in the namespace from now on; to be told before anything else, and at each change of one of them. */
  resourcesAre(manifests: readonly ResourceManifest[]): void {
    this.#history.resourcesAre(manifests, this.#now());
  }
  servicesAre(manifests: readonly ServiceManifest[]): void {
    this.#history.servicesAre(manifests, this.#now());
  }

  /** A controller has the lease; undefined: it was taken from whoever had it, who cannot know. */
  leaseIsOf(controller: string | undefined): void {
    this.#leader = controller;
  }
  /** A controller sends work, or changes a pod. */
  leads(controller: string): void {
    if (this.#leader !== undefined && this.#leader !== controller)
      this.#report('Leader', `${controller} acts, though ${this.#leader || 'nobody'} has the lease`);
  }

  claimSent(holder: Holder): void {
    holder.claim = { sentAt: this.#now() };
    const { kind, round, receivedAt = this.#now() } = holder;
    const timeouts = this.#versionsOf(holder).flatMap(({ breakers }) =>
      breakers.map(({ longestTimeout }) => longestTimeout),
    );
    const patience = GIVE_UP_SLACK + (kind === 'evaluate' ? Math.max(0, ...timeouts) : 0);
    const waited = this.#now() - receivedAt;
    if (timeouts.length > 0 && waited > patience + 1)
      this.#report('W3 stale', `${round} claims ${Math.round(waited)} ms after it was received, at most ${patience}`);
  }
  claimed(holder: Holder): void {
    holder.claim = { sentAt: this.#now(), ...holder.claim, appliedAt: this.#now() };
    this.counts.claims += 1;
    const before = this.#claims.get(fenceOf(holder));
    if (before === undefined) this.#claims.set(fenceOf(holder), [holder]);
    else before.push(holder);
  }

  /** What a list shows that is served now. */
  sight(pods: readonly ObservedPod[]): Sight {
    return { at: this.#now(), pods, fleets: new Map() };
  }
  /** It has arrived. */
  listed(holder: Holder | undefined, sight: Sight): void {
    if (holder === undefined) return;
    this.counts.lists += 1;
    holder.sight = sight;
    if (holder.claim?.appliedAt === undefined) return this.#report('W3', `${holder.round} listed without a claim`);
    const ofFleet = this.#claims.get(fenceOf(holder)) ?? [];
    const earlier = this.#writes.get(fenceOf(holder));
    if (earlier !== undefined && earlier.at > sight.at && ofFleet.indexOf(earlier.holder) < ofFleet.indexOf(holder))
      this.#report('W3 overlap', `${earlier.holder.round} wrote after ${holder.round}, on a later claim, had listed`);
  }

  /** A worker's write leaves its process. `frozen`: the process stood still after its last look at the clock. */
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

  /** It took effect. `after` undefined: an eviction or deletion. `all`: the pods of the namespace, as they are after it. */
  wrote(
    { holder, sight, late }: Sent,
    before: ObservedPod,
    after: ObservedPod | undefined,
    all: readonly ObservedPod[],
  ): void {
    const { uid, name } = before.metadata;
    const report = (rule: string, message: string) =>
      this.#report(rule, `${holder?.round ?? 'outside of any round,'} ${name}: ${message}`);
    if (holder === undefined) return report('W3', 'written by a worker');
    if (sight === undefined) return report('W3', 'written without a list');
    if (!late) this.#overlap(holder, name);
    const act: Act = { holder, sight, late, before, after, all };
    const to = after === undefined ? 'killed' : trafficOf(after);
    if (to !== trafficOf(before)) this.#remember(act, to);
    if (holder.kind === 'evaluate' && to === 'no') {
      if (holder.broken.has(uid)) report('W4', 'broken twice in one round');
      holder.broken.add(uid);
    }
    // What one of the versions allowed, as which the message may have known the resource, was allowed.
    const versions = this.#versionsOf(holder);
    if (versions.length === 0) return report('A6', 'touched for a resource that did not stand');
    const problems = fewest(versions.map((allowed) => this.#problemsOf(allowed, act, to)));
    for (const { rule, message } of problems) report(rule, message);
    const breaker = versions[0]?.breakers.find((one) => one.name === (after && strategyOf(after)));
    if (late && to === 'no' && breaker !== undefined) this.#lookForCrossing(versions[0]!, breaker, all);
  }

  /** A controller has asked the API for a resource (F2). */
  lookedFor(controller: string, name: string, isThere: boolean): void {
    const key = `${controller} ${name}`;
    this.#looks.set(key, [...(this.#looks.get(key) ?? []), { at: this.#now(), isThere }].slice(-20));
  }

  /**
   * The controller has changed a pod (F1, F2, F4). `known`: it decided on what stood at some time of this; what it looked up in the
   * API itself comes on top. `controller`: undefined where it is not known what each of them looked up.
   */
  relabelled(known: Span, before: ObservedPod, after: ObservedPod, controller?: string): void {
    const [from, to] = [trafficOf(before), trafficOf(after)];
    const name = nameOf(before);
    const versions = this.#history.during(known);
    const could = (allows: (here: AllowedHere) => boolean, of = versions): boolean => of.some(allows);
    const ownerIn = ({ resources }: AllowedHere): Allowed | undefined => resources.find((one) => one.name === name);
    const report = (rule: string, message: string) =>
      this.#report(
        rule,
        `${controller ?? 'the controller'}, ${before.metadata.name}: ${message} (${name ?? 'nobody'}'s, ${from} → ${to})`,
      );
    if (name !== undefined && nameOf(after) === undefined) {
      this.counts.releases += 1;
      const looks = this.#history.during({ from: known.from - LOOKS_LAST, to: known.to });
      const isMissing = could((here) => ownerIn(here) === undefined, looks);
      const isLeft = could((here) => ownerIn(here) !== undefined && !isSelected(ownerIn(here)!, before));
      const found = (this.#looks.get(`${controller} ${name}`) ?? []).filter(({ at }) => at >= this.#now() - LOOKS_LAST);
      const isMissedTwice = found.some(({ isThere }, index) => !isThere && found[index + 1]?.isThere === false);
      if (!isMissing && !isLeft) report('F2', 'released, though its resource is there and selects it');
      else if (!isLeft && controller !== undefined && !isMissedTwice)
        report('F2', 'released, though its resource was not found missing twice');
      if (to !== 'yes') report('F2', 'released, but not into traffic');
      return;
    }
    if (name === undefined && nameOf(after) !== undefined) {
      this.counts.adoptions += 1;
      const mayAdopt = ({ resources }: AllowedHere): boolean =>
        resources.some((one) => one.name === nameOf(after) && isSelected(one, before));
      if (!could(mayAdopt)) report('F1', `adopted by ${nameOf(after)}, which does not select it`);
      if (to !== (from ?? 'yes')) report('F1', 'another traffic label with its adoption');
      return;
    }
    if (nameOf(after) !== name) report('F1', `given to ${nameOf(after)}`);
    else if (from === to) return;
    else if (to !== 'yes') report('F1', 'taken out of traffic');
    else if (from === undefined) {
      const letsIn = (here: AllowedHere): boolean =>
        here.activated.some((selector) => selects(selector, labelsOf(before))) ||
        (ownerIn(here) !== undefined && isSelected(ownerIn(here)!, before));
      if (!could(letsIn)) report('F1', 'let in, though no Service with our key selects it');
    } else if (name === undefined) {
      this.counts.releases += 1;
      if (!could(({ resources }) => !resources.some((one) => isSelected(one, before))))
        report('F2', 'released, though a resource selects it');
    } else if (from === 'no') {
      this.counts.releases += 1;
      const isHeld = (here: AllowedHere): boolean => {
        const owner = ownerIn(here);
        return owner !== undefined && termsOf(owner, strategyOf(before)).enforces;
      };
      if (!could((here) => !isHeld(here))) report('F4', 'let in, though what took it out enforces');
    } else report('F4', 'let in, though it waits for a person');
  }

  /** B7: floors that are not held though pods are out that could hold them. `everReady`: uids of pods that were at some time. */
  missedFloors(pods: readonly ObservedPod[], everReady: ReadonlySet<string>): Problem[] {
    const present = pods.filter((pod) => !isEnding(pod));
    return this.#present().resources.flatMap((allowed) => {
      const { available, fleet } = fleetOf(allowed, present);
      const total = [...fleet].filter((uid) => everReady.has(uid)).length;
      return allowed.breakers.flatMap((breaker) => {
        const floor = floorOf(breaker, total);
        if (!breaker.enforces || available.size >= floor) return [];
        const helps = (pod: ObservedPod): boolean =>
          fleet.has(pod.metadata.uid) &&
          trafficOf(pod) === 'no' &&
          strategyOf(pod) === breaker.name &&
          isReady(pod) &&
          !isExempt(pod);
        const message = `${allowed.name}: ${available.size} available, floor ${floor} of ${breaker.name}`;
        return present.some(helps) ? [{ rule: 'B7', message }] : [];
      });
    });
  }

  /**
   * What should not last: pods that are held out by nobody who may hold them (F2, F4), or for longer than they should be (A7); that
   * bear marks of a resource which has them no more (F2); that get no traffic for want of a label, or are nobody's (F1). To be asked
   * when all has been well for as long as the longest wait.
   */
  stranded(pods: readonly ObservedPod[]): Problem[] {
    const { resources, activated } = this.#present();
    return pods.flatMap((pod): Problem[] => {
      if (isEnding(pod) || !isRunning(pod)) return [];
      const { name: podName, annotations = {} } = pod.metadata;
      const traffic = trafficOf(pod);
      const problem = (rule: string, message: string): Problem[] => [{ rule, message: `${podName} ${message}` }];
      const named = resources.find(({ name }) => name === nameOf(pod));
      const owner = named !== undefined && isSelected(named, pod) ? named : undefined;
      if (owner === undefined) {
        if (traffic === 'no' || traffic === 'pause') return problem('F2', `is at ${traffic} without an owner`);
        const marks = [
          ...MARKS.labels.filter((key) => labelsOf(pod)[key] !== undefined),
          ...MARKS.annotations.filter((key) => annotations[key] !== undefined),
          ...(annotations[DELETION_COST] === '-1000' ? [DELETION_COST] : []),
        ];
        if (marks.length > 0) return problem('F2', `still bears ${marks.join(', ')}`);
        if (resources.some((one) => isSelected(one, pod))) return problem('F1', 'is not adopted');
        if (traffic === undefined && activated.some((selector) => selects(selector, labelsOf(pod))))
          return problem('F1', 'has no traffic label, though a Service asks for it');
        return [];
      }
      if (traffic === undefined) return problem('F1', 'has no traffic label');
      if (traffic !== 'no') return [];
      const terms = termsOf(owner, strategyOf(pod));
      if (!terms.enforces) return problem('F4', `is at no for ${strategyOf(pod) ?? 'nobody'}, who does not enforce`);
      const retries = Number(annotations['breaker/retryCount'] ?? 1);
      const mayStay = terms.holdsBeyond !== undefined && retries > terms.holdsBeyond;
      return mayStay ? [] : problem('A7', 'is left out');
    });
  }

  /** W3: nobody else has looked at the fleet on a later claim. Who did would count on what it saw. */
  #overlap(holder: Holder, pod: string): void {
    this.#writes.set(fenceOf(holder), { at: this.#now(), holder });
    const ofFleet = this.#claims.get(fenceOf(holder)) ?? [];
    const later = ofFleet.slice(ofFleet.indexOf(holder) + 1).find(({ sight }) => sight !== undefined);
    if (later !== undefined)
      this.#report('W3 overlap', `${holder.round} wrote ${pod} after ${later.round}, on a later claim, had listed`);
  }

  #remember({ holder, late, before, after }: Act, to: string | undefined): void {
    const at = this.#now();
    const { uid } = before.metadata;
    if (to === 'killed') {
      this.counts.kills += 1;
    } else if (holder.kind === 'evaluate' && to === 'no') {
      this.counts.breaks += 1;
      if (!late) this.#breaks.push({ at, uid, breaker: after && strategyOf(after) });
    } else if (to === 'pause') {
      this.counts.pauses += 1;
      if (!late) this.#pauses.push({ at, uid, breaker: strategyOf(before) });
    } else if (to === 'yes') this.counts.returns += 1;
  }

  /** What was wrong with it if the resource was as the message knew it. */
  #problemsOf(allowed: Allowed, act: Act, to: string | undefined): Problem[] {
    const { holder, sight, before } = act;
    const problems: Problem[] = [];
    const report = (rule: string, message: string): void => void problems.push({ rule, message });
    const from = trafficOf(before);
    const isBreak = holder.kind === 'evaluate';
    const enforces = isBreak
      ? allowed.breakers.some((one) => one.enforces)
      : termsOf(allowed, strategyOf(before)).enforces;
    if (!enforces) report('A6', 'touched, though what is in force does not enforce, or is not active');
    if (!seenBy(sight, allowed).fleet.has(before.metadata.uid)) report('V2', 'touched, though it is not of the fleet');
    if (nameOf(before) !== allowed.name) report('W4', 'touched, though another owns it');

    if (to === 'killed') this.#judgeKill(allowed, act, report);
    else if (isBreak && from === 'yes' && to === 'no') this.#judgeBreak(allowed, act, report);
    else if (isBreak) report('life cycle', `a breaker wrote ${from} → ${to}`);
    else if (from === 'no' && to === 'pause') this.#judgePause(allowed, act, report);
    else if (!(from === 'no' && (to === 'yes' || to === 'no')))
      report('life cycle', `an activator wrote ${from} → ${to}`);
    return problems;
  }

  #judgeBreak(
    allowed: Allowed,
    { sight, before, after, late }: Act,
    report: (rule: string, message: string) => void,
  ): void {
    const { uid } = before.metadata;
    const { available, total } = seenBy(sight, allowed);
    if (!available.has(uid)) report('F3', 'broken, though it was not Ready and in traffic when listed');
    const listed = sight.pods.find(({ metadata }) => metadata.uid === uid) ?? before;
    if (isExempt(listed)) report('exempt', 'broken, though it is exempt');
    if (allowed.others.some((selector) => selects(selector, labelsOf(listed))))
      report('F5', 'broken, though another resource has its Service send traffic to it');
    const breaker = allowed.breakers.find(({ name }) => name === (after && strategyOf(after)));
    if (breaker === undefined) return report('B3', 'broken by nobody');
    if (!breaker.enforces) report('A6', `broken by ${breaker.name}, which does not enforce`);
    if (late) return;
    // Patches of one round arrive in any order; what was decided first, by the higher floor, counts first.
    const floor = floorOf(breaker, total);
    const asHigh = new Set<string | undefined>(
      allowed.breakers.filter((one) => floorOf(one, total) >= floor).map(({ name }) => name),
    );
    const broken = breaksSince(this.#breaks, sight.at, available).filter((one) => asHigh.has(one.breaker)).length;
    const left = available.size - broken;
    if (left < floor) report('B2', `${left} left of the ${available.size} available when listed, floor ${floor}`);
  }

  #judgeKill(
    allowed: Allowed,
    { sight, before, all, late }: Act,
    report: (rule: string, message: string) => void,
  ): void {
    const { uid, ownerReferences = [] } = before.metadata;
    if (trafficOf(before) !== 'no') report('A5', `killed at ${trafficOf(before)}`);
    if (sight.pods.some((pod) => pod.metadata.uid === uid && isExempt(pod)))
      report('exempt', 'killed, though it is exempt');
    if (ownerReferences.length === 0) report('A5', 'killed, though nothing replaces it');
    const { available, total } = seenBy(sight, allowed);
    const own = allowed.breakers.filter(({ name }) => name === strategyOf(before));
    const floor = Math.max(...(own.length > 0 ? own : allowed.breakers).map((one) => floorOf(one, total)));
    if (available.size < floor) report('A5', `killed with ${available.size} available, floor ${floor}`);
    const other = all.find((one) => isEnding(one) && one.metadata.uid !== uid && this.#killed.has(one.metadata.uid));
    if (other !== undefined && !late && isOwned(allowed, other))
      report('A5', `killed before ${other.metadata.name} was gone`);
    if (!late) this.#killed.add(uid);
  }

  #judgePause(allowed: Allowed, { sight, before, late }: Act, report: (rule: string, message: string) => void): void {
    if (late) return;
    const { paused } = seenBy(sight, allowed);
    const limitOf = (strategy: string | undefined): number => termsOf(allowed, strategy).pauses;
    const limit = limitOf(strategyOf(before));
    // As with floors: what was decided first, by the lower limit, counts first.
    const more = this.#pauses.filter(
      (one) =>
        one.at >= sight.at &&
        limitOf(one.breaker) <= limit &&
        !paused.has(one.uid) &&
        sight.pods.some(({ metadata }) => metadata.uid === one.uid),
    );
    const count = paused.size + more.length;
    if (count > limit) report('A4', `${count} paused, at most ${limit}`);
  }

  #lookForCrossing(allowed: Allowed, breaker: AllowedBreaker, all: readonly ObservedPod[]): void {
    const { available, total } = fleetOf(allowed, all);
    if (available.size >= floorOf(breaker, total)) return;
    this.counts.floorCrossings += 1;
    this.onCrossing();
  }

  /** The resource as the message may have known it, newest first. */
  #versionsOf({ known, uid }: Holder): Allowed[] {
    return this.#history.during(known).flatMap(({ resources }) => resources.filter((one) => one.uid === uid));
  }
  #present(): AllowedHere {
    return this.#history.during({ from: this.#now(), to: this.#now() })[0]!;
  }
  #report(rule: string, message: string): void {
    this.violations.push({ rule, at: this.#now(), message });
  }
}

/** By name, not by uid: a resource that was made anew has the fleet of the one before. */
const fenceOf = ({ name, kind }: Holder): string => `${name}.${kind}`;

const fewest = (of: readonly Problem[][]): Problem[] =>
  of.reduce((one, other) => (other.length < one.length ? other : one));

function seenBy(sight: Sight, allowed: Allowed): Fleet {
  let fleet = sight.fleets.get(allowed);
  if (fleet === undefined) sight.fleets.set(allowed, (fleet = fleetOf(allowed, sight.pods)));
  return fleet;
}

/** The fleet of a resource among these pods. */
function fleetOf(allowed: Allowed, pods: readonly ObservedPod[]): Fleet {
  const owned = pods.filter((pod) => isOwned(allowed, pod));
  const present = owned.filter((pod) => !isEnding(pod));
  const uids = (of: readonly ObservedPod[]) => new Set(of.map(({ metadata }) => metadata.uid));
  return {
    total: owned.length,
    fleet: uids(present),
    available: uids(present.filter((pod) => isReady(pod) && trafficOf(pod) === 'yes')),
    paused: uids(present.filter((pod) => trafficOf(pod) === 'pause')),
  };
}

/** Breaks, by whomever, of pods that were available when listed, each pod once. */
function breaksSince<Break extends { at: number; uid: string }>(
  breaks: readonly Break[],
  since: number,
  available: ReadonlySet<string>,
): Break[] {
  const found = new Map<string, Break>();
  for (let index = breaks.length - 1; index >= 0 && breaks[index]!.at >= since; index--) {
    const one = breaks[index]!;
    if (available.has(one.uid)) found.set(one.uid, one);
  }
  return [...found.values()];
}
