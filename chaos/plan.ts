/**
 * What goes wrong when: all of it drawn from the seed. Kinds are dealt like cards, so that each comes once before any comes twice, and
 * a short run has seen them all. What comes of it differs from run to run.
 */
import { Random } from '@kubervisor/testing/random';

export const WORKERS = ['breaker', 'activator'] as const;
/** Those with a way to the API server and to NATS. */
export const WIRED = ['controller', 'breaker', 'activator'] as const;
export const ALL = ['controller', 'breaker', 'activator', 'detector'] as const;
export type Role = (typeof ALL)[number];

/** The worst moments of a round: its claim has been sent, its list or its first write is under way. */
export const MOMENTS = ['claim', 'list', 'write'] as const;
export type Moment = (typeof MOMENTS)[number];

export type Fault =
  // Processes of ours. `which` counts them; more than there are begins anew.
  | { kind: 'kill' | 'freeze'; role: Role; which: number }
  | { kind: 'killLeader' | 'freezeLeader' }
  | { kind: 'killAt' | 'freezeAt'; role: (typeof WORKERS)[number]; moment: Moment; freezes: number }
  | { kind: 'killAll'; role: Role }
  | { kind: 'rollingRestart' }
  // What they stand on.
  | { kind: 'killApiServer' | 'freezeApiServer' | 'killEtcd' | 'freezeEtcd' }
  | { kind: 'restartNats' | 'wipeNats' | 'killNats' | 'freezeNats' }
  | { kind: 'silenceNats' | 'cutNats'; role: (typeof WIRED)[number]; which: number }
  // The way to the API server: of one process, or of all of a role.
  | { kind: 'refuse'; role: (typeof WIRED)[number]; status: 409 | 429 | 500; share: number }
  | { kind: 'loseAnswers'; role: (typeof WIRED)[number]; as: 'cut' | 500; share: number }
  | { kind: 'slow'; role: (typeof WIRED)[number]; milliseconds: number }
  | { kind: 'cut' | 'silence' | 'silenceWatches'; role: (typeof WIRED)[number] }
  // Detectors. `how` is an index into the ways in which a plug-in may fail.
  | { kind: 'pluginFails'; fleet: number; how: number }
  | { kind: 'mostAreBad'; fleet: number }
  // People and the cluster. Fleets are counted as processes are.
  | { kind: 'deleteResource'; fleet: number; which: number }
  | { kind: 'changeMode'; fleet: number; mode: 'dryRun' | 'disabled' }
  | { kind: 'removeBreaker'; fleet: number; which: number }
  | { kind: 'deactivate'; fleet: number }
  | { kind: 'changeSelector'; fleet: number; tier: 'web' | 'none' }
  | { kind: 'deleteService'; fleet: number }
  | { kind: 'deletePods'; fleet: number; count: number }
  | { kind: 'soloAnew'; fleet: number }
  | { kind: 'flapReadiness'; fleet: number; count: number }
  | { kind: 'rollout'; fleet: number }
  | { kind: 'scale'; fleet: number; by: number }
  | { kind: 'exempt'; fleet: number; count: number };

export interface Happening {
  /** Milliseconds after the storm began. */
  at: number;
  /** Milliseconds until it is undone. */
  lasts: number;
  /** It is undone only after the calm that follows: a change of what people want, which must come right as it stands. */
  stays: boolean;
  fault: Fault;
}

/** Longer than a lease of ours (3 s), and than a claim with the time of its patches (5 s). */
const STANDSTILL = [6000, 11_000] as const;
const SHORT = [1000, 5000] as const;
const LONG = [4000, 15_000] as const;

type Card = (random: Random) => Omit<Happening, 'at' | 'stays'>;
type Span = readonly [least: number, most: number];

const card =
  (span: Span, fault: (random: Random) => Fault): Card =>
  (random) => ({ lasts: Math.round(random.between(...span)), fault: fault(random) });
const which = (random: Random): number => random.integer(0, 11);

