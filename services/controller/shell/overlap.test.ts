/**
 * W3, by simulation: leaders as they are, over a claim store with compare-and-set, and workers that are late, frozen, doubled, or
 * die. Whatever happens, two rounds of one kind never act on one Service at the same time.
 */
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { PublishFailed, StreamMissing } from '@kubervisor/runtime/nats/bus';
import type { WorkEvaluate } from '@kubervisor/shared/events/work-evaluate';
import { CLAIM_LIFE, GIVE_UP_SLACK, PATCH_TIMEOUT } from '@kubervisor/shared/policy/claim';
import { ACTIVATED, NOW, pod, resource, service, spec } from '../core/fixtures.ts';
import { keepRounds, type RoundKeeper } from './round-keeper.ts';
import { evaluated, FakeBus, FakeCaches, silent } from './world.fixture.ts';

beforeEach(() => void jest.useFakeTimers({ now: NOW }));
afterEach(() => void jest.useRealTimers());

/** Numbers in [0, 1) that are the same for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const TIMEOUT = 1000;
const RUN = 90_000;

async function simulate(seed: number) {
  const random = randomOf(seed);
  const chance = (share: number): boolean => random() < share;
  const between = (least: number, most: number): number => least + random() * (most - least);
  /** Mostly at once, now and then long. */
  const latency = (longest: number): number => (chance(0.85) ? between(0, 20) : between(20, longest));
  const later = (milliseconds: number, act: () => void): void => void setTimeout(act, milliseconds);

  const breakers = [{ name: 'errors', customService: 'judge', evaluationPeriod: 0.5 }];
  const caches = new FakeCaches().add(
    { resource: resource('cart', { spec: spec({ breakers }) }), service: service('cart', ACTIVATED) },
    { pod: pod('a', { labels: { 'kubervisor/name': 'cart', 'kubervisor/traffic': 'yes' } }) },
  );
  const leaders: { keeper: RoundKeeper; leading: boolean }[] = [];
  let sequence = 0;
  let claim = 0;
  let lastFact: { subject: string; text: string } | undefined;
  const acts: { from: number; to: number; round: string }[] = [];

  const tellFact = (fact: { subject: string; text: string }): void => {
    lastFact = fact;
    for (const { keeper } of leaders) later(latency(3000), () => keeper.onRound(fact));
  };
  const work = (message: WorkEvaluate): void => {
    const receivedAt = performance.now();
    later(latency(TIMEOUT), () => {
      // A process may stand still anywhere.
      later(chance(0.05) ? between(0, 8000) : 0, () => {
        if (performance.now() - receivedAt > TIMEOUT + GIVE_UP_SLACK) {
          if (chance(0.5))
            tellFact(evaluated(message, { claim: { outcome: 'notTried', revision: 0 }, outcome: 'givenUp' }));
          return;
        }
        const until = performance.now() + CLAIM_LIFE + PATCH_TIMEOUT;
        later(latency(2000), () => {
          const answerLost = chance(0.03);
          if (claim !== message.claimRevision) {
            tellFact(
              evaluated(message, { claim: { outcome: 'refused', revision: claim }, outcome: 'refused', breakers: [] }),
            );
            return;
          }
          const revision = (claim = sequence += 1);
          for (const { keeper } of leaders) later(latency(4000), () => keeper.onClaim('uid-cart.evaluate', revision));
          if (answerLost) return;
          const from = performance.now();
          const dies = chance(0.08);
          const to = dies || chance(0.1) ? until : Math.min(until, from + latency(3000));
          acts.push({ from, to, round: message.round });
          if (!dies) later(to - from, () => tellFact(evaluated(message, { claim: { outcome: 'claimed', revision } })));
        });
      });
    });
  };
  const publish = (message: WorkEvaluate): void | Promise<void> => {
    if (chance(0.03)) throw new StreamMissing('x');
    const unanswered = chance(0.05);
    if (!unanswered || chance(0.5)) {
      if (!chance(0.05)) later(latency(6000), () => work(message));
      if (chance(0.1)) later(between(0, 20_000), () => work(message));
    }
    if (unanswered) throw new PublishFailed('timeout');
  };
  const elect = (): void => {
    const bus = new FakeBus();
    bus.answer = ({ event }) => publish(event.data as WorkEvaluate);
    const leader: (typeof leaders)[number] = {
      leading: true,
      keeper: keepRounds({
        bus: bus as never,
        caches,
        log: silent,
        leaderId: `leader-${leaders.length}`,
        isLeader: () => leader.leading,
        now: () => Date.now(),
        monotonic: () => performance.now(),
        changed: () => {},
        gone: () => {},
        roundEnded: () => {},
        counted: () => {},
        poison: () => {},
        ensure: () => {},
      }),
    };
    leaders.push(leader);
    leader.keeper.look(caches.find('shop', 'cart')!);
    // What stands is told anew, in either order.
    const claimAt = latency(2000);
    later(claimAt, () => {
      leader.keeper.onClaimsBucket('bucket');
      if (claim > 0) leader.keeper.onClaim('uid-cart.evaluate', claim);
      leader.keeper.onClaimsCurrent();
    });
    later(latency(2000), () => lastFact !== undefined && leader.keeper.onRound(lastFact));
  };

  elect();
  later(between(10_000, 40_000), () => {
    // The one before has not noticed yet: two lead for a while.
    const [old] = leaders;
    elect();
    later(between(0, 15_000), () => {
      old!.leading = false;
      old!.keeper.stop();
    });
  });
  await jest.advanceTimersByTimeAsync(RUN);
  for (const { keeper } of leaders) keeper.stop();
  jest.clearAllTimers();
  return acts.sort((one, other) => one.from - other.from);
}

test('W3: over 150 schedules of faults with two leaders, no two rounds act at once; and they go on acting', async () => {
  let total = 0;
  for (let seed = 1; seed <= 150; seed++) {
    const acts = await simulate(seed);
    for (const [index, act] of acts.slice(1).entries()) {
      const before = acts[index]!;
      if (act.from < before.to) throw new Error(`seed ${seed}: ${JSON.stringify([before, act])}`);
    }
    expect(acts.length).toBeGreaterThan(5);
    total += acts.length;
  }
  expect(total).toBeGreaterThan(150 * 20);
}, 120_000);
