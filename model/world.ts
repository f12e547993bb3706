/** What a schedule is about, chosen at random: the resources, their fleets, the faults, and how long they last. */
import type { Cluster } from './cluster.ts';
import { EPOCH } from './event-loop.ts';
import type { Faults } from './network.ts';
import type { Random } from '@kubervisor/testing/random';
import type { Manifests } from './manifests.ts';

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
  /** Mean milliseconds between two changes that people make to resources and Services. */
  declarations: number;
  /** What happens, in this order, while a worker stands still just before a write. */
  meanwhile: readonly ('wipe' | 'handover' | 'anew' | 'replacement')[];
  /** Share of pods that a detector calls bad at one time. */
  anomalous: number;
}

export interface World {
  weather: Weather;
  breakers: number;
  activators: number;
  /** Controllers that stand for election; seconds of the lease. */
  controllers: number;
  lease: number;
  declare(manifests: Manifests): void;
  populate(cluster: Cluster): void;
  /** One of the things that people do to resources and Services. */
  /** The resource is deleted and there again. */
  makeAnew(manifests: Manifests, now: number): void;
  change(manifests: Manifests, now: number, later: (milliseconds: number, act: () => void) => void): string;
}

const MAIN = 'cart';
const PASSIVE = 'wish';
const RIVAL = 'cart-too';
const SHARER = 'team';
const NOBODY_OURS = 'bell';
const KEY = { 'kubervisor/traffic': 'yes' };
/** Resources are that old, in milliseconds, when a schedule begins. */
const AGE = 100_000;

