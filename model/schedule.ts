/** One schedule: a world in bad weather, then calm, and what the observer has to say about it. The same seed gives the same. */
import type { EvaluationRequest, EvaluationResponse } from '@kubervisor/shared/detection/service';
import { createActivator } from '../services/activator/service.ts';
import { createBreaker } from '../services/breaker/service.ts';
import { controllerMetrics } from '../services/controller/metrics.ts';
import { lead, type Leadership } from '../services/controller/shell/leadership.ts';
import type { Span } from './allowed.ts';
import { Cluster, READY_AFTER, type StoredPod } from './cluster.ts';
import { EventLoop, Process } from './event-loop.ts';
import { Nats } from './nats.ts';
import { CALM, Network } from './network.ts';
import { Observer, type Counts, type Violation } from './observer.ts';
import { createPorts, NO_METRICS } from './ports.ts';
import { Random } from '@kubervisor/testing/random';
import { asObserved, View } from './view.ts';
import { createWorld } from './world.ts';

export interface Outcome {
  seed: number;
  violations: Violation[];
  counts: Counts;
  /** Virtual milliseconds: of all of it; and the longest that, in the calm, a floor was missed that could be held. */
  lasted: number;
  longestRepair: number;
  turns: number;
  lines: string[];
}

/** Virtual milliseconds, in the calm. */
const FLOOR_REPAIRED_WITHIN = 15_000;
const ALL_WELL_WITHIN = 500_000;
const WELL_AT_LEAST = 4000;

interface Running extends Process {
  leadership?: Leadership;
  isLeader?: boolean;
}

