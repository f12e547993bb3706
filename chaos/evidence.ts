/**
 * Makes of what was seen on the wires what the observer of the model judges: who listed what on which claim, and whose write it was that
 * changed a pod. Nothing of it is our own word: claims are read off the wire to NATS, lists and writes off the way to the API server,
 * and changes of pods off a watch of our own.
 *
 * What came before what is told by resource versions, which the API server counts, and not by when we heard of it: so lists and changes
 * are kept for a moment and judged in their order.
 */
import { CLAIM_LIFE, PATCH_TIMEOUT } from '@kubervisor/shared/policy/claim';
import type { ResourceManifest, ServiceManifest, Span } from '../model/allowed.ts';
import { Observer, type Holder, type ObservedPod, type Sight, type Violation } from '../model/observer.ts';
import type { Role } from './plan.ts';

export interface Process {
  readonly name: string;
  readonly role: Role;
}

/** The parts of a pod, as the API server hands it out, that are kept. */
export interface RawPod {
  metadata: ObservedPod['metadata'] & { resourceVersion: string };
  status?: { phase?: string; conditions?: { type: string; status: string }[] };
}

export interface PodEvent {
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  pod: RawPod;
}

/** A request that may change a pod. */
export interface PodWrite {
  pod: string;
  kind: 'patch' | 'kill';
  /** JSON patch. */
  operations: readonly { op: string; path: string; value?: unknown }[];
  /** Of the deletion. */
  preconditions: { uid?: string; resourceVersion?: string };
}

interface Pending extends PodWrite {
  process: Process;
  arrivedAt: number;
  /** What the API server said; undefined: nothing, or that it broke down. */
  refused: () => boolean;
  holder: Holder | undefined;
  sight: Sight | undefined;
}

interface Sequenced {
  version: number;
  heardAt: number;
  judge: () => void;
}

/** Of a machine that others use too: so long may something be under way that takes no time. Milliseconds. */
const SLACK = 1000;
/** By then it is known of a request whether it was refused. */
const KEPT = 1000;
/** A write that changed nothing by then never will. */
const FORGOTTEN_AFTER = 60_000;
/** Claims of one process whose writes may still come. */
const HELD = 50;
/** So far may the sight of a controller be behind that nothing disturbs; and how long may its message be under way that nobody saw. */
const BEHIND = 5000;
const MESSAGE_AGE = 40_000;

const TRAFFIC = 'kubervisor/traffic';
const NAME = 'kubervisor/name';
const pointer = (key: string): string => key.replaceAll('~', '~0').replaceAll('/', '~1');

export const observed = ({ metadata, status = {} }: RawPod): ObservedPod => {
  const { name, uid, labels, annotations, deletionTimestamp, ownerReferences } = metadata;
  return {
    metadata: {
      ...{ name, uid },
      ...(labels !== undefined && { labels }),
      ...(annotations !== undefined && { annotations }),
      ...(deletionTimestamp !== undefined && { deletionTimestamp }),
      ...(ownerReferences !== undefined && { ownerReferences }),
    },
    status: { phase: status.phase ?? 'Pending', conditions: status.conditions ?? [] },
  };
};

