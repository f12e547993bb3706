/**
 * What is wrong with NATS now, in sentences: for /readyz, and for the log a line when one comes and one when all are gone. None
 * is told twice while anything is wrong, however often it is met or however it alternates with another.
 */
import type { Logger } from 'pino';

export interface Troubles {
  /** What `source` has found wrong, as long as it finds it; undefined: nothing any more. */
  set(source: Source, problem: string | undefined): void;
  /** An act has failed. Forgotten after a while in which it was not tried again, for then nobody knows. */
  met(source: Source, problem: string): void;
  /** The same act has worked. Not news at once: where every other attempt fails, it still is a trouble. */
  worked(source: Source): void;
  /** With a new connection all is looked at anew. */
  clear(): void;
  list(): string[];
  /** Nothing more is logged: who leaves knows why nothing is there. */
  stop(): void;
}

/** `away` hides all others, and `unfit` those that follow from it. */
export type Source = 'away' | 'unfit' | `permission ${string}` | `ensure` | `bind ${string}` | `publish ${string}`;

interface Trouble {
  problem: string;
  metAt: number;
  forgetAt: number;
}

const FORGET_AFTER = 15_000;
const WORKS_AFTER = 3000;
const SWEEP_EVERY = 1000;

export function keepTroubles(log: Logger, describe: () => object, monotonic = () => performance.now()): Troubles {
  const all = new Map<Source, Trouble>();
  const told = new Set<string>();
  let toldReady = false;
  let stopped = false;

  const list = (): string[] => {
    const away = all.get('away');
    if (away !== undefined) return [away.problem];
    const isUnfit = all.has('unfit');
    const shown = [...all].filter(([source]) => !isUnfit || source === 'unfit' || source.startsWith('permission '));
    return [...new Set(shown.map(([, { problem }]) => problem))];
  };
  const tell = (): void => {
    if (stopped) return;
    const problems = list();
    if (problems.length === 0) {
      if (!toldReady) log.info(describe(), 'NATS is ready');
      toldReady = true;
      told.clear();
      return;
    }
    toldReady = false;
    const news = problems.filter((problem) => !told.has(problem));
    for (const problem of news) told.add(problem);
    if (news.length > 0) log.warn({ problem: news.join('; ') }, 'NATS is not ready');
  };
  const keep = (source: Source, problem: string, forgetAt: number): void => {
    all.set(source, { problem, metAt: monotonic(), forgetAt });
    tell();
  };
  const sweep = setInterval(() => {
    const now = monotonic();
    const before = all.size;
    for (const [source, { forgetAt }] of all) if (forgetAt <= now) all.delete(source);
    if (all.size < before) tell();
  }, SWEEP_EVERY);
  sweep.unref();

  return {
    set(source, problem) {
      if (problem !== undefined) return keep(source, problem, Infinity);
      all.delete(source);
      tell();
    },
    met: (source, problem) => keep(source, problem, monotonic() + FORGET_AFTER),
    worked(source) {
      const trouble = all.get(source);
      if (trouble !== undefined) trouble.forgetAt = Math.min(trouble.forgetAt, trouble.metAt + WORKS_AFTER);
    },
    clear: () => all.clear(),
    list,
    stop() {
      stopped = true;
      clearInterval(sweep);
    },
  };
}
