/** What a schedule is about, chosen at random: the resources, their fleets, the faults, and how long they last. */
import type { Resource, ServiceView } from '../services/controller/core/supervision.ts';
import { NAMESPACE, type Cluster } from './cluster.ts';
import { EPOCH } from './event-loop.ts';
import type { Faults } from './network.ts';
import type { Random } from '@kubervisor/testing/random';
import type { Manifests } from './view.ts';

/** How the world around misbehaves. */
export interface Weather {
  faults: Faults;
  /** Milliseconds until calm. */
  lasts: number;
  /** Mean milliseconds between two changes that others make to the fleet. */
  changes: number;
  wipes: number;
  disconnects: number;
  handovers: number;
  /** Share of pods that a detector calls bad at one time. */
  anomalous: number;
}

export interface World {
  manifests: Manifests;
  weather: Weather;
  breakers: number;
  activators: number;
  populate(cluster: Cluster): void;
}

const MAIN = 'cart';
const PASSIVE = 'wish';
const NOBODY_OURS = 'bell';

export function createWorld(random: Random): World {
  const resources: Resource[] = [];
  const services: ServiceView[] = [];
  const declare = (name: string, passive: 'dryRun' | 'notActive' | undefined, breakerCount: number): void => {
    const spec = specOf(random, name, passive === 'dryRun', breakerCount);
    const selector = { app: name };
    services.push({
      namespace: NAMESPACE,
      name,
      uid: `svc-${name}`,
      selector: passive === 'notActive' ? selector : { ...selector, 'kubervisor/traffic': 'yes' },
    });
    resources.push({
      namespace: NAMESPACE,
      name,
      uid: `uid-${name}`,
      generation: 1,
      resourceVersion: '1',
      createdAt: EPOCH - 100_000,
      terminating: false,
      spec,
      status: undefined,
    });
  };
  declare(MAIN, undefined, random.integer(1, 2));
  const hasPassive = random.chance(0.25);
  if (hasPassive) declare(PASSIVE, random.pick('dryRun', 'notActive'), 1);
  const size = random.integer(4, 8);

  return {
    manifests: { resources, services },
    weather: weatherOf(random),
    breakers: random.integer(2, 3),
    activators: random.integer(1, 2),
    populate(cluster) {
      for (let index = 0; index < size; index++)
        cluster.create(MAIN, {
          labels: {
            ...(random.chance(0.8) && { 'kubervisor/traffic': 'yes' }),
            ...(random.chance(0.7) && { 'kubervisor/name': MAIN }),
          },
          ...(random.chance(0.5) && {
            annotations: random.chance(0.1) ? { 'kubervisor/exempt': 'true' } : { note: 'x' },
          }),
          owned: !random.chance(0.05),
        });
      if (hasPassive) for (let index = 0; index < 3; index++) cluster.create(PASSIVE, {});
      cluster.create(NOBODY_OURS, random.chance(0.5) ? {} : { labels: { 'kubervisor/name': MAIN } });
    },
  };
}

function specOf(random: Random, service: string, dryRun: boolean, breakerCount: number) {
  const breakers = Array.from({ length: breakerCount }, (_, index) => {
    const evaluationPeriod = random.pick(0.5, 0.5, 1, 2);
    return {
      name: ['errors', 'slow'][index]!,
      customService: 'judge',
      evaluationPeriod,
      gracePeriod: random.pick(0, 0, 0.5, 2),
      panicThreshold: random.pick(50, 100, 100, 100),
      minPodsAvailableCount: random.pick(1, 1, 2, 4),
      ...(random.chance(0.4) && { minPodsAvailableRatio: random.pick(25, 50, 67, 75) }),
      ...(random.chance(0.2) && { confirm: { anomalous: 2, of: 3 } }),
      activator: {
        mode: random.pick('periodic', 'retryAndKill', 'retryAndPause'),
        period: random.pick(1, 2, 3, 40),
        maxPeriod: random.pick(4, 8),
        maxRetryCount: random.integer(0, 2),
        maxPauseCount: random.integer(0, 2),
        pauseOverflow: random.pick('kill', 'hold'),
        killPolicy: random.pick('evict', 'delete'),
        ...(random.chance(0.2) && { maxConcurrentActivations: random.pick<number | string>(1, '50%') }),
      },
    };
  });
  return { service, ...(dryRun && { mode: 'dryRun' }), breakers };
}

/** Each schedule has its own kind of weather; what is rare everywhere would hardly ever meet. */
const WEATHERS = ['fair', 'mixed', 'noAnswers', 'standstills', 'socket', 'deaths', 'wipes', 'unready'] as const;

function weatherOf(random: Random): Weather {
  const kind = random.pick(...WEATHERS);
  const of = (one: (typeof WEATHERS)[number], most: number): number =>
    kind === one
      ? random.between(most / 4, most)
      : kind === 'mixed' && random.chance(0.5)
        ? random.between(0, most / 4)
        : 0;
  const times = (chance: number): number => (random.chance(chance) ? 1 : 0);
  return {
    faults: {
      slow: kind === 'fair' ? 0.02 : random.pick(0.02, 0.05, 0.1, 0.25),
      requestLost: of('noAnswers', 0.06),
      answerLost: of('noAnswers', 0.2),
      broken: of('noAnswers', 0.2),
      refused: of('noAnswers', 0.1),
      duplicated: random.chance(0.4) ? random.between(0, 0.3) : 0,
      frozen: of('standstills', 0.015) + of('wipes', 0.04) + of('deaths', 0.01),
      crashed: of('deaths', 0.01),
      frozenBeforeWrite: kind === 'standstills' ? random.between(0.1, 0.5) : 0,
      frozenAtSocket: kind === 'socket' ? random.between(0.1, 0.6) : 0,
      detectorFails: random.chance(0.3) ? random.between(0, 0.3) : 0,
      evictionRefused: random.chance(0.3) ? random.between(0, 0.8) : 0,
    },
    lasts: random.between(8000, 30_000),
    changes: kind === 'unready' ? random.pick(200, 400) : random.pick(500, 2000, 8000),
    wipes: kind === 'wipes' ? random.integer(1, 3) : times(0.05),
    disconnects: kind === 'wipes' ? random.integer(0, 3) : times(0.15),
    handovers: kind === 'wipes' || kind === 'deaths' ? random.integer(0, 3) : times(0.25),
    anomalous: random.pick(0.2, 0.4, 0.7, 0.95),
  };
}
