/** NATS JetStream as the bus shows it: work that is replaced, late, lost or doubled; claims by compare-and-set; facts, last per subject. */
import {
  NotConnected,
  PublishFailed,
  StreamMissing,
  type Bus,
  type ClaimResult,
  type ClaimWatcher,
  type Consumption,
  type StreamMessage,
  type WorkMessage,
} from '@kubervisor/runtime/nats/bus';
import { knowBucket } from '@kubervisor/runtime/nats/claims';
import type { CloudEvent } from '@kubervisor/shared/events/envelope';
import type { WorkKind } from '@kubervisor/shared/events/subjects';
import type { Process } from './event-loop.ts';
import type { Network } from './network.ts';
import type { Span } from './allowed.ts';
import { holding } from './holding.ts';
import type { Holder, Observer } from './observer.ts';

const REQUEST_TIMEOUT = 2000;
const WORK_AGE = 30_000;
const WORK_IDS_KEPT = 30_000;
const ROUND_IDS_KEPT = 120_000;

interface Worker {
  process: Process;
  kind: WorkKind;
  handler: (message: WorkMessage) => Promise<void>;
}
/** One process that reads along. What was under way to it when it lost its connection never comes. */
interface Reader {
  process: Process;
  /** All that stands now; and again after each interruption. */
  begin: () => void;
  lastAt: number;
  binding: number;
}
interface Stored {
  text: string;
  sequence: number;
  holder: Omit<Holder, 'process' | 'broken'>;
}

const NOTHING_KNOWN: Span = { from: -Infinity, to: -Infinity };
const named = ({ uid, name }: { uid: string; name: string }) => ({ uid, name });

export class Nats {
  readonly #network: Network;
  readonly #observer: Observer;
  #isThere = true;
  #sequence = 0;
  /** How often it was wiped; the bucket of claims is another each time. */
  #life = 0;
  #workers: Worker[] = [];
  readonly #readers = new Set<Reader>();
  readonly #claimWatchers = new Map<Reader, ClaimWatcher>();
  readonly #roundReaders = new Map<Reader, (message: StreamMessage) => void>();
  readonly #away = new Map<Process, number>();
  readonly #work = new Map<string, Stored>();
  readonly #rounds = new Map<string, { subject: string; text: string }>();
  #claims = new Map<string, number>();
  /** Message ids and until when they are known. */
  readonly #ids = new Map<string, number>();
  /** Told of each fact of a round. */
  onRound: (text: string) => void = () => {};

  constructor(network: Network, observer: Observer) {
    this.#network = network;
    this.#observer = observer;
  }

  /** By which the bucket of claims is known. */
  get bucket(): string {
    return `bucket ${this.#life}`;
  }

