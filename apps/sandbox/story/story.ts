/** The story: what is done in each act, what must then come true, and what must never happen. Data and pure functions of a scene. */
import { FLEET_SIZE, WINDOW_SECONDS } from '../shop/manifests.ts';
import type { PodScene, Scene } from './scene.ts';

/** Who plays: names of pods. */
export interface Cast {
  /** The one that fails. */
  one: string;
  /** Those that fail together. */
  most: readonly string[];
}

export const MOST = 6;

/** `round` (from 0) chooses others each time the story is told. */
export function castOf(scene: Scene, round: number): Cast {
  const names = scene.pods.map(({ name }) => name);
  const from = (place: number) => names[(place + round) % names.length] ?? '';
  return { one: from(2), most: Array.from({ length: Math.min(MOST, names.length) }, (_, place) => from(place + 1)) };
}

export interface Claim {
  text: string;
  holds: (scene: Scene, cast: Cast) => boolean;
}

export interface Act {
  title: string;
  /** What a person should know to enjoy it. */
  says: string;
  /** The pods that get, or lose, their fault when the act begins. */
  fail?: (cast: Cast) => readonly string[];
  heal?: (cast: Cast) => readonly string[];
  /** All at once, for `lasts` seconds. */
  then: readonly Claim[];
  lasts: number;
  /** Each of these ends the act at once, as failed. */
  never: readonly Claim[];
  /** Seconds after which it has failed. */
  limit: number;
}

const pod = (scene: Scene, name: string): PodScene | undefined => scene.pods.find((one) => one.name === name);
const isOut = ({ traffic, inSlice }: PodScene): boolean => traffic === 'no' || !inSlice;
/** A few stray answers are not what people call a failing shop. */
const FINE_PERCENT = 2;

const everybodyIn: Claim = {
  text: `all ${FLEET_SIZE} pods are in the EndpointSlice`,
  holds: ({ pods }) => pods.length === FLEET_SIZE && pods.every(({ inSlice }) => inSlice),
};
const shoppersFine: Claim = {
  text: 'shoppers get good answers',
  holds: ({ shoppers }) => shoppers.requestsPerSecond > 0 && shoppers.badPercent < FINE_PERCENT,
};
const otherTakenOut: Claim = {
  text: 'a pod that is well is taken out',
  holds: ({ pods }, { one }) => pods.some((each) => each.name !== one && isOut(each)),
};

const anyTakenOut: Claim = { text: 'a pod is taken out', holds: ({ pods }) => pods.some(isOut) };

