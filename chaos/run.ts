/** Storm and calm by turns, until the time is over. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '@kubervisor/testing/random';
import { calmDown, Sights } from './calm.ts';
import { handsOf, type Undo } from './faults.ts';
import { describeFault, planOf, type Happening } from './plan.ts';
import type { Record as History } from './record.ts';
import { startStage, type Member, type Stage } from './stage.ts';
import type { Report, Told } from './verdict.ts';

export interface RunOptions {
  /** Where the API server comes from. */
  source: 'assets' | 'sandbox';
  minutes: number;
  seed: number;
  /** No further storm after the first violation. */
  bail: boolean;
  history: History;
  say(line: string): void;
  signal: AbortSignal;
}

const LONGEST_STORM = 60_000;
/** W8 is a matter of a hundred microseconds: more than now and then is no chance. */
const lateWritesAllowed = (freezes: number): number => 1 + Math.floor(freezes / 20);
const FAULTS_TOLD = 6;

export async function runChaos(options: RunOptions): Promise<Report> {
  const began = performance.now();
  const { source, seed, history, say } = options;
  const stage = await startStage(source, seed, history, say);
  try {
    return await play(stage, options, began);
  } finally {
    await stage.stop();
  }
}

async function play(
  stage: Stage,
  { minutes, seed, bail, history, say, signal }: RunOptions,
  began: number,
): Promise<Report> {
  /** Rejects when the run is interrupted. */
  const delay = (milliseconds: number): Promise<void> => sleep(Math.max(0, milliseconds), undefined, { signal });
  const { evidence, plugin, fleets, members } = stage;
  const hands = handsOf(stage);
  const random = new Random(seed ^ 0xbad);
  const sights = new Sights();
  stage.onEvaluation = ({ at, resource, breakers }) => {
    for (const breaker of breakers) sights.saw(`${resource}/${breaker}`, at);
  };

  const faults: { at: number; text: string; kind: string }[] = [];
  const violations: Told[] = [];
  const tellViolation = (rule: string, message: string, at: number): void => {
    const before = faults
      .filter((fault) => fault.at <= at)
      .slice(-FAULTS_TOLD)
      .reverse();
    violations.push({
      ...{ rule, message, at: at - began },
      faults: before.map((fault) => `${((fault.at - began) / 1000).toFixed(1)} s ${fault.text}`),
    });
    history.tell('VIOLATED', `${rule}: ${message}`);
    say(`VIOLATION: ${rule}: ${message}`);
  };
  const collect = (): void => {
    for (const { rule, message, at } of evidence.takeViolations()) tellViolation(rule, message, at);
  };

  const meters = new Meters();
  const measure = setInterval(() => {
    collect();
    void meters.read(members);
  }, 2000);

  const storm = async (plan: readonly Happening[], length: number): Promise<Undo[]> => {
    const begun = performance.now();
    const staying: Undo[] = [];
    const mood = setInterval(() => {
      for (const { name } of fleets) plugin.badShare(name, random.pick(0, 0.15, 0.3, 0.5));
    }, 5000);
    const undergo = async ({ at, lasts, stays, fault }: Happening): Promise<void> => {
      await delay(begun + at - performance.now());
      const text = describeFault(fault);
      faults.push({ at: performance.now(), text, kind: fault.kind });
      history.tell('fault', `${text} for ${stays ? 'longer than the storm' : `${lasts} ms`}`);
      const undo = await hands.begin(fault);
      if (stays) return void staying.push(undo);
      await delay(begun + at + lasts - performance.now());
      await undo();
      history.tell('fault', `${text} is over`);
    };
    const results = await Promise.allSettled(plan.map(undergo));
    for (const result of results) if (result.status === 'rejected') history.tell('harness', String(result.reason));
    clearInterval(mood);
    await delay(begun + length - performance.now());
    const lives = [
      ...members.map(({ life }) => life),
      stage.natsServer,
      stage.apiServer,
      ...(stage.etcd ? [stage.etcd] : []),
    ];
    await Promise.all(lives.map((life) => life.settle()));
    return staying;
  };

  try {
    const longest = { well: 0, blind: 0, blindInCalm: 0 };
    const calm = async (): Promise<void> => {
      history.tell('calm', 'begins');
      const figures = await calmDown(
        stage,
        sights,
        (rule, message) => tellViolation(rule, message, performance.now()),
        signal,
      );
      longest.well = Math.max(longest.well, figures.wellAfter);
      longest.blind = Math.max(longest.blind, figures.blind);
      longest.blindInCalm = Math.max(longest.blindInCalm, figures.blindInCalm);
      history.tell('calm', JSON.stringify(figures));
    };
    await calm();
    await meters.read(members);
    const memoryAtStart = meters.memory(members);
    const until = performance.now() + minutes * 60_000;
    const length = Math.min(LONGEST_STORM, minutes * 30_000);
    const plan = planOf(seed);
    let storms = 0;
    while (performance.now() + length / 2 < until && !(bail && violations.length > 0)) {
      const staying = await storm(plan(length), length);
      storms += 1;
      await calm();
      await Promise.all(staying.map((undo) => undo()));
      await hands.releasePaused();
      collect();
      const { breaks, returns, kills, pauses } = evidence.observer.counts;
      const rounds = [...stage.rounds.values()].reduce((one, other) => one + other, 0);
      say(
        `${Math.round((performance.now() - began) / 1000)} s: ${storms} storms, ${faults.length} faults, ${rounds} rounds, ` +
          `${breaks} breaks, ${returns} returns, ${kills} kills, ${pauses} pauses; ${violations.length} violations`,
      );
    }
    await delay(2000);
    collect();
    await meters.read(members);
    const memoryAtEnd = meters.memory(members);
    const byKind = countBy(faults.map(({ kind }) => kind));
    const freezes = faults.filter(({ kind }) => kind.startsWith('freeze')).length;
    const { observer, counts } = evidence;
    if (observer.counts.lateWrites > lateWritesAllowed(freezes))
      tellViolation(
        'W3',
        `${observer.counts.lateWrites} writes were late after ${freezes} standstills: no chance any more (W8)`,
        performance.now(),
      );
    // Who judges nothing, or sees nothing done, has shown nothing.
    for (const what of ['lists', 'claims', 'breaks', 'returns'] as const)
      if (observer.counts[what] === 0) tellViolation('harness', `no ${what} were seen`, performance.now());
    return {
      ...{ seed, apiServer: stage.kind, seconds: (performance.now() - began) / 1000, storms, violations },
      rounds: Object.fromEntries(stage.rounds),
      counts: { ...observer.counts, ...counts, gaps: stage.gaps() },
      faults: byKind,
      longest,
      missedWatchEvents: meters.sum('kubervisor_missed_watch_events_count'),
      floorRepairs: meters.sum('kubervisor_floor_repairs_total'),
      memory: Object.fromEntries(
        members.map(({ name }) => [name, { start: memoryAtStart[name] ?? 0, end: memoryAtEnd[name] ?? 0 }]),
      ),
    };
  } finally {
    clearInterval(measure);
  }
}

const countBy = (names: readonly string[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
};

/** What the processes' own /metrics say; of one that died, what it said last. */
class Meters {
  readonly #read = new Map<number, { name: string; text: string }>();

  async read(members: readonly Member[]): Promise<void> {
    await Promise.allSettled(
      members.map(async ({ name, process, life }) => {
        if (!life.isWell) return;
        const { pid } = process;
        const answer = await fetch(`${process.url}/metrics`, { signal: AbortSignal.timeout(2000) });
        this.#read.set(pid, { name, text: await answer.text() });
      }),
    );
  }
  sum(metric: string): number {
    return [...this.#read.values()].reduce((sum, { text }) => sum + valueOf(text, metric), 0);
  }
  /** MiB of the processes that run now. */
  memory(members: readonly Member[]): Record<string, number> {
    return Object.fromEntries(
      members.map(({ name, process }) => [
        name,
        Math.round(valueOf(this.#read.get(process.pid)?.text ?? '', 'process_resident_memory_bytes') / 2 ** 20),
      ]),
    );
  }
}

/** All series of the metric together. */
const valueOf = (text: string, metric: string): number =>
  text
    .split('\n')
    .filter((line) => line.startsWith(`${metric}{`) || line.startsWith(`${metric} `))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
