import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { NotConnected, PayloadTooLarge, PublishFailed, StreamMissing } from '@kubervisor/runtime/nats/bus';
import { edited, EDITS } from '@kubervisor/shared/pods/codec';
import { STREAMS } from '@kubervisor/shared/events/subjects';
import { CLAIM_EXPIRY, CLAIM_LIFE, UNCLAIMED_SLACK } from '@kubervisor/shared/policy/claim';
import { ACTIVATED, NOW, pod, resource, service, spec } from '../core/fixtures.ts';
import { keepRounds, type RoundKeeper, type RoundKeeperOptions } from './round-keeper.ts';
import { activated, evaluated, FakeBus, FakeCaches, listening } from './world.fixture.ts';

const PERIOD = 5000;
const TIMEOUT = 5000;
const owned = (name: string) => pod(name, { labels: { 'kubervisor/name': 'cart', 'kubervisor/traffic': 'yes' } });

let bus: FakeBus;
let caches: FakeCaches;
let keeper: RoundKeeper;
let leading: boolean;
let told: { ensured: number; gone: string[]; changed: number; ended: string[] };
let lines: Record<string, unknown>[];

function start(change: Partial<RoundKeeperOptions> = {}, bucketSeen = 'bucket'): RoundKeeper {
  const listener = listening();
  lines = listener.lines;
  told = { ensured: 0, gone: [], changed: 0, ended: [] };
  keeper = keepRounds({
    bus: bus as never,
    caches,
    log: listener.log,
    leaderId: 'leader',
    isLeader: () => leading,
    now: () => Date.now(),
    monotonic: () => performance.now(),
    changed: () => void (told.changed += 1),
    gone: ({ uid }) => void told.gone.push(uid),
    roundEnded: (kind, outcome) => void told.ended.push(`${kind} ${outcome}`),
    counted: () => {},
    poison: () => {},
    ensure: () => void (told.ensured += 1),
    ...change,
  });
  if (bucketSeen !== '') keeper.onClaimsBucket(bucketSeen);
  return keeper;
}
const look = (name = 'cart'): void => keeper.look(caches.find('shop', name)!);
const pass = (milliseconds: number) => jest.advanceTimersByTimeAsync(milliseconds);
const evaluations = () => bus.of('evaluate');
const activations = () => bus.of('activate');
/** As soon as the server's word may be here. */
const soon = (act: () => void): void => void Promise.resolve().then(act);
const lastEvaluation = () => evaluations().at(-1)!.work;
const lastActivation = () => activations().at(-1)!.work;
/** Until the next evaluation is published; answers when, counted from now. */
async function nextEvaluation(within = 2 * PERIOD): Promise<number> {
  const from = performance.now();
  const before = evaluations().length;
  while (evaluations().length === before && performance.now() < from + within) await pass(10);
  return evaluations().length === before ? Infinity : Math.round(performance.now() - from);
}

beforeEach(() => {
  jest.useFakeTimers({ now: NOW });
  leading = true;
  bus = new FakeBus();
  caches = new FakeCaches().add(
    { resource: resource('cart'), service: service('cart', ACTIVATED) },
    ...['a', 'b', 'c'].map((name) => ({ pod: owned(name) })),
  );
  start();
  keeper.onClaimsCurrent();
  // It leads for long enough to know that no claim of before is alive.
  jest.advanceTimersByTime(CLAIM_EXPIRY);
});
afterEach(() => {
  keeper.stop();
  jest.useRealTimers();
});