export function createWorld(random: Random): World {
  const size = random.integer(4, 8);
  const hasPassive = random.chance(0.15);
  const passive = random.pick('dryRun' as const, 'notActive' as const);
  const main = specOf(random, MAIN, random.integer(1, 2));
  const weather = weatherOf(random);
  const keepsNames = weather.meanwhile.includes('replacement') || random.chance(0.2);
  const asBefore = { createdAt: EPOCH - AGE };
  let anew = 0;

  const change: World['change'] = (manifests, now, later) => {
    const { spec } = (manifests.resource(MAIN) ?? { spec: main }) as { spec: typeof main };
    const selector = manifests.service(MAIN)?.selector ?? { app: MAIN, ...KEY };
    const put = (changed: Partial<typeof main>): void => {
      if (manifests.resource(MAIN) !== undefined) manifests.putResource(MAIN, { spec: { ...spec, ...changed } });
    };
    const changeOne = (edit: (breaker: Breaker) => Breaker): void => {
      const chosen = random.pick(...spec.breakers);
      put({ breakers: spec.breakers.map((breaker) => (breaker === chosen ? edit(breaker) : breaker)) });
    };
    const mode = random.pick('enforce', 'enforce', 'dryRun', 'disabled');
    const acts: Record<string, () => void> = {
      [`mode ${mode}`]: () => put({ mode }),
      [`mode ${mode} of one breaker`]: () => changeOne((breaker) => ({ ...breaker, mode })),
      'other floors': () => changeOne((breaker) => ({ ...breaker, ...floorsOf(random) })),
      'a breaker is removed, or there again': () =>
        put({
          breakers:
            spec.breakers.length > 1
              ? spec.breakers.slice(random.integer(0, 1)).slice(0, 1)
              : specOf(random, MAIN, 2).breakers.map(
                  (other) => spec.breakers.find(({ name }) => name === other.name) ?? other,
                ),
        }),
      'the selector gets or loses our key': () => {
        const { 'kubervisor/traffic': key, ...rest } = selector;
        manifests.putService(MAIN, key === undefined ? { ...rest, ...KEY } : rest);
      },
      'the selector asks for other pods': () => {
        const { tier, ...rest } = selector;
        manifests.putService(MAIN, tier === undefined ? { ...rest, tier: 'front' } : rest);
      },
      'the Service is deleted, or made anew': () => {
        if (manifests.service(MAIN) === undefined) return manifests.putService(MAIN, { app: MAIN, ...KEY });
        manifests.deleteService(MAIN);
        if (random.chance(0.7)) later(random.between(0, 4000), () => manifests.putService(MAIN, selector));
      },
      'the resource is deleted, or made anew': () => {
        const again = (): void =>
          manifests.putResource(MAIN, { uid: `uid-${MAIN}-${(anew += 1)}`, createdAt: EPOCH + now, spec });
        if (manifests.resource(MAIN) === undefined) return again();
        manifests.deleteResource(MAIN);
        if (random.chance(0.8)) later(random.chance(0.4) ? 0 : random.between(0, 6000), again);
      },
      'another resource on the same Service, or not any more': () => {
        if (manifests.resource(RIVAL) !== undefined) manifests.deleteResource(RIVAL);
        else
          manifests.putResource(RIVAL, { createdAt: EPOCH - random.pick(2, 0.5) * AGE, spec: specOf(random, MAIN, 1) });
      },
      'another Service asks for some of the pods, or not any more': () => {
        if (manifests.resource(SHARER) !== undefined) {
          manifests.deleteResource(SHARER);
          manifests.deleteService(SHARER);
        } else {
          manifests.putResource(SHARER, { ...asBefore, spec: specOf(random, SHARER, 1) });
          manifests.putService(SHARER, { team: 'shop', ...KEY });
        }
      },
    };
    const what = random.pick(...Object.keys(acts));
    acts[what]?.();
    return what;
  };

  return {
    weather,
    breakers: random.integer(2, 3),
    activators: random.integer(1, 2),
    controllers: random.chance(0.35) ? 2 : 1,
    lease: random.pick(2, 3, 5),
    declare(manifests) {
      manifests.putResource(MAIN, { ...asBefore, spec: main });
      manifests.putService(MAIN, { app: MAIN, ...KEY });
      if (!hasPassive) return;
      const spec = specOf(random, PASSIVE, 1);
      manifests.putResource(PASSIVE, { ...asBefore, spec: passive === 'dryRun' ? { ...spec, mode: 'dryRun' } : spec });
      manifests.putService(PASSIVE, passive === 'dryRun' ? { app: PASSIVE, ...KEY } : { app: PASSIVE });
    },
    populate(cluster) {
      cluster.keepsNames = keepsNames;
      for (let index = 0; index < size; index++)
        cluster.create(MAIN, {
          labels: {
            ...(random.chance(0.8) && { tier: 'front' }),
            ...(random.chance(0.3) && { team: 'shop' }),
            ...(random.chance(0.8) && { 'kubervisor/traffic': 'yes' }),
            ...(random.chance(0.7) && { 'kubervisor/name': MAIN }),
          },
          ...(random.chance(0.5) && {
            annotations: random.chance(0.1) ? { 'kubervisor/exempt': 'true' } : { note: 'x' },
          }),
          owned: !random.chance(0.1),
        });
      if (hasPassive) for (let index = 0; index < 3; index++) cluster.create(PASSIVE, {});
      cluster.create(NOBODY_OURS, random.chance(0.5) ? {} : { labels: { 'kubervisor/name': MAIN } });
    },
    change,
    makeAnew(manifests, now) {
      const { spec } = manifests.resource(MAIN) ?? { spec: main };
      manifests.deleteResource(MAIN);
      manifests.putResource(MAIN, { uid: `uid-${MAIN}-${(anew += 1)}`, createdAt: EPOCH + now, spec });
    },
  };
}

type Breaker = ReturnType<typeof specOf>['breakers'][number];

const floorsOf = (random: Random) => ({
  minPodsAvailableCount: random.pick(1, 1, 2, 3),
  minPodsAvailableRatio: random.chance(0.3) ? random.pick(25, 50, 67) : 0,
});

function specOf(random: Random, service: string, breakerCount: number) {
  const breakers = Array.from({ length: breakerCount }, (_, index) => {
    const evaluationPeriod = random.pick(0.3, 0.5, 0.5, 1);
    return {
      name: ['errors', 'slow'][index]!,
      customService: 'judge',
      evaluationPeriod,
      gracePeriod: random.pick(0, 0, 0, 1),
      panicThreshold: random.chance(0.1) ? 50 : 100,
      mode: 'enforce',
      ...floorsOf(random),
      ...(random.chance(0.1) && { confirm: { anomalous: 2, of: 3 } }),
      activator: {
        mode: random.pick('periodic', 'retryAndKill', 'retryAndPause'),
        period: random.pick(1, 1, 2, 12),
        maxPeriod: random.pick(2, 4, 8),
        maxRetryCount: random.pick(0, 0, 1, 2),
        maxPauseCount: random.integer(0, 2),
        pauseOverflow: random.pick('kill', 'hold'),
        killPolicy: random.pick('evict', 'delete'),
        ...(random.chance(0.2) && { maxConcurrentActivations: random.pick<number | string>(1, '50%') }),
      },
    };
  });
  return { service, mode: 'enforce', breakers };
}