export const STORY: readonly Act[] = [
  {
    title: 'a healthy fleet',
    says: 'Eight pods of a shop with real requests. Prometheus scrapes them, Kubervisor judges them every second.',
    then: [
      everybodyIn,
      {
        text: 'Prometheus has figures of every pod',
        holds: ({ pods }) => pods.every(({ badPercent }) => badPercent !== undefined),
      },
      {
        text: 'Kubervisor has judged them: all are well',
        holds: ({ result, degraded }) => result === 'ok' && !degraded,
      },
      shoppersFine,
    ],
    lasts: 1,
    never: [],
    limit: 45,
  },
  {
    title: 'one pod starts to fail',
    says: 'It answers 500, while its readiness probe still says "fine": Kubernetes alone would leave it in.',
    fail: ({ one }) => [one],
    then: [
      { text: 'its label says kubervisor/traffic=no', holds: (scene, { one }) => pod(scene, one)?.traffic === 'no' },
      { text: 'it has left the EndpointSlice', holds: (scene, { one }) => pod(scene, one)?.inSlice === false },
      shoppersFine,
    ],
    lasts: 0,
    never: [otherTakenOut],
    limit: 20,
  },
  {
    title: 'it is healed',
    says: `It waits out its ${WINDOW_SECONDS} s, then gets another try. (Had it still failed, it would be taken out again.)`,
    heal: ({ one }) => [one],
    then: [
      { text: 'its label says kubervisor/traffic=yes', holds: (scene, { one }) => pod(scene, one)?.traffic === 'yes' },
      { text: 'it is back in the EndpointSlice', holds: (scene, { one }) => pod(scene, one)?.inSlice === true },
      {
        text: 'it answers shoppers, and well',
        holds: (scene, { one }) => (pod(scene, one)?.requestsPerSecond ?? 0) > 0 && pod(scene, one)?.badPercent === 0,
      },
      shoppersFine,
    ],
    lasts: 0,
    never: [otherTakenOut],
    limit: 25,
  },
  {
    title: `${MOST} of ${FLEET_SIZE} fail at once`,
    says: 'A database is down, say. The cause is common: whoever is taken out now leaves the load to fewer, and helps nobody.',
    fail: ({ most }) => most,
    then: [
      {
        text: 'the resource says so: Degraded, FleetAnomalous, with the reason',
        holds: ({ degraded }) => degraded?.reason === 'FleetAnomalous' && degraded.message !== '',
      },
      everybodyIn,
      {
        text: `status counts ${FLEET_SIZE} available`,
        holds: ({ available }) => available === FLEET_SIZE,
      },
      {
        text: 'Prometheus shows that most of them fail',
        holds: (scene, { most }) => most.every((name) => (pod(scene, name)?.badPercent ?? 0) > 50),
      },
    ],
    // Evaluations go on every second: that nobody is touched shows only over several of them.
    lasts: 5,
    never: [anyTakenOut],
    limit: 25,
  },
  {
    title: 'the cause is mended',
    says: 'Nobody was taken out, so nobody has to be brought back.',
    heal: ({ most }) => most,
    then: [
      { text: 'the resource is no longer Degraded', holds: ({ degraded, result }) => !degraded && result === 'ok' },
      everybodyIn,
      shoppersFine,
    ],
    lasts: 1,
    never: [anyTakenOut],
    limit: 25,
  },
];

export interface Progress {
  /** Seconds since the demo began. */
  startedAt: number;
  endedAt?: number;
  outcome: 'playing' | 'held' | 'failed';
  /** Of `then`, now. */
  claims: readonly boolean[];
  /** Seconds since the demo began when each came true for the first time. */
  firstHeld: readonly (number | undefined)[];
  /** All of them hold since. */
  since?: number;
  /** Why it failed. */
  failure?: string;
}

export const begin = (act: Act, seconds: number): Progress => ({
  startedAt: seconds,
  outcome: 'playing',
  claims: act.then.map(() => false),
  firstHeld: act.then.map(() => undefined),
});

/** The act after one more look. What has ended stays as it is. */
export function advance(act: Act, progress: Progress, scene: Scene, cast: Cast): Progress {
  if (progress.outcome !== 'playing') return progress;
  const { seconds } = scene;
  const { startedAt } = progress;
  const claims = act.then.map(({ holds }) => holds(scene, cast));
  const firstHeld = claims.map((holds, place) => progress.firstHeld[place] ?? (holds ? seconds : undefined));
  const end = (outcome: 'held' | 'failed', failure?: string): Progress => ({
    startedAt,
    endedAt: seconds,
    outcome,
    claims,
    firstHeld,
    ...(failure !== undefined && { failure }),
  });
  const broken = act.never.find(({ holds }) => holds(scene, cast));
  if (broken !== undefined) return end('failed', `what must not happen did: ${broken.text}`);
  const all = claims.every((holds) => holds);
  const since = all ? (progress.since ?? seconds) : undefined;
  if (since !== undefined && seconds - since >= act.lasts) return end('held');
  if (seconds - startedAt > act.limit) {
    const missing = act.then.filter((_, place) => claims[place] !== true).map(({ text }) => text);
    return end('failed', `not within ${act.limit} s: ${missing.join('; ') || 'all of it, for long enough'}`);
  }
  return { startedAt, outcome: 'playing', claims, firstHeld, ...(since !== undefined && { since }) };
}