describe('W1: one evaluation of a Service at a time', () => {
  test('a breaker is evaluated within its period, then once a period, each round naming the claim of the one before', async () => {
    look();
    const times: number[] = [];
    for (let round = 0; round < 5; round++) {
      await nextEvaluation();
      times.push(evaluations().at(-1)!.at);
      const work = lastEvaluation();
      expect(work.claimRevision).toBe(round);
      keeper.onClaim(`${work.resource.uid}.evaluate`, round + 1);
      keeper.onRound(evaluated(work));
    }
    for (const [index, time] of times.slice(1).entries())
      expect(Math.abs(time - times[index]! - PERIOD)).toBeLessThan(20);
    expect(told.ended).toEqual(Array.from({ length: 5 }, () => 'evaluate completed'));
  });

  test('without a fact: unclaimed, the next comes after the longest time-out and 3 s, and its breakers are due at once', async () => {
    look();
    await nextEvaluation();
    const wait = await nextEvaluation(60_000);
    expect(wait).toBeGreaterThanOrEqual(TIMEOUT + UNCLAIMED_SLACK + 1000);
    expect(wait).toBeLessThan(TIMEOUT + UNCLAIMED_SLACK + 1000 + 50);
    expect(told.ended).toEqual(['evaluate missing']);
  });

  test('claimed but without a fact: 5 s after the sight of the claim, and a claim that is told again starts no new wait', async () => {
    look();
    await nextEvaluation();
    const { uid } = lastEvaluation().resource;
    keeper.onClaim(`${uid}.evaluate`, 4);
    await pass(3000);
    keeper.onClaim(`${uid}.evaluate`, 4);
    const wait = await nextEvaluation(60_000);
    expect(3000 + wait).toBeGreaterThanOrEqual(CLAIM_EXPIRY + 1000);
    expect(3000 + wait).toBeLessThan(CLAIM_EXPIRY + 1000 + 50);
    expect(lastEvaluation().claimRevision).toBe(4);
  });

  test('the fact may come before the server’s word that the work was stored', async () => {
    let stored = (): void => {};
    bus.answer = () => new Promise((resolve) => (stored = resolve));
    look();
    await nextEvaluation();
    keeper.onRound(evaluated(lastEvaluation()));
    stored();
    const wait = await nextEvaluation();
    expect(wait).toBeLessThanOrEqual(PERIOD + 10);
    expect(lastEvaluation().claimRevision).toBe(1);
  });

  test('a fact that is told twice, or after its round was given up, is remembered once', async () => {
    look();
    await nextEvaluation();
    const work = lastEvaluation();
    await pass(TIMEOUT + UNCLAIMED_SLACK);
    expect(told.ended).toEqual(['evaluate missing']);
    const fact = evaluated(work, { breakers: [{ ...failed, result: 'error' }] });
    keeper.onRound(fact);
    keeper.onRound(fact);
    expect(told.ended).toEqual(['evaluate missing', 'evaluate completed']);
    expect(keeper.keptOf('uid-cart')?.memory.breakers['errors']?.consecutiveErrors).toBe(1);
  });

  test('a message that was delivered twice: the word of the one that was refused does not let the next round begin while the other acts', async () => {
    look();
    await nextEvaluation();
    const work = lastEvaluation();
    keeper.onRound(evaluated(work, { claim: { outcome: 'refused', revision: 9 }, outcome: 'refused', breakers: [] }));
    await pass(CLAIM_EXPIRY - 100);
    expect(evaluations()).toHaveLength(1);
    keeper.onRound(evaluated(work, { claim: { outcome: 'claimed', revision: 9 } }));
    await nextEvaluation(100);
    expect(lastEvaluation().claimRevision).toBe(9);
    expect(keeper.keptOf('uid-cart')?.memory.missing).toBe(0);
  });

  test('a period of 0.02 s, and one of a day beside it', async () => {
    const breakers = [
      { name: 'fast', customService: 'judge', evaluationPeriod: 0.02 },
      { name: 'daily', customService: 'judge', evaluationPeriod: 86_400 },
    ];
    caches.add({ resource: resource('cart', { spec: spec({ breakers }) }) });
    bus.answer = ({ event }) => {
      soon(() => keeper.onRound(evaluated(event.data as never)));
    };
    look();
    await pass(1000);
    expect(evaluations().length).toBeGreaterThan(40);
    expect(evaluations().length).toBeLessThanOrEqual(51);
    await pass(1000);
    expect(new Set(evaluations().flatMap(({ work }) => work.due))).toContain('fast');
  });

  test('the ticks of a long period stand where they stood under the leader before, however often leaders change', async () => {
    const breakers = [{ name: 'daily', customService: 'judge', evaluationPeriod: 86_400 }];
    caches.add({ resource: resource('cart', { spec: spec({ breakers }) }) });
    // A leader a process, and each begins its monotonic clock at nought.
    for (let hour = 0; hour < 25; hour++) {
      keeper.stop();
      const from = performance.now();
      start({ leaderId: `leader-${hour}`, monotonic: () => performance.now() - from });
      look();
      await pass(3600_000);
      for (const { work } of evaluations()) keeper.onRound(evaluated(work));
    }
    const rounds = new Set(evaluations().map(({ work }) => work.round));
    expect(rounds.size).toBeGreaterThanOrEqual(1);
  });

  describe('W3: a mass break that ran into the end of the claim', () => {
    const broken = {
      ...{ pod: 'a', uid: 'uid-a', breaker: 'errors', enforced: true, at: new Date(NOW).toISOString() },
      ...{ retryCount: 1, score: 2, reason: 'bad' },
    };
    const left = { pod: 'b', uid: 'uid-b', breaker: 'errors', reason: 'Deadline' as const, enforced: true };
    const endsWith = (change: Parameters<typeof evaluated>[1]) => {
      bus.answer = ({ event }) =>
        void setTimeout(() => keeper.onRound(evaluated(event.data as never, change)), CLAIM_LIFE);
    };

    test('goes on at once, not at the next tick', async () => {
      endsWith({ breaks: [broken], withheld: [left] });
      look();
      await nextEvaluation();
      expect(await nextEvaluation()).toBeLessThan(CLAIM_LIFE + 100);
      endsWith({});
      await nextEvaluation();
      expect(await nextEvaluation()).toBeGreaterThan(CLAIM_LIFE + 100);
    });

    test.each([
      ['it broke nobody: an API server that is slow is not asked without a pause', { breaks: [], withheld: [left] }],
      ['only a dry run has breaks to tell', { breaks: [{ ...broken, enforced: false }], withheld: [left] }],
      [
        'what is left was held by the floor',
        { breaks: [broken], withheld: [{ ...left, reason: 'FloorReached' as const }] },
      ],
    ])('but waits for its tick where %s', async (_, change) => {
      endsWith(change);
      look();
      await nextEvaluation();
      expect(await nextEvaluation()).toBe(PERIOD);
    });

    test('V3: and where the breaker confirms, for an evaluation more in a period is no evidence more', async () => {
      const breakers = [{ name: 'errors', customService: 'judge', confirm: { anomalous: 2, of: 3 } }];
      caches.add({ resource: resource('cart', { spec: spec({ breakers }) }) });
      endsWith({ breaks: [broken], withheld: [left] });
      look();
      await nextEvaluation();
      expect(await nextEvaluation()).toBe(PERIOD);
    });
  });

  test('64 breakers of different periods: each is evaluated in its own, and never two rounds at once', async () => {
    const breakers = Array.from({ length: 64 }, (_, index) => ({
      name: `b-${index}`,
      customService: 'judge',
      evaluationPeriod: 0.5 + index / 20,
    }));
    caches.add({ resource: resource('cart', { spec: spec({ breakers }) }) });
    let underWay = 0;
    bus.answer = ({ event }) => {
      expect((underWay += 1)).toBe(1);
      setTimeout(() => {
        underWay -= 1;
        keeper.onRound(evaluated(event.data as never));
      }, 7);
    };
    look();
    await pass(10_000);
    for (const { name, evaluationPeriod } of breakers) {
      const count = evaluations().filter(({ work }) => work.due.includes(name)).length;
      expect(count).toBeGreaterThanOrEqual(Math.floor(10 / evaluationPeriod) - 1);
      expect(count).toBeLessThanOrEqual(Math.ceil(10 / evaluationPeriod));
    }
  });
});

