/**
 * Whether every breaker was evaluated in every one of its periods: kept from what the workers tell of their rounds, not from what the
 * controller says of itself. Pure; all times are milliseconds on one clock.
 */

export interface Gap {
  resource: string;
  breaker: string;
  /** When it began, and how long it lasted, of a breaker of what period. */
  from: number;
  milliseconds: number;
  period: number;
  /** Evaluations that should have been in it. */
  missed: number;
}

export interface PeriodBook {
  /** A resource is there from `at` on: so long before its first evaluation its first period begins. */
  begin(
    resource: { uid: string; name: string },
    breakers: readonly { name: string; period: number }[],
    at: number,
  ): void;
  /** An evaluation came to a decision. */
  evaluated(uid: string, breaker: string, at: number): void;
  /** The resource is gone, or nobody looks any more. */
  end(uid: string, at: number): void;
  endAll(at: number): void;
  /** Whether each breaker that is there was evaluated at least once. */
  readonly allEvaluated: boolean;
  readonly evaluations: number;
  /** Measured by its period. */
  readonly longest: Gap | undefined;
  /** In which a period was missed. */
  readonly gaps: readonly Gap[];
}

interface Kept {
  resource: string;
  period: number;
  last: number;
  count: number;
}

/**
 * Ticks stand on a grid and the end of a round a little after its tick, so two ends in a row are one period apart, give or take what
 * the rounds took. From one and a half on, a tick between them was left out.
 */
const missedIn = (gap: number, period: number): number => Math.max(0, Math.round(gap / period) - 1);

export const inPeriods = ({ milliseconds, period }: Gap): number => milliseconds / period;

export function createPeriodBook(): PeriodBook {
  const kept = new Map<string, Map<string, Kept>>();
  const gaps: Gap[] = [];
  let evaluations = 0;
  let longest: Gap | undefined;

  const close = (one: Kept, breaker: string, at: number): void => {
    const milliseconds = at - one.last;
    const gap = {
      resource: one.resource,
      breaker,
      from: one.last,
      milliseconds,
      period: one.period,
      missed: missedIn(milliseconds, one.period),
    };
    if (longest === undefined || inPeriods(gap) > inPeriods(longest)) longest = gap;
    if (gap.missed > 0) gaps.push(gap);
    // What is told late, or twice, opens no gap.
    one.last = Math.max(one.last, at);
  };
  const end: PeriodBook['end'] = (uid, at) => {
    for (const [breaker, one] of kept.get(uid) ?? []) close(one, breaker, at);
    kept.delete(uid);
  };

  return {
    begin({ uid, name }, breakers, at) {
      const of = breakers.map(({ name: breaker, period }): [string, Kept] => [
        breaker,
        { resource: name, period, last: at, count: 0 },
      ]);
      kept.set(uid, new Map(of));
    },
    evaluated(uid, breaker, at) {
      const one = kept.get(uid)?.get(breaker);
      if (one === undefined) return;
      close(one, breaker, at);
      one.count += 1;
      evaluations += 1;
    },
    end,
    endAll(at) {
      for (const uid of [...kept.keys()]) end(uid, at);
    },
    get allEvaluated() {
      return [...kept.values()].every((breakers) => [...breakers.values()].every(({ count }) => count > 0));
    },
    get evaluations() {
      return evaluations;
    },
    get longest() {
      return longest;
    },
    gaps,
  };
}