/** Times in which something was so. */
class Times {
  readonly #spans: Span[] = [];
  begin(at: number): (at: number) => void {
    const span = { from: at, to: Infinity };
    this.#spans.push(span);
    return (end) => void (span.to = end);
  }
  touch({ from, to }: Span): boolean {
    return this.#spans.some((one) => one.from <= to && one.to >= from);
  }
  /** For how long it was so. */
  within(span: Span): number {
    let total = 0;
    let end = span.from;
    for (const { from, to } of [...this.#spans].sort((one, other) => one.from - other.from)) {
      const begin = Math.max(from, end);
      const stop = Math.min(to, span.to);
      if (stop <= begin) continue;
      total += stop - begin;
      end = stop;
    }
    return total;
  }
  /** The moment before `at` since when it was not so for `length` in all. */
  before(at: number, length: number): number {
    let from = at - length;
    for (;;) {
      const missing = length - (at - from - this.within({ from, to: at }));
      if (missing < 1) return from;
      from -= missing;
    }
  }
}

export class Evidence {
  /** Pods as they were by the last change that was judged, by name. */
  readonly pods = new Map<string, ObservedPod>();
  /** uids of pods that were Ready at some time. */
  readonly everReady = new Set<string>();
  readonly counts = { heldBack: 0, unexplained: 0, byOthers: 0 };
  /** Told of each change of a pod's place when it is judged, and by whom it was. */
  onChange: (line: { pod: string; from: string | undefined; to: string | undefined; by: string }) => void = () => {};
  readonly #now: () => number;
  readonly #observer: Observer;
  /** The time of what is being judged. */
  #time: number;
  #judgedUntil = 0;
  readonly #queue: Sequenced[] = [];
  /** By process: claims that were made, newest last; `messageTime`: of the message that was claimed for, by the clock of its leader. */
  readonly #holders = new Map<string, (Holder & { sights: Sight[]; messageTime: number })[]>();
  readonly #sent = new Map<string, number>();
  readonly #published = new Map<string, { at: number; time: number }>();
  #writes: Pending[] = [];
  readonly #frozen = new Map<string, Times>();
  readonly #stalled = new Times();
  readonly #disturbed = new Times();
  readonly #lagged = new Times();
  readonly #ours: Violation[] = [];
  #taken = 0;
  readonly #persons = new Map<string, number>();
  readonly #names = new Map<string, string>();

  /** `now`: milliseconds on a clock that nothing turns back. */
  constructor(now: () => number) {
    this.#now = now;
    this.#time = now();
    this.#observer = new Observer(() => this.#time);
  }