const failed = {
  name: 'errors',
  counts: { ok: 0, anomalous: 0, inconclusive: 0, error: 3 },
  ignored: {},
  warnings: [],
  error: { reason: 'Timeout' as const, message: 'no answer' },
};

describe('W1, W7: work that cannot be published', () => {
  test('no connection: again after 1, 2, 4 … s, at most a period, without a line for each', async () => {
    bus.answer = () => {
      throw new PublishFailed('not connected to NATS', { cause: new NotConnected() });
    };
    look();
    await nextEvaluation();
    const waits: number[] = [];
    for (let round = 0; round < 5; round++) waits.push(await nextEvaluation());
    for (const [index, wait] of [1000, 2000, 4000, PERIOD, PERIOD].entries())
      expect(Math.abs(waits[index]! - wait)).toBeLessThan(20);
    expect(keeper.keptOf('uid-cart')?.memory.missing).toBe(6);
    expect(lines.filter(({ level }) => Number(level) >= 40)).toEqual([]);
    bus.answer = () => {};
    await nextEvaluation();
    keeper.onRound(evaluated(lastEvaluation()));
    expect(await nextEvaluation()).toBeLessThanOrEqual(PERIOD);
  });

  test('no stream: it is asked for, and the work comes again after 1 s', async () => {
    bus.answer = () => {
      throw new StreamMissing('kubervisor.work.evaluate.shop.cart');
    };
    look();
    await nextEvaluation();
    await pass(0);
    expect(told.ensured).toBe(1);
    expect(Math.abs((await nextEvaluation()) - 1000)).toBeLessThan(20);
  });

  test('too large: shown until one fits', async () => {
    bus.answer = () => {
      throw new PayloadTooLarge(2_000_000, 1_000_000);
    };
    look();
    await nextEvaluation();
    await pass(0);
    expect(keeper.keptOf('uid-cart')?.fleetTooLarge).toBe(true);
    bus.answer = () => {};
    await nextEvaluation();
    await pass(0);
    expect(keeper.keptOf('uid-cart')?.fleetTooLarge).toBe(false);
  });

  test('no answer, but stored all the same: the fact ends the round, and nothing is published before', async () => {
    bus.answer = () => {
      throw new PublishFailed('timeout');
    };
    look();
    await nextEvaluation();
    await pass(TIMEOUT + UNCLAIMED_SLACK - 100);
    expect(evaluations()).toHaveLength(1);
    keeper.onRound(evaluated(lastEvaluation()));
    expect(keeper.keptOf('uid-cart')?.memory.missing).toBe(0);
    expect(evaluations()).toHaveLength(2);
    expect(lastEvaluation().claimRevision).toBe(1);
  });

  test('a resource that cannot be put into a message harms nobody else, and is told in the log', async () => {
    caches.add({
      resource: resource('broken', { generation: 1.5, spec: spec({ service: 'other' }) }),
      service: service('other', { app: 'other' }),
    });
    look('broken');
    look();
    await pass(2 * PERIOD);
    expect(evaluations().map(({ work }) => work.resource.name)).toContain('cart');
    expect(evaluations().map(({ work }) => work.resource.name)).not.toContain('broken');
    expect(lines).toContainEqual(expect.objectContaining({ resource: 'broken', service: 'other' }));
  });
});

