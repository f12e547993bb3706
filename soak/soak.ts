/**
 * Holds many Services for a long time while their pods go bad, heal, come and go, and looks from the outside at what the services need
 * for it and whether they leave out a period.
 */
import { pino } from 'pino';
import { pause } from '@kubervisor/runtime/kubernetes/api-server';
import { connectKubernetes } from '@kubervisor/runtime/kubernetes/client';
import { connectBus } from '@kubervisor/runtime/nats/bus';
import { concurrently } from '@kubervisor/runtime/worker/concurrently';
import { roundMetrics } from '@kubervisor/runtime/worker/metrics';
import { decodeEvent } from '@kubervisor/shared/events/envelope';
import { evaluationCompleted } from '@kubervisor/shared/events/evaluation-completed';
import { CLAIM_EXPIRY } from '@kubervisor/shared/policy/claim';
import { startCluster, type TestCluster } from '@kubervisor/testing/kubernetes/cluster';
import { Random } from '@kubervisor/testing/random';
import { startNats } from '@kubervisor/testing/servers/nats';
import { startServices } from '@kubervisor/testing/services';
import { controllerMetrics } from '../services/controller/metrics.ts';
import { churn, type Act } from './churn.ts';
import { startFleets, type FleetsRunning, type SupervisedFleet } from './fleets.ts';
import { holds, judgeTrend, type Check, type JudgedTrend } from './judgement.ts';
import { INSPECTED } from './live-heap.ts';
import { quantileOf, sumOf } from './metrics.ts';
import { waitedForCpu } from './proc.ts';
import { createPeriodBook, inPeriods, type Gap, type PeriodBook } from './periods.ts';
import { readLogs, startSampling, type Sampler } from './samples.ts';

export interface SoakOptions {
  minutes: number;
  services: number;
  /** Of each Service. */
  pods: number;
  /** Evaluation period, seconds. */
  period: number;
  seed: number;
}

export interface SoakReport {
  apiServer: TestCluster['kind'];
  options: SoakOptions;
  ok: boolean;
  checks: Check[];
  trends: JudgedTrend[];
  /** Told and not judged. */
  figures: Record<string, number>;
  /** Of the log, with how often. */
  warnings: Record<string, number>;
}

export interface SoakPorts {
  progress(line: string): void;
  /** Ends it early: it stops all that it started, and throws the reason. */
  signal: AbortSignal;
}

const COUNTS = { controller: 2, breaker: 2, activator: 2, detector: 2 };
const STEADY_WITHIN = 600_000;
/** Milliseconds. */
const TICK = 1000;
const SAMPLED_EVERY = 5_000;
const HEAPS_EVERY = 20_000;
const TOLD_EVERY = 30_000;
/**
 * This share of the run is warm-up: compilers, connection pools and memories that have a bound (4,096 Events are remembered) fill up
 * to it and then stay. Judged is what comes after.
 */
const WARM_UP = 1 / 3;
/** Of the soak itself, in all the run: they say nothing about the services, but with many of them nothing was shown. */
const SLIPS = 3;
/** Creating takes a moment when it follows a deletion: a worker of the predecessor's is waited out (W1). */
const FIRST_AFTER_RECREATION = CLAIM_EXPIRY;

