/** What the ensuring leader finds on a NATS that others have used: brought right where a server can, said in words where it cannot (design §6). */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { jetstreamManager, type JetStreamManager, type StreamConfig } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import type { CloudEvent } from '@kubervisor/shared/events/envelope';
import { CLAIMS_BUCKET, CONSUMERS, STREAMS } from '@kubervisor/shared/events/subjects';
import { type NatsOptions, type NatsServer, startNats } from '@kubervisor/testing/servers/nats';
import pino from 'pino';
import { type Bus, connectBus } from './bus.ts';
import { CLAIMS_STREAM } from './claims.ts';
import { bucketConfig, differences, streamConfig } from './ensure.ts';

const assets = process.env.KUBEBUILDER_ASSETS;
const current = process.env.NATS_SERVER_CURRENT ?? (assets === undefined ? undefined : join(assets, 'nats-server'));
const binaries: [string, string | undefined][] = [['nats-server found or installed', undefined]];
if (current !== undefined && existsSync(current)) binaries.push(['the current nats-server', current]);

describe.each(binaries)('on %s', (_name, binary) => {
  const closers: (() => Promise<void> | void)[] = [];
  let nats: NatsServer;
  let bus: Bus;
  let client: NatsConnection;
  let manager: JetStreamManager;
  let lines: { level: string | number; msg: string; problem?: string }[];
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });

  async function begin(options: NatsOptions = {}): Promise<void> {
    nats = await startNats({ ...options, ...(binary !== undefined && { binary }) });
    closers.push(() => nats.stop());
    lines = [];
    const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line) as never) });
    bus = await connectBus({ url: nats.url, name: 'test' }, log);
    closers.push(() => bus.close());
    client = await connect({ servers: nats.url });
    closers.push(() => client.close());
    manager = await jetstreamManager(client);
  }
  const problem = (): string => {
    const status = bus.status();
    return status.ready ? 'ok' : status.problem;
  };
  const add = (config: object) => manager.streams.add(config as Partial<StreamConfig> & { name: string });
  const told = () => lines.filter(({ msg }) => msg === 'NATS is not ready').map((line) => line.problem);
  const event = (data: unknown): CloudEvent => ({
    ...{ specversion: '1.0', id: '1', source: '/kubervisor/test/0', type: 'io.kubervisor.test', subject: 'shop/cart' },
    ...{ time: '2026-11-23T12:00:00.000Z', datacontenttype: 'application/json', dataschema: 'x', data },
  });
  /** Everything that goes over NATS works. */
  async function works(uid: string): Promise<void> {
    for (const subject of ['work.evaluate', 'round.evaluate', 'fact.pod-broken'])
      await bus.publish(`kubervisor.${subject}.shop.cart`, event(uid));
    expect(await bus.claims.claim(`${uid}.evaluate`, 0, 'x')).toMatchObject({ outcome: 'claimed' });
  }
  const anew = (stream: string, why: string, lost: string): string =>
    `stream ${stream}: ${why}. No server changes that: "nats stream rm ${stream}", and it is made anew within 10 s (what goes with it: ${lost})`;

  describe('streams that somebody else made', () => {
    beforeEach(() => begin());

    test('what can be changed is brought right: ages, bounds, acknowledgements, windows, subjects', async () => {
      const other = { max_age: 3_600_000_000_000, max_bytes: 1000, max_msgs: 3, max_msg_size: 100, discard: 'new' };
      await add({ ...streamConfig(STREAMS.facts, 1), ...other, subjects: ['kubervisor.fact.>', 'mine.>'] });
      await add({ ...streamConfig(STREAMS.rounds, 1), duplicate_window: 1_000_000_000, max_msgs_per_subject: 7 });
      await add({ ...streamConfig(STREAMS.work, 1), no_ack: true });
      await add({ ...bucketConfig(1), max_msgs_per_subject: 5, max_age: 0, discard: 'old', allow_direct: false });
      expect(await bus.ensure(1)).toEqual({ bucketMade: false });
      expect(problem()).toBe('ok');
      for (const wanted of [...Object.values(STREAMS).map((declared) => streamConfig(declared, 1)), bucketConfig(1)])
        expect([wanted.name, differences(wanted, (await manager.streams.info(wanted.name)).config)]).toEqual([
          wanted.name,
          { fixed: [], changes: {} },
        ]);
      await works('uid-1');
      const before = lines.length;
      await bus.ensure(1);
      expect(lines.slice(before)).toEqual([]);
    });

    test.each([
      [
        STREAMS.work.name,
        streamConfig(STREAMS.work, 1),
        { retention: 'limits' },
        'retention is limits and must be workqueue',
        'one round',
      ],
      [
        STREAMS.rounds.name,
        streamConfig(STREAMS.rounds, 1),
        { storage: 'file' },
        'storage is file and must be memory',
        'how the last rounds ended',
      ],
      [
        STREAMS.facts.name,
        streamConfig(STREAMS.facts, 1),
        { storage: 'memory' },
        'storage is memory and must be file',
        'the audit trail',
      ],
      [
        STREAMS.facts.name,
        streamConfig(STREAMS.facts, 1),
        { max_consumers: 1 },
        'max_consumers is 1 and must be -1',
        'the audit trail',
      ],
      [
        CLAIMS_STREAM,
        bucketConfig(1),
        { storage: 'memory' },
        'storage is memory and must be file',
        'the claims; nothing is published for 5 s',
      ],
    ])(
      '%s: what no server changes is said, with the command, once; the others are made',
      async (name, declared, other, why, lost) => {
        await add({ ...declared, ...other });
        for (let looks = 0; looks < 3; looks++) await bus.ensure(1);
        expect(problem()).toBe(anew(name, why, lost));
        expect(told()).toEqual([problem()]);
        for (const { stream, durable } of Object.values(CONSUMERS)) await manager.consumers.info(stream, durable);
        await manager.streams.delete(name);
        await bus.ensure(1);
        expect(problem()).toBe('ok');
        await works('uid-1');
        expect(lines.filter(({ msg }) => msg === 'NATS is ready')).toHaveLength(2);
      },
    );

    test.each([
      ['kubervisor.>', STREAMS.work.name, 'kubervisor.work.>'],
      ['kubervisor.fact.pod-broken.>', STREAMS.facts.name, 'kubervisor.fact.>'],
      [`$KV.${CLAIMS_BUCKET.name}.x`, CLAIMS_STREAM, `$KV.${CLAIMS_BUCKET.name}.>`],
    ])(
      'a stream of others that has %s: which one, and what to do; mended by taking the subject from it',
      async (subject, ours, wanted) => {
        await add({ name: 'MINE', subjects: [subject] });
        for (let looks = 0; looks < 3; looks++) await bus.ensure(1);
        expect(problem()).toContain(
          `stream ${ours} cannot have ${wanted}: stream MINE has it. Take the subject out of that one ` +
            '("nats stream edit MINE") or remove it ("nats stream rm MINE")',
        );
        expect(problem()).not.toContain('consumer');
        expect(told()).toHaveLength(1);
        await manager.streams.update('MINE', { subjects: ['mine.>'] });
        await bus.ensure(1);
        expect(problem()).toBe('ok');
        await works('uid-1');
      },
    );

    test('a consumer under our name that is another: made anew', async () => {
      await add(streamConfig(STREAMS.work, 1));
      await manager.consumers.add(STREAMS.work.name, {
        ...{ durable_name: 'breaker', deliver_subject: 'somewhere', ack_policy: 'explicit' as never, max_deliver: 2 },
        filter_subject: CONSUMERS.evaluate.filter,
      });
      await bus.ensure(1);
      expect(problem()).toBe('ok');
      const { config } = await manager.consumers.info(STREAMS.work.name, 'breaker');
      expect({ to: config.deliver_subject, most: config.max_deliver }).toEqual({ to: undefined, most: -1 });
    });

    test('NATS_REPLICAS above what a single server keeps: one sentence for all streams; also where the server does not refuse it', async () => {
      await bus.ensure(3);
      expect(problem()).toBe(
        'NATS_REPLICAS of the controller is 3, and NATS cannot keep so many (replicas > 1 not supported in non-clustered mode): ' +
          'set it to the number of NATS servers or less, or join more servers to the cluster',
      );
      await bus.ensure(1);
      expect(problem()).toBe('ok');
      await bus.ensure(3);
      expect(problem()).toMatch(/^NATS_REPLICAS of the controller is 3, and NATS cannot keep so many/);
      await bus.ensure(1);
      expect(problem()).toBe('ok');
    });
  });

  describe('no room', () => {
    const limited = (limits: string): string => `jetstream { store_dir: "${join(nats.dir, 'store')}", ${limits} }`;
    const reconnected = () => new Promise<void>((resolve) => bus.onReconnect(resolve));
    async function restart(options: Parameters<NatsServer['restart']>[0]): Promise<void> {
      const back = reconnected();
      await nats.restart(options);
      await back;
    }

    test('max_file_store too small for the audit trail: said; the rest works; mended by raising it', async () => {
      await begin();
      await restart({ jetstream: false, config: limited('max_file_store: 1MB') });
      await bus.ensure(1);
      expect(problem()).toBe(
        'stream KUBERVISOR_FACTS finds no room on NATS (insufficient storage resources available): free its disk, or raise ' +
          "max_memory_store and max_file_store of the NATS server, or the account's limits",
      );
      expect(await bus.claims.claim('uid-1.evaluate', 0, 'x')).toMatchObject({ outcome: 'claimed' });
      await bus.publish('kubervisor.work.evaluate.shop.cart', event(1));
      await restart({ jetstream: true, config: '' });
      await bus.ensure(1);
      expect(problem()).toBe('ok');
      await works('uid-2');
    });

    test('max_memory_store too small for the work: said once, however many are refused; mended by raising it', async () => {
      await begin();
      await restart({ jetstream: false, config: limited('max_memory_store: 20KB') });
      await bus.ensure(1);
      const large = event('x'.repeat(4000));
      const results = await Promise.allSettled(
        Array.from({ length: 50 }, (_, index) => bus.publish(`kubervisor.work.evaluate.shop.n${index}`, large)),
      );
      expect(results.filter(({ status }) => status === 'rejected').length).toBeGreaterThan(40);
      expect(problem()).toBe(
        'NATS has no room for "kubervisor.work.evaluate.>" (insufficient resources): free its disk, or raise ' +
          "max_memory_store and max_file_store of the NATS server, or the account's limits",
      );
      expect(told().filter((one) => one?.includes('no room'))).toHaveLength(1);
      await restart({ jetstream: true, config: '' });
      await bus.ensure(1);
      expect(problem()).toBe('ok');
      await works('uid-1');
    });

    const isRoot = process.getuid?.() === 0;
    (isRoot ? test : test.skip)(
      `the disk is full${isRoot ? '' : ' (skipped: to mount a small one takes root)'}: it is said, nothing ends; mended by room and a restart of NATS`,
      async () => {
        const disk = mkdtempSync(join(tmpdir(), 'kubervisor-disk-'));
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', disk]);
        closers.push(() => {
          execFileSync('umount', ['--lazy', disk]);
          rmSync(disk, { recursive: true });
        });
        const onDisk = `jetstream { store_dir: "${disk}", max_file_store: 1GB }`;
        await begin({ jetstream: false, config: onDisk });
        await bus.ensure(1);
        expect(problem()).toBe('ok');
        // gzip makes nothing of noise.
        const noise = () => event(Array.from({ length: 12_000 }, () => Math.random().toString(36)).join(''));
        let refused = 0;
        for (let index = 0; index < 40 && refused < 3; index++)
          await bus
            .publish('kubervisor.fact.pod-broken.shop.cart', noise(), { messageId: `fill-${index}` })
            .catch(() => (refused += 1));
        expect(refused).toBe(3);
        expect(problem()).toMatch(
          /NATS (does not store|has no room)|JetStream .* (is not enabled|does not answer)|cannot connect|was lost/,
        );
        const during = told().length;
        for (let again = 0; again < 3; again++)
          await bus.publish('kubervisor.fact.pod-broken.shop.cart', noise()).catch(() => undefined);
        expect(told().length - during).toBeLessThanOrEqual(2);
        execFileSync('mount', ['-o', 'remount,size=64m', disk]);
        await nats.kill();
        const back = reconnected();
        await nats.restart();
        await back;
        await bus.ensure(1);
        await works('uid-after');
        expect(problem()).toBe('ok');
      },
      60_000,
    );
  });
});
