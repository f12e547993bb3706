import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { connect, headers, type NatsConnection } from '@nats-io/transport-node';
import type { CloudEvent } from '@kubervisor/shared/events/envelope';
import { CLAIMS_BUCKET, CONSUMERS, STREAMS, type WorkKind } from '@kubervisor/shared/events/subjects';
import { type NatsOptions, type NatsServer, startNats } from '@kubervisor/testing/servers/nats';
import pino from 'pino';
import {
  type Bus,
  connectBus,
  type Consumption,
  type NatsSettings,
  PayloadTooLarge,
  StreamMissing,
  type WorkMessage,
} from './bus.ts';
import { inboxOf, NATS_USERS, type NatsUser } from './inbox.ts';
import { authorizationConfig, PERMISSIONS } from './permissions.ts';

const log = pino({ level: process.env.TEST_LOG_LEVEL ?? 'silent' });

/** What a handler was given, and a promise of what is still to come. */
class Seen<T> {
  readonly all: T[] = [];
  #waiting: (() => void)[] = [];
  add = (item: T): void => {
    this.all.push(item);
    for (const wake of this.#waiting.splice(0)) wake();
  };
  async until(fits: (all: T[]) => boolean, milliseconds = 10_000): Promise<T[]> {
    const limit = AbortSignal.timeout(milliseconds);
    while (!fits(this.all)) {
      await new Promise<void>((resolve, reject) => {
        this.#waiting.push(resolve);
        limit.addEventListener('abort', () => reject(new Error(`still ${JSON.stringify(this.all)}`)));
      });
    }
    return this.all;
  }
  async one(fits: (item: T) => boolean = () => true, milliseconds?: number): Promise<T> {
    await this.until((all) => all.some(fits), milliseconds);
    return this.all.find(fits) as T;
  }
}

async function eventually<T>(look: () => T | undefined | false, milliseconds = 10_000): Promise<T> {
  for (const end = performance.now() + milliseconds; ;) {
    const found = look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > end) throw new Error('it did not become so');
    await sleep(20);
  }
}

const event = (data: unknown): CloudEvent => ({
  specversion: '1.0',
  id: 'event-1',
  source: '/kubervisor/test/0',
  type: 'io.kubervisor.test',
  subject: 'shop/cart',
  time: '2026-11-23T12:00:00.000Z',
  datacontenttype: 'application/json',
  dataschema: 'https://kubervisor.io/schemas/test/v1',
  data,
});
const problemOf = (bus: Bus): string | undefined => {
  const status = bus.status();
  return status.ready ? undefined : status.problem;
};
const dataOf = (message: { text: string }): unknown => (JSON.parse(message.text) as CloudEvent).data;
const CART = 'kubervisor.work.evaluate.shop.cart';
const CART_ROUND = 'kubervisor.round.evaluate.shop.cart';
const CART_FACT = 'kubervisor.fact.pod-broken.shop.cart';

/** Facts begin when the stream was looked at; what is published before that is not theirs to tell. */
async function untilHeard(facts: { all: unknown[] }, bus: Bus): Promise<void> {
  for (let tries = 0; facts.all.length === 0 && tries < 200; tries++) {
    await bus.publish(CART_FACT, event('from now on'));
    await sleep(20);
  }
}

const assets = process.env.KUBEBUILDER_ASSETS;
const current = process.env.NATS_SERVER_CURRENT ?? (assets === undefined ? undefined : join(assets, 'nats-server'));
const binaries: [string, string | undefined][] = [['nats-server found or installed', undefined]];
if (current !== undefined && existsSync(current)) binaries.push(['the current nats-server', current]);

