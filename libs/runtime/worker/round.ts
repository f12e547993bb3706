/**
 * The frame of a round, the same for every worker (W3, W5): decode → gather → claim → act → tell → ack.
 * What differs between workers is a `RoundShape`; what may go wrong around it is dealt with here, once.
 */
import { claimKey, roundSubject, type WorkKind } from '@kubervisor/shared/events/subjects';
import { decodeEvent, encodeEvent, type EventType } from '@kubervisor/shared/events/envelope';
import type { Claim, ResourceRef, Round, RoundOutcome } from '@kubervisor/shared/events/common';
import { CLAIM_LIFE, GIVE_UP_SLACK } from '@kubervisor/shared/policy/claim';
import { CLOCK_TOLERANCE_MILLISECONDS } from '@kubervisor/shared/policy/return';
import type * as z from 'zod';
import type { Deadline } from '../kubernetes/client.ts';
import type { Logger } from '../logs.ts';
import type { Bus, WorkMessage } from '../nats/bus.ts';
import { BusFault, PayloadTooLarge } from '../nats/errors.ts';
import type { RoundMetrics } from './metrics.ts';
import { problemOf } from './problem.ts';

/** What the frame itself reads of a message. */
export interface WorkData {
  round: Round;
  resource: ResourceRef;
  /** Names the Service, which every line of the log does. */
  spec: { service: string };
  claimRevision: number;
  claimBucket?: string | undefined;
}

/** What a worker needs around it; tests hand in their own. */
export interface RoundPorts {
  bus: Pick<Bus, 'publish'> & { claims: Pick<Bus['claims'], 'claim'> };
  log: Logger;
  metrics: RoundMetrics;
  /** Milliseconds since 1970, by this machine's clock: the time of events. What a round decides and writes goes by the leader's. */
  now(): number;
  /** `performance.now()`: for everything that is fenced; it goes on while the process is frozen. */
  monotonic(): number;
  /** `/kubervisor/<service>/<instance>`: the source of the events. */
  source: string;
}

/** How a round ended, whatever way it ended. */
export interface Ending {
  claim: Claim;
  outcome: RoundOutcome;
  errors: string[];
  durationMilliseconds: number;
}

export interface RoundContext {
  /** With namespace, service and round on every line. */
  log: Logger;
  /**
   * Milliseconds since 1970 by the leader's clock: of the message, and what passed since it came. So all times on the pods of a Service
   * are of one clock, and a worker whose own is wrong cuts no wait and no grace period short.
   */
  now(): number;
}

export interface ClaimedContext extends RoundContext {
  /** The end of the claim: no patch, nor any other act on a pod, starts after it. */
  deadline: Deadline;
}

/** What `act` hands back. `failed`: what had to be known could not be had (the list of pods), so this round decided nothing. */
export interface Acted<Done> {
  done: Done;
  failed?: boolean;
  errors: string[];
}

export interface RoundShape<Work extends WorkData, Fact, Gathered, Done> {
  kind: WorkKind;
  work: EventType<z.ZodType<Work>>;
  fact: EventType<z.ZodType<unknown, Fact>>;
  /** Milliseconds. The longest wait of this work's `gather`: what W3 counts the giving up from. */
  longestTimeout(work: Work): number;
  /** Before the claim. Changes nothing anywhere. */
  gather(work: Work, context: RoundContext): Promise<Gathered>;
  /** With the claim. When it is over, by return or by throw, nothing that it began is under way any more. */
  act(work: Work, gathered: Gathered, context: ClaimedContext): Promise<Acted<Done>>;
  /** `results` hold only what a round that has the claim found: a refused one must not count an evaluation twice (V3). */
  report(work: Work, ending: Ending, results: { gathered?: Gathered; done?: Done }): Fact;
  /** The same without its long lists, for a fact that does not fit into one message. */
  compact(fact: Fact): Fact;
}