  get observer(): Observer {
    return this.#observer;
  }
  /** Those that were not told before. */
  takeViolations(): Violation[] {
    const { violations } = this.#observer;
    const found = [...violations.slice(this.#taken), ...this.#ours.splice(0)];
    this.#taken = violations.length;
    return found.sort((one, other) => one.at - other.at);
  }

  // What stands.
  resourcesAre(manifests: readonly ResourceManifest[]): void {
    for (const { metadata } of manifests) this.#names.set(metadata.uid, metadata.name);
    this.#immediately(() => this.#observer.resourcesAre(manifests));
  }
  servicesAre(manifests: readonly ServiceManifest[]): void {
    this.#immediately(() => this.#observer.servicesAre(manifests));
  }

  // What is done to the world. Each answers how to tell of its end.
  freezes(process: string): () => void {
    const times = this.#frozen.get(process) ?? new Times();
    this.#frozen.set(process, times);
    return this.#span(times);
  }
  /** What the API server, or etcd behind it, has in its hands may take effect when it moves again (W8). */
  stalls(): () => void {
    return this.#span(this.#stalled);
  }
  /** A controller may not see what is there. */
  disturbs(): () => void {
    return this.#span(this.#disturbed);
  }
  #span(times: Times): () => void {
    const end = times.begin(this.#now());
    return () => end(this.#now() + SLACK);
  }
  /** We ourselves were late by so much: what arrived meanwhile was heard of only now. */
  lagged(milliseconds: number): void {
    const now = this.#now();
    this.#lagged.begin(now - milliseconds)(now);
  }
  /** How late we were in all since then: as late is everything else on this machine. */
  lagSince(time: number): number {
    return this.#lagged.within({ from: time, to: this.#now() });
  }
  /** A person is about to change the pod. */
  person(pod: string): void {
    this.#persons.set(pod, this.#now());
  }

  // What goes over the wires.
  /** `time`: milliseconds since 1970, as the message has it. */
  workPublished(round: string, time: number): void {
    this.#published.set(round, { at: this.#now(), time });
    for (const [old, { at }] of this.#published) if (at < this.#now() - 2 * MESSAGE_AGE) this.#published.delete(old);
  }
  claimSent(process: Process, { round }: { round: string }): void {
    this.#sent.set(`${process.name} ${round}`, this.#now());
  }
  claimStored(process: Process, { key, round }: { key: string; round: string }): void {
    const dot = key.lastIndexOf('.');
    const uid = key.slice(0, dot);
    const kind = key.slice(dot + 1) as Holder['kind'];
    const now = this.#now();
    const { at: publishedAt, time: messageTime = -Infinity } = this.#published.get(round) ?? {};
    const holder = {
      ...{ process: process.name, kind, round, uid, name: this.#names.get(uid) ?? uid },
      known: {
        from: this.#disturbed.before(publishedAt ?? now - MESSAGE_AGE, BEHIND),
        // Our own watch may be behind too.
        to: (publishedAt ?? now) + SLACK,
      },
      claim: { sentAt: this.#sent.get(`${process.name} ${round}`) ?? now },
      messageTime,
      broken: new Set<string>(),
      sights: [],
    };
    this.#sent.delete(`${process.name} ${round}`);
    const held = [...(this.#holders.get(process.name) ?? []), holder];
    this.#holders.set(process.name, held);
    // The observer keeps every claim; what an old one had listed is asked for no more, and would fill the memory in an hour.
    if (held.length > HELD)
      for (const sight of held.shift()?.sights.splice(0) ?? []) {
        sight.pods = [];
        sight.fleets.clear();
      }
    this.#immediately(() => this.#observer.claimed(holder));
  }

  /** A worker got a list of pods. `app`: what the selector says of it. */
  listed(process: Process, app: string, version: string, pods: readonly RawPod[]): void {
    const found = pods.map(observed);
    const kind = process.role === 'breaker' ? 'evaluate' : 'activate';
    const holder = (this.#holders.get(process.name) ?? []).findLast(
      (one) => one.kind === kind && this.#appOf(one.name) === app && one.claim !== undefined,
    );
    if (holder === undefined) return this.#report('W3', `${process.name} listed pods of ${app} without a claim`);
    const sight = this.#immediately(() => this.#observer.sight(found));
    holder.sights.push(sight);
    this.#enqueue(version, () => {
      sight.at = this.#time;
      this.#observer.listed(holder, sight);
    });
  }
  /** Which fleet a resource is of: told by its name, up to a dash. */
  #appOf(resource: string): string {
    return resource.split('-')[0] ?? '';
  }

  /** A process asks for a change of a pod. `refused`: whether it is known by then that nothing came of it. */
  requested(process: Process, write: PodWrite, refused: () => boolean): void {
    const arrivedAt = this.#now();
    this.#writes = this.#writes.filter((one) => one.arrivedAt > arrivedAt - FORGOTTEN_AFTER);
    const valueOf = (map: string, key: string): string | undefined => {
      const found = write.operations.find((one) => one.path === `/metadata/${map}/${pointer(key)}`)?.value;
      return typeof found === 'string' ? found : undefined;
    };
    // What the process itself wrote says when it decided, counted from the time of its message: so it is of the last round whose message
    // is not younger. One that stood still meanwhile may have a later round by now, and a message may have lain in it for seconds.
    const stamp = valueOf('annotations', 'breaker/breakAt') ?? valueOf('annotations', 'kubervisor/activatedAt');
    const decidedAt = stamp === undefined ? Infinity : Date.parse(stamp);
    const name = valueOf('labels', NAME) ?? this.pods.get(write.pod)?.metadata.labels?.[NAME];
    const kind = process.role === 'breaker' ? 'evaluate' : 'activate';
    const holders = (this.#holders.get(process.name) ?? []).filter((one) => one.kind === kind && one.name === name);
    const holder = holders.findLast(({ messageTime }) => messageTime <= decidedAt) ?? holders.at(-1);
    // It lists anew only when all that it decided on the last list is answered.
    const sight = holder?.sights.at(-1);
    this.#writes.push({ ...write, process, arrivedAt, refused, holder, sight });
  }

  podChanged({ type, pod }: PodEvent): void {
    const heardAt = this.#now();
    this.#enqueue(pod.metadata.resourceVersion, () => this.#changed(type, observed(pod), pod, heardAt));
  }
  /** As a list of our own shows them: at the start, or after history was lost; what changed meanwhile was not seen. */
  podsAre(pods: readonly RawPod[], version: string): void {
    this.#enqueue(version, () => {
      this.pods.clear();
      for (const raw of pods) this.#put(observed(raw));
    });
  }

  /** Judges what is known to be complete: every change of a pod up to this version was told. To be called often. */
  judge(position: number): void {
    const until = this.#now() - KEPT;
    this.#queue.sort((one, other) => one.version - other.version);
    while (this.#queue.length > 0 && this.#queue[0]!.version <= position && this.#queue[0]!.heardAt <= until) {
      const { heardAt, judge } = this.#queue.shift()!;
      this.#time = Math.max(heardAt, this.#judgedUntil + 0.001);
      this.#judgedUntil = this.#time;
      judge();
    }
  }

  #changed(type: PodEvent['type'], pod: ObservedPod, raw: RawPod, heardAt: number): void {
    const { name, uid } = pod.metadata;
    const before = this.pods.get(name);
    const isSame = before?.metadata.uid === uid;
    if (type === 'DELETED') this.pods.delete(name);
    else this.#put(pod);
    if (before === undefined || !isSame) return;
    const began = type === 'DELETED' || pod.metadata.deletionTimestamp !== undefined;
    if (began && before.metadata.deletionTimestamp === undefined) {
      const write = this.#take((one) => one.kind === 'kill' && one.pod === name && one.preconditions.uid === uid);
      if (write !== undefined) this.#judge(write, before, undefined, heardAt);
      return;
    }
    const of = ({ metadata }: ObservedPod) => JSON.stringify([metadata.labels, metadata.annotations]);
    if (type === 'DELETED' || of(before) === of(pod)) return;
    const write = this.#take((one) => one.kind === 'patch' && one.pod === name && explains(one, before, raw));
    if (write !== undefined) return this.#judge(write, before, pod, heardAt);
    const isOurs = [TRAFFIC, NAME].some((key) => before.metadata.labels?.[key] !== pod.metadata.labels?.[key]);
    if (!isOurs) return;
    if ((this.#persons.get(name) ?? -Infinity) > heardAt - 30_000) {
      this.counts.byOthers += 1;
      return this.#tell(before, pod, 'a person');
    }
    this.counts.unexplained += 1;
    this.#tell(before, pod, 'nobody');
    this.#report(
      'evidence',
      `${name} changed from ${placeOf(before)} to ${placeOf(pod)}, and nobody was seen to ask for it`,
    );
  }

  #take(fits: (write: Pending) => boolean): Pending | undefined {
    const index = this.#writes.findIndex((one) => !one.refused() && fits(one));
    return index < 0 ? undefined : this.#writes.splice(index, 1)[0];
  }

  #judge(write: Pending, before: ObservedPod, after: ObservedPod | undefined, heardAt: number): void {
    const { process, holder, sight, arrivedAt } = write;
    this.#tell(before, after, `${process.name} ${holder?.round ?? ''}`.trim());
    if (process.role === 'controller') {
      if (after !== undefined)
        this.#observer.relabelled(
          { from: this.#disturbed.before(arrivedAt, BEHIND), to: arrivedAt + SLACK },
          before,
          after,
        );
      return;
    }
    const late = this.#isLate(write) || this.#isHeldBack(arrivedAt, heardAt);
    this.#observer.wrote({ holder, sight, late }, before, after, [...this.pods.values()]);
  }

  /** W3: it left later than its claim allows. Only a standstill between the last look at the clock and the socket explains that (W8). */
  #isLate({ process, holder, arrivedAt, pod }: Pending): boolean {
    const sentAt = holder?.claim?.sentAt;
    if (sentAt === undefined) return false;
    if (arrivedAt - sentAt <= CLAIM_LIFE + SLACK + this.#lagged.within({ from: sentAt, to: arrivedAt })) return false;
    if (this.#frozen.get(process.name)?.touch({ from: sentAt, to: arrivedAt }) === true) {
      this.#observer.counts.lateWrites += 1;
      return true;
    }
    const late = Math.round(arrivedAt - sentAt);
    this.#report('W3 late', `${process.name} ${holder?.round} started a write of ${pod} ${late} ms after its claim`);
    return false;
  }
  /** The API server stood still with it in its hands, and did it when it moved again. */
  #isHeldBack(arrivedAt: number, heardAt: number): boolean {
    if (heardAt - arrivedAt <= PATCH_TIMEOUT || !this.#stalled.touch({ from: arrivedAt, to: heardAt })) return false;
    this.counts.heldBack += 1;
    return true;
  }

  #put(pod: ObservedPod): void {
    this.pods.set(pod.metadata.name, pod);
    if (pod.status.conditions.some(({ type, status }) => type === 'Ready' && status === 'True'))
      this.everReady.add(pod.metadata.uid);
  }
  #tell(before: ObservedPod, after: ObservedPod | undefined, by: string): void {
    const to = after === undefined ? 'killed' : placeOf(after);
    if (to !== placeOf(before)) this.onChange({ pod: before.metadata.name, from: placeOf(before), to, by });
  }
  #enqueue(version: string, judge: () => void): void {
    this.#queue.push({ version: Number(version), heardAt: this.#now(), judge });
  }
  #immediately<T>(act: () => T): T {
    const { judged, time } = { judged: this.#judgedUntil, time: this.#time };
    this.#time = Math.max(this.#now(), judged);
    try {
      return act();
    } finally {
      this.#time = time;
    }
  }
  #report(rule: string, message: string): void {
    this.#ours.push({ rule, at: this.#now(), message });
  }
}