describe.each(binaries)('on %s', (_name, binary) => {
  const closers: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });

  async function server(options: NatsOptions = {}): Promise<NatsServer> {
    const started = await startNats({ ...options, ...(binary !== undefined && { binary }) });
    closers.push(() => started.stop());
    return started;
  }
  async function busAt(url: string, settings: Partial<NatsSettings> = {}): Promise<Bus> {
    const bus = await connectBus({ url, name: 'test', ...settings }, log);
    closers.push(() => bus.close());
    return bus;
  }
  async function clientAt(url: string): Promise<NatsConnection> {
    const nc = await connect({ servers: url });
    closers.push(() => nc.close());
    return nc;
  }
  const keep = (consumption: Consumption): Consumption => {
    closers.push(() => consumption.stop());
    return consumption;
  };
  const consume = (bus: Bus, handler: (message: WorkMessage) => Promise<void>, concurrency = 4) =>
    keep(bus.consume('evaluate', handler, { concurrency }));

  describe('with everything in order', () => {
    let nats: NatsServer;
    let bus: Bus;
    beforeEach(async () => {
      nats = await server();
      bus = await busAt(nats.url);
      await bus.ensure(1);
    });

    test('ensure makes what is missing, says so of the bucket once, and changes nothing when asked again', async () => {
      const manager = await jetstreamManager(await clientAt(nats.url));
      const before = await manager.streams.info(STREAMS.work.name);
      expect(before.config).toMatchObject({ retention: 'workqueue', storage: 'memory', max_msgs_per_subject: 1 });
      expect(await bus.ensure(1)).toEqual({ bucketMade: false });
      expect((await manager.streams.info(STREAMS.work.name)).created).toBe(before.created);
      expect((await manager.consumers.info(STREAMS.work.name, 'breaker')).config.filter_subject).toBe(
        CONSUMERS.evaluate.filter,
      );
      await manager.streams.delete(`KV_${CLAIMS_BUCKET.name}`);
      expect(await bus.ensure(1)).toEqual({ bucketMade: true });
    });

    test('ensure brings settings that may be changed to what is declared', async () => {
      const manager = await jetstreamManager(await clientAt(nats.url));
      await manager.streams.update(STREAMS.facts.name, { max_age: 3_600_000_000_000 });
      await bus.ensure(1);
      expect((await manager.streams.info(STREAMS.facts.name)).config.max_age).toBe(
        STREAMS.facts.maxAgeSeconds * 1_000_000_000,
      );
      expect(bus.status()).toEqual({ ready: true });
    });

    test('W5: work arrives once, with the time of receipt, and is gone after the ack', async () => {
      const seen = new Seen<WorkMessage>();
      const before = performance.now();
      const consumption = consume(bus, async (message) => {
        message.ack();
        seen.add(message);
      });
      await bus.publish(CART, event('a'));
      const message = await seen.one();
      expect(message).toMatchObject({ subject: CART, deliveries: 1 });
      expect(dataOf(message)).toBe('a');
      expect(message.receivedAt).toBeGreaterThan(before);
      await consumption.stop();
      const manager = await jetstreamManager(await clientAt(nats.url));
      expect((await manager.streams.info(STREAMS.work.name)).state.messages).toBe(0);
    });

    test('W1: the newest work of a Service replaces the older; the ack of one that was replaced harms nobody', async () => {
      const seen = new Seen<WorkMessage>();
      const first = Promise.withResolvers<void>();
      await bus.publish(CART, event('old, never seen'));
      await bus.publish(CART, event('first'));
      consume(bus, async (message) => {
        seen.add(message);
        if (dataOf(message) === 'first') await first.promise;
        message.ack();
      });
      await seen.one();
      await bus.publish(CART, event('second'));
      await seen.until((all) => all.length === 2);
      first.resolve();
      await bus.publish(CART, event('third'));
      await seen.until((all) => all.length === 3);
      expect(seen.all.map(dataOf)).toEqual(['first', 'second', 'third']);
    });

    test('W5: it takes only what it has places for; the rest is left to other workers', async () => {
      const release = Promise.withResolvers<void>();
      const mine = new Seen<WorkMessage>();
      const others = new Seen<WorkMessage>();
      const hold = (seen: Seen<WorkMessage>) => async (message: WorkMessage) => {
        seen.add(message);
        await release.promise;
        message.ack();
      };
      consume(bus, hold(mine), 2);
      for (const name of ['a', 'b', 'c', 'd', 'e'])
        await bus.publish(`kubervisor.work.evaluate.shop.${name}`, event(name));
      await mine.until((all) => all.length === 2);
      consume(await busAt(nats.url), hold(others), 10);
      await others.until((all) => all.length === 3);
      expect(mine.all).toHaveLength(2);
      release.resolve();
    });

    test('W1: what a worker asks for lives a few seconds: should it hang, others are blind for so long at most', async () => {
      const asked = new Seen<number>();
      const observer = await clientAt(nats.url);
      observer.subscribe('$JS.API.CONSUMER.MSG.NEXT.>', {
        callback: (_error, message) => asked.add(message.json<{ expires: number }>().expires / 1e9),
      });
      await observer.flush();
      const worked = new Seen<unknown>();
      consume(bus, async (message) => {
        message.ack();
        worked.add(dataOf(message));
      });
      const began = performance.now();
      // The first one, and the one in its place when it has run out.
      await asked.until((all) => all.length === 2);
      expect(performance.now() - began).toBeGreaterThan(4000);
      expect(asked.all).toEqual([5, 5]);
      await bus.publish(CART, event('after'));
      await worked.one((data) => data === 'after');
    });

    test('a place that becomes free is filled at once', async () => {
      const seen = new Seen<unknown>();
      consume(
        bus,
        async (message) => {
          message.ack();
          seen.add(message.subject);
        },
        1,
      );
      const began = performance.now();
      for (let index = 0; index < 200; index++)
        await bus.publish(`kubervisor.work.evaluate.shop.n${index}`, event(index));
      await seen.until((all) => all.length === 200);
      expect(performance.now() - began).toBeLessThan(5000);
      expect(new Set(seen.all).size).toBe(200);
    });

    test('stop waits for the rounds under way and takes nothing more', async () => {
      const seen = new Seen<unknown>();
      const release = Promise.withResolvers<void>();
      const consumption = consume(bus, async (message) => {
        seen.add(message);
        await release.promise;
        message.ack();
      });
      await bus.publish(CART, event(1));
      await seen.one();
      let stopped = false;
      const stopping = consumption.stop().then(() => (stopped = true));
      await bus.publish('kubervisor.work.evaluate.shop.other', event(2));
      expect(stopped).toBe(false);
      release.resolve();
      await stopping;
      expect(seen.all).toHaveLength(1);
    });

    test('W5: poison is handed on as it is and, once ended, never comes again', async () => {
      const nc = await clientAt(nats.url);
      const seen = new Seen<WorkMessage>();
      const zipped = headers();
      zipped.set('Content-Encoding', 'gzip');
      nc.publish(CART, 'this is not gzip', { headers: zipped });
      nc.publish('kubervisor.work.evaluate.shop.other', 'this is not JSON');
      await nc.flush();
      consume(bus, async (message) => {
        message.term('it does not parse');
        seen.add(message);
      });
      await seen.until((all) => all.length === 2);
      expect(seen.all.map(({ text }) => text).sort()).toEqual(['this is not JSON', 'this is not gzip']);
      const manager = await jetstreamManager(nc);
      // Ended, they are gone from the work queue: nothing is left to be delivered again.
      const left = async () => (await manager.streams.info(STREAMS.work.name)).state.messages;
      for (let looks = 0; (await left()) > 0 && looks < 100; looks++) await sleep(20);
      expect(await left()).toBe(0);
    });

    test('a handler that throws is logged and takes nobody along', async () => {
      const seen = new Seen<unknown>();
      consume(
        bus,
        async (message) => {
          seen.add(dataOf(message));
          if (dataOf(message) === 'bad') throw new Error('a bug');
          message.ack();
        },
        1,
      );
      await bus.publish('kubervisor.work.evaluate.shop.bad', event('bad'));
      await bus.publish(CART, event('good'));
      await seen.one((data) => data === 'good');
    });

    test('1.2 MB travel gzipped and arrive as they were', async () => {
      const pods = Array.from({ length: 7500 }, (_, index) => ({
        name: `cart-7d9f8b6c5-${index.toString(36)}`,
        uid: `8b6c1f0e-0000-4000-8000-${index.toString().padStart(12, '0')}`,
        traffic: 'yes',
        ready: true,
        readySince: '2026-11-23T12:00:00.000Z',
        ip: `10.1.${index >> 8}.${index & 255}`,
      }));
      expect(JSON.stringify(pods).length).toBeGreaterThan(1_150_000);
      const seen = new Seen<WorkMessage>();
      const rounds = new Seen<{ text: string }>();
      consume(bus, async (message) => {
        message.ack();
        seen.add(message);
      });
      keep(bus.subscribeRounds(rounds.add));
      await bus.publish(CART, event(pods));
      await bus.publish(CART_ROUND, event(pods));
      expect(dataOf(await seen.one())).toEqual(pods);
      expect(dataOf(await rounds.one())).toEqual(pods);
      const manager = await jetstreamManager(await clientAt(nats.url));
      const stored = await manager.streams.getMessage(STREAMS.rounds.name, { last_by_subj: CART_ROUND });
      expect(stored?.header.get('Content-Encoding')).toBe('gzip');
      expect(stored?.data.length).toBeLessThan(300_000);
    });

    test('Leader: what is not wanted any more when it has been packed is not sent', async () => {
      let leads = true;
      const large = Array.from({ length: 20_000 }, (_, index) => `pod-${index}`);
      const publishing = bus.publish(CART, event(large), { onlyIf: () => leads });
      leads = false;
      await expect(publishing).rejects.toThrow('not wanted any more');
      await bus.publish(CART_ROUND, event('something else'));
      const manager = await jetstreamManager(await clientAt(nats.url));
      expect((await manager.streams.info(STREAMS.work.name)).state.last_seq).toBe(0);
    });

    test('what does not fit even gzipped is PayloadTooLarge, and nothing is sent', async () => {
      const noise = Array.from({ length: 120_000 }, () => Math.random());
      await expect(bus.publish(CART, event(noise))).rejects.toThrow(PayloadTooLarge);
      const manager = await jetstreamManager(await clientAt(nats.url));
      expect((await manager.streams.info(STREAMS.work.name)).state.messages).toBe(0);
    });

    test('a message id that was seen is stored once', async () => {
      await bus.publish(CART_FACT, event(1), { messageId: 'round-1.pod' });
      await bus.publish(CART_FACT, event(1), { messageId: 'round-1.pod' });
      const manager = await jetstreamManager(await clientAt(nats.url));
      expect((await manager.streams.info(STREAMS.facts.name)).state.messages).toBe(1);
    });

    test('publishing where no stream is tells StreamMissing; after ensure it works', async () => {
      const manager = await jetstreamManager(await clientAt(nats.url));
      await manager.streams.delete(STREAMS.work.name);
      await expect(bus.publish(CART, event(1))).rejects.toThrow(StreamMissing);
      await bus.ensure(1);
      await bus.publish(CART, event(1));
    });

    test('W3: of 20 claims from one revision exactly one wins, and the others are told its revision', async () => {
      const buses = await Promise.all(Array.from({ length: 4 }, () => busAt(nats.url)));
      for (const supersedes of [0, 1]) {
        const results = await Promise.all(
          Array.from({ length: 20 }, (_, index) =>
            buses[index % 4]?.claims.claim('uid-1.evaluate', supersedes, `worker ${index}`),
          ),
        );
        const won = results.filter((result) => result?.outcome === 'claimed');
        expect(won).toHaveLength(1);
        expect(results.filter((result) => result?.outcome === 'refused')).toHaveLength(19);
        expect(new Set(results.map((result) => result?.revision))).toEqual(new Set([supersedes + 1]));
      }
    });

    const remake = async (): Promise<void> => {
      const manager = await jetstreamManager(await clientAt(nats.url));
      const { config } = await manager.streams.info(`KV_${CLAIMS_BUCKET.name}`);
      await manager.streams.delete(config.name);
      await manager.streams.add(config);
    };
    test('W3: a bucket that somebody else deleted and made anew between two looks has forgotten live claims all the same', async () => {
      await bus.claims.claim('uid-1.evaluate', 0, 'a');
      expect(await bus.ensure(1)).toEqual({ bucketMade: false });
      await remake();
      expect(await bus.ensure(1)).toEqual({ bucketMade: true });
      expect(await bus.ensure(1)).toEqual({ bucketMade: false });
    });

    /** As the leader knows it. */
    const seenBucket = async (): Promise<string> => {
      await bus.ensure(1);
      return bus.claims.bucket()!;
    };
    test('W3: in the bucket that the message names a claim counts, and in no other, which was made since', async () => {
      const worker = await busAt(nats.url);
      const before = await seenBucket();
      const mine = await worker.claims.claim('uid-1.evaluate', 0, 'a', before);
      expect(mine).toEqual({ outcome: 'claimed', revision: 1 });
      expect(await worker.claims.claim('uid-1.evaluate', 1, 'b', before)).toEqual({ outcome: 'claimed', revision: 2 });
      await remake();
      // The first message once more, from before: whoever holds the claim of the bucket that is gone may still act.
      expect(await worker.claims.claim('uid-1.evaluate', 0, 'a', before)).toEqual({ outcome: 'refused', revision: 1 });
      // By chance the number that stands.
      expect(await worker.claims.claim('uid-1.evaluate', 1, 'c', before)).toEqual({ outcome: 'refused', revision: 2 });
      // From a leader that knows of no buckets.
      expect(await worker.claims.claim('uid-1.evaluate', 2, 'd')).toEqual({ outcome: 'claimed', revision: 3 });
      const after = await seenBucket();
      expect(after).not.toBe(before);
      expect(await worker.claims.claim('uid-1.evaluate', 3, 'e', after)).toEqual({ outcome: 'claimed', revision: 4 });
    });

    test('W3: nor where the key was deleted in the one that was made since', async () => {
      const before = await seenBucket();
      await remake();
      const kv = await new Kvm(await clientAt(nats.url)).open(CLAIMS_BUCKET.name);
      await kv.delete('uid-1.evaluate');
      expect(await bus.claims.claim('uid-1.evaluate', 0, 'a', before)).toEqual({ outcome: 'refused', revision: 2 });
    });

    test('W3: without an answer to which bucket it is there is no claim', async () => {
      // As the configuration of a server may be that was written before there was this question.
      const question = `$JS.API.STREAM.INFO.KV_${CLAIMS_BUCKET.name}`;
      const users = [
        { user: 'leader', password: 'x' },
        { user: 'worker', password: 'x', permissions: { publish: { deny: [question] } } },
      ];
      const guarded = await server({ config: `authorization: ${JSON.stringify({ users })}` });
      const passwordFile = join(guarded.dir, 'password');
      await writeFile(passwordFile, 'x');
      const leader = await busAt(guarded.url, { user: 'leader', passwordFile });
      const worker = await busAt(guarded.url, { user: 'worker', passwordFile });
      await leader.ensure(1);
      await expect(worker.claims.claim('uid-1.evaluate', 0, 'a', leader.claims.bucket())).rejects.toMatchObject({
        name: 'PublishFailed',
      });
      expect(problemOf(worker)).toContain(question);
      // It stands, and whoever watches waits it out.
      expect(await leader.claims.claim('uid-1.evaluate', 0, 'b')).toEqual({ outcome: 'refused', revision: 1 });
    });

    test('W3: the watch notices it within two seconds, and before it tells the first claim of the new one', async () => {
      const told = new Seen<string>();
      const watch = bus.claims.watch({
        forgotten: (made) => told.add(`forgotten ${made === bus.claims.bucket()}`),
        claim: (key, revision) => told.add(`${key} ${revision}`),
        current: () => told.add('current'),
      });
      keep(watch);
      await told.one((line) => line === 'current');
      await remake();
      await bus.claims.claim('uid-1.evaluate', 0, 'a');
      const began = performance.now();
      await told.one((line) => line === 'uid-1.evaluate 1');
      expect(performance.now() - began).toBeLessThan(2500);
      expect(bus.claims.bucket()).not.toBe(undefined);
      expect(told.all.slice(0, 3)).toEqual(['current', 'forgotten true', 'uid-1.evaluate 1']);
      // Told once, by whoever saw it first.
      expect(await bus.ensure(1)).toEqual({ bucketMade: false });
    });

    test('W3: a claim from a revision that is no more is refused, with the one found', async () => {
      const first = await bus.claims.claim('uid-1.evaluate', 0, 'a');
      await bus.claims.claim('uid-2.evaluate', 0, 'b');
      const second = await bus.claims.claim('uid-1.evaluate', first.revision, 'c');
      expect(second).toEqual({ outcome: 'claimed', revision: 3 });
      expect(await bus.claims.claim('uid-1.evaluate', first.revision, 'd')).toEqual({
        outcome: 'refused',
        revision: 3,
      });
      expect(await bus.claims.claim('uid-1.evaluate', 0, 'e')).toEqual({ outcome: 'refused', revision: 3 });
      expect(await bus.claims.claim('uid-9.evaluate', 7, 'f')).toEqual({ outcome: 'refused', revision: 0 });
    });

    test.each(['delete', 'purge'] as const)(
      'W3: after a %s of the key there is none: from 0 alone it is claimed',
      async (how) => {
        const kv = await new Kvm(await clientAt(nats.url)).open(CLAIMS_BUCKET.name);
        const { revision } = await bus.claims.claim('uid-1.evaluate', 0, 'a');
        await kv[how]('uid-1.evaluate');
        expect(await bus.claims.claim('uid-1.evaluate', revision, 'b')).toEqual({ outcome: 'refused', revision: 0 });
        const results = await Promise.all(
          Array.from({ length: 20 }, (_, index) => bus.claims.claim('uid-1.evaluate', 0, `worker ${index}`)),
        );
        expect(results.filter(({ outcome }) => outcome === 'claimed')).toHaveLength(1);
        expect(new Set(results.map((result) => result.revision)).size).toBe(1);
      },
    );

    test('W3: a claim that expired is none', async () => {
      const manager = await jetstreamManager(await clientAt(nats.url));
      await manager.streams.update(`KV_${CLAIMS_BUCKET.name}`, { max_age: 300_000_000, duplicate_window: 100_000_000 });
      const { revision } = await bus.claims.claim('uid-1.evaluate', 0, 'a');
      const gone = async () =>
        (await manager.streams.getMessage(`KV_${CLAIMS_BUCKET.name}`, {
          last_by_subj: `$KV.${CLAIMS_BUCKET.name}.uid-1.evaluate`,
        })) === null;
      for (let looks = 0; !(await gone()) && looks < 200; looks++) await sleep(20);
      expect(await bus.claims.claim('uid-1.evaluate', revision, 'b')).toEqual({ outcome: 'refused', revision: 0 });
      expect(await bus.claims.claim('uid-1.evaluate', 0, 'c')).toMatchObject({ outcome: 'claimed' });
    });

    test('W3: the watch tells every present claim, then that it is current, then each change', async () => {
      await bus.claims.claim('uid-1.evaluate', 0, 'a');
      await bus.claims.claim('uid-1.evaluate', 1, 'a');
      await bus.claims.claim('uid-2.activate', 0, 'b');
      const told = new Seen<string>();
      const watch = bus.claims.watch({
        begun: () => told.add('begun'),
        claim: (key, revision) => told.add(`${key} ${revision}`),
        current: () => told.add('current'),
      });
      keep(watch);
      await told.one((line) => line === 'current');
      expect(told.all).toEqual(['begun', 'uid-1.evaluate 2', 'uid-2.activate 3', 'current']);
      await bus.claims.claim('uid-1.evaluate', 2, 'c');
      await told.one((line) => line === 'uid-1.evaluate 4');
      const kv = await new Kvm(await clientAt(nats.url)).open(CLAIMS_BUCKET.name);
      await kv.delete('uid-2.activate');
      await told.one((line) => line === 'uid-2.activate 0');
      expect(told.all).toHaveLength(6);
    });

    test('W3: the watch of an empty bucket is current at once', async () => {
      const told = new Seen<string>();
      const watch = bus.claims.watch({ claim: (key) => told.add(key), current: () => told.add('current') });
      keep(watch);
      await told.one((line) => line === 'current', 1000);
      expect(told.all).toEqual(['current']);
    });

    test('rounds: the last of each subject, then each new one; facts: those from now on', async () => {
      const other = 'kubervisor.round.activate.shop.cart';
      for (const number of [1, 2, 3]) await bus.publish(CART_ROUND, event(number));
      await bus.publish(other, event('other'));
      await bus.publish(CART_FACT, event('before'));
      const rounds = new Seen<{ subject: string; text: string }>();
      const facts = new Seen<{ text: string }>();
      keep(bus.subscribeRounds(rounds.add));
      keep(bus.subscribeFacts(facts.add));
      await rounds.until((all) => all.length === 2);
      expect(rounds.all.map((message) => [message.subject, dataOf(message)])).toEqual([
        [CART_ROUND, 3],
        [other, 'other'],
      ]);
      await bus.publish(CART_ROUND, event(4));
      await rounds.one((message) => dataOf(message) === 4);
      await untilHeard(facts, bus);
      expect(new Set(facts.all.map(dataOf))).toEqual(new Set(['from now on']));
    });

    test('the last facts of one resource among thousands of others, the oldest first, without reading them all', async () => {
      const other = 'kubervisor.fact.pod-broken.shop.checkout';
      const types = ['pod-broken', 'pod-activated'];
      const publish = (subject: string, data: unknown) => bus.publish(subject, event(data));
      const cart = (number: number) => publish(`kubervisor.fact.${types[number % 2]}.shop.cart`, number);
      expect(await bus.lastFacts({ namespace: 'shop', name: 'cart' }, 10)).toEqual({ messages: [], more: false });
      for (let number = 1; number <= 60; number++) await cart(number);
      for (let portion = 0; portion < 20; portion++)
        await Promise.all(Array.from({ length: 100 }, (_, number) => publish(other, number)));
      for (let number = 61; number <= 70; number++) await cart(number);

      const last = async (limit: number, name = 'cart') => {
        const { messages, more } = await bus.lastFacts({ namespace: 'shop', name }, limit);
        return { numbers: messages.map(dataOf), more };
      };
      const upTo70 = (from: number) => Array.from({ length: 71 - from }, (_, index) => from + index);
      expect(await last(15)).toEqual({ numbers: upTo70(56), more: true });
      expect(await last(1)).toEqual({ numbers: [70], more: true });
      expect(await last(70)).toEqual({ numbers: upTo70(1), more: false });
      expect(await last(500)).toEqual({ numbers: upTo70(1), more: false });
      expect((await last(20, 'checkout')).numbers).toHaveLength(20);
      expect(await last(5, 'nobody')).toEqual({ numbers: [], more: false });
    });

    test('a follower reads thousands of large messages without losing one', async () => {
      const number = 1500;
      const filling = 'x'.repeat(30_000);
      // Not all at once: each must be stored within the time-out of a request.
      for (let first = 0; first < number; first += 30)
        await Promise.all(
          Array.from({ length: 30 }, (_, offset) =>
            bus.publish(`kubervisor.round.evaluate.shop.n${first + offset}`, event({ index: first + offset, filling })),
          ),
        );
      const subjects = new Seen<string>();
      keep(bus.subscribeRounds(({ subject }) => subjects.add(subject)));
      await subjects.until((all) => all.length >= number);
      expect(new Set(subjects.all).size).toBe(number);
      expect(subjects.all).toHaveLength(number);
    });
  });

  describe('W7: it goes on by itself', () => {
    interface Listening {
      work: Seen<unknown>;
      rounds: Seen<unknown>;
      facts: Seen<unknown>;
      claims: Seen<string>;
    }
    function listen(bus: Bus): Listening {
      const listening: Listening = { work: new Seen(), rounds: new Seen(), facts: new Seen(), claims: new Seen() };
      consume(bus, async (message) => {
        message.ack();
        listening.work.add(dataOf(message));
      });
      keep(bus.subscribeRounds((message) => listening.rounds.add(dataOf(message))));
      keep(bus.subscribeFacts((message) => listening.facts.add(dataOf(message))));
      const watch = bus.claims.watch({
        claim: (key) => listening.claims.add(key),
        current: () => listening.claims.add('current'),
      });
      keep(watch);
      return listening;
    }
    /** All four ways are open; how long it took. Facts of a stream that was made anew are all new. */
    async function heard({ work, rounds, facts, claims }: Listening, leader: Bus, word: string): Promise<number> {
      const began = performance.now();
      await leader.publish(CART, event(word));
      await leader.publish(CART_ROUND, event(word));
      await leader.publish(CART_FACT, event(word));
      await leader.claims.claim(`${word}.evaluate`, 0, 'x');
      const is = (data: unknown) => data === word;
      await Promise.all([work.one(is), rounds.one(is), facts.one(is), claims.one((key) => key === `${word}.evaluate`)]);
      return performance.now() - began;
    }
    const ready = (bus: Bus) => eventually(() => bus.status().ready);

    async function pair() {
      const nats = await server();
      const leader = await busAt(nats.url);
      await leader.ensure(1);
      const worker = await busAt(nats.url);
      const listening = listen(worker);
      await listening.claims.one((key) => key === 'current');
      await untilHeard(listening.facts, leader);
      await heard(listening, leader, 'before');
      return { nats, leader, worker, listening };
    }

    test.each([
      ['with its files', false],
      ['wiped', true],
    ])('after a restart of the server, %s', async (_how, wipe) => {
      const { nats, leader, worker, listening } = await pair();
      const again = new Seen<string>();
      leader.onReconnect(() => again.add('reconnected'));
      await nats.restart({ wipe });
      await again.one();
      expect(await leader.ensure(1)).toEqual({ bucketMade: wipe });
      await ready(leader);
      await ready(worker);
      expect(await heard(listening, leader, 'after')).toBeLessThan(2500);
      expect(listening.facts.all.filter((data) => data === 'after')).toHaveLength(1);
    });

    test('after the server was killed and stayed away for a while', async () => {
      const { nats, leader, worker, listening } = await pair();
      await nats.kill();
      await eventually(() => !worker.status().ready);
      expect(problemOf(worker)).toBe(`the connection to NATS at ${nats.url} was lost, and is tried again`);
      await expect(leader.publish(CART, event('away'))).rejects.toMatchObject({ name: 'PublishFailed' });
      await expect(leader.claims.claim('away.evaluate', 0, 'x')).rejects.toMatchObject({ name: 'NotConnected' });
      await expect(leader.ensure(1)).rejects.toThrow('not connected');
      const again = new Seen<string>();
      leader.onReconnect(() => again.add('reconnected'));
      await nats.restart();
      await again.one();
      await leader.ensure(1);
      await ready(leader);
      await ready(worker);
      await heard(listening, leader, 'after');
      expect(listening.work.all).not.toContain('away');
    });

    test('after the streams were deleted and made anew while the connection stayed', async () => {
      const { nats, leader, listening } = await pair();
      const manager = await jetstreamManager(await clientAt(nats.url));
      for (const { name } of Object.values(STREAMS)) await manager.streams.delete(name);
      await manager.streams.delete(`KV_${CLAIMS_BUCKET.name}`);
      expect(await leader.ensure(1)).toEqual({ bucketMade: true });
      expect(await heard(listening, leader, 'after')).toBeLessThan(2500);
    });

    test('after the consumer alone was deleted and made anew', async () => {
      const { nats, leader, listening } = await pair();
      const manager = await jetstreamManager(await clientAt(nats.url));
      await manager.consumers.delete(STREAMS.work.name, CONSUMERS.evaluate.durable);
      await leader.ensure(1);
      expect(await heard(listening, leader, 'after')).toBeLessThan(2500);
    });

    test('after the server was frozen; a claim meanwhile fails within its 2 s', async () => {
      const { nats, leader, listening } = await pair();
      nats.freeze();
      const began = performance.now();
      await expect(leader.claims.claim('frozen.evaluate', 0, 'x')).rejects.toThrow();
      expect(performance.now() - began).toBeLessThan(2500);
      expect(problemOf(leader)).toMatch(/NATS .*(does not store|does not answer)/);
      nats.thaw();
      await eventually(() => listening.claims.all.length > 0);
      await heard(listening, leader, 'after');
      // What failed has worked since.
      await ready(leader);
    });

    test('a bus that started before the server was there', async () => {
      const nats = await server();
      await nats.kill();
      const bus = await busAt(nats.url);
      const told = new Seen<string>();
      bus.onReconnect(() => told.add('connected'));
      expect(bus.status()).toMatchObject({ ready: false });
      const listening = listen(bus);
      await nats.restart();
      await told.one();
      await bus.ensure(1);
      await ready(bus);
      await listening.claims.one((key) => key === 'current');
      await heard(listening, bus, 'after');
    });

    test('facts of the past stay past, also where the first look at the stream failed', async () => {
      const nats = await server();
      const leader = await busAt(nats.url);
      await leader.ensure(1);
      await leader.publish(CART_FACT, event('past'));
      await nats.restart({ jetstream: false });
      await eventually(() => !leader.status().ready && leader.status());
      const facts = new Seen<unknown>();
      const worker = await busAt(nats.url);
      keep(worker.subscribeFacts((message) => facts.add(dataOf(message))));
      // Asked after that look, on the same connection: when this is refused, the look was.
      await expect(worker.publish(CART_FACT, event('refused'))).rejects.toThrow(StreamMissing);
      const again = new Seen<string>();
      leader.onReconnect(() => again.add('reconnected'));
      await nats.restart({ jetstream: true });
      await again.one();
      await leader.ensure(1);
      await untilHeard(facts, leader);
      expect(new Set(facts.all)).toEqual(new Set(['from now on']));
    });

    test('a bus can be closed with all its ways open and work under way', async () => {
      const nats = await server();
      const bus = await connectBus({ url: nats.url, name: 'test' }, log);
      await bus.ensure(1);
      const seen = new Seen<unknown>();
      const release = Promise.withResolvers<void>();
      const acked = Promise.withResolvers<void>();
      consume(
        bus,
        async (message) => {
          seen.add(message);
          await release.promise;
          message.ack();
          acked.resolve();
        },
        1,
      );
      keep(bus.subscribeRounds(() => undefined));
      keep(bus.claims.watch({ claim: () => undefined }));
      await bus.publish(CART, event(1));
      await seen.one();
      const closing = bus.close();
      await expect(bus.publish(CART, event(2))).rejects.toThrow('not connected');
      await closing;
      release.resolve();
      await acked.promise;
      expect(bus.status()).toMatchObject({ ready: false });
    });

    test('a bus can be closed while the server is away, and while it is frozen', async () => {
      const nats = await server();
      const away = await connectBus({ url: 'nats://127.0.0.1:1', name: 'test' }, log);
      await away.close();
      const bus = await connectBus({ url: nats.url, name: 'test' }, log);
      nats.freeze();
      const began = performance.now();
      await bus.close();
      expect(performance.now() - began).toBeLessThan(4500);
      nats.thaw();
    });
  });

  test('each service can do what it must with permissions of its own, and a breaker publishes no work', async () => {
    const nats = await server({ config: authorizationConfig((user) => `${user}'s password`) });
    const as = async (user: NatsUser): Promise<Bus> => {
      const passwordFile = join(nats.dir, user);
      await writeFile(passwordFile, `${user}'s password`);
      return busAt(nats.url, { user, passwordFile, inboxPrefix: inboxOf(user) });
    };
    const controller = await as('controller');
    await controller.ensure(1);
    expect(await controller.ensure(1)).toEqual({ bucketMade: false });
    const workers = { evaluate: await as('breaker'), activate: await as('activator') };
    for (const bus of [controller, ...Object.values(workers)]) expect(bus.status()).toEqual({ ready: true });

    const told = new Seen<string>();
    keep(controller.subscribeRounds((message) => told.add(message.subject)));
    keep(controller.subscribeFacts((message) => told.add(message.subject)));
    keep(controller.claims.watch({ claim: (key) => told.add(key), current: () => told.add('current') }));
    await told.one((line) => line === 'current');
    const factOf = { evaluate: CART_FACT, activate: 'kubervisor.fact.pod-killed.shop.cart' };
    for (const [kind, bus] of Object.entries(workers) as [WorkKind, Bus][]) {
      const consumption = bus.consume(
        kind,
        async (message) => {
          const bucket = controller.claims.bucket()!;
          expect(await bus.claims.claim(`uid.${kind}`, 0, 'x', bucket)).toMatchObject({ outcome: 'claimed' });
          expect(await bus.claims.claim(`uid.${kind}`, 0, 'x')).toMatchObject({ outcome: 'refused' });
          await bus.publish(`kubervisor.round.${kind}.shop.cart`, event(1));
          await bus.publish(factOf[kind], event(1));
          message.ack();
        },
        { concurrency: 1 },
      );
      keep(consumption);
      await controller.publish(`kubervisor.work.${kind}.shop.cart`, event(1));
      await told.one((line) => line === `kubervisor.round.${kind}.shop.cart`);
      await told.one((line) => line === `uid.${kind}`);
      await consumption.stop();
    }
    await told.until((all) => Object.values(factOf).every((fact) => all.includes(fact)));
    expect((await controller.lastFacts({ namespace: 'shop', name: 'cart' }, 1)).messages).toHaveLength(1);

    const { evaluate: breaker } = workers;
    await expect(breaker.lastFacts({ namespace: 'shop', name: 'cart' }, 1)).rejects.toThrow();
    await expect(breaker.publish(CART, event(1))).rejects.toThrow(/Permissions Violation|permission/i);
    await expect(breaker.publish(factOf.activate, event(1))).rejects.toThrow();
    await expect(breaker.publish('kubervisor.round.activate.shop.cart', event(1))).rejects.toThrow();
    await expect(breaker.claims.claim('uid.activate', 0, 'x')).rejects.toThrow();
    await expect(breaker.ensure(1)).rejects.toThrow();
    await expect(controller.claims.claim('uid.evaluate', 0, 'x')).rejects.toThrow();
  });

  test('a NATS that lets its users hear _INBOX.>, as most do, needs no other permission for it', async () => {
    const users = NATS_USERS.map((user) => ({
      ...{ user, password: user },
      permissions: { ...PERMISSIONS[user], subscribe: ['_INBOX.>'] },
    }));
    const nats = await server({ config: `authorization: ${JSON.stringify({ users })}` });
    for (const user of NATS_USERS) {
      const passwordFile = join(nats.dir, user);
      await writeFile(passwordFile, user);
      const bus = await busAt(nats.url, { user, passwordFile, inboxPrefix: inboxOf(user) });
      if (user === 'controller') await bus.ensure(1);
      expect([user, bus.status()]).toEqual([user, { ready: true }]);
    }
  });

  describe('what is wrong is told in words, and mended at run time', () => {
    test('bad credentials, mended at the server', async () => {
      const users = (password: string) => `authorization { user: breaker, password: ${JSON.stringify(password)} }`;
      const nats = await server({ config: users('old password') });
      const passwordFile = join(nats.dir, 'password');
      await writeFile(passwordFile, 'new password\n');
      const bus = await busAt(nats.url, { user: 'breaker', passwordFile });
      const refused =
        'the NATS server refuses the credentials (Authorization Violation): ' +
        'those of NATS_USER and NATS_PASSWORD_FILE, or of NATS_CREDS, must be known to it';
      expect(problemOf(bus)).toBe(refused);
      await nats.restart({ config: users('new password') });
      await eventually(() => bus.status().ready);
      // Broken again while connected, and mended in the file this time.
      await nats.restart({ config: users('third password') });
      await eventually(() => problemOf(bus) === refused);
      await writeFile(passwordFile, 'third password\n');
      await eventually(() => bus.status().ready);
    });

    test('a password file that is missing', async () => {
      const nats = await server({ config: 'authorization { user: breaker, password: secret }' });
      const passwordFile = join(nats.dir, 'password');
      const bus = await busAt(nats.url, { user: 'breaker', passwordFile });
      expect(bus.status()).toMatchObject({ ready: false, problem: expect.stringContaining('ENOENT') as unknown });
      await writeFile(passwordFile, 'secret');
      await eventually(() => bus.status().ready);
    });

    test('a server that takes less than 1 MiB: what is larger is PayloadTooLarge and no trouble, the rest goes on', async () => {
      const nats = await server({ config: 'max_payload: 8KB' });
      const bus = await busAt(nats.url);
      await bus.ensure(1);
      await expect(bus.publish(CART, event('x'.repeat(8000)))).rejects.toMatchObject({
        name: 'PayloadTooLarge',
        limit: 8192 - 1024,
      });
      await bus.publish(CART, event('x'.repeat(6000)));
      expect(bus.status()).toEqual({ ready: true });
    });

    test('JetStream that is off', async () => {
      const nats = await server({ jetstream: false });
      const bus = await busAt(nats.url);
      expect(problemOf(bus)).toBe(
        'JetStream is not enabled on the NATS server: start it with "-js", or "jetstream {}" in its configuration; ' +
          'after a full disk it switches JetStream off until it is restarted',
      );
      await expect(bus.ensure(1)).rejects.toThrow();
      await nats.restart({ jetstream: true });
      await eventually(() => bus.status().ready);
      expect(await bus.ensure(1)).toEqual({ bucketMade: true });
    });

    test('a stream with another retention or storage (10052, 10058): the problem, until someone deletes it', async () => {
      const nats = await server();
      const manager = await jetstreamManager(await clientAt(nats.url));
      await manager.streams.add({ name: STREAMS.work.name, subjects: STREAMS.work.subjects, storage: 'file' });
      const bus = await busAt(nats.url);
      await bus.ensure(1);
      expect(problemOf(bus)).toBe(
        'stream KUBERVISOR_WORK: retention is limits and must be workqueue, storage is file and must be memory. No server ' +
          'changes that: "nats stream rm KUBERVISOR_WORK", and it is made anew within 10 s (what goes with it: one round)',
      );
      expect((await manager.streams.info(STREAMS.facts.name)).config.storage).toBe('file');
      await manager.streams.delete(STREAMS.work.name);
      await bus.ensure(1);
      expect(bus.status()).toEqual({ ready: true });
    });

    test('another stream that holds our subjects', async () => {
      const nats = await server();
      const manager = await jetstreamManager(await clientAt(nats.url));
      await manager.streams.add({ name: 'MINE', subjects: ['kubervisor.work.>'] });
      const bus = await busAt(nats.url);
      await bus.ensure(1);
      expect(problemOf(bus)).toBe(
        'stream KUBERVISOR_WORK cannot have kubervisor.work.>: stream MINE has it. Take the subject out of that one ' +
          '("nats stream edit MINE") or remove it ("nats stream rm MINE")',
      );
      await manager.streams.delete('MINE');
      await bus.ensure(1);
      expect(bus.status()).toEqual({ ready: true });
    });
  });
});
