/**
 * W1, W7: any process may be killed (−9) or frozen at any moment. Others, or its successor, go on; nobody is blind longer than W1 allows;
 * no pod is stranded. Two replicas of each service but the detector; every period is 1 s, so every detector time-out is too.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { CLAIM_EXPIRY, UNCLAIMED_SLACK } from '@kubervisor/shared/policy/claim';
import type { ServiceName, ServiceProcess } from '@kubervisor/testing/services';
import { given as givenIn } from './fixtures/given.ts';
import { then as thenIn } from './fixtures/then.ts';
import { when as whenIn } from './fixtures/when.ts';
import { startWorld, type World } from './fixtures/world.ts';

const fleet = 'cart';
const FLOOR = 4;
/** All in milliseconds. */
const PERIOD = 1000;
const TIMEOUT = 1000;
const LEASE = 3000;
const WAIT = 2000;
/** The first pause after a round without a fact, at most a period (W1). */
const PAUSE = 1000;
/** For a round itself, and for a machine that others use too. */
const SLACK = 2500;

/** A message that nobody claimed: its time-out, 3 s, a pause. */
const BLIND_UNCLAIMED = TIMEOUT + UNCLAIMED_SLACK + PAUSE + PERIOD + SLACK;
/** A claim without a fact: 5 s from the controller's sight of it, a pause. */
const BLIND_CLAIMED = CLAIM_EXPIRY + PAUSE + PERIOD + SLACK;
/** A lease that nobody renews, then what the new leader has to wait for. */
const BLIND_WITHOUT_LEADER = LEASE + CLAIM_EXPIRY + PERIOD + SLACK;

let world: World;
let when: ReturnType<typeof whenIn>;
let then: ReturnType<typeof thenIn>;
let pods: string[];
/** The pod that goes bad; another one each time, since a pod that was just broken waits longer for nothing. */
let bad: string;
let turn = 0;

beforeAll(async () => {
  world = await startWorld({
    counts: { controller: 2, breaker: 2, activator: 2 },
    wired: ['breaker', 'activator'],
  });
  when = whenIn(world);
  then = thenIn(world);
  pods = await givenIn(world).fleet(fleet, { replicas: 6 });
  await givenIn(world).supervision(fleet, {
    minPodsAvailableCount: FLOOR,
    activator: { period: WAIT / 1000, jitter: 0 },
  });
}, 120_000);
afterAll(() => world.stop(), 60_000);

beforeEach(async () => {
  when.allIsWell();
  await then.isInTraffic(fleet, ...pods);
  await world.until('one leads', () => leaders().length === 1);
  await rounds(1);
  bad = pods[turn++ % pods.length] ?? '';
}, 40_000);

/** As its own log tells it; what it was before it was started anew does not count. */
const leads = ({ log }: ServiceProcess): boolean =>
  log.findLast(({ msg }) => ['started', 'leading', 'leading no more'].includes(String(msg)))?.['msg'] === 'leading';
const leaders = (): ServiceProcess[] => world.of('controller').filter(leads);
const leader = (): ServiceProcess => {
  const [one] = leaders();
  if (one === undefined) throw new Error('nobody leads');
  return one;
};
const kill = (processes: ServiceProcess[]): Promise<unknown> => Promise.all(processes.map((process) => process.kill()));
const restart = (processes: ServiceProcess[]): Promise<unknown> =>
  Promise.all(processes.map((process) => process.restart()));
/** So many evaluations more ended well. */
async function rounds(count: number): Promise<void> {
  const ended = () =>
    world.rounds.filter(({ kind, fact }) => kind === 'evaluate' && fact.outcome === 'completed').length;
  const before = ended();
  await world.until(`${count} evaluations ended`, () => ended() >= before + count);
}
const isOut = (within: number): Promise<void> => world.until(`${bad} is out`, () => then.traffic(bad) === 'no', within);
const isBack = (within: number): Promise<void> =>
  world.until(`${bad} is back`, () => then.traffic(bad) === 'yes', within);
const claimed = (kind: 'evaluate' | 'activate'): (() => boolean) => {
  const before = world.claims.length;
  return () => world.claims.slice(before).some(({ key }) => key.endsWith(`.${kind}`));
};
async function nothingIsStranded(): Promise<void> {
  when.allIsWell();
  await then.isInTraffic(fleet, ...pods);
  for (const name of pods) expect(world.pod(name)?.labels['kubervisor/strategy']).toBeUndefined();
  then.floorHeld(fleet, FLOOR);
}

describe('at rest', () => {
  test.each<[ServiceName, number]>([
    ['breaker', BLIND_UNCLAIMED],
    ['activator', BLIND_UNCLAIMED],
  ])('W1, W7: one of two, a %s, is killed: the other goes on', async (service, within) => {
    const [victim] = world.of(service);
    await victim?.kill();
    when.isBad(bad);
    await isOut(within);
    when.allIsWell();
    await isBack(WAIT + within);
    await victim?.restart();
    await nothingIsStranded();
  });

  test('Leader, W7: the leader is killed: the standby leads within a lease', async () => {
    const victim = leader();
    await victim.kill();
    when.isBad(bad);
    await isOut(BLIND_WITHOUT_LEADER);
    await victim.restart();
    await nothingIsStranded();
  });

  test('W7: all of it is killed at once, NATS too, while a pod is out: after the start it comes back', async () => {
    when.isBad(bad);
    await isOut(BLIND_UNCLAIMED);
    await Promise.all([kill(world.processes), world.nats.kill()]);
    await world.nats.restart();
    when.allIsWell();
    await restart(world.processes);
    await isBack(BLIND_WITHOUT_LEADER + WAIT);
    await nothingIsStranded();
  }, 60_000);
});

