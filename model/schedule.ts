/** One schedule: a world in bad weather, then calm, and what the observer has to say about it. The same seed gives the same. */
import { electLeader } from '@kubervisor/runtime/kubernetes/lease';
import type { EvaluationRequest, EvaluationResponse } from '@kubervisor/shared/detection/service';
import { createActivator } from '../services/activator/service.ts';
import { createBreaker } from '../services/breaker/service.ts';
import { controllerMetrics } from '../services/controller/metrics.ts';
import { superviseNamespace } from '../services/controller/core/supervision.ts';
import { lead, type Leadership } from '../services/controller/shell/leadership.ts';
import type { Span } from './allowed.ts';
import { Cluster, NAMESPACE, READY_AFTER, type StoredPod } from './cluster.ts';
import { EventLoop, Process } from './event-loop.ts';
import { Leases } from './leases.ts';
import { Manifests } from './manifests.ts';
import { Nats } from './nats.ts';
import { CALM, Network, type Trace } from './network.ts';
import { Observer, type Counts, type Violation } from './observer.ts';
import { createPorts, NO_METRICS } from './ports.ts';
import { Random } from '@kubervisor/testing/random';
import { View } from './view.ts';
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
/** And the time that it may take until somebody leads. */
const FLOOR_REPAIRED_WITHIN = 15_000;
const ALL_WELL_WITHIN = 500_000;
const WELL_AT_LEAST = 4000;

/** What goes on without end in the calm that ends all faults: not adopted, not released. */
const MEMBERSHIP_WITHIN = 60_000;

interface Running extends Process {
  leadership?: Leadership | undefined;
  /** Stops as a process that is told to. */
  stop?: () => void;
}