/** `tolerated`: rules whose violations are noted but do not end the schedule, to see what follows from them. */
export async function runSchedule(
  seed: number,
  { traced = false, tolerated = [] }: { traced?: boolean; tolerated?: readonly string[] } = {},
): Promise<Outcome> {
  const random = new Random(seed);
  const loop = new EventLoop();
  const lines: string[] = [];
  const trace = (who: string, what: string): void => {
    if (traced) lines.push(`${(loop.time / 1000).toFixed(3).padStart(8)}  ${who.padEnd(14)} ${what}`);
  };
  const world = createWorld(random);
  const { weather } = world;
  const network = new Network(loop, random, weather.faults, trace);
  const observer = new Observer(() => loop.time);
  const { resources, services } = asObserved(world.manifests);
  observer.resourcesAre(resources);
  observer.servicesAre(services);
  const cluster = new Cluster(network, observer);
  const nats = new Nats(network, observer);
  const processes: Running[] = [];
  let calmSince = Infinity;
  let isOver = false;
  let evaluated = false;
  let missedSince: number | undefined;
  let longestRepair = 0;
  const violated = (rule: string, message: string): void =>
    void observer.violations.push({ rule, at: loop.time, message });
  if (traced) {
    trace('world', JSON.stringify(weather));
    for (const { spec } of world.manifests.resources) trace('world', JSON.stringify(spec));
  }

  const portsOf = (process: Process, known?: () => Span) =>
    createPorts(process, {
      ...(known !== undefined && { known }),
      nats,
      cluster,
      trace,
      resources: world.manifests.resources,
      fault: (what) => violated('fault', what),
    });

  /** Verdicts as they come; in the calm all is well. */
  const ask = (process: Process, { pods }: EvaluationRequest, timeout: number): Promise<EvaluationResponse> =>
    new Promise((resolve) => {
      const nothing = { verdicts: [], ignored: {}, warnings: [] };
      const failed = random.chance(network.faults.detectorFails);
      const delay = random.chance(network.faults.slow) ? random.between(0, 1.3 * timeout) : random.between(1, 30);
      if (delay > timeout || failed) {
        const error = { reason: 'Timeout', message: 'no answer' } as const;
        loop.after(Math.min(delay, timeout), () => resolve({ ...nothing, error }), process);
        return;
      }
      loop.after(
        delay,
        () =>
          resolve({
            ...nothing,
            verdicts: pods.map(({ name, uid }) =>
              loop.time < calmSince && random.chance(weather.anomalous)
                ? { pod: name, uid, outcome: 'anomalous', score: random.integer(1, 5) }
                : { pod: name, uid, outcome: 'ok' },
            ),
          }),
        process,
      );
    });

  let started = 0;
  const start = (kind: 'controller' | 'breaker' | 'activator'): Running => {
    const skew = random.chance(0.3) ? random.between(-5000, 5000) : 0;
    const process: Running = new Process(`${kind}-${(started += 1)}`, {
      monotonicOffset: random.between(1000, 1e6),
      wallSkew: Math.round(skew),
    });
    processes.push(process);
    loop.after(0, () => begin(kind, process), process);
    return process;
  };
  const begin = (kind: 'controller' | 'breaker' | 'activator', process: Running): void => {
    const ports = portsOf(process, kind === 'controller' ? () => ({ from: loop.time, to: loop.time }) : undefined);
    if (kind === 'breaker') {
      createBreaker(
        { DETECTOR_URL: '', CONCURRENCY: 16 },
        { ...ports, ask: (request, timeout) => ask(process, request, timeout) },
      );
      return;
    }
    if (kind === 'activator') {
      createActivator({ CONCURRENCY: 16 }, ports);
      return;
    }
    const view = new View(world.manifests, cluster.pods.values());
    process.isLeader = true;
    const leadership = lead({
      ...ports,
      caches: view,
      recorder: { record() {}, stats: { written: 0, dropped: 0, failed: 0 }, stop: async () => {} },
      metrics: NO_METRICS.declare(controllerMetrics),
      isLeader: () => process.isLeader === true,
      natsReplicas: 1,
    });
    process.leadership = leadership;
    cluster.watch(process, (stored, gone) => {
      const { pod, before } = gone ? { pod: view.remove(stored), before: undefined } : view.put(stored);
      if (process.isLeader === true) leadership.podChanged(pod, before);
    });
  };
  const kindOf = ({ name }: Process) => name.split('-')[0] as 'controller' | 'breaker' | 'activator';
  const kill = (process: Running): void => {
    trace(process.name, 'dies');
    process.alive = false;
    loop.after(random.between(200, 5000), () => start(kindOf(process)));
  };
  /** Another leads; the one before does not notice for a while. */
  const handOver = (): void => {
    const before = processes.filter((one) => one.alive && one.isLeader === true);
    trace('lease', 'another leads');
    start('controller');
    for (const old of before)
      loop.after(
        random.between(0, 10_000),
        () => {
          trace(old.name, 'leads no more');
          old.isLeader = false;
          void old.leadership?.stop();
        },
        old,
      );
  };

  loop.beforeTurn = (process) => {
    const { frozen, crashed } = network.faults;
    if (random.chance(frozen)) {
      const length = random.chance(0.5) ? random.between(50, 1500) : random.between(1500, 9000);
      trace(process.name, `stands still for ${Math.round(length)} ms`);
      process.frozenUntil = loop.time + length;
    } else if (random.chance(crashed)) kill(process);
  };

  const changeFleet = (): void => {
    if (loop.time >= calmSince) return;
    const pods = [...cluster.pods.values()].filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    const pod = pods.length === 0 ? undefined : random.pick(...pods);
    if (pod !== undefined) changePod(cluster, random, pod, trace);
    loop.after(random.between(0, 2 * weather.changes), changeFleet);
  };

  const calm = (): void => {
    if (calmSince < Infinity) return;
    trace('weather', 'calm');
    calmSince = loop.time;
    network.faults = CALM;
    // Who stands still does so to the end of it; from then on counts how long it takes until all is well.
    const awake = Math.max(loop.time, ...processes.filter(({ alive }) => alive).map(({ frozenUntil }) => frozenUntil));
    // Half of the time only after floors had to be repaired without those that are not Ready; and they are more then.
    const isHard = random.chance(0.5);
    const becomeReady = (): void => {
      for (const { metadata } of cluster.pods.values()) cluster.setReady(metadata.name, true);
    };
    if (isHard)
      for (const { metadata } of cluster.pods.values())
        if (metadata.labels?.['kubervisor/traffic'] === 'yes' && random.chance(0.5))
          cluster.setReady(metadata.name, false);
    loop.after(isHard ? awake - loop.time + FLOOR_REPAIRED_WITHIN + 1000 : 0, becomeReady);
    loop.after(awake - loop.time, () => judge(awake));
  };
  /** A look from time to time until all is well. */
  const judge = (awake: number): void => {
    const calmFor = loop.time - awake;
    const pods = [...cluster.pods.values()];
    const missed = observer.missedFloors(pods, cluster.everReady);
    const stranded = observer.stranded(pods);
    missedSince = missed.length === 0 ? undefined : (missedSince ?? loop.time);
    const missedFor = missedSince === undefined ? 0 : loop.time - missedSince;
    longestRepair = Math.max(longestRepair, missedFor);
    if (missedFor > FLOOR_REPAIRED_WITHIN) violated('B7', missed.map(({ message }) => message).join('; '));
    else if (calmFor > ALL_WELL_WITHIN) {
      for (const { rule, message } of stranded) violated(rule, message);
      if (!evaluated) violated('W7', 'no evaluation was completed any more');
    } else if (calmFor < WELL_AT_LEAST || missed.length > 0 || stranded.length > 0 || !evaluated)
      return void loop.after(250, () => judge(awake));
    isOver = true;
  };
  nats.onRound = (text) => {
    if (
      loop.time > calmSince + 1000 &&
      text.includes('"type":"io.kubervisor.round.evaluate"') &&
      text.includes('"outcome":"completed"')
    )
      evaluated = true;
  };
  observer.onCrossing = () => void (random.chance(0.5) && loop.after(0, calm));

  world.populate(cluster);
  start('controller');
  for (let index = 0; index < world.breakers; index++) start('breaker');
  for (let index = 0; index < world.activators; index++) start('activator');
  const sometime = (times: number, act: () => void): void => {
    for (let index = 0; index < times; index++)
      loop.after(random.between(1000, weather.lasts), () => loop.time < calmSince && act());
  };
  sometime(weather.wipes, () => nats.wipe());
  sometime(weather.handovers, handOver);
  sometime(weather.disconnects, () => {
    const process = random.pick(...processes.filter(({ alive }) => alive));
    if (process !== undefined)
      nats.disconnect(process, random.between(500, 8000), () => process.leadership?.connected());
  });
  changeFleet();
  loop.after(weather.lasts, calm);

  await loop.run(() => !isOver && observer.violations.every(({ rule }) => tolerated.includes(rule)));
  for (const { rule, message } of observer.violations) trace('OBSERVER', `${rule}: ${message}`);
  for (const { metadata, status } of cluster.pods.values()) {
    const { name, labels, annotations, deletionTimestamp } = metadata;
    trace(
      'at the end',
      `${name} ${JSON.stringify({ labels, annotations, deletionTimestamp, ...status.conditions[0] })}`,
    );
  }
  return {
    seed,
    violations: observer.violations,
    counts: observer.counts,
    lasted: loop.time,
    longestRepair,
    turns: loop.turns,
    lines,
  };
}