describe('in the middle of a round', () => {
  test('W1: the breakers are killed while the plug-in is asked: their round counts as lost, the next one breaks', async () => {
    when.isBad(bad);
    await world.plugin.nextRequest();
    await kill(world.of('breaker'));
    const begun = performance.now();
    await restart(world.of('breaker'));
    await isOut(BLIND_UNCLAIMED - (performance.now() - begun));
    await nothingIsStranded();
  });

  test('W1, W3: the breakers are killed between their claim and their patch: nobody acts for 5 s, then the next round does', async () => {
    const isClaimed = claimed('evaluate');
    world.wire?.silence();
    when.isBad(bad);
    await world.until('the claim', isClaimed);
    const begun = performance.now();
    await kill(world.of('breaker'));
    world.wire?.pass();
    await restart(world.of('breaker'));
    await isOut(BLIND_CLAIMED - (performance.now() - begun));
    await nothingIsStranded();
  });

  test('W1, W5: the breakers are killed between their patch and their fact: the pod comes back, and the next round works', async () => {
    // The answer to the patch is under way for so long; the test sees the pod change before.
    world.wire?.delay(300);
    when.isBad(bad);
    await isOut(10_000);
    await kill(world.of('breaker'));
    world.wire?.pass();
    await restart(world.of('breaker'));
    when.allIsWell();
    await isBack(WAIT + BLIND_UNCLAIMED);
    const other = pods.find((name) => name !== bad) ?? '';
    when.isBad(other);
    await world.until(`${other} is out`, () => then.traffic(other) === 'no', BLIND_CLAIMED);
    await nothingIsStranded();
  }, 60_000);

  test('W1: the activators are killed between their claim and their patch: the pod is not stranded', async () => {
    when.isBad(bad);
    await isOut(BLIND_UNCLAIMED);
    when.allIsWell();
    const isClaimed = claimed('activate');
    world.wire?.silence();
    await world.until('the claim', isClaimed);
    const begun = performance.now();
    await kill(world.of('activator'));
    expect(then.traffic(bad)).toBe('no');
    world.wire?.pass();
    await restart(world.of('activator'));
    await isBack(BLIND_CLAIMED - (performance.now() - begun));
    await nothingIsStranded();
  }, 60_000);

  test('W7: the detector is killed while it asks: nobody is touched, its successor answers', async () => {
    world.plugin.fail([bad], () => () => undefined);
    await world.plugin.nextRequest();
    await kill(world.of('detector'));
    expect(then.out(fleet)).toEqual([]);
    when.isBad(bad);
    await restart(world.of('detector'));
    await isOut(BLIND_UNCLAIMED);
    await nothingIsStranded();
  });

  test('Leader, W3: the leader is killed while its round is under way: the next leader waits for the claim and goes on', async () => {
    const victim = leader();
    when.isBad(bad);
    await world.plugin.nextRequest();
    await victim.kill();
    await isOut(BLIND_WITHOUT_LEADER);
    when.allIsWell();
    await isBack(WAIT + BLIND_WITHOUT_LEADER);
    await victim.restart();
    await nothingIsStranded();
  }, 60_000);
});

describe('frozen', () => {
  test('Leader, W2: a leader that was frozen for longer than its lease publishes nothing any more', async () => {
    const old = leader();
    const lastRound = () => world.rounds.findLast(({ kind }) => kind === 'evaluate')?.fact.round ?? '';
    const publisherOf = (round: string) => round.split('-')[0];
    await rounds(1);
    old.freeze();
    const oldId = publisherOf(lastRound());
    await world.until('another leads', () => publisherOf(lastRound()) !== oldId, BLIND_WITHOUT_LEADER);
    const seen = world.rounds.length;
    const lines = old.log.length;
    old.thaw();
    await world.until('it knows', () => old.log.slice(lines).some(({ msg }) => msg === 'leading no more'));
    when.isBad(bad);
    await isOut(BLIND_UNCLAIMED);
    when.allIsWell();
    await isBack(WAIT + BLIND_UNCLAIMED);
    const publishers = new Set(world.rounds.slice(seen).map(({ fact }) => publisherOf(fact.round)));
    expect(publishers.size).toBe(1);
    for (const { fact } of world.rounds) expect(fact.round).toMatch(/^[0-9a-f]{12}-[1-9]\d*$/);
    expect(publishers).not.toContain(oldId);
    expect(leaders()).toHaveLength(1);
    expect(await old.metrics()).toMatch(/^kubervisor_leader_info\S* 0$/m);
    await nothingIsStranded();
  }, 60_000);

  test('W3: a breaker that was frozen in the middle of a round starts no patch when its claim has run out', async () => {
    // One breaker alone, so that it is the one that is asked.
    const [only, spare] = world.of('breaker');
    await spare?.kill();
    await rounds(2);
    const isClaimed = claimed('evaluate');
    world.wire?.delay(1000);
    when.isBad(bad);
    await world.until('the claim', isClaimed);
    only?.freeze();
    const [asker] = world.of('detector');
    const [itsRound] = String(asker?.log.findLast(({ msg }) => msg === 'judged')?.['round']).split('/');
    world.wire?.delay(0);
    when.allIsWell();
    await spare?.restart();
    // A round of the other's: the frozen one's claim was waited out.
    await rounds(1);
    const changes = world.changes.length;
    only?.thaw();
    // By the deadline of its claim, or by a time-out of the request that was under way.
    await world.until(
      'its round is over',
      () =>
        only?.log.some(({ round, msg }) => round === itsRound && /^round (ended|had errors)/.test(String(msg))) ===
        true,
    );
    await rounds(2);
    expect(world.changes.slice(changes).filter(({ after }) => after?.labels['kubervisor/traffic'] === 'no')).toEqual(
      [],
    );
    await nothingIsStranded();
  }, 60_000);
});