describe('W3: claims', () => {
  test('a new leader publishes nothing before it was told of the claims that stand', async () => {
    keeper.stop();
    start();
    const breakers = [{ name: 'fast', customService: 'judge', evaluationPeriod: 0.5 }];
    caches.add({ resource: resource('cart', { spec: spec({ breakers }) }) });
    look();
    await pass(2000);
    expect(evaluations()).toEqual([]);
    keeper.onClaim('uid-cart.evaluate', 12);
    keeper.onClaimsCurrent();
    await pass(CLAIM_EXPIRY - 100);
    expect(evaluations()).toEqual([]);
    await nextEvaluation(1000);
    expect(lastEvaluation().claimRevision).toBe(12);
  });

  test('nor where there are none at all: the leader before may just have made the bucket anew', async () => {
    keeper.stop();
    start();
    const breakers = [{ name: 'fast', customService: 'judge', evaluationPeriod: 0.5 }];
    caches.add({ resource: resource('cart', { spec: spec({ breakers }) }) });
    keeper.onClaimsCurrent();
    look();
    await pass(CLAIM_EXPIRY - 10);
    expect(evaluations()).toEqual([]);
    expect(await nextEvaluation()).toBeLessThan(600);
  });

  test('nor, of a resource that has no claim, where there are others: it may have been made anew, and the one before has another key', async () => {
    keeper.stop();
    start();
    const breakers = [{ name: 'fast', customService: 'judge', evaluationPeriod: 0.5 }];
    caches.add({ resource: resource('cart', { spec: spec({ breakers }) }) });
    look();
    keeper.onClaim('uid-cart-that-was-deleted.evaluate', 12);
    keeper.onClaimsCurrent();
    await pass(CLAIM_EXPIRY - 10);
    expect(evaluations()).toEqual([]);
    expect(await nextEvaluation()).toBeLessThan(600);
  });

  test('where nobody tells it of claims, it goes on when those that stood at its start have run out', async () => {
    keeper.stop();
    start();
    look();
    expect(await nextEvaluation(3 * PERIOD)).toBeGreaterThanOrEqual(CLAIM_EXPIRY);
    expect(evaluations()).toHaveLength(1);
  });

  test('a claim that was deleted by hand: nothing for 5 s, then a round that supersedes none', async () => {
    look();
    await nextEvaluation();
    const { uid } = lastEvaluation().resource;
    keeper.onClaim(`${uid}.evaluate`, 1);
    keeper.onRound(evaluated(lastEvaluation()));
    keeper.onClaim(`${uid}.evaluate`, 0);
    expect(await nextEvaluation(2 * PERIOD)).toBeGreaterThanOrEqual(CLAIM_EXPIRY);
    expect(lastEvaluation().claimRevision).toBe(0);
  });

  test('refused where none was found: its predecessor may act still, so the next comes 5 s later', async () => {
    look();
    await nextEvaluation();
    const { uid } = lastEvaluation().resource;
    keeper.onClaim(`${uid}.evaluate`, 1);
    keeper.onRound(evaluated(lastEvaluation()));
    await nextEvaluation();
    const work = lastEvaluation();
    // A copy of an older message claimed just now (2), and then the claim was deleted.
    keeper.onClaim(`${uid}.evaluate`, 2);
    keeper.onRound(evaluated(work, { claim: { outcome: 'refused', revision: 0 }, outcome: 'refused', breakers: [] }));
    expect(await nextEvaluation(2 * PERIOD)).toBeGreaterThanOrEqual(CLAIM_EXPIRY);
    expect(lastEvaluation().claimRevision).toBe(0);
  });

  test('the bucket was made anew while a publish was under way: nothing for 5 s, then none is superseded', async () => {
    let refuse = (_: Error): void => {};
    look();
    await nextEvaluation();
    keeper.onClaim('uid-cart.evaluate', 7);
    keeper.onRound(evaluated(lastEvaluation(), { claim: { outcome: 'claimed', revision: 7 } }));
    bus.answer = () => new Promise((_, reject) => (refuse = reject));
    await nextEvaluation();
    keeper.onClaimsForgotten('another bucket');
    // As it is when the watch is bound anew just then.
    keeper.onClaimsCurrent();
    bus.answer = () => {};
    refuse(new StreamMissing('x'));
    expect(await nextEvaluation()).toBeGreaterThanOrEqual(CLAIM_EXPIRY);
    expect(lastEvaluation()).toMatchObject({ claimRevision: 0, claimBucket: 'another bucket' });
  });

  test('each message names the bucket that its revision is of; until one was seen nothing is published', async () => {
    keeper.stop();
    start({}, '');
    keeper.onClaimsCurrent();
    look();
    await pass(3 * PERIOD);
    expect(bus.published).toEqual([]);
    expect(keeper.keptOf('uid-cart')?.memory.missing).toBeGreaterThan(0);
    expect(lines.filter(({ level }) => Number(level) >= 40)).toEqual([]);
    keeper.onClaimsBucket('bucket');
    await nextEvaluation();
    expect(lastEvaluation()).toMatchObject({ claimRevision: 0, claimBucket: 'bucket' });
  });

  test('another bucket is another whoever finds it first: nothing for 5 s, then none is superseded', async () => {
    look();
    await nextEvaluation();
    keeper.onRound(evaluated(lastEvaluation(), { claim: { outcome: 'claimed', revision: 7, bucket: 'bucket' } }));
    keeper.onClaimsBucket('bucket');
    await nextEvaluation();
    expect(lastEvaluation()).toMatchObject({ claimRevision: 7, claimBucket: 'bucket' });
    keeper.onRound(evaluated(lastEvaluation(), { claim: { outcome: 'claimed', revision: 8, bucket: 'bucket' } }));
    keeper.onClaimsBucket('another bucket');
    expect(await nextEvaluation()).toBeGreaterThanOrEqual(CLAIM_EXPIRY);
    expect(lastEvaluation()).toMatchObject({ claimRevision: 0, claimBucket: 'another bucket' });
  });

  test('the fact of a claim in the bucket before ends its round, and settles no claim of this bucket that has its revision', async () => {
    look();
    await nextEvaluation();
    const before = lastEvaluation();
    keeper.onClaimsForgotten('another bucket');
    keeper.onRound(evaluated(before, { claim: { outcome: 'claimed', revision: 2, bucket: 'bucket' } }));
    await nextEvaluation();
    expect(lastEvaluation().claimRevision).toBe(0);
    keeper.onClaim('uid-cart.evaluate', 2);
    expect(await nextEvaluation(2 * PERIOD)).toBeGreaterThanOrEqual(CLAIM_EXPIRY);
    expect(lastEvaluation()).toMatchObject({ claimRevision: 2, claimBucket: 'another bucket' });
  });

  test('nor where a new leader hears of it before it saw the bucket', async () => {
    look();
    await nextEvaluation();
    const before = lastEvaluation();
    keeper.stop();
    bus.published.length = 0;
    start({ leaderId: 'another' }, '');
    look();
    keeper.onRound(evaluated(before, { claim: { outcome: 'claimed', revision: 2, bucket: 'bucket' } }));
    keeper.onClaimsBucket('another bucket');
    keeper.onClaim('uid-cart.evaluate', 2);
    keeper.onClaimsCurrent();
    expect(await nextEvaluation(2 * PERIOD)).toBeGreaterThanOrEqual(CLAIM_EXPIRY);
    expect(lastEvaluation()).toMatchObject({ claimRevision: 2, claimBucket: 'another bucket' });
  });

  test('a reconnect tells all rounds and claims again: nothing comes of it', async () => {
    look();
    await nextEvaluation();
    const fact = evaluated(lastEvaluation());
    keeper.onClaim('uid-cart.evaluate', 1);
    keeper.onRound(fact);
    await pass(100);
    keeper.onClaim('uid-cart.evaluate', 1);
    keeper.onRound(fact);
    expect(await nextEvaluation()).toBeLessThanOrEqual(PERIOD);
    expect(told.ended).toEqual(['evaluate completed']);
  });
});