/** `tolerated`: rules whose violations are noted but do not end the schedule, to see what follows from them. */
export async function runSchedule(
  seed: number,
  { traced = false, tolerated = [] }: { traced?: boolean; tolerated?: readonly string[] } = {},
): Promise<Outcome> {
  const random = new Random(seed);
  const loop = new EventLoop();
  const lines: string[] = [];
  const trace: Trace = (who, what) => {
    if (!traced) return;
    const text = typeof what === 'string' ? what : what();
    lines.push(`${(loop.time / 1000).toFixed(3).padStart(8)}  ${who.padEnd(14)} ${text}`);
  };
  const world = createWorld(random);
  const { weather } = world;
  const network = new Network(loop, random, weather.faults, trace);
  const observer = new Observer(() => loop.time);
  const manifests = new Manifests(network, observer);
  const leases = new Leases(observer);
  const cluster = new Cluster(network, observer);
  const nats = new Nats(network, observer);
  const processes: Running[] = [];
  let calmSince = Infinity;
  let isOver = false;
  let evaluated = false;
  let missedSince: number | undefined;
  let longestRepair = 0;
  const floorRepairedWithin = FLOOR_REPAIRED_WITHIN + 1000 * world.lease;
  const violated = (rule: string, message: string): void =>
    void observer.violations.push({ rule, at: loop.time, message });
  world.declare(manifests);
  trace('world', () => JSON.stringify(weather));
  for (const { spec } of manifests.resources) trace('world', () => JSON.stringify(spec));

  const portsOf = (process: Process, known?: () => Span) =>
    createPorts(process, {
      ...(known !== undefined && { known }),
      nats,
      cluster,
      trace,
      manifests,
      leases,
      fault: (what) => violated('fault', what),
    });

  /** Verdicts as they come; in the calm all is well. */
  const ask = (process: Process, { pods }: EvaluationRequest, timeout: number): Promise<EvaluationResponse> =>
    new Promise((resolve) => {
      const nothing = { verdicts: [], ignored: {}, warnings: [] };
      if (random.chance(network.faults.frozenWhileAsking)) {
        process.frozenUntil = loop.time + random.between(...network.faults.standsStill);
        trace(process.name, `stands still while it asks until ${Math.round(process.frozenUntil)} ms`);
      }
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
      // W3 has no slack for a controller whose clock runs too fast; one that runs slow makes leases meet.
      rate: kind === 'controller' && random.chance(0.3) ? random.between(0.95, 1) : 1,
      wallSkew: Math.round(skew),
    });
    processes.push(process);
    loop.after(0, () => begin(kind, process), process);
    return process;
  };
  const begin = (kind: 'controller' | 'breaker' | 'activator', process: Running): void => {
    if (kind === 'controller') return beginController(process);
    const ports = portsOf(process);
    if (kind === 'breaker') {
      createBreaker(
        { DETECTOR_URL: '', CONCURRENCY: 16 },
        { ...ports, ask: (request, timeout) => ask(process, request, timeout) },
      );
      return;
    }
    createActivator({ CONCURRENCY: 16 }, ports);
  };
  /** As services/controller/service.ts wires it. */
  const beginController = (process: Running): void => {
    const view = new View(manifests, cluster.pods.values());
    const ports = portsOf(process, () => manifests.stood(view.resources, view.services));
    const { kubernetes, log } = ports;
    const stopLeading = (): void => {
      const ended = process.leadership;
      process.leadership = undefined;
      void ended?.stop();
    };
    const election = electLeader(
      kubernetes,
      { namespace: NAMESPACE, name: 'controller', identity: process.name, durationSeconds: world.lease },
      {
        elected: () =>
          (process.leadership = lead({
            ...ports,
            caches: view,
            recorder: { record() {}, stats: { written: 0, dropped: 0, failed: 0 }, stop: async () => {} },
            metrics: NO_METRICS.declare(controllerMetrics),
            isLeader: election.isLeader,
            natsReplicas: 1,
          })),
        lost: stopLeading,
      },
      log,
    );
    process.stop = () => {
      stopLeading();
      void election.stop().then(() => (process.alive = false));
    };
    cluster.watch(process, (stored, gone) => {
      const { pod, before } = gone ? { pod: view.remove(stored), before: undefined } : view.put(stored);
      process.leadership?.podChanged(pod, before);
    });
    manifests.watch(process, {
      resources(list) {
        view.resources = list;
        process.leadership?.namespaceChanged(NAMESPACE);
      },
      services(list) {
        view.services = list;
        process.leadership?.namespaceChanged(NAMESPACE);
      },
    });
  };
  const kindOf = ({ name }: Process) => name.split('-')[0] as 'controller' | 'breaker' | 'activator';
  const kill = (process: Running): void => {
    trace(process.name, 'dies');
    process.alive = false;
    loop.after(random.between(200, 5000), () => start(kindOf(process)));
  };
  /** Another is to lead: the one before is told to stop, dies, stands still, or does not know, since somebody deleted the lease. */
  const handOver = (how?: string): void => {
    const leader = processes.find(({ alive, leadership }) => alive && leadership !== undefined);
    if (leader === undefined) return;
    if (processes.filter(({ alive, name }) => alive && name.startsWith('controller')).length < 2) start('controller');
    const acts: Record<string, () => void> = {
      'is told to stop': () =>
        loop.after(
          random.between(0, 200),
          () => {
            leader.stop?.();
            loop.after(random.between(200, 5000), () => start('controller'));
          },
          leader,
        ),
      dies: () => kill(leader),
      'stands still for longer than its lease': () =>
        (leader.frozenUntil = loop.time + random.between(0.7, 2.5) * 1000 * world.lease),
      'has its lease deleted': () => leases.deleteAll(),
    };
    how ??= random.pick(...Object.keys(acts), 'is told to stop');
    trace(leader.name, how);
    acts[how]?.();
  };
  const declare = (): void => {
    if (loop.time >= calmSince) return;
    const later = (milliseconds: number, act: () => void): void => void loop.after(milliseconds, act);
    trace('people', world.change(manifests, loop.time, later));
  };
  const declareAgain = (): void => {
    if (loop.time >= calmSince || weather.declarations === Infinity) return;
    declare();
    loop.after(random.between(0, 2 * weather.declarations), declareAgain);
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
    const out = random.chance(0.3)
      ? pods.filter(({ metadata }) => metadata.labels?.['kubervisor/traffic'] === 'no')
      : [];
    const pod = out.length > 0 ? random.pick(...out) : pods.length > 0 ? random.pick(...pods) : undefined;
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
    loop.after(isHard ? awake - loop.time + floorRepairedWithin + 1000 : 0, becomeReady);
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
    const outside = stranded.filter(({ rule }) => rule !== 'A7');
    const isEvaluated = evaluated || !isAnythingEvaluated(manifests);
    if (missedFor > floorRepairedWithin) violated('B7', missed.map(({ message }) => message).join('; '));
    else if (calmFor > MEMBERSHIP_WITHIN && outside.length > 0)
      for (const { rule, message } of outside) violated(rule, message);
    else if (calmFor > ALL_WELL_WITHIN) {
      for (const { rule, message } of stranded) violated(rule, message);
      if (!isEvaluated) violated('W7', 'no evaluation was completed any more');
    } else if (calmFor < WELL_AT_LEAST || missed.length > 0 || stranded.length > 0 || !isEvaluated)
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

  cluster.onStandStill = () => {
    if (random.chance(0.2)) return;
    let at = 0;
    for (const what of weather.meanwhile)
      loop.after((at += random.between(0, 800)), () => {
        if (loop.time < calmSince) MEANWHILE[what]();
      });
  };
  const MEANWHILE = {
    wipe() {
      nats.wipe();
      // As after a restart: who leads finds it empty as soon as it is connected again.
      for (const one of processes) loop.after(random.between(50, 500), () => one.leadership?.connected(), one);
    },
    handover: () => handOver('is told to stop'),
    anew: () => world.makeAnew(manifests, loop.time),
    replacement() {
      for (const { metadata } of [...cluster.pods.values()]) if (random.chance(0.4)) cluster.end(metadata.name, 300);
    },
  };

  world.populate(cluster);
  for (let index = 0; index < world.controllers; index++) start('controller');
  for (let index = 0; index < world.breakers; index++) start('breaker');
  for (let index = 0; index < world.activators; index++) start('activator');
  const sometime = (times: number, act: () => void): void => {
    for (let index = 0; index < times; index++)
      loop.after(random.between(1000, weather.lasts), () => loop.time < calmSince && act());
  };
  sometime(weather.wipes, () => nats.wipe());
  sometime(weather.handovers, () => handOver());
  sometime(weather.disconnects, () => {
    const process = random.pick(...processes.filter(({ alive }) => alive));
    if (process !== undefined)
      nats.disconnect(process, random.between(500, 8000), () => process.leadership?.connected());
  });
  changeFleet();
  if (weather.declarations < Infinity) loop.after(random.between(1000, 2 * weather.declarations), declareAgain);
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

/** Whether some resource has a Service, and a breaker that is not disabled. */
function isAnythingEvaluated({ resources, services }: Manifests): boolean {
  const declared = new Map(services.map((service) => [service.name, service]));
  return [...superviseNamespace(resources, declared).values()].some(
    ({ problem, resolved }) => problem === undefined && resolved?.breakers.some(({ mode }) => mode !== 'disabled'),
  );
}

/** What others do to a pod: the kubelet, a rollout, a person. */
function changePod(cluster: Cluster, random: Random, pod: StoredPod, trace: Trace): void {
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
    cluster.create('cart', {
      labels: { 'kubervisor/traffic': 'yes', tier: 'front' },
      readyAfter: random.between(...READY_AFTER),
    });
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
