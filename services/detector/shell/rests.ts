/** Keeps the health of each source that fails, and asks it the trivial question when ../core/rest.ts says so. */
import { failure, type Fault, type Result } from '../core/answer.ts';
import {
  afterProbe,
  afterQuery,
  decideAdmission,
  FAILURES_IN_A_ROW,
  isResting,
  isSuspect,
  REST_MILLISECONDS,
  WELL,
  type Health,
} from '../core/rest.ts';
import { orEnd } from './or-end.ts';

export interface Rests<S> {
  /** Undefined: ask it. Waits for a probe that is under way; `signal` is the deadline of the asker. */
  admit(key: string, signal: AbortSignal): Promise<Fault | undefined>;
  /** What became of a query that was sent. */
  heard(key: string, source: S, result: Result<unknown>): void;
}

export interface RestObserver<S> {
  /** It rests because of `fault`, or, undefined, it is back. */
  turned(source: S, fault: Fault | undefined): void;
}

interface Kept<S> {
  source: S;
  health: Health;
  askedAt: number;
  /** What the last probe met. */
  fault?: Fault;
  probe?: Promise<void>;
}

/** Of those beyond it the ones that failed first are forgotten, which costs a few queries. */
const MAX_KEPT = 1000;
/** Nobody is left who asks a source that was last asked so long ago; it should not be shown as resting for ever. */
const FORGOTTEN_AFTER_MILLISECONDS = 3_600_000;

/** Faults that an answer of the source stands behind, or that are our own: it was not even asked. */
const ANSWERS: readonly string[] = ['QueryFailed', 'AddressRefused'];
const answers = (result: Result<unknown>): boolean => result.ok || ANSWERS.includes(result.fault.reason);

export function createRests<S>(
  /** The trivial question; ends by itself, and never rejects. */
  probe: (source: S) => Promise<Result<unknown>>,
  observer: RestObserver<S>,
  now: () => number,
): Rests<S> {
  const kept = new Map<string, Kept<S>>();

  function forget(key: string, { source, health }: Kept<S>): void {
    kept.delete(key);
    if (isResting(health)) observer.turned(source, undefined);
  }

  /** Those that are well need not be kept. */
  function become(key: string, one: Kept<S>, health: Health): void {
    if (health.failures === 0) {
      forget(key, one);
      one.health = health;
      return;
    }
    const rested = isResting(one.health);
    one.health = health;
    kept.set(key, one);
    if (isResting(health) && !rested) observer.turned(one.source, one.fault);
    for (const [other, old] of kept) {
      if (kept.size > MAX_KEPT || now() - old.askedAt > FORGOTTEN_AFTER_MILLISECONDS) forget(other, old);
    }
  }

  function ask(key: string, one: Kept<S>): Promise<void> {
    one.probe ??= probe(one.source).then((result) => {
      delete one.probe;
      if (!result.ok) one.fault = result.fault;
      become(key, one, afterProbe(one.health, answers(result), now()));
    });
    return one.probe;
  }

  return {
    async admit(key, signal) {
      const one = kept.get(key);
      if (one === undefined) return undefined;
      one.askedAt = now();
      if (decideAdmission(one.health, now()) === 'probe') await orEnd(ask(key, one), signal);
      return isResting(one.health) ? restingFault(one.fault) : undefined;
    },
    heard(key, source, result) {
      const one = kept.get(key) ?? { source, health: WELL, askedAt: now() };
      become(key, one, afterQuery(one.health, answers(result)));
      if (isSuspect(one.health)) void ask(key, one);
    },
  };
}

/** The same words as long as the cause is the same: each other one is a write of a status. */
function restingFault(last: Fault | undefined): Fault {
  const cause = last === undefined ? '' : ` (last: ${last.reason}, ${last.message})`;
  return failure(
    'SourceResting',
    `the source failed ${FAILURES_IN_A_ROW} times in a row; every ${REST_MILLISECONDS / 1000} s it is asked vector(1), until it answers${cause}`,
  ).fault;
}