describe('resources that come and go', () => {
  test('a resource made anew under the same name waits until what its predecessor had under way is over', async () => {
    look();
    await nextEvaluation();
    caches.resources.clear();
    keeper.lookForGone('shop');
    expect(told.gone).toEqual(['uid-cart']);
    caches.add({ resource: resource('cart', { uid: 'uid-new' }) });
    look();
    expect(await nextEvaluation(3 * PERIOD)).toBeGreaterThanOrEqual(CLAIM_EXPIRY);
    expect(lastEvaluation().resource.uid).toBe('uid-new');
  });

  test('also one that comes seconds after: a message of its predecessor may be claimed late, and then that claim is waited out', async () => {
    look();
    await nextEvaluation();
    caches.resources.clear();
    keeper.lookForGone('shop');
    await pass(CLAIM_EXPIRY + 1000);
    caches.add({ resource: resource('cart', { uid: 'uid-new' }) });
    look();
    await pass(CLAIM_EXPIRY - 1000);
    keeper.onClaim('uid-cart.evaluate', 7);
    expect(await nextEvaluation(3 * PERIOD)).toBeGreaterThanOrEqual(CLAIM_EXPIRY);
    expect(lastEvaluation().resource.uid).toBe('uid-new');
  });

  test('one that a list left out and the next one shows again goes on, and is given up again when it is deleted', async () => {
    const { resources } = caches;
    const cart = resources.get('shop/cart')!;
    for (const gone of [['uid-cart'], ['uid-cart', 'uid-cart']]) {
      look();
      await nextEvaluation();
      keeper.onRound(evaluated(lastEvaluation()));
      resources.clear();
      keeper.lookForGone('shop');
      expect(told.gone).toEqual(gone);
      await pass(100);
      caches.add({ resource: cart });
    }
    look();
    expect(await nextEvaluation()).toBeLessThanOrEqual(PERIOD);
  });

  test.each([
    ['invalid', { spec: {} }],
    ['disabled', { spec: spec({ mode: 'disabled' }) }],
    ['at work', {}],
  ])('nothing is kept of one that was deleted: it was %s', async (_, change) => {
    caches.add({ resource: resource('cart', change) });
    look();
    await pass(PERIOD);
    caches.resources.clear();
    keeper.lookForGone('shop');
    await pass(STREAMS.work.maxAgeSeconds * 1000 + CLAIM_EXPIRY + 1000);
    expect(keeper.keptOf('uid-cart')).toBeUndefined();
    expect(told.gone).toEqual(['uid-cart']);
  });
});