export async function soak(options: SoakOptions, { progress, signal }: SoakPorts): Promise<SoakReport> {
  /** In the order in which they were started; ended in the reverse. */
  const ends: (() => Promise<void> | void)[] = [];
  const later = <T>(started: T, end: (started: T) => Promise<void> | void): T => {
    ends.push(() => end(started));
    signal.throwIfAborted();
    return started;
  };
  try {
    const cluster = later(await startCluster(), (one) => one.stop());
    const nats = later(await startNats({ monitored: true }), (one) => one.stop());
    const silent = pino({ level: 'silent' });
    const kubernetes = later(
      connectKubernetes({ kubeconfigFile: cluster.kubeconfig, userAgent: 'kubervisor-soak' }, silent),
      (one) => one.close(),
    );
    const namespace = await cluster.namespace();

    progress(`${options.services} Services × ${options.pods} pods`);
    const fleets = later(await startFleets(kubernetes, { namespace, ...options }), (one) => one.stop());
    const total = options.services * options.pods;
    await until(
      () => fleets.counts.ready >= total,
      signal,
      () => progress(`${fleets.counts.ready} of ${total} pods are Ready`),
    );

    progress('the four services');
    const services = await startServices(
      { cluster, nats },
      { namespaces: [namespace], counts: COUNTS, nodeOptions: INSPECTED },
    );
    later(services, (one) => one.stop());
    const server = new URL(kubernetes.api.url);
    const sampler = later(
      await startSampling(services.processes, {
        natsPort: nats.port,
        natsMonitor: nats.monitorUrl ?? '',
        apiServerPort: Number(server.port || 443),
      }),
      (one) => one.close(),
    );
    let book: PeriodBook = createPeriodBook();
    const bus = later(await connectBus({ url: nats.url, name: 'soak' }, silent), (one) => one.close());
    let failedEvaluations = 0;
    const rounds = bus.subscribeRounds(({ subject, text }) => {
      if (!subject.startsWith('kubervisor.round.evaluate.')) return;
      const decoded = decodeEvent(evaluationCompleted, text);
      if (!decoded.ok || decoded.event.data.outcome !== 'completed') return;
      const { resource, breakers } = decoded.event.data;
      for (const { name, error } of breakers) {
        // When it was told, by the worker: so it does not matter when we came to read it.
        if (error === undefined) book.evaluated(resource.uid, name, Date.parse(decoded.event.time));
        else failedEvaluations += 1;
      }
    });
    later(rounds, (one) => one.stop());

    const uids = new Map<string, string>();
    const begin = (fleet: SupervisedFleet, at: number): void => {
      const breakers = fleet.breakers.map(({ name, period }) => ({ name, period: period * 1000 }));
      book.begin({ uid: uids.get(fleet.name) ?? '', name: fleet.name }, breakers, at);
    };
    await concurrently(fleets.all, 4, async (fleet) => {
      uids.set(fleet.name, await fleets.supervise(fleet));
      begin(fleet, Date.now());
    });
    await until(
      () => fleets.counts.adopted >= total && book.allEvaluated,
      signal,
      () => progress(`${fleets.counts.adopted} of ${total} pods are adopted`),
    );
    await pause(2 * options.period * 1000, signal);

    progress('every breaker was evaluated: the soak begins');
    await sampler.take();
    sampler.mark();
    book = createPeriodBook();
    for (const fleet of fleets.all) begin(fleet, Date.now());
    failedEvaluations = 0;
    const before = fleets.counts;

    const acts = await hold(options, { fleets, sampler, progress, signal, book: () => book }, async (fleet) => {
      book.end(uids.get(fleet.name) ?? '', Date.now());
      await fleets.leave(fleet);
      uids.set(fleet.name, await fleets.supervise(fleet));
      begin(fleet, Date.now() + FIRST_AFTER_RECREATION);
    });
    signal.throwIfAborted();
    book.endAll(Date.now());
    await sampler.take();
    const after = fleets.counts;
    const measured = sampler.since(acts.warmUntil);

    progress('the end: the services stop');
    sampler.close();
    await services.stop();
    const logs = readLogs(services.processes);
    const trends = measured.map(judgeTrend);
    const checks = checksOf({
      book,
      failedEvaluations,
      sampler,
      errors: logs.errors,
      happened: {
        broken: after.broken - before.broken,
        back: after.back - before.back,
        made: after.made - before.made,
      },
      acts,
    });
    return {
      apiServer: cluster.kind,
      options,
      ok: checks.every(holds) && trends.every(({ ok }) => ok),
      checks,
      trends,
      figures: figuresOf(book, sampler, acts),
      warnings: Object.fromEntries(logs.warnings),
    };
  } finally {
    for (const end of ends.reverse())
      try {
        await end();
      } catch (error) {
        // What it came to before is what matters.
        progress(`could not be ended in order: ${(error as Error).message}`);
      }
  }
}

