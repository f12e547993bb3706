/** What a benchmark found, and how it is judged: never by a time alone, always against a bound of the same run. Pure. */

export type Unit = 'ms' | 's' | 'MB' | '/s';

export interface Figure {
  what: string;
  unit: Unit;
  value: number;
  /** The least that this machine could have done it in at that moment, in the same unit. */
  bound?: { what: string; value: number };
  /** `ratio`: of value to bound, at most. `atMost`: in the unit. Without one the figure is told and not judged. */
  target?: { ratio: number } | { atMost: number };
}

export interface Report {
  bench: string;
  figures: Figure[];
}

export type Judgement = 'ok' | 'over' | 'told';

/** The nearest-rank percentile: a value that was measured, never one between two. Throws where nothing was. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  const value = sorted[Math.max(1, Math.ceil((sorted.length * percent) / 100)) - 1];
  if (value === undefined) throw new Error('there is no percentile of nothing');
  return value;
}

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** Undefined where there is nothing to divide by. */
export const ratioOf = ({ value, bound }: Figure): number | undefined =>
  bound === undefined || bound.value <= 0 ? undefined : value / bound.value;

/** A ratio that is asked for and cannot be had counts as over: what was not measured must not pass. */
export function judge(figure: Figure): Judgement {
  const { target, value } = figure;
  if (target === undefined) return 'told';
  if ('atMost' in target) return value <= target.atMost ? 'ok' : 'over';
  const ratio = ratioOf(figure);
  return ratio !== undefined && ratio <= target.ratio ? 'ok' : 'over';
}

/** 0.034, 3.4, 34, 340: as many digits as the figure is worth. */
export function shown(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  return value.toFixed(size < 0.1 ? 3 : size < 1 ? 2 : size < 100 ? 1 : 0);
}

const HEADINGS = ['', 'figure', 'bound', 'ratio', 'target', ''] as const;

function cells(figure: Figure): string[] {
  const { what, unit, value, bound, target } = figure;
  const ratio = ratioOf(figure);
  const wanted = target === undefined ? '' : 'ratio' in target ? `≤ ${target.ratio} ×` : `≤ ${target.atMost} ${unit}`;
  const verdict = judge(figure);
  return [
    what,
    `${shown(value)} ${unit}`,
    bound === undefined ? '' : `${shown(bound.value)} ${unit} (${bound.what})`,
    ratio === undefined ? '' : `${ratio.toFixed(2)} ×`,
    wanted,
    verdict === 'told' ? '' : verdict,
  ];
}

/** Columns as wide as what stands in them, as a terminal shows them. */
export function aligned(rows: readonly (readonly string[])[]): string {
  const columns = Math.max(...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** A table a benchmark. */
export const tableOf = ({ bench, figures }: Report): string =>
  aligned([[bench, ...HEADINGS.slice(1)], ...figures.map(cells)]);

export interface JudgedFigure extends Figure {
  ratio?: number;
  judgement: Judgement;
}

/** For `--json`. */
export const judged = (figures: readonly Figure[]): JudgedFigure[] =>
  figures.map((figure) => {
    const ratio = ratioOf(figure);
    return { ...figure, ...(ratio !== undefined && { ratio }), judgement: judge(figure) };
  });