  /** Everything in it is gone, until a leader makes it anew. */
  wipe(): void {
    this.#network.trace('nats', 'wiped');
    this.#isThere = false;
    this.#life += 1;
    this.#work.clear();
    this.#rounds.clear();
    this.#claims = new Map();
    this.#ids.clear();
    this.#sequence = 0;
    for (const reader of this.#readers) reader.binding += 1;
  }

  /** A process is cut off for so long. */
  disconnect(process: Process, milliseconds: number, reconnected: () => void): void {
    const { loop, trace } = this.#network;
    trace(process.name, `without NATS for ${Math.round(milliseconds)} ms`);
    this.#away.set(process, loop.time + milliseconds);
    for (const reader of this.#readers) if (reader.process === process) reader.binding += 1;
    loop.after(
      milliseconds,
      () => {
        if (this.#away.get(process)! > loop.time) return;
        this.#away.delete(process);
        for (const reader of this.#readers) if (reader.process === process) reader.begin();
        reconnected();
      },
      process,
    );
  }

  /** `known`: of a controller, when stood what it decides on now. */
  connect(process: Process, known?: () => Span): Bus {
    const { loop, random } = this.#network;
    const bucket = knowBucket();
    const isAway = (): boolean => this.#away.has(process);
    const request = <T>(longest: number, serve: () => T): Promise<T> =>
      this.#network.request(
        process,
        {
          timeout: REQUEST_TIMEOUT,
          longest,
          timedOut: () => new PublishFailed('timeout'),
          broken: () => new PublishFailed('connection lost'),
        },
        serve,
      );
    const read = (begin: (reader: Reader) => void): { reader: Reader; consumption: Consumption } => {
      const reader: Reader = {
        process,
        lastAt: 0,
        binding: 0,
        begin: () => {
          reader.binding += 1;
          if (this.#isThere && !isAway()) begin(reader);
        },
      };
      this.#readers.add(reader);
      return { reader, consumption: { stop: async () => void this.#forget(reader) } };
    };
    return {
      status: () => ({ ready: true }),
      onReconnect: () => () => {},
      close: async () => {},

      publish: async (subject, event, { messageId } = {}) => {
        const text = JSON.stringify(event);
        const restsOn = known?.() ?? NOTHING_KNOWN;
        if (subject.startsWith('kubervisor.work.')) this.#observer.leads(process.name);
        if (isAway()) throw new PublishFailed('not connected to NATS', { cause: new NotConnected() });
        await request(3000, () => {
          if (!this.#isThere) throw new StreamMissing(subject);
          this.#store(subject, text, event.data, messageId, restsOn);
        });
      },
      consume: (kind, handler) => {
        const worker: Worker = { process, kind, handler };
        this.#workers.push(worker);
        return { stop: async () => void (this.#workers = this.#workers.filter((one) => one !== worker)) };
      },
      subscribeRounds: (handler) => {
        const { reader, consumption } = read((mine) => {
          for (const message of this.#rounds.values()) this.#send(mine, () => handler(message));
        });
        this.#roundReaders.set(reader, handler);
        reader.begin();
        return consumption;
      },
      subscribeFacts: () => ({ stop: async () => {} }),
      lastFacts: async () => ({ messages: [], more: false }),
      claims: {
        claim: async (key, supersedes, _value, named): Promise<ClaimResult> => {
          if (isAway()) throw new NotConnected();
          const holder = holding.getStore();
          if (holder !== undefined) this.#observer.claimSent(holder);
          const revision = await request(4000, () => {
            this.#found();
            return this.#claim(key, supersedes, holder);
          });
          if (revision !== undefined) {
            const isThatOne = named === undefined || named === (await request(4000, () => this.#found()));
            if (!isThatOne) this.#observer.counts.refusedClaims += 1;
            return { outcome: isThatOne ? 'claimed' : 'refused', revision };
          }
          this.#observer.counts.refusedClaims += 1;
          return { outcome: 'refused', revision: await request(4000, () => this.#claims.get(key) ?? 0) };
        },
        bucket: () => bucket.known(),
        watch: (on) => {
          const { reader, consumption } = read((mine) => {
            const found = this.bucket;
            this.#send(mine, () => {
              bucket.seen(found);
              if (bucket.takeForgotten()) on.forgotten?.(found);
              on.begun?.(found);
            });
            for (const [key, revision] of this.#claims) this.#send(mine, () => on.claim(key, revision));
            this.#send(mine, () => on.current?.());
          });
          this.#claimWatchers.set(reader, on);
          reader.begin();
          return consumption;
        },
      },
      ensure: async () => {
        if (isAway()) throw new NotConnected();
        const { found, isMade } = await request(3000, () => {
          const isMade = !this.#isThere;
          if (isMade) {
            this.#network.trace(process.name, 'made the streams anew');
            this.#isThere = true;
            for (const reader of this.#readers) loop.after(random.between(0, 1000), reader.begin, reader.process);
          }
          return { found: this.bucket, isMade };
        });
        bucket[isMade ? 'made' : 'seen'](found);
        return { bucketMade: bucket.takeForgotten() };
      },
    };
  }

  #found(): string {
    if (!this.#isThere) throw new PublishFailed('no bucket');
    return this.bucket;
  }
  #claim(key: string, supersedes: number, holder: Holder | undefined): number | undefined {
    const found = this.#claims.get(key) ?? 0;
    if (found !== supersedes) return undefined;
    const revision = (this.#sequence += 1);
    this.#claims.set(key, revision);
    this.#network.trace(holder?.process ?? '', `${holder?.round} claimed ${key} as ${revision}, after ${found}`);
    if (holder !== undefined) this.#observer.claimed(holder);
    const { random, faults } = this.#network;
    for (const [reader, on] of this.#claimWatchers) {
      const extra = random.chance(faults.slowClaimsWatch) ? random.between(500, 4000) : 0;
      this.#send(reader, () => on.claim(key, revision), extra);
    }
    return revision;
  }

  #store(subject: string, text: string, data: unknown, messageId: string | undefined, known: Span): void {
    const { loop, random, faults, trace } = this.#network;
    const [, stream = '', kind = ''] = subject.split('.');
    if (stream === 'fact') return;
    if (messageId !== undefined) {
      const id = `${stream} ${messageId}`;
      if ((this.#ids.get(id) ?? -1) > loop.time) return;
      this.#ids.set(id, loop.time + (stream === 'work' ? WORK_IDS_KEPT : ROUND_IDS_KEPT));
    }
    if (stream === 'round') {
      const message = { subject, text };
      this.#rounds.set(subject, message);
      const { round, withheld } = data as {
        round: string;
        withheld: { pod: string; reason: string; message?: string }[];
      };
      const held = withheld.map(({ pod, reason, message = '' }) => `${pod} ${reason} ${message}`);
      trace('rounds', `${round} ${held.join('; ')}`);
      this.onRound(text);
      for (const [reader, handler] of this.#roundReaders) this.#send(reader, () => handler(message));
      return;
    }
    const { round, resource } = data as { round: string; resource: { uid: string; name: string } };
    const stored: Stored = {
      text,
      sequence: (this.#sequence += 1),
      holder: { kind: kind as WorkKind, round, ...named(resource), known },
    };
    trace('work', `${round} ${kind} ${resource.uid}`);
    this.#work.set(subject, stored);
    this.#deliver(subject, stored, loop.time + WORK_AGE);
    if (random.chance(faults.duplicated))
      loop.after(random.chance(0.5) ? random.between(0, 1500) : random.between(0, 20_000), () =>
        this.#hand(this.#workerFor(stored), subject, stored),
      );
  }

  #deliver(subject: string, stored: Stored, until: number): void {
    const { loop, random, faults } = this.#network;
    const lag = random.chance(faults.lateWork) ? random.between(2500, 4200) : this.#network.lag(4000);
    loop.after(lag, () => {
      if (this.#work.get(subject) !== stored || loop.time > until) return;
      const worker = this.#workerFor(stored);
      if (worker === undefined) return this.#deliver(subject, stored, until);
      this.#work.delete(subject);
      this.#hand(worker, subject, stored);
    });
  }
  /** To this very worker, now, without a queue. */
  give(process: Process, kind: WorkKind, event: CloudEvent): void {
    const { round, resource } = event.data as { round: string; resource: { uid: string; name: string } };
    const worker = this.#workers.find((one) => one.process === process && one.kind === kind);
    const holder = { kind, round, ...named(resource), known: { from: 0, to: this.#network.loop.time } };
    this.#hand(worker, '', { text: JSON.stringify(event), sequence: 0, holder });
  }
  #workerFor({ holder }: Stored): Worker | undefined {
    const free = this.#workers.filter(
      ({ kind, process }) => kind === holder.kind && process.alive && !this.#away.has(process),
    );
    return free.length === 0 ? undefined : this.#network.random.pick(...free);
  }
  #hand(worker: Worker | undefined, subject: string, { text, holder }: Stored): void {
    if (worker === undefined) return;
    const { loop, trace } = this.#network;
    const { process, handler } = worker;
    // What is under way comes also where all that stands on NATS was lost meanwhile: it may lie in the socket of a worker that stands still.
    loop.after(
      this.#network.lag(3000),
      () => {
        trace(process.name, `takes ${holder.round}`);
        const message: WorkMessage = {
          subject,
          text,
          receivedAt: performance.now(),
          deliveries: 1,
          ack: () => {},
          term: () => {},
        };
        const receivedAt = loop.time;
        holding.run({ ...holder, process: process.name, receivedAt, broken: new Set() }, () => void handler(message));
      },
      process,
    );
  }

  /** In order, and not at all once the reader has lost its place. */
  #send(reader: Reader, told: () => void, extra = 0): void {
    const { loop } = this.#network;
    if (!reader.process.alive || !this.#isThere || this.#away.has(reader.process)) return;
    const { binding } = reader;
    reader.lastAt = Math.max(reader.lastAt, loop.time + extra + this.#network.lag(3000));
    loop.after(reader.lastAt - loop.time, () => reader.binding === binding && told(), reader.process);
  }
  #forget(reader: Reader): void {
    reader.binding += 1;
    this.#readers.delete(reader);
    this.#claimWatchers.delete(reader);
    this.#roundReaders.delete(reader);
  }
}
