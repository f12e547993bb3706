/**
 * Keeps the clock of every resource while this process leads: publishes work when it is due and allowed (W1, W3), takes facts in, and
 * remembers what they say. One timer a resource; whatever happens to it (a fact, a claim, a changed pod or spec) only asks `step`
 * again, which looks at all there is and does what is due.
 */
import { BusFault, NotConnected, PayloadTooLarge, StreamMissing, type Bus } from '@kubervisor/runtime/nats/bus';
import type { Logger } from '@kubervisor/runtime/logs';
import { activationCompleted, type ActivationCompleted } from '@kubervisor/shared/events/activation-completed';
import { decodeEvent, encodeEvent, type CloudEvent } from '@kubervisor/shared/events/envelope';
import { evaluationCompleted, type EvaluationCompleted } from '@kubervisor/shared/events/evaluation-completed';
import { STREAMS, workSubject, type WorkKind } from '@kubervisor/shared/events/subjects';
import type { Claim } from '@kubervisor/shared/events/common';
import { workActivate } from '@kubervisor/shared/events/work-activate';
import { workEvaluate } from '@kubervisor/shared/events/work-evaluate';
import { CLAIM_EXPIRY } from '@kubervisor/shared/policy/claim';
import { activationDueAt } from '../core/activation-clock.ts';
import {
  NEW_MEMORY,
  prune,
  rememberActivation,
  rememberEvaluation,
  rememberMissing,
  rememberNobodyOut,
  seedFrom,
  type Memory,
} from '../core/memory.ts';
import {
  claimsForgotten,
  claimSeen,
  factSeen,
  NEW_ROUND_CLOCK,
  permission,
  published,
  type RoundClock,
} from '../core/round-clock.ts';
import { cutShort, dueAgain, NEW_SCHEDULE, nextDue, reschedule, takeDue, type Schedule } from '../core/schedule.ts';
import { othersOf, type Supervised } from '../core/supervision.ts';
import { activationWork, evaluationWork, type RoundOf } from '../core/work.ts';
import { keyOf, type Caches } from './caches.ts';

/** What is kept of one resource (by uid) while this process leads. */
export interface Kept {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  schedule: Schedule;
  clocks: Record<WorkKind, RoundClock>;
  memory: Memory;
  /** Breakers of the last evaluation, to be evaluated again if it came to nothing. */
  lastDue: readonly string[];
  /** Rounds of ours whose fact was not taken in yet: each is remembered once, however often it is told. */
  readonly awaited: Set<string>;
  fleetTooLarge: boolean;
  timer: NodeJS.Timeout | undefined;
  /** When the timer ends, and when the resource was last looked at. */
  wakeAt: number;
  lookedAt: number;
  /** It was found deleted, and is remembered for its successor alone. */
  isGone: boolean;
}

export interface RoundKeeperOptions {
  bus: Bus;
  caches: Caches;
  log: Logger;
  /** Names this process's rounds and events. */
  leaderId: string;
  isLeader: () => boolean;
  now: () => number;
  monotonic: () => number;
  /** Something that status or metrics show may have changed. */
  changed(kept: Kept, supervised: Supervised): void;
  /** The resource was deleted: what is shown of it ends. Once a resource. */
  gone(kept: Kept): void;
  roundEnded(kind: WorkKind, outcome: string, kept: Kept): void;
  counted(kind: WorkKind, result: 'published' | 'failed'): void;
  poison(kind: string): void;
  /** No stream listens: they have to be made. */
  ensure(): void;
}

export interface RoundKeeper {
  /** Of a resource that changed, or whose fleet did. Returns at once: many changes make one look. */
  look(supervised: Supervised): void;
  /** Of a namespace where resources changed: those that were deleted are given up. */
  lookForGone(namespace: string): void;
  keptOf(uid: string): Kept | undefined;
  onClaim(key: string, revision: number): void;
  /** Which bucket there is: of it are the claims that are told from here on. */
  onClaimsBucket(bucket: string): void;
  /** Every claim that stands has been told. */
  onClaimsCurrent(): void;
  onRound(message: { subject: string; text: string }): void;
  /** The bucket of claims was made anew, as this one: live claims were forgotten, so nothing is published until they have run out. */
  onClaimsForgotten(bucket: string): void;
  stop(): void;
}

