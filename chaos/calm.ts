/** What must come right by itself when nothing goes wrong any more: nobody stranded, nobody blind, and a status that tells the truth. */
import { setTimeout as delay } from 'node:timers/promises';
import { LABEL } from '@kubervisor/shared/pods/keys';
import { CLAIM_EXPIRY, UNCLAIMED_SLACK } from '@kubervisor/shared/policy/claim';
import type { ObservedPod } from '../model/observer.ts';
import type { Stage, StandingResource } from './stage.ts';

/** All in milliseconds. For a machine that others use too; where it stands still, as we notice by ourselves, that comes on top. */
const SLACK = 5000;
/** The longest that a watch waits before it tries again, and a lease that nobody renews. */
const RECONNECTED = 10_000;
const LEASE = 4000;
/** Every breaker's time-out is a second or two, and so is its period: the longest back-off. */
const TIMEOUT = 2000;
const PERIOD = 2000;
/**
 * W1 at its worst: the watch of the API server comes back, a new leader takes over, waits for claims that it does not know and for a
 * bucket that was made anew, a message of its is lost, and the next comes after a back-off.
 */
const SEES_AGAIN = RECONNECTED + LEASE + 2 * CLAIM_EXPIRY + TIMEOUT + UNCLAIMED_SLACK + 2 * PERIOD + SLACK;
/** Where nothing goes wrong: a period, an evaluation. */
const SEES_ALWAYS = PERIOD + TIMEOUT + SLACK / 2;
/** The longest waits of the cast: 6 s and some, for every kill one after the other, and for an eviction that was refused. */
const ALL_WELL = 60_000;
const STEADY = 10_000;

export interface CalmFigures {
  /** Milliseconds until all was well. */
  wellAfter: number;
  /** The longest time without a completed evaluation of a breaker: from the end of the faults on, and once all was well. */
  blind: number;
  blindInCalm: number;
}