/** Looks every half second, and tells every tenth time. */
async function until(holdsNow: () => boolean, signal: AbortSignal, tell: () => void): Promise<void> {
  for (let looks = 0, giveUpAt = performance.now() + STEADY_WITHIN; !holdsNow(); looks++) {
    if (performance.now() > giveUpAt) throw new Error(`not within ${STEADY_WITHIN / 1000} s`);
    if (looks % 20 === 19) tell();
    await pause(500, signal);
    signal.throwIfAborted();
  }
}

interface Held {
  /** `performance.now()`. */
  warmUntil: number;
  done: Record<Act['kind'], number>;
  /** Of our own requests. */
  failed: string[];
  seconds: number;
  /** Share of the time in which something on this machine waited for a CPU: what a missed period may come from. Percent. */
  pressure: number;
}

async function hold(
  { minutes, seed }: SoakOptions,
  {
    fleets,
    sampler,
    book,
    progress,
    signal,
  }: SoakPorts & { fleets: FleetsRunning; sampler: Sampler; book: () => PeriodBook },
  recreate: (fleet: SupervisedFleet) => Promise<void>,
): Promise<Held> {
  const random = new Random(seed);
  const begun = performance.now();
  const endAt = begun + minutes * 60_000;
  const held: Held = {
    warmUntil: begun + (endAt - begun) * WARM_UP,
    done: { spoil: 0, deletePod: 0, rollout: 0, recreate: 0 },
    failed: [],
    seconds: 0,
    pressure: Number.NaN,
  };
  const waitedBefore = waitedForCpu();
  const recreating = new Set<string>();
  const act = async (one: Act): Promise<void> => {
    const fleet = fleets.all.find(({ name }) => name === one.fleet);
    if (fleet === undefined) return;
    switch (one.kind) {
      case 'spoil':
        return fleets.spoil(one.fleet, one.pod, one.seconds);
      case 'deletePod':
        return fleets.deletePod(one.pod);
      case 'rollout':
        return fleets.rollOut(one.fleet);
      case 'recreate':
        if (recreating.has(one.fleet)) return;
        recreating.add(one.fleet);
        return recreate(fleet).finally(() => recreating.delete(one.fleet));
    }
  };
  const underWay = new Set<Promise<void>>();
  const due = { sample: begun, heaps: begun, told: begun + TOLD_EVERY };
  let evaluated = 0;
  for (let tick = begun; tick < endAt && !signal.aborted; tick += TICK) {
    await pause(Math.max(0, tick - performance.now()), signal);
    for (const one of churn(fleets.present(), random)) {
      held.done[one.kind] += 1;
      const acting = act(one)
        .catch((error: unknown) => {
          // A pod that was deleted twice, or that a rollout took first.
          if (!/404|not found/i.test((error as Error).message))
            held.failed.push(`${one.kind}: ${(error as Error).message}`);
        })
        .finally(() => underWay.delete(acting));
      underWay.add(acting);
    }
    const now = performance.now();
    if (now >= due.sample) {
      due.sample = now + SAMPLED_EVERY;
      await sampler.take();
    }
    if (now >= due.heaps) {
      due.heaps = now + HEAPS_EVERY;
      await sampler.takeHeaps();
    }
    if (now >= due.told) {
      due.told = now + TOLD_EVERY;
      progress(tellingOf(fleets, sampler, book(), (book().evaluations - evaluated) / (TOLD_EVERY / 1000)));
      evaluated = book().evaluations;
    }
  }
  await Promise.all(underWay);
  held.seconds = (performance.now() - begun) / 1000;
  held.pressure = ((waitedForCpu() - waitedBefore) / held.seconds) * 100;
  return held;
}