/** The handler for `bus.consume`. It never throws, and after it the message is acknowledged or terminated: never nak (W5). */
export function roundHandler<Work extends WorkData, Fact, Gathered, Done>(
  shape: RoundShape<Work, Fact, Gathered, Done>,
  ports: RoundPorts,
): (message: WorkMessage) => Promise<void> {
  const { bus, metrics, now, monotonic, source } = ports;
  const { kind } = shape;
  // There from the start: an increase from nothing to 1 is none to Prometheus.
  metrics.poison.inc({ kind }, 0);

  return async (message) => {
    const decoded = decodeEvent(shape.work, message.text);
    if (!decoded.ok) {
      metrics.poison.inc({ kind });
      ports.log.error({ subject: message.subject, problem: decoded.problem }, 'work is not readable: terminated');
      message.term('not readable');
      return;
    }
    const work = decoded.event.data;
    const { namespace, name } = work.resource;
    const log = ports.log.child({ namespace, service: work.spec.service, resource: name, round: work.round });
    const sentAt = Date.parse(decoded.event.time);
    // Two clocks, and of use only as figures for people.
    const ahead = now() - sentAt;
    metrics.queueAge.observe({ kind }, Math.max(0, ahead) / 1000);
    metrics.clockOffset.set(ahead / 1000);
    if (Math.abs(ahead) > CLOCK_TOLERANCE_MILLISECONDS)
      log.warn(
        { seconds: Math.round(ahead / 1000) },
        'the clock of this machine is not that of the leading controller',
      );
    const { receivedAt } = message;
    const context = { log, now: () => Math.floor(sentAt + Math.max(0, monotonic() - receivedAt)) };

    const { ending, results, isTold = false } = await play(work, receivedAt, context);
    metrics.rounds.inc({ kind, outcome: ending.outcome });
    metrics.duration.observe({ kind }, ending.durationMilliseconds / 1000);
    if (ending.errors.length > 0 && !isTold)
      log.warn({ outcome: ending.outcome, errors: ending.errors }, 'round had errors');
    else log.debug({ outcome: ending.outcome, claim: ending.claim }, 'round ended');
    await tell(work, ending, results, log);
    message.ack();
  };

  async function play(
    work: Work,
    receivedAt: number,
    context: RoundContext,
  ): Promise<{ ending: Ending; results: { gathered?: Gathered; done?: Done }; isTold?: boolean }> {
    const named = work.claimBucket === undefined ? {} : { bucket: work.claimBucket };
    let claim: Claim = { ...named, outcome: 'notTried', revision: work.claimRevision };
    const ending = (outcome: RoundOutcome, errors: string[] = []): Ending => ({
      claim,
      outcome,
      errors,
      durationMilliseconds: Math.max(0, monotonic() - receivedAt),
    });
    try {
      const patience = shape.longestTimeout(work) + GIVE_UP_SLACK;
      const tooLate = () => monotonic() - receivedAt > patience;
      if (tooLate()) return { ending: ending('givenUp'), results: {} };
      const gathered = await shape.gather(work, context);
      if (tooLate()) return { ending: ending('givenUp'), results: {} };

      // Counted from before the claim is sent: its answer may be long on the way, and those who watch count from their sight of it.
      const deadline = { at: monotonic() + CLAIM_LIFE };
      const key = claimKey(work.resource.uid, kind);
      claim = { ...named, ...(await bus.claims.claim(key, work.claimRevision, work.round, work.claimBucket)) };
      if (claim.outcome === 'refused') return { ending: ending('refused'), results: {} };

      const { done, failed, errors } = await shape.act(work, gathered, { ...context, deadline });
      return { ending: ending(failed === true ? 'failed' : 'completed', errors), results: { gathered, done } };
    } catch (error) {
      // What is wrong with NATS is told once by the bus, not again by every round.
      const isTold = error instanceof BusFault;
      context.log[isTold ? 'debug' : 'error']({ err: error }, 'round failed');
      return { ending: ending('failed', [problemOf(error)]), results: {}, isTold };
    }
  }

  async function tell(
    work: Work,
    ending: Ending,
    results: { gathered?: Gathered; done?: Done },
    log: Logger,
  ): Promise<void> {
    const { namespace, name } = work.resource;
    const publish = async (fact: Fact) => {
      const id = `${work.round}.${kind}.${ending.claim.outcome}`;
      const event = encodeEvent(shape.fact, `${namespace}/${name}`, fact, { id, source, time: now() });
      await bus.publish(roundSubject(kind, work.resource), event, { messageId: id });
    };
    try {
      const fact = shape.report(work, ending, results);
      try {
        await publish(fact);
      } catch (error) {
        if (!(error instanceof PayloadTooLarge)) throw error;
        log.warn({ bytes: error.bytes, limit: error.limit }, 'fact is too large: told without its lists');
        await publish(shape.compact(fact));
      }
    } catch (error) {
      // Nobody waits for it for ever: the controller's clock goes on without (W1).
      metrics.untold.inc({ kind });
      log[error instanceof BusFault ? 'debug' : 'error']({ err: error }, 'fact could not be published');
    }
  }
}
