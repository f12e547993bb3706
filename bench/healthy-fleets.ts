/** Fleets in which nobody is bad, and how often a detector says of somebody that he is. Nothing but a seed decides. */
import type { Verdict } from '@kubervisor/shared/detection/contract';
import { Random } from '@kubervisor/testing/random';
import { isConfirmed } from '../services/breaker/core/confirm.ts';
import { judgeDeviation } from '../services/detector/core/continuous-value-deviation.ts';
import { judgeOutliers, type Outlier } from '../services/detector/core/outlier.ts';

export const SIZES = [3, 5, 10, 20, 50, 100, 500] as const;

/** What a healthy pod may show in an evaluation, with a typical value of about 1. */
export const DISTRIBUTIONS: Readonly<Record<string, (random: Random) => number>> = {
  'normal, σ 10 %': (random) => 1 + 0.1 * normal(random),
  'log-normal, σ 0.25': (random) => Math.exp(0.25 * normal(random)),
  'heavy-tailed, Pareto α 3': (random) => (1 - random.next()) ** (-1 / 3),
};

/** Box and Muller. */
const normal = (random: Random): number =>
  Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());

export interface Setting {
  name: string;
  outlier?: Partial<Outlier>;
  maxDeviationPercent?: number;
  confirm?: { anomalous: number; of: number };
  /** Share of what an evaluation sees that the last one has seen too: with [1m] every 5 s it is 11/12. */
  overlap?: number;
}

export const SETTINGS: readonly Setting[] = [
  { name: 'the defaults: mad, 3.5, 10 %', outlier: {} },
  { name: 'the defaults of iqr: 1.5, 10 %', outlier: { method: 'iqr' } },
  { name: 'mad, 3.5, 50 %, minFleet 5', outlier: { minDeviationPercent: 50, minFleet: 5 } },
  { name: 'mad, 6, 200 %', outlier: { factor: 6, minDeviationPercent: 200 } },
  {
    name: 'mad, 6, 100 %, confirm 2 of 2',
    outlier: { factor: 6, minDeviationPercent: 100 },
    confirm: { anomalous: 2, of: 2 },
  },
  {
    name: 'mad, 6, 200 %, confirm 3 of 3',
    outlier: { factor: 6, minDeviationPercent: 200 },
    confirm: { anomalous: 3, of: 3 },
  },
  { name: 'the defaults, confirm 5 of 5', outlier: {}, confirm: { anomalous: 5, of: 5 } },
  {
    name: 'the defaults, confirm 5 of 5, every 5 s over [1m]',
    outlier: {},
    confirm: { anomalous: 5, of: 5 },
    overlap: 11 / 12,
  },
  { name: 'continuousValueDeviation, 75 %', maxDeviationPercent: 75 },
];

export interface Share {
  pods: number;
  /** Pods × evaluations, of all and of those in which a break would have been asked for. */
  judged: number;
  wrong: number;
}

const QUERY = { prometheusService: 'none', promQL: 'none', podNamekey: 'pod' };
const OUTLIER: Outlier = { ...QUERY, method: 'mad', direction: 'above', minDeviationPercent: 10, minFleet: 3 };

/** `evaluations`: of pods, at least; a fleet of fewer pods is judged more often. */
export function wrongShare(
  { outlier, maxDeviationPercent, confirm = { anomalous: 1, of: 1 }, overlap = 0 }: Setting,
  draw: (random: Random) => number,
  { pods, evaluations, seed }: { pods: number; evaluations: number; seed: number },
): Share {
  const random = new Random(seed);
  const fleet = Array.from({ length: pods }, (_, n) => ({ name: `p${n}`, uid: `p${n}` }));
  const judge = (values: readonly number[]): Verdict[] => {
    const samples = values.map((value, n) => ({ labels: { pod: `p${n}` }, value }));
    if (maxDeviationPercent === undefined) return judgeOutliers({ ...OUTLIER, ...outlier }, samples, fleet).verdicts;
    const average = values.reduce((sum, value) => sum + value, 0) / pods;
    const ratios = samples.map(({ labels, value }) => ({ labels, value: value / average }));
    return judgeDeviation({ ...QUERY, maxDeviationPercent }, ratios, fleet).verdicts;
  };
  const share: Share = { pods, judged: 0, wrong: 0 };
  let values = fleet.map(() => draw(random));
  const histories = fleet.map(() => '');
  while (share.judged < evaluations) {
    for (const [n, { outcome }] of judge(values).entries()) {
      const history = histories[n] ?? '';
      const isBad = outcome === 'anomalous';
      share.judged += 1;
      if (isBad && isConfirmed(history, confirm)) share.wrong += 1;
      histories[n] = (history + (isBad ? '1' : '0')).slice(-confirm.of);
    }
    values = values.map((value) => (random.chance(overlap) ? value : draw(random)));
  }
  return share;
}

/** What the share may be in truth, with 97.5 % certainty: by the normal approximation, with the rule of three where it was 0. */
export const atMost = ({ judged, wrong }: Share): number => (wrong + 2 * Math.sqrt(wrong) + 3) / judged;