/** Each schedule has its own kind of weather; what is rare everywhere would hardly ever meet. */
const WEATHERS = [
  ...['fair', 'mixed', 'noAnswers', 'standstills', 'socket', 'deaths', 'wipes', 'unready', 'people', 'leases'],
  ...['meanwhile', 'meanwhile', 'meanwhile', 'lateClaims', 'lateClaims', 'noAnswers'],
] as const;

function weatherOf(random: Random): Weather {
  const kind = random.pick(...WEATHERS);
  const of = (one: string, most: number): number =>
    kind === one
      ? random.between(most / 4, most)
      : kind === 'mixed' && random.chance(0.5)
        ? random.between(0, most / 4)
        : 0;
  const times = (chance: number): number => (random.chance(chance) ? 1 : 0);
  const slow = kind === 'fair' ? 0.02 : random.pick(0.02, 0.05, 0.1, 0.25);
  const isShort = kind === 'meanwhile' || kind === 'lateClaims';
  const meanwhile =
    kind === 'meanwhile'
      ? random.pick<Weather['meanwhile']>(
          ['replacement'],
          ['wipe'],
          ['wipe'],
          ['wipe', 'handover'],
          ['wipe', 'handover'],
          ['handover', 'wipe'],
          ['handover'],
          ['anew'],
          ['anew', 'handover'],
        )
      : [];
  // Of a message that comes twice, each claims where the bucket of claims was made anew in between.
  const meetsMany = kind === 'lateClaims' || meanwhile.includes('wipe');
  return {
    faults: {
      slow,
      slowLease: kind === 'leases' ? slow : 0.002,
      slowClaimsWatch: kind === 'lateClaims' ? random.between(0.3, 1) : 0,
      requestLost: of('noAnswers', 0.06),
      answerLost: of('noAnswers', 0.2),
      broken: of('noAnswers', 0.2),
      refused: of('noAnswers', 0.1),
      lateWork: meanwhile.includes('wipe') ? random.between(0.1, 0.6) : 0,
      duplicated: meetsMany || random.chance(0.4) ? random.between(0, meetsMany ? 0.8 : 0.3) : 0,
      frozen: of('standstills', 0.015) + of('wipes', 0.04) + of('deaths', 0.01),
      crashed: of('deaths', 0.01),
      frozenBeforeWrite: isShort || kind === 'standstills' ? random.between(0.1, 0.5) : 0,
      standsStill: isShort ? [300, 2900] : random.chance(0.4) ? [500, 5000] : [500, 12_000],
      frozenWhileAsking: of('standstills', 0.3),
      frozenAtSocket: kind === 'socket' ? random.between(0.1, 0.6) : 0,
      detectorFails: random.chance(0.3) ? random.between(0, 0.3) : 0,
      evictionRefused: random.chance(0.3) ? random.between(0, 0.8) : 0,
    },
    // In the first 5 s nothing happens: the first leader waits for claims that it may not know.
    lasts: random.between(9000, 20_000),
    changes: kind === 'unready' ? random.pick(200, 400) : random.pick(500, 2000, 8000),
    wipes: kind === 'wipes' ? random.integer(1, 3) : times(0.05),
    disconnects: kind === 'wipes' ? random.integer(0, 3) : times(0.15),
    handovers: kind === 'wipes' || kind === 'deaths' ? random.integer(0, 3) : times(0.25),
    declarations: kind === 'people' ? random.pick(500, 1500, 4000) : random.pick(4000, 12_000, Infinity, Infinity),
    meanwhile,
    anomalous: random.pick(0.2, 0.4, 0.7, 0.95),
  };
}
