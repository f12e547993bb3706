/** Breakers on a real nats-server with a detector that answers over HTTP, and the leader's side of it. */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { EvaluationRequest, EvaluationResponse } from '@kubervisor/shared/detection/service';
import { decodeEvent, encodeEvent } from '@kubervisor/shared/events/envelope';
import { evaluationCompleted, type EvaluationCompleted } from '@kubervisor/shared/events/evaluation-completed';
import { workSubject } from '@kubervisor/shared/events/subjects';
import { workEvaluate, type WorkEvaluate } from '@kubervisor/shared/events/work-evaluate';
import { createMetrics } from '@kubervisor/runtime/metrics';
import { connect } from '@nats-io/transport-node';
import { connectBus } from '@kubervisor/runtime/nats/bus';
import pino from 'pino';
import { anAnswer, verdictsOf, type Verdicts } from './core/fleet.fixture.ts';
import { createBreaker, type BreakerPorts } from './service.ts';

export const log = pino({ level: 'silent' });

/** Something that grows, and whom to wake when it does. */
function record<T>() {
  const items: T[] = [];
  const waiting = new Set<() => void>();
  return {
    items,
    add(item: T) {
      items.push(item);
      for (const wake of waiting) wake();
    },
    async until<R>(find: (items: readonly T[]) => R | undefined): Promise<R> {
      for (;;) {
        const found = find(items);
        if (found !== undefined) return found;
        await new Promise<void>((resolve) => waiting.add(resolve));
      }
    },
  };
}

/** The detector service. While `holding` nobody is answered, until `release`. */
export async function startDetector(verdicts: Verdicts = {}, port = 0) {
  const requests = record<EvaluationRequest>();
  const held: (() => void)[] = [];
  const detector = {
    url: '',
    verdicts,
    holding: false,
    requests: requests.items,
    asked: (times: number) => requests.until((all) => (all.length >= times ? true : undefined)),
    release() {
      detector.holding = false;
      for (const answer of held.splice(0)) answer();
    },
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  const answer = (response: ServerResponse, request: EvaluationRequest) => {
    const names = request.pods.map(({ name }) => name);
    const body: EvaluationResponse = anAnswer(verdictsOf(names, detector.verdicts[request.breaker] ?? {}));
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(body));
  };
  const server = createServer((incoming, response) => {
    void text(incoming).then((body) => {
      const request = JSON.parse(body) as EvaluationRequest;
      if (detector.holding) held.push(() => answer(response, request));
      else answer(response, request);
      requests.add(request);
    });
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  detector.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return detector;
}
export type Detector = Awaited<ReturnType<typeof startDetector>>;

export async function startLeader(nats: { url: string }) {
  const bus = await connectBus({ url: nats.url, name: 'leader' }, log);
  await bus.ensure(1);
  const ended = record<EvaluationCompleted>();
  const facts = record<string>();
  const told = new Set<string>();
  const hear = (text: string): void => {
    const decoded = decodeEvent(evaluationCompleted, text);
    if (!decoded.ok) throw new Error(decoded.problem);
    if (told.has(decoded.event.id)) return;
    told.add(decoded.event.id);
    ended.add(decoded.event.data);
  };
  // The stream keeps one fact a subject: of two that come together a follower may be shown the later alone. Who listens on the
  // subject itself hears both; and the follower hears what came while this connection was away.
  const plain = await connect({ servers: nats.url, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
  plain.subscribe('kubervisor.round.>', {
    callback: (error, message) => {
      if (error === null) hear(message.string());
    },
  });
  await plain.flush();
  const following = [
    bus.subscribeRounds((message) => hear(message.text)),
    bus.subscribeFacts(({ subject }) => facts.add(subject)),
  ];
  let count = 0;
  return {
    bus,
    facts,
    async publish(work: WorkEvaluate): Promise<void> {
      const stamp = { id: `${work.round}-${count++}`, source: '/kubervisor/controller/test', time: Date.now() };
      const event = encodeEvent(workEvaluate, `${work.resource.namespace}/${work.resource.name}`, work, stamp);
      await bus.publish(workSubject('evaluate', work.resource), event, { messageId: stamp.id });
    },
    /** How the round of this name ended, everywhere that it was played. */
    async endings(round: string, times = 1): Promise<EvaluationCompleted[]> {
      return ended.until((all) => {
        const found = all.filter((one) => one.round === round);
        return found.length >= times ? found : undefined;
      });
    },
    async stop() {
      for (const one of following) await one.stop();
      await plain.close();
      await bus.close();
    },
  };
}
export type Leader = Awaited<ReturnType<typeof startLeader>>;

export async function startLiveBreaker(
  nats: { url: string },
  detector: { url: string },
  kubernetes: BreakerPorts['kubernetes'],
  name: string,
) {
  const bus = await connectBus({ url: nats.url, name }, log);
  const metrics = createMetrics('breaker');
  const running = createBreaker(
    { CONCURRENCY: 4, DETECTOR_URL: detector.url },
    {
      ...{ bus, kubernetes, log, metrics, source: `/kubervisor/breaker/${name}` },
      now: () => Date.now(),
      monotonic: () => performance.now(),
    },
  );
  return {
    metrics,
    async stop() {
      await running.stop();
      await bus.close();
    },
  };
}