describe('Leader', () => {
  test('after the end of leading nothing is published, no stream is asked for, and no timer is left', async () => {
    let refuse = (_: Error): void => {};
    bus.answer = () => new Promise((_, reject) => (refuse = reject));
    look();
    await nextEvaluation();
    keeper.stop();
    refuse(new StreamMissing('x'));
    await pass(60_000);
    expect(evaluations()).toHaveLength(1);
    expect(told.ensured).toBe(0);
    expect(jest.getTimerCount()).toBe(0);
  });

  test('a process that finds out by its own clock that its lease is over publishes nothing', async () => {
    look();
    leading = false;
    await pass(60_000);
    expect(evaluations()).toEqual([]);
  });
});

describe('activations', () => {
  const out = (name: string, at: number) =>
    edited(
      owned(name),
      EDITS.break(owned(name), { breaker: 'errors', at, retryCount: 1, observation: { reason: 'bad' } }),
    );

  test('one when the wait is over, none while nobody is out', async () => {
    look();
    await pass(60_000);
    expect(activations()).toEqual([]);
    caches.add({ pod: out('a', Date.now()) });
    look();
    await pass(9000);
    expect(activations()).toEqual([]);
    await pass(2500);
    expect(activations()).toHaveLength(1);
  });

  test('a pod that the cache shows out though the activation is over does not make a round a moment', async () => {
    caches.add({ pod: out('a', Date.now() - 60_000) });
    bus.answer = ({ subject, event }) => {
      if (subject.includes('activate')) soon(() => keeper.onRound(activated(event.data as never)));
    };
    look();
    await pass(10_000);
    expect(activations().length).toBeGreaterThan(5);
    expect(activations().length).toBeLessThanOrEqual(11);
  });

  test('W3, A2: what ran into the end of the claim is returned by the next one, a second later', async () => {
    const activator = { period: 30 };
    caches.add({ resource: resource('cart', { spec: spec({ defaultActivator: activator }) }) });
    caches.add({ pod: out('a', Date.now() - 60_000) });
    const withheld = [{ pod: 'a', uid: 'uid-a', reason: 'Deadline' as const, enforced: true }];
    look();
    await pass(1);
    keeper.onRound(activated(lastActivation(), { withheld }));
    await pass(1500);
    expect(activations()).toHaveLength(2);
  });

  test('nor where the activator’s clock is behind ours', async () => {
    caches.add({ pod: out('a', Date.now() - 60_000) });
    const withheld = [{ pod: 'a', uid: 'uid-a', reason: 'WaitNotOver' as const, enforced: true }];
    bus.answer = ({ subject, event }) => {
      if (subject.includes('activate')) soon(() => keeper.onRound(activated(event.data as never, { withheld })));
    };
    look();
    await pass(10_000);
    expect(activations().length).toBeLessThanOrEqual(11);
  });

  test('a wall clock that is set back by an hour holds nothing up', async () => {
    caches.add({ pod: out('a', Date.now() - 7_200_000) });
    const withheld = [{ pod: 'a', uid: 'uid-a', reason: 'ConcurrentActivations' as const, enforced: true }];
    look();
    await pass(1);
    keeper.onRound(activated(lastActivation(), { withheld }));
    jest.setSystemTime(Date.now() - 3_600_000);
    await pass(15_000);
    expect(activations().length).toBeGreaterThan(1);
  });

  test('an activator that is not there is shown', async () => {
    caches.add({ pod: out('a', Date.now() - 60_000) });
    look();
    await pass(30_000);
    expect(keeper.keptOf('uid-cart')?.memory.missingActivations).toBeGreaterThanOrEqual(2);
    keeper.onRound(activated(lastActivation()));
    expect(keeper.keptOf('uid-cart')?.memory.missingActivations).toBe(0);
  });
});

test('a rollout of many pods costs a few looks, not one a pod', async () => {
  look();
  await pass(1);
  caches.walks = 0;
  for (let index = 0; index < 5000; index++) look();
  await pass(99);
  expect(caches.walks).toBeLessThanOrEqual(5);
});
