/**
 * The detector service alone, as a process, under as many evaluations a second as a thousand breakers of a period of a second ask for. Each
 * is a query of its own, for those that are alike are asked once. The bound of an answer's time is the source's own, asked bare.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { EvaluationRequest, EvaluationResponse } from '@kubervisor/shared/detection/service';
import { startService, type ServiceProcess } from '@kubervisor/testing/services';
import { Pool } from 'undici';
import { percentile, type Figure } from './figures.ts';
import type { Stage } from './stage.ts';

const RATE = 1000;
const FLEET = 50;
const LARGE_FLEET = 5000;
const LARGE_WARM_UP = 20;
const LARGE_EVALUATIONS = 30;
/** Seconds of load that count, and of the load before: code gets compiled, connections opened. */
const SECONDS = 20;
const WARM_UP_SECONDS = 10;
const LONGEST_STANDSTILL_MILLISECONDS = 50;
/** In milliseconds. Work comes in such portions, as the ticks of many breakers do. */
const TICK = 10;
const TIMEOUT = 5000;
const KINDS = [
  ['threshold', { max: 1000 }],
  ['outlier', {}],
] as const;

type Progress = Pick<Stage, 'quick' | 'progress'>;

export async function detector({ quick, progress }: Progress): Promise<Figure[]> {
  const seconds = quick ? 3 : SECONDS;
  const service = await startService('detector', 'bench', {
    DETECTOR_ALLOW: '127.0.0.1:*',
    LOG_LEVEL: 'info',
    NODE_OPTIONS: '',
  });
  const pool = new Pool(service.url, { connections: 256 });
  const small = await startSource(FLEET);
  const large = await startSource(LARGE_FLEET);
  try {
    const evaluate = evaluations(pool, small);
    progress(`${RATE} evaluations a second, ${WARM_UP_SECONDS} s that do not count`);
    await load(evaluate, quick ? 2 : WARM_UP_SECONDS);
    await standstill(service);
    progress(`${RATE} evaluations a second, ${seconds} s`);
    const { times, wrong } = await load(evaluate, seconds);
    const stood = await standstill(service);

    progress('the source alone');
    const source = new Pool(`http://127.0.0.1:${small.port}`, { connections: 256 });
    const bare = await load(
      async () => {
        const { body } = await source.request({ method: 'POST', path: '/api/v1/query', body: 'query=up' });
        await body.json();
        return true;
      },
      Math.ceil(seconds / 2),
    );
    await source.close();

    progress(`a fleet of ${LARGE_FLEET}, ${LARGE_EVALUATIONS} times`);
    const evaluateLarge = evaluations(pool, large);
    // The first find code that is not compiled yet for so much, and a small heap.
    for (let n = 0; n < LARGE_WARM_UP; n++) await evaluateLarge(n);
    await standstill(service);
    const largeTimes: number[] = [];
    let wrongLarge = 0;
    for (let n = 0; n < LARGE_EVALUATIONS; n++) {
      const begun = performance.now();
      if (!(await evaluateLarge(LARGE_WARM_UP + n))) wrongLarge += 1;
      largeTimes.push(performance.now() - begun);
    }
    const stoodLarge = await standstill(service);

    const fleet = `fleets of ${FLEET}, ${RATE} a second`;
    const ofSource = (percent: number) => ({ what: 'the source alone', value: percentile(bare.times, percent) });
    return [
      { what: `${fleet}: wrong or late`, unit: '/s', value: wrong / seconds, target: { atMost: 0 } },
      { what: `${fleet}: answer, p50`, unit: 'ms', value: percentile(times, 50), bound: ofSource(50) },
      { what: `${fleet}: answer, p95`, unit: 'ms', value: percentile(times, 95), bound: ofSource(95) },
      {
        what: `${fleet}: event loop, longest standstill`,
        unit: 'ms',
        value: stood,
        target: { atMost: LONGEST_STANDSTILL_MILLISECONDS },
      },
      { what: `fleet of ${LARGE_FLEET}: wrong or late`, unit: '/s', value: wrongLarge, target: { atMost: 0 } },
      { what: `fleet of ${LARGE_FLEET}: answer, p50`, unit: 'ms', value: percentile(largeTimes, 50) },
      {
        what: `fleet of ${LARGE_FLEET}: event loop, longest standstill`,
        unit: 'ms',
        value: stoodLarge,
        target: { atMost: LONGEST_STANDSTILL_MILLISECONDS },
      },
    ];
  } finally {
    await pool.close();
    await Promise.all([small, large].map(({ worker }) => worker.terminate()));
    await service.stop();
  }
}

interface Source {
  pods: string[];
  port: number;
  worker: Worker;
}
async function startSource(size: number): Promise<Source> {
  const pods = Array.from({ length: size }, (_, index) => `cart-7d9c5b8f6d-${index.toString(36).padStart(5, '0')}`);
  const worker = new Worker(new URL('./source-stub.worker.ts', import.meta.url), { workerData: { pods } });
  const port = await new Promise<number>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  return { pods, port, worker };
}

/** The n-th evaluation; false where it was not answered with a verdict for each pod. */
function evaluations(pool: Pool, { pods, port }: Source): (n: number) => Promise<boolean> {
  const asked = pods.map((name, index) => ({
    name,
    uid: `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`,
  }));
  return async (n) => {
    const [kind, stanza] = KINDS[n % KINDS.length] ?? KINDS[0];
    const request: EvaluationRequest = {
      apiVersion: 'detector.kubervisor.io/v1',
      evaluationId: `bench-${n}`,
      timeoutMilliseconds: TIMEOUT,
      service: { namespace: 'shop', name: 'cart' },
      breaker: 'bench',
      parameters: {},
      pods: asked,
      kind,
      detector: {
        prometheusService: `127.0.0.1:${port}`,
        promQL: `latency_seconds + ${n}`,
        podNamekey: 'pod',
        ...stanza,
      },
    };
    const { body, statusCode } = await pool.request({
      method: 'POST',
      path: '/v1/verdicts',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(request),
    });
    const answer = (await body.json()) as EvaluationResponse;
    return statusCode === 200 && answer.error === undefined && answer.verdicts.length === pods.length;
  };
}

/** Open loop: what is slow to be answered holds nothing back that comes after. */
async function load(
  evaluate: (n: number) => Promise<boolean>,
  seconds: number,
): Promise<{ times: number[]; wrong: number }> {
  const times: number[] = [];
  let wrong = 0;
  const under: Promise<void>[] = [];
  const begun = performance.now();
  const total = RATE * seconds;
  let sent = 0;
  while (sent < total) {
    const due = Math.min(total, Math.floor(((performance.now() - begun) / 1000) * RATE));
    for (; sent < due; sent++) {
      const at = performance.now();
      const n = sent;
      under.push(
        evaluate(n).then(
          (right) => {
            times.push(performance.now() - at);
            if (!right) wrong += 1;
          },
          () => void (wrong += 1),
        ),
      );
    }
    await delay(TICK);
  }
  await Promise.all(under);
  return { times, wrong };
}

/** Milliseconds: the longest that the event loop stood still since it was last asked. */
async function standstill(service: ServiceProcess): Promise<number> {
  const [, seconds] = /^nodejs_eventloop_lag_max_seconds (\S+)/m.exec(await service.metrics()) ?? [];
  return Number(seconds) * 1000;
}