const CARDS: readonly Card[] = [
  ...ALL.flatMap((role) => [
    card(SHORT, (random) => ({ kind: 'kill', role, which: which(random) })),
    card(STANDSTILL, (random) => ({ kind: 'freeze', role, which: which(random) })),
  ]),
  card(SHORT, () => ({ kind: 'killLeader' })),
  card(STANDSTILL, () => ({ kind: 'freezeLeader' })),
  ...WORKERS.flatMap((role) =>
    MOMENTS.flatMap((moment) => [
      card(SHORT, () => ({ kind: 'killAt', role, moment, freezes: 0 })),
      card(LONG, (random) => ({ kind: 'freezeAt', role, moment, freezes: Math.round(random.between(...STANDSTILL)) })),
    ]),
  ),
  card(SHORT, (random) => ({ kind: 'killAll', role: random.pick(...ALL) })),
  card([0, 0], () => ({ kind: 'rollingRestart' })),
  card(SHORT, () => ({ kind: 'killApiServer' })),
  card(SHORT, () => ({ kind: 'killEtcd' })),
  card(LONG, () => ({ kind: 'freezeApiServer' })),
  card(LONG, () => ({ kind: 'freezeEtcd' })),
  card([0, 0], () => ({ kind: 'restartNats' })),
  card([0, 0], () => ({ kind: 'wipeNats' })),
  card(SHORT, () => ({ kind: 'killNats' })),
  card(STANDSTILL, () => ({ kind: 'freezeNats' })),
  card(LONG, (random) => ({ kind: 'silenceNats', role: random.pick(...WIRED), which: which(random) })),
  card([0, 0], (random) => ({ kind: 'cutNats', role: random.pick(...WIRED), which: which(random) })),
  ...([409, 429, 500] as const).map((status) =>
    card(LONG, (random) => ({ kind: 'refuse', role: random.pick(...WIRED), status, share: random.between(0.3, 1) })),
  ),
  ...(['cut', 500] as const).map((as) =>
    card(LONG, (random) => ({ kind: 'loseAnswers', role: random.pick(...WIRED), as, share: random.between(0.3, 1) })),
  ),
  card(LONG, (random) => ({ kind: 'slow', role: random.pick(...WIRED), milliseconds: random.pick(300, 1500, 2500) })),
  ...(['cut', 'silence', 'silenceWatches'] as const).map((kind) =>
    card(LONG, (random) => ({ kind, role: random.pick(...WIRED) })),
  ),
  card(LONG, (random) => ({ kind: 'pluginFails', fleet: which(random), how: which(random) })),
  card(LONG, (random) => ({ kind: 'mostAreBad', fleet: which(random) })),
  card(SHORT, (random) => ({ kind: 'deleteResource', fleet: which(random), which: which(random) })),
  card(LONG, (random) => ({ kind: 'changeMode', fleet: which(random), mode: random.pick('dryRun', 'disabled') })),
  card(LONG, (random) => ({ kind: 'removeBreaker', fleet: which(random), which: which(random) })),
  card(LONG, (random) => ({ kind: 'deactivate', fleet: which(random) })),
  card(LONG, (random) => ({ kind: 'changeSelector', fleet: which(random), tier: random.pick('web', 'none') })),
  card(SHORT, (random) => ({ kind: 'deleteService', fleet: which(random) })),
  card([0, 0], (random) => ({ kind: 'deletePods', fleet: which(random), count: random.integer(1, 3) })),
  card([0, 0], (random) => ({ kind: 'soloAnew', fleet: which(random) })),
  card(LONG, (random) => ({ kind: 'flapReadiness', fleet: which(random), count: random.integer(1, 3) })),
  card([0, 0], (random) => ({ kind: 'rollout', fleet: which(random) })),
  card(LONG, (random) => ({ kind: 'scale', fleet: which(random), by: random.pick(-2, -1, 1, 2) })),
  card(LONG, (random) => ({ kind: 'exempt', fleet: which(random), count: random.integer(1, 2) })),
];

/** Milliseconds between the beginnings of two faults, on average. */
const APART = 2000;

const STAYING: readonly Fault['kind'][] = [
  'deleteResource',
  'changeMode',
  'removeBreaker',
  'deactivate',
  'changeSelector',
  'deleteService',
  'exempt',
];

/** Storms without end, each of what its length asks for; the same for the same seed. */
export function planOf(seed: number): (milliseconds: number) => Happening[] {
  const random = new Random(seed);
  let deck: Card[] = [];
  const deal = (): Card => {
    if (deck.length === 0) deck = shuffled(CARDS, random);
    return deck.pop() as Card;
  };
  return (milliseconds) => {
    const storm: Happening[] = [];
    for (let at = 0; (at += random.between(0.2 * APART, 1.8 * APART)) < milliseconds;) {
      const { lasts, fault } = deal()(random);
      const stays = STAYING.includes(fault.kind) && random.chance(0.3);
      // In the calm everything else is undone.
      storm.push({ at: Math.round(at), lasts: Math.min(lasts, Math.round(milliseconds - at)), stays, fault });
    }
    return storm;
  };
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const left = [...items];
  return items.map(() => left.splice(random.integer(0, left.length - 1), 1)[0] as T);
}

/** `freeze breaker 2`: the kind and whom it concerns. */
export function describeFault({ kind, ...rest }: Fault): string {
  return [
    kind,
    ...Object.entries(rest).map(
      ([name, value]) => `${name}=${typeof value === 'number' ? Math.round(value * 100) / 100 : value}`,
    ),
  ].join(' ');
}
