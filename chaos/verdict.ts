/** What a run came to, for people and for machines. */
import type { Violation } from '../model/observer.ts';

export interface Told extends Violation {
  /** Faults before it, the last first. */
  faults: string[];
}

export interface Report {
  seed: number;
  apiServer: 'real' | 'sandbox';
  seconds: number;
  storms: number;
  violations: Told[];
  rounds: Readonly<Record<string, number>>;
  counts: Readonly<Record<string, number>>;
  faults: Readonly<Record<string, number>>;
  /** Milliseconds. */
  longest: { well: number; blind: number; blindInCalm: number };
  missedWatchEvents: number;
  floorRepairs: number;
  /** MiB of each process of ours, at the start and at the end. */
  memory: Readonly<Record<string, { start: number; end: number }>>;
  folder?: string;
}

export const isPassed = ({ violations }: Report): boolean => violations.length === 0;

const SHOWN = 20;
const listOf = (of: Readonly<Record<string, number>>): string =>
  Object.entries(of)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(1)} s`;

export function textOf(report: Report): string {
  const { seed, longest, violations, memory, folder } = report;
  const where = report.apiServer === 'real' ? 'a real API server' : 'the simulator (what it shows counts for less)';
  const lines = [
    ...violations
      .slice(0, SHOWN)
      .flatMap(({ rule, at, message, faults }) => [
        `VIOLATION after ${seconds(at)}: ${rule}: ${message}`,
        ...faults.map((fault) => `    before it: ${fault}`),
      ]),
    ...(violations.length > SHOWN ? [`… and ${violations.length - SHOWN} more`] : []),
    ...(violations.length > 0 ? [''] : []),
    `rounds        ${listOf(report.rounds)}`,
    `seen          ${listOf(report.counts)}`,
    `faults        ${listOf(report.faults)}`,
    `blind         at most ${seconds(longest.blind)} after a storm, ${seconds(longest.blindInCalm)} in the calm`,
    `all was well  at most ${seconds(longest.well)} after a storm`,
    `told by us    ${report.missedWatchEvents} missed watch events, ${report.floorRepairs} floor repairs`,
    `memory        ${Object.entries(memory)
      .map(([name, { start, end }]) => `${name} ${start} → ${end}`)
      .join(', ')} MiB`,
    ...(folder === undefined ? [] : [`what happened ${folder}`]),
    '',
    `${isPassed(report) ? 'PASSED' : `FAILED (${violations.length} violations)`}: seed ${seed}, ${Math.round(report.seconds)} s, ${report.storms} storms on ${where}`,
  ];
  return lines.join('\n');
}
