/** An activator on a real nats-server, and the leader's side of it: publishes work, hears how rounds ended. */
import { createMetrics } from '@kubervisor/runtime/metrics';
import { connectBus, type Bus } from '@kubervisor/runtime/nats/bus';
import { activationCompleted, type ActivationCompleted } from '@kubervisor/shared/events/activation-completed';
import { decodeEvent, encodeEvent } from '@kubervisor/shared/events/envelope';
import { workSubject } from '@kubervisor/shared/events/subjects';
import { workActivate, type WorkActivate } from '@kubervisor/shared/events/work-activate';
import pino from 'pino';
import { createActivator, type ActivatorPorts } from './service.ts';

export const log = pino({ level: 'silent' });

/** The leader's side. */
export async function startLeader(nats: { url: string }) {
  const bus = await connectBus({ url: nats.url, name: 'leader' }, log);
  await bus.ensure(1);
  const ended: ActivationCompleted[] = [];
  const waiting = new Set<() => void>();
  const facts: string[] = [];
  const following = [
    bus.subscribeRounds(({ text }) => {
      const decoded = decodeEvent(activationCompleted, text);
      if (!decoded.ok) throw new Error(decoded.problem);
      ended.push(decoded.event.data);
      for (const wake of waiting) wake();
    }),
    bus.subscribeFacts(({ subject }) => facts.push(subject)),
  ];
  let count = 0;
  return {
    bus,
    facts,
    async publish(work: WorkActivate): Promise<void> {
      const stamp = { id: `${work.round}-${count++}`, source: '/kubervisor/controller/test', time: Date.now() };
      const event = encodeEvent(workActivate, `${work.resource.namespace}/${work.resource.name}`, work, stamp);
      await bus.publish(workSubject('activate', work.resource), event, { messageId: stamp.id });
    },
    /** How the round of this name ended. */
    async fact(round: string): Promise<ActivationCompleted> {
      for (;;) {
        const fact = ended.find((one) => one.round === round);
        if (fact !== undefined) return fact;
        await new Promise<void>((resolve) => waiting.add(resolve));
      }
    },
    async stop() {
      for (const one of following) await one.stop();
      await bus.close();
    },
  };
}
export type Leader = Awaited<ReturnType<typeof startLeader>>;

export async function startLiveActivator(
  nats: { url: string },
  kubernetes: ActivatorPorts['kubernetes'],
  name: string,
) {
  const bus: Bus = await connectBus({ url: nats.url, name }, log);
  const running = createActivator(
    { CONCURRENCY: 4 },
    {
      bus,
      kubernetes,
      log,
      metrics: createMetrics('activator'),
      source: `/kubervisor/activator/${name}`,
      now: () => Date.now(),
      monotonic: () => performance.now(),
    },
  );
  return {
    async stop() {
      await running.stop();
      await bus.close();
    },
  };
}