/** Nothing was published. */
class BucketUnknown extends BusFault {
  override readonly name = 'BucketUnknown';
}

/** More facts than that outstanding of one resource were lost. */
const AWAITED_KEPT = 16;
/** Looks for changed pods are this far apart, or a rollout would walk through the whole fleet for each of its pods. Milliseconds. */
const LOOKS_APART = 100;
/** As long as a message of a resource that is gone may still be taken, and then its claim last. Milliseconds. */
const GONE_KEPT = STREAMS.work.maxAgeSeconds * 1000 + CLAIM_EXPIRY;
/** After a look that failed by a fault of ours; milliseconds. */
const LOOK_AGAIN = 5000;

export function keepRounds(options: RoundKeeperOptions): RoundKeeper {
  const { bus, caches, log, leaderId, isLeader, now } = options;
  // The monotonic clock, begun at the time of day: so ticks stand where they stood under the leader before, and a period of a day
  // does not begin anew with each leader.
  const begin = now() - options.monotonic();
  const monotonic = (): number => begin + options.monotonic();
  const all = new Map<string, Kept>();
  let stopped = false;
  let counter = 0;
  /**
   * Claims that stood before may not be known yet: not before they have been told, or have run out. Those of a resource that has none
   * may never be: a leader before us may just have made the bucket anew; or the resource was made anew, and whoever still acts for the
   * one before has another key, which tells nobody of which resource it was.
   */
  const strangeUntil = monotonic() + CLAIM_EXPIRY;
  let claimsTold = false;
  /** Claims were forgotten while they were alive. */
  let forgottenUntil = -Infinity;
  /**
   * The bucket that all revisions in the clocks are of; the two go together, or a revision of one bucket would be superseded in another. It
   * is as of our last look: in one that somebody made since, what we publish claims nothing (W3). Facts of before may name it first; that
   * of a bucket which is no more claims nothing either.
   */
  let bucket: string | undefined;
  const holdUntil = ({ revision }: RoundClock): number =>
    Math.max(claimsTold && revision > 0 ? -Infinity : strangeUntil, forgottenUntil);
  const fieldsOf = (kept: Kept, kind: WorkKind) => ({
    namespace: kept.namespace,
    service: present(kept)?.spec?.service,
    resource: kept.name,
    kind,
  });

  const keep = ({ resource: { uid, namespace, name } }: Supervised): Kept => {
    let kept = all.get(uid);
    if (kept === undefined) {
      // A resource of the same name that was there a moment ago may still have a worker under way, whose claim has another key:
      // it is waited out as a claim is.
      const successor = [...all.values()].some((other) => other.namespace === namespace && other.name === name);
      const clock = successor ? { ...NEW_ROUND_CLOCK, notBefore: monotonic() + CLAIM_EXPIRY } : NEW_ROUND_CLOCK;
      kept = {
        uid,
        namespace,
        name,
        schedule: NEW_SCHEDULE,
        clocks: { evaluate: clock, activate: clock },
        memory: NEW_MEMORY,
        lastDue: [],
        awaited: new Set(),
        fleetTooLarge: false,
        timer: undefined,
        wakeAt: Infinity,
        lookedAt: -Infinity,
        isGone: false,
      };
      all.set(uid, kept);
    }
    return kept;
  };
  const forget = (kept: Kept): void => {
    clearTimeout(kept.timer);
    all.delete(kept.uid);
  };
  const present = (kept: Kept): Supervised | undefined => {
    const supervised = caches.find(kept.namespace, kept.name);
    return supervised?.resource.uid === kept.uid ? supervised : undefined;
  };
  const sleep = (kept: Kept): void => {
    clearTimeout(kept.timer);
    kept.wakeAt = Infinity;
  };
  const wake = (kept: Kept, at: number): void => {
    clearTimeout(kept.timer);
    kept.wakeAt = at;
    // A timer takes at most 2^31 − 1 ms; a period at most a day. Rounded up, or it would end just before the time.
    kept.timer = setTimeout(() => step(kept), Math.min(Math.max(0, Math.ceil(at - monotonic())), 86_400_000));
  };

  /** A fault of ours with one resource must not end the process, and with it the clocks of all the others. */
  const step = (kept: Kept): void => {
    sleep(kept);
    if (stopped || !isLeader()) return;
    kept.lookedAt = monotonic();
    try {
      advance(kept);
    } catch (error) {
      log.error({ namespace: kept.namespace, resource: kept.name, err: error }, 'look at a resource failed');
      wake(kept, monotonic() + LOOK_AGAIN);
    }
  };
  const advance = (kept: Kept): void => {
    const supervised = present(kept);
    if (supervised === undefined) {
      // So that a successor of the same name knows of it; then forgotten.
      kept.timer = setTimeout(() => forget(kept), GONE_KEPT);
      if (!kept.isGone) options.gone(kept);
      kept.isGone = true;
      return;
    }
    kept.isGone = false;
    const { resource, resolved, spec, selector, problem } = supervised;
    if (
      problem !== undefined ||
      resolved === undefined ||
      spec === undefined ||
      selector === undefined ||
      resource.terminating
    )
      return;
    const at = monotonic();
    const pods = caches.fleetOf(supervised);
    kept.memory = prune(kept.memory, pods, resolved, supervised.active);
    kept.schedule = reschedule(kept.schedule, resolved.breakers, kept.uid, at);
    const periods = resolved.breakers
      .filter(({ mode }) => mode !== 'disabled')
      .map(({ evaluationPeriod }) => evaluationPeriod * 1000);
    const period = Math.min(...periods, 86_400_000);
    const round: Omit<RoundOf, 'round' | 'claimRevision' | 'claimBucket'> = {
      supervised: { ...supervised, spec, selector },
      memory: kept.memory,
    };
    let next = Infinity;

    const allowed = (kind: WorkKind, dueAt: number | undefined): boolean => {
      const before = kept.clocks[kind];
      const answer = permission(before, period, at);
      kept.clocks[kind] = answer.clock;
      if (answer.clock.failures > before.failures) onMissing(kept, kind);
      if (kind === 'evaluate') dueAt = nextDue(kept.schedule);
      if (!answer.may) {
        // While a round is under way its end is what to wait for: if it is missed, its breakers are due at once.
        if (answer.clock.underWay !== undefined) next = Math.min(next, answer.at);
        else if (dueAt !== undefined) next = Math.min(next, Math.max(dueAt, answer.at));
        return false;
      }
      if (dueAt === undefined) return false;
      dueAt = Math.max(dueAt, holdUntil(answer.clock));
      if (dueAt > at) next = Math.min(next, dueAt);
      return dueAt <= at;
    };

    // The fact of a round, or the lack of one, wakes the resource; the clock knows when the lack is certain.
    const awaitEnd = (kind: WorkKind): void => {
      const answer = permission(kept.clocks[kind], period, at);
      if (!answer.may) next = Math.min(next, answer.at);
    };

    if (allowed('evaluate', nextDue(kept.schedule))) {
      const taken = takeDue(kept.schedule, resolved.breakers, kept.uid, at);
      kept.schedule = taken.schedule;
      kept.lastDue = taken.due;
      const others = othersOf(supervised, caches.view(kept.namespace).supervised);
      const timeout = Math.max(
        ...resolved.breakers
          .filter(({ name }) => taken.due.includes(name))
          .map((breaker) => breaker.timeoutSeconds * 1000),
      );
      publish(kept, 'evaluate', timeout, period, (id, claim) =>
        encodeEvent(
          workEvaluate,
          keyOf(kept),
          evaluationWork({ ...round, round: id, ...claim, due: taken.due, pods, others }),
          stamp(id),
        ),
      );
      awaitEnd('evaluate');
    }
    const wallDue = activationDueAt({ supervised, resolved, pods, memory: kept.memory, now: now() });
    const activationDue = wallDue === undefined ? undefined : at + (wallDue - now());
    if (activationDue === undefined) kept.memory = rememberNobodyOut(kept.memory);
    if (allowed('activate', activationDue)) {
      publish(kept, 'activate', 0, period, (id, claim) =>
        encodeEvent(
          workActivate,
          keyOf(kept),
          activationWork({ ...round, round: id, ...claim, now: now() }),
          stamp(id),
        ),
      );
      awaitEnd('activate');
    }
    if (next < Infinity) wake(kept, next);
    options.changed(kept, supervised);
  };

  const stamp = (id: string) => ({ id, source: `/kubervisor/controller/${leaderId}`, time: now() });

  function onMissing(kept: Kept, kind: WorkKind): void {
    // The first of a row; that they go on is said by status and counted.
    log[kept.clocks[kind].failures === 1 ? 'warn' : 'debug'](fieldsOf(kept, kind), 'round ended without a fact');
    options.roundEnded(kind, 'missing', kept);
    cameToNothing(kept, kind);
  }

  /** A round without a fact, or one that was never sent. */
  function cameToNothing(kept: Kept, kind: WorkKind): void {
    kept.memory = rememberMissing(kept.memory, kind);
    if (kind === 'evaluate') kept.schedule = dueAgain(kept.schedule, kept.lastDue, monotonic());
  }

  function publish(
    kept: Kept,
    kind: WorkKind,
    timeout: number,
    period: number,
    message: (id: string, claim: Pick<RoundOf, 'claimRevision' | 'claimBucket'>) => CloudEvent,
  ): void {
    const id = `${leaderId}-${(counter += 1)}`;
    const { revision } = kept.clocks[kind];
    const named = bucket;
    let event: CloudEvent | undefined;
    const send = async (): Promise<void> => {
      // A claim that names no bucket counts in any. Who cannot look at it cannot reach NATS, or is about to be told that it was made.
      if (named === undefined) throw new BucketUnknown('the bucket of claims was not seen yet');
      event = message(id, { claimRevision: revision, claimBucket: named });
      await bus.publish(workSubject(kind, kept), event, { messageId: id, onlyIf: isLeader });
    };
    // Before it is sent, for its fact may be here before the server's word that it was stored.
    kept.clocks[kind] = published(kept.clocks[kind], id, timeout, monotonic());
    kept.awaited.add(id);
    for (const old of kept.awaited) if (kept.awaited.size > AWAITED_KEPT) kept.awaited.delete(old);
    send().then(
      () => {
        options.counted(kind, 'published');
        if (kind === 'evaluate') kept.fleetTooLarge = false;
      },
      (error: unknown) => {
        options.counted(kind, 'failed');
        if (stopped) return;
        const notConnected = error instanceof Error && error.cause instanceof NotConnected;
        // What is wrong with NATS is told once by the bus, not again by every resource.
        log[error instanceof BusFault ? 'debug' : 'warn'](
          { ...fieldsOf(kept, kind), round: id, err: error },
          'work could not be published',
        );
        if (error instanceof PayloadTooLarge && kind === 'evaluate') kept.fleetTooLarge = true;
        if (error instanceof StreamMissing) options.ensure();
        const notSent =
          event === undefined || error instanceof PayloadTooLarge || error instanceof StreamMissing || notConnected;
        // Otherwise it may have been stored all the same: then its fact, or the lack of one, ends the round.
        if (!notSent) return;
        kept.awaited.delete(id);
        const claim = { outcome: 'notTried', revision: 0 } as const;
        kept.clocks[kind] = factSeen(kept.clocks[kind], { round: id, claim, outcome: 'failed' }, period, monotonic());
        cameToNothing(kept, kind);
        step(kept);
      },
    );
  }

  const isOfBucket = ({ bucket: named }: Claim): boolean => named === undefined || named === (bucket ??= named);
  const claimsAreOf = (made: string): void => {
    bucket = made;
    forgottenUntil = monotonic() + CLAIM_EXPIRY;
    for (const kept of all.values()) {
      kept.clocks = {
        evaluate: claimsForgotten(kept.clocks.evaluate),
        activate: claimsForgotten(kept.clocks.activate),
      };
      step(kept);
    }
  };

  /** `toldAt`: by the clock of who told it; milliseconds since 1970. */
  const onFact = (kind: WorkKind, fact: EvaluationCompleted | ActivationCompleted, toldAt: number): void => {
    const kept = all.get(fact.resource.uid);
    if (kept === undefined) return;
    const supervised = present(kept);
    const period = Math.min(
      ...(supervised?.resolved?.breakers.map(({ evaluationPeriod }) => evaluationPeriod * 1000) ?? []),
      86_400_000,
    );
    const current = kept.clocks[kind].underWay?.round === fact.round;
    // Of another bucket it settles no claim of this one, whose revisions begin anew and may be the same.
    const claim: Claim = isOfBucket(fact.claim) ? fact.claim : { outcome: 'notTried', revision: 0 };
    kept.clocks[kind] = factSeen(kept.clocks[kind], { ...fact, claim }, period, monotonic());
    // Where a message was delivered twice, the one that was refused may tell first: the other's fact is still to come.
    const ours = fact.claim.outcome === 'refused' ? kept.awaited.has(fact.round) : kept.awaited.delete(fact.round);
    if (ours) options.roundEnded(kind, fact.outcome, kept);
    if (supervised?.resolved !== undefined) {
      if (kind === 'evaluate') {
        const evaluation = fact as EvaluationCompleted;
        if (ours) kept.memory = rememberEvaluation(kept.memory, evaluation, supervised.resolved, now());
        else if (!fact.round.startsWith(`${leaderId}-`))
          kept.memory = seedFrom(kept.memory, evaluation, supervised.resolved, Math.min(toldAt, now()));
        if (current) {
          const again =
            fact.outcome === 'completed' ? cutShort(evaluation, supervised.resolved.breakers) : kept.lastDue;
          kept.schedule = dueAgain(kept.schedule, again, monotonic());
        }
      } else if (ours) {
        kept.memory = rememberActivation(kept.memory, fact as ActivationCompleted, supervised.resolved, now());
      }
    }
    step(kept);
  };

  return {
    look(supervised) {
      const kept = keep(supervised);
      const soon = Math.max(monotonic(), kept.lookedAt + LOOKS_APART);
      if (soon < kept.wakeAt) wake(kept, soon);
    },
    lookForGone(namespace) {
      for (const kept of all.values())
        if (kept.namespace === namespace && !kept.isGone && present(kept) === undefined) step(kept);
    },
    keptOf: (uid) => all.get(uid),
    onClaim(key, revision) {
      const at = key.lastIndexOf('.');
      const kind = key.slice(at + 1);
      const kept = all.get(key.slice(0, at));
      if (kept === undefined || (kind !== 'evaluate' && kind !== 'activate')) return;
      kept.clocks[kind] = claimSeen(kept.clocks[kind], revision, monotonic());
      // Its successor has another key, so that nothing but time keeps the two apart.
      if (kept.isGone)
        for (const { uid, namespace, name, clocks } of all.values())
          if (uid !== kept.uid && namespace === kept.namespace && name === kept.name)
            clocks[kind] = { ...clocks[kind], notBefore: Math.max(clocks[kind].notBefore, monotonic() + CLAIM_EXPIRY) };
      step(kept);
    },
    onClaimsBucket(found) {
      bucket ??= found;
      if (bucket !== found) claimsAreOf(found);
    },
    onClaimsCurrent() {
      if (claimsTold) return;
      claimsTold = true;
      for (const kept of all.values()) step(kept);
    },
    onRound({ subject, text }) {
      const kind: WorkKind = subject.split('.')[2] === 'activate' ? 'activate' : 'evaluate';
      const decoded =
        kind === 'evaluate' ? decodeEvent(evaluationCompleted, text) : decodeEvent(activationCompleted, text);
      if (decoded.ok) onFact(kind, decoded.event.data, Date.parse(decoded.event.time));
      else {
        options.poison(`round.${kind}`);
        log.warn({ subject, problem: decoded.problem }, 'fact does not parse');
      }
    },
    onClaimsForgotten: claimsAreOf,
    stop() {
      stopped = true;
      for (const kept of all.values()) clearTimeout(kept.timer);
      all.clear();
    },
  };
}