const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(1)} s`;

/** In periods. */
const longestOf = ({ longest }: PeriodBook): number => (longest === undefined ? Number.NaN : inPeriods(longest));

function tellingOf(fleets: FleetsRunning, sampler: Sampler, book: PeriodBook, rate: number): string {
  const { broken, back, bad, made } = fleets.counts;
  const missed = book.gaps.reduce((sum, gap) => sum + gap.missed, 0);
  const heap = sampler.latest('controller-0', 'live heap') ?? Number.NaN;
  const resident = sampler.latest('controller-0', 'resident') ?? Number.NaN;
  return (
    `${rate.toFixed(1)} evaluations/s, longest gap ${longestOf(book).toFixed(2)} periods, ${missed} missed; ` +
    `${bad} pods bad, ${broken} broken, ${back} back, ${made} made; controller-0 ${heap.toFixed(1)} MB alive, ${resident.toFixed(0)} MB resident`
  );
}

const describeGap = ({ resource, breaker, from, milliseconds, missed }: Gap): string =>
  `${resource}/${breaker}: ${missed} missed, nothing for ${seconds(milliseconds)} from ${new Date(from).toISOString()}`;

interface Found {
  book: PeriodBook;
  failedEvaluations: number;
  sampler: Sampler;
  errors: string[];
  happened: { broken: number; back: number; made: number };
  acts: Held;
}

function checksOf({ book, failedEvaluations, sampler, errors, happened, acts }: Found): Check[] {
  const controller = sampler.counted('controller');
  const workers = [...sampler.counted('breaker'), ...sampler.counted('activator')];
  const toNothing = controller.filter(
    ({ name, labels }) => name === controllerMetrics.rounds.name && labels['outcome'] !== 'completed',
  );
  return [
    {
      what: 'periods missed',
      value: book.gaps.reduce((sum, { missed }) => sum + missed, 0),
      atMost: 0,
      details: book.gaps.map(describeGap),
    },
    { what: 'evaluations without a verdict', value: failedEvaluations, atMost: 0 },
    {
      what: 'rounds that came to nothing',
      value: toNothing.reduce((sum, { value }) => sum + value, 0),
      atMost: 0,
      details: toNothing.map(({ labels, value }) => `${labels['kind']} ${labels['outcome']}: ${value}`),
    },
    {
      what: 'work that could not be published',
      value: sumOf(controller, controllerMetrics.published.name, { result: 'failed' }),
      atMost: 0,
    },
    { what: 'facts that could not be told', value: sumOf(workers, roundMetrics.untold.name), atMost: 0 },
    {
      what: 'poison messages',
      value: sumOf([...controller, ...workers], roundMetrics.poison.name),
      atMost: 0,
    },
    { what: 'missed watch events', value: sumOf(controller, controllerMetrics.missedWatchEvents.name), atMost: 0 },
    { what: 'errors in the logs', value: errors.length, atMost: 0, details: errors },
    {
      what: 'samples that could not be taken',
      value: sampler.problems.length,
      atMost: SLIPS,
      details: sampler.problems,
    },
    { what: 'requests of our own that failed', value: acts.failed.length, atMost: SLIPS, details: acts.failed },
    // A run in which nothing happened shows nothing.
    { what: 'pods taken out of traffic', value: happened.broken, atLeast: 1 },
    { what: 'pods brought back', value: happened.back, atLeast: 1 },
    { what: 'pods made anew', value: happened.made, atLeast: 1 },
  ];
}

function figuresOf(book: PeriodBook, sampler: Sampler, acts: Held): Record<string, number> {
  const breakers = sampler.counted('breaker');
  const queueAge = quantileOf(breakers, roundMetrics.queueAge.name, 0.99) ?? Number.NaN;
  const duration = quantileOf(breakers, roundMetrics.duration.name, 0.99) ?? Number.NaN;
  const cpu = (service: 'controller' | 'breaker' | 'activator' | 'detector'): number =>
    sumOf(sampler.counted(service), 'process_cpu_seconds_total') / acts.seconds;
  return {
    'evaluations a second': book.evaluations / acts.seconds,
    'longest gap between two evaluations, in periods': longestOf(book),
    'age of the work when taken up, 99 % at most, s': queueAge,
    'round of an evaluation, 99 % at most, s': duration,
    'time that something waited for a CPU of this machine, %': acts.pressure,
    'CPUs of the controllers': cpu('controller'),
    'CPUs of the breakers': cpu('breaker'),
    'CPUs of the activators': cpu('activator'),
    'CPUs of the detectors': cpu('detector'),
    'status writes': sumOf(sampler.counted('controller'), controllerMetrics.statusWrites.name),
    'pods gone bad': acts.done.spoil,
    'pods deleted': acts.done.deletePod,
    rollouts: acts.done.rollout,
    'resources made anew': acts.done.recreate,
  };
}