/** What others do to a pod: the kubelet, a rollout, a person. */
function changePod(cluster: Cluster, random: Random, pod: StoredPod, trace: (who: string, what: string) => void): void {
  const { name, labels = {}, annotations = {} } = pod.metadata;
  const tell = (what: string): void => trace('fleet', `${name} ${what}`);
  const dice = random.next();
  if (dice < 0.45) {
    if (!cluster.everReady.has(pod.metadata.uid)) return;
    const ready = pod.status.conditions[0]?.status !== 'True';
    tell(ready ? 'turns Ready' : 'turns unready');
    cluster.setReady(name, ready);
  } else if (dice < 0.7) {
    if (pod.metadata.ownerReferences === undefined) return;
    tell('is deleted');
    cluster.end(name);
  } else if (dice < 0.76 && labels['app'] === 'cart') {
    tell('gets a companion');
    cluster.create('cart', { labels: { 'kubervisor/traffic': 'yes' }, readyAfter: random.between(...READY_AFTER) });
  } else if (dice < 0.82) {
    tell('is exempted, or not any more');
    cluster.change(name, ({ metadata }) => {
      if (annotations['kubervisor/exempt'] !== undefined) delete metadata.annotations!['kubervisor/exempt'];
      else metadata.annotations = { ...annotations, 'kubervisor/exempt': 'true' };
    });
  } else if (dice < 0.9 && labels['kubervisor/traffic'] === 'pause') {
    tell('is released by a person');
    cluster.change(name, ({ metadata }) => {
      metadata.labels = { ...labels, 'kubervisor/traffic': 'yes' };
      delete metadata.labels['kubervisor/strategy'];
    });
  } else if (dice < 0.95 && annotations['breaker/breakAt'] !== undefined) {
    tell('has its breakAt damaged');
    cluster.change(name, ({ metadata }) => (metadata.annotations!['breaker/breakAt'] = 'yesterday'));
  } else if (dice >= 0.95 && labels['kubervisor/traffic'] === 'yes') {
    tell('loses its traffic label');
    cluster.change(name, ({ metadata }) => delete metadata.labels!['kubervisor/traffic']);
  }
}