const placeOf = ({ metadata: { labels = {} } }: ObservedPod): string =>
  `${labels[TRAFFIC] ?? '-'}${labels[NAME] === undefined ? ' of nobody' : ''}`;

/** The patch fitted the pod as it was, for what it tests of it held, and would have made of it the pod as it is. */
function explains({ operations }: Pick<PodWrite, 'operations'>, before: ObservedPod, after: RawPod): boolean {
  return operations.every(({ op, path, value }) => {
    if (path === '/metadata/uid') return before.metadata.uid === value;
    const [, , map = '', key = ''] = path.split('/');
    if (key === '') return true;
    const of = op === 'test' ? before : after;
    const found = (of.metadata[map as 'labels'] ?? {})[key.replaceAll('~1', '/').replaceAll('~0', '~')];
    return op === 'remove' ? found === undefined : (found ?? null) === (value ?? null);
  });
}

/** A request that may change a pod; undefined: it is none, or may not. */
export function podWriteOf(method: string, path: string, body: string): PodWrite | undefined {
  const [, pod, subresource] = /^\/api\/v1\/namespaces\/[^/]+\/pods\/([^/]+)(?:\/([^/]+))?$/.exec(path) ?? [];
  if (pod === undefined) return undefined;
  const parsed: unknown = body === '' ? {} : JSON.parse(body);
  if (method === 'PATCH' && subresource === undefined)
    return { pod, kind: 'patch', operations: parsed as PodWrite['operations'], preconditions: {} };
  if (method !== 'DELETE' && subresource !== 'eviction') return undefined;
  const options = parsed as { preconditions?: object; deleteOptions?: { preconditions?: object } };
  const preconditions = options.deleteOptions?.preconditions ?? options.preconditions ?? {};
  return { pod, kind: 'kill', operations: [], preconditions };
}