/** Keeps when each breaker was last evaluated. */
export class Sights {
  readonly #last = new Map<string, number>();
  #longest = 0;
  /** Forgets what was before: gaps count from now. */
  begin(breakers: readonly string[], now: number): void {
    this.#last.clear();
    this.#longest = 0;
    this.demand(breakers, now);
  }
  /**
   * Who should be evaluated from now on. Of two resources that were made in one second the uid says which has the Service (F5), so one
   * that said it had it may give it up to a younger sister.
   */
  demand(breakers: readonly string[], now: number): void {
    for (const breaker of this.#last.keys()) if (!breakers.includes(breaker)) this.#last.delete(breaker);
    for (const breaker of breakers) if (!this.#last.has(breaker)) this.#last.set(breaker, now);
  }
  saw(breaker: string, now: number): void {
    const before = this.#last.get(breaker);
    if (before === undefined) return;
    this.#longest = Math.max(this.#longest, now - before);
    this.#last.set(breaker, now);
  }
  /** Gaps that still last count too. */
  longest(now: number): { gap: number; of: string } {
    let found = { gap: this.#longest, of: '' };
    for (const [of, at] of this.#last) if (now - at > found.gap) found = { gap: now - at, of };
    return found;
  }
  unseenSince(time: number): string[] {
    return [...this.#last].filter(([, at]) => at <= time).map(([breaker]) => breaker);
  }
}

const isReady = ({ status }: ObservedPod): boolean =>
  status.conditions.some(({ type, status: is }) => type === 'Ready' && is === 'True');
const isTrue = ({ status }: StandingResource, type: string): boolean =>
  status?.conditions?.some((one) => one.type === type && one.status === 'True') === true;

/** The breakers that should be evaluated now, `RESOURCE/BREAKER`: by their manifests, and where two have one Service, the one that says it has it. */
export function judging(resources: Iterable<StandingResource>): string[] {
  return [...resources].flatMap((resource) => {
    const { metadata, spec } = resource;
    if (spec.mode === 'disabled' || !isTrue(resource, 'Ready')) return [];
    return spec.breakers.map(({ name }) => `${metadata.name}/${name}`);
  });
}

/** Status against the pods as we see them. */
export function untruths(resources: Iterable<StandingResource>, pods: readonly ObservedPod[]): string[] {
  const all = [...resources];
  return all.flatMap((resource) => {
    const { metadata, status, spec } = resource;
    if (!isTrue(resource, 'Ready')) {
      const reason = status?.conditions?.find(({ type }) => type === 'Ready')?.reason;
      const hasIt = (other: StandingResource) => other.spec.service === spec.service && isTrue(other, 'Ready');
      if (reason === 'ServiceNotFound' || (reason === 'Conflict' && all.some(hasIt))) return [];
      return [`${metadata.name} is not Ready: ${reason}`];
    }
    const owned = pods.filter(
      (pod) =>
        pod.metadata.labels?.[LABEL.name] === metadata.name &&
        pod.metadata.deletionTimestamp === undefined &&
        pod.metadata.labels['app'] === spec.service,
    );
    const at = (traffic: string) => owned.filter((pod) => pod.metadata.labels?.[LABEL.traffic] === traffic);
    const seen = { available: at('yes').filter(isReady).length, out: at('no').length, paused: at('pause').length };
    const said = {
      available: status?.available ?? 0,
      out: status?.podCount?.nbPodsBreaked ?? 0,
      paused: status?.podCount?.nbPodsPaused ?? 0,
    };
    return JSON.stringify(seen) === JSON.stringify(said)
      ? []
      : [`the status of ${metadata.name} says ${JSON.stringify(said)}, seen is ${JSON.stringify(seen)}`];
  });
}

/** Asks until all is well, then looks on for a while. `violated`: what did not come right in time. */
export async function calmDown(
  stage: Stage,
  sights: Sights,
  violated: (rule: string, message: string) => void,
  signal: AbortSignal,
): Promise<CalmFigures> {
  const { evidence, resources, members, plugin, fleets } = stage;
  const since = performance.now();
  const after = (): number => performance.now() - since;
  for (const { name } of fleets) plugin.badShare(name, 0);
  sights.begin(judging(resources.values()), since);
  let blindTold = false;

  const problems = async (): Promise<string[]> => {
    const pods = [...evidence.pods.values()];
    const unready = await Promise.all(
      members.map(async ({ name, process }) => {
        try {
          const answer = await fetch(`${process.url}/readyz`, { signal: AbortSignal.timeout(2000) });
          return answer.ok ? [] : [`${name} is not ready: ${await answer.text()}`];
        } catch (error) {
          return [`${name} does not answer: ${String(error)}`];
        }
      }),
    );
    const unseen = sights.unseenSince(since);
    const { observer } = evidence;
    return [
      ...unready.flat(),
      ...[...observer.missedFloors(pods, evidence.everReady), ...observer.stranded(pods)].map(
        ({ rule, message }) => `${rule}: ${message}`,
      ),
      ...(unseen.length > 0 ? [`W1: not evaluated since the faults ended: ${unseen.join(', ')}`] : []),
      ...untruths(resources.values(), pods),
    ];
  };
  for (;;) {
    sights.demand(judging(resources.values()), performance.now());
    const found = await problems();
    const { gap, of } = sights.longest(performance.now());
    const lag = evidence.lagSince(since);
    if (gap > SEES_AGAIN + lag && !blindTold) {
      violated('W1', `${of} was not evaluated for ${Math.round(gap)} ms, at most ${SEES_AGAIN} are allowed`);
      blindTold = true;
    }
    if (found.length === 0) break;
    if (after() > ALL_WELL + lag) {
      for (const problem of found)
        violated('calm', `${problem} (${Math.round(after() / 1000)} s after the last fault)`);
      break;
    }
    await delay(250, undefined, { signal });
  }
  const wellAfter = after();
  const { gap: blind } = sights.longest(performance.now());

  // Now and then a bad pod, and nothing else: nobody may be blind.
  const steadySince = performance.now();
  sights.begin(judging(resources.values()), steadySince);
  for (const { name } of fleets) plugin.badShare(name, 0.2);
  await delay(STEADY, undefined, { signal });
  sights.demand(judging(resources.values()), performance.now());
  const { gap: blindInCalm, of } = sights.longest(performance.now());
  if (blindInCalm > SEES_ALWAYS + evidence.lagSince(steadySince))
    violated('W1', `in the calm ${of} was not evaluated for ${Math.round(blindInCalm)} ms, at most ${SEES_ALWAYS}`);
  return { wellAfter, blind, blindInCalm };
}
