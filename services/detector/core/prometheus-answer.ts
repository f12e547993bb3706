/** Reads what Prometheus answers to an instant query, and to one over a range. */
import { parseForeign } from '@kubervisor/shared/detection/foreign-json';
import { failure, success, type Result } from './answer.ts';

export interface Sample {
  labels: Readonly<Record<string, string>>;
  /** May be NaN or infinite. */
  value: number;
}

/** What a series was over a range; some points may be missing. */
export interface Series {
  labels: Sample['labels'];
  /** In the order of time, of which no two are the same. */
  points: { atSeconds: number; value: number }[];
}

interface Read {
  /** Series whose samples are native histograms: they have no single value. */
  histograms: number;
  /** What Prometheus said beside its answer; bounded, one line each. */
  warnings: string[];
}

export interface Vector extends Read {
  samples: Sample[];
}

export interface Matrix extends Read {
  series: Series[];
}

/** What Prometheus calls its errors; any other text is foreign and stays out. */
const ERROR_TYPES = [
  'timeout',
  'canceled',
  'execution',
  'bad_data',
  'internal',
  'unavailable',
  'not_found',
  'not_acceptable',
];

const MAX_WARNINGS = 20;
const MAX_WARNING = 512;

export function readVector(status: number, text: string): Result<Vector> {
  const read = readResult(status, text, 'vector');
  if (!read.ok) return read;
  const vector: Vector = { samples: [], histograms: 0, warnings: read.value.warnings };
  for (const series of read.value.result) {
    if (!isObject(series) || !isLabels(series['metric'])) return badAnswer('has a series without labels');
    if (series['value'] === undefined && series['histogram'] !== undefined) {
      vector.histograms += 1;
      continue;
    }
    const sample = readPair(series['value']);
    if (sample === undefined) return badAnswer('has a sample that is no number');
    vector.samples.push({ labels: series['metric'], value: sample.value });
  }
  return success(vector);
}

/** `mostPoints`: of a series. What judges them takes time by the square of their number. */
export function readMatrix(status: number, text: string, mostPoints: number): Result<Matrix> {
  const read = readResult(status, text, 'matrix');
  if (!read.ok) return read;
  const matrix: Matrix = { series: [], histograms: 0, warnings: read.value.warnings };
  for (const series of read.value.result) {
    if (!isObject(series) || !isLabels(series['metric'])) return badAnswer('has a series without labels');
    if (series['histograms'] !== undefined) {
      matrix.histograms += 1;
      continue;
    }
    if (!Array.isArray(series['values'])) return badAnswer('has a series without values');
    if (series['values'].length > mostPoints) return badAnswer('has more points than were asked for');
    const points: Series['points'] = [];
    for (const pair of series['values'] as unknown[]) {
      const point = readPair(pair);
      if (point === undefined || !Number.isFinite(point.atSeconds)) return badAnswer('has a sample that is no number');
      if (point.atSeconds <= (points.at(-1)?.atSeconds ?? -Infinity))
        return badAnswer('has points that are not in the order of time');
      points.push(point);
    }
    matrix.series.push({ labels: series['metric'], points });
  }
  return success(matrix);
}

/** The list of series of an answer, and the warnings beside it; a fault where it is none. */
function readResult(
  status: number,
  text: string,
  wanted: 'vector' | 'matrix',
): Result<{ result: unknown[]; warnings: string[] }> {
  const parsed = parseForeign(text);
  const answer = 'json' in parsed && isObject(parsed.json) ? parsed.json : undefined;
  if (answer?.['status'] === 'error') {
    const type = answer['errorType'];
    const known = typeof type === 'string' && ERROR_TYPES.includes(type) ? type : 'unknown error';
    return failure('QueryFailed', `Prometheus refused the query: ${known}`);
  }
  if (status !== 200) return failure('BadStatus', `Prometheus answered ${status}`);
  if ('problem' in parsed) return badAnswer(parsed.problem);
  const data = answer?.['data'];
  if (answer?.['status'] !== 'success' || !isObject(data)) return badAnswer('is not of its API');
  const type = data['resultType'];
  if (wanted === 'vector' && (type === 'scalar' || type === 'matrix' || type === 'string')) {
    return failure('BadAnswer', `the query must give an instant vector, not a ${type}`);
  }
  if (type !== wanted || !Array.isArray(data['result'])) {
    return badAnswer(wanted === 'vector' ? 'is no instant vector' : 'is no matrix');
  }
  return success({ result: data['result'] as unknown[], warnings: readWarnings(answer) });
}

/** `[1700000000.5, "0.5"]` */
function readPair(pair: unknown): { atSeconds: number; value: number } | undefined {
  if (!Array.isArray(pair) || pair.length !== 2) return undefined;
  const [atSeconds, text] = pair as unknown[];
  const value = readNumber(text);
  return typeof atSeconds === 'number' && value !== undefined ? { atSeconds, value } : undefined;
}

const badAnswer = (what: string) => failure('BadAnswer', `the answer of Prometheus ${what}`);

function readWarnings(answer: Record<string, unknown>): string[] {
  return [answer['warnings'], answer['infos']]
    .flatMap((list): unknown[] => (Array.isArray(list) ? list : []))
    .filter((warning) => typeof warning === 'string')
    .slice(0, MAX_WARNINGS)
    .map((warning) => warning.replace(/[\p{Cc}\p{Cf}\s]+/gu, ' ').slice(0, MAX_WARNING));
}

/** Prometheus writes sample values as text: `0.5`, `1e+06`, `NaN`, `+Inf`. */
function readNumber(text: unknown): number | undefined {
  if (typeof text !== 'string') return undefined;
  if (text === 'NaN') return NaN;
  if (/^[+-]?Inf$/.test(text)) return text.startsWith('-') ? -Infinity : Infinity;
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : undefined;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isLabels = (value: unknown): value is Record<string, string> =>
  isObject(value) && Object.values(value).every((label) => typeof label === 'string');
