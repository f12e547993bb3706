/** Stand-ins in the process for what a round is played with, to bring about every fault at will. */
import pino from 'pino';
import type { CloudEvent } from '@kubervisor/shared/events/envelope';
import { createMetrics, type Metrics } from '../metrics.ts';
import type { Bus, WorkMessage } from '../nats/bus.ts';
import { roundMetrics } from './metrics.ts';
import type { RoundPorts } from './round.ts';

export interface Published {
  subject: string;
  event: CloudEvent;
  messageId?: string;
}

/** Compare-and-set and a record of what was published. */
export class FakeBus {
  readonly published: Published[] = [];
  readonly revisions = new Map<string, number>();
  /** Set to make every publish of a subject with this beginning fail. */
  failing?: { subject: string; error: Error } | undefined;
  /** Which bucket it is. */
  bucket = 'bucket';
  /** Called before each claim; may throw, or move the clock. */
  onClaim: () => void = () => {};
  #last = 0;

  readonly publish: Bus['publish'] = async (subject, event, { messageId } = {}) => {
    if (this.failing !== undefined && subject.startsWith(this.failing.subject)) throw this.failing.error;
    this.published.push({ subject, event, ...(messageId !== undefined && { messageId }) });
  };

  readonly claims = {
    claim: async (key: string, supersedes: number, _value: string, named?: string) => {
      this.onClaim();
      const found = this.revisions.get(key) ?? 0;
      if (found !== supersedes) return { outcome: 'refused' as const, revision: found };
      const revision = ++this.#last;
      this.revisions.set(key, revision);
      const outcome = named === undefined || named === this.bucket ? ('claimed' as const) : ('refused' as const);
      return { outcome, revision };
    },
  };

  /** The data of what was published under subjects with this beginning. */
  data<Data>(subject: string): Data[] {
    return this.published.filter((one) => one.subject.startsWith(subject)).map(({ event }) => event.data as Data);
  }
}

/** Milliseconds that only a test moves. */
export class FakeClock {
  time = 1000;
  readonly monotonic = (): number => this.time;
}

export interface FakeMessage extends WorkMessage {
  /** `ack` or `term`, in the order they came. */
  settled: string[];
}

export function aMessage(
  text: string,
  { receivedAt = 1000, onSettled }: { receivedAt?: number; onSettled?: () => void } = {},
): FakeMessage {
  const settled: string[] = [];
  const settle = (how: string) => {
    settled.push(how);
    onSettled?.();
  };
  return {
    subject: 'kubervisor.work.evaluate.shop.cart',
    text,
    receivedAt,
    deliveries: 1,
    settled,
    ack: () => settle('ack'),
    term: () => settle('term'),
  };
}

export const NOW = Date.parse('2026-03-01T12:00:00.000Z');

export function fakePorts(
  bus: FakeBus,
  clock: FakeClock,
): RoundPorts & { registry: Metrics['registry']; allMetrics: Metrics } {
  const metrics = createMetrics('test');
  return {
    bus,
    log: pino({ level: 'silent' }),
    metrics: metrics.declare(roundMetrics),
    allMetrics: metrics,
    registry: metrics.registry,
    now: () => NOW,
    monotonic: clock.monotonic,
    source: '/kubervisor/test/one',
  };
}

/** The value of a counter, its labels as in the exposition: `kubervisor_rounds_total{kind="evaluate",outcome="refused"}`. */
export async function counted(registry: Metrics['registry'], series: string): Promise<number> {
  const line = (await registry.metrics()).split('\n').find((one) => one.startsWith(`${series} `));
  return line === undefined ? 0 : Number(line.slice(series.length + 1));
}
