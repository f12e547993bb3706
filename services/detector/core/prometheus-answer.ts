/** Reads what Prometheus answers to an instant query. */
import { failure, success, type Result } from './answer.ts';

export interface Sample {
  labels: Readonly<Record<string, string>>;
  /** May be NaN or infinite. */
  value: number;
}

export interface Vector {
  samples: Sample[];
  /** Series whose sample is a native histogram: it has no single value. */
  histograms: number;
  /** What Prometheus said beside its answer; bounded, one line each. */
  warnings: string[];
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

export function readQueryAnswer(status: number, text: string): Result<Vector> {
  const answer = parseObject(text);
  if (answer?.['status'] === 'error') {
    const type = answer['errorType'];
    const known = typeof type === 'string' && ERROR_TYPES.includes(type) ? type : 'unknown error';
    return failure('QueryFailed', `Prometheus refused the query: ${known}`);
  }
  if (status !== 200) return failure('BadStatus', `Prometheus answered ${status}`);
  const data = answer?.['data'];
  if (answer?.['status'] !== 'success' || !isObject(data)) return badAnswer('is not of its API');
  const type = data['resultType'];
  if (type === 'scalar' || type === 'matrix' || type === 'string') {
    return failure('BadAnswer', `the query must give an instant vector, not a ${type}`);
  }
  if (type !== 'vector' || !Array.isArray(data['result'])) return badAnswer('is no instant vector');

  const vector: Vector = { samples: [], histograms: 0, warnings: readWarnings(answer) };
  for (const series of data['result'] as unknown[]) {
    if (!isObject(series) || !isLabels(series['metric'])) return badAnswer('has a series without labels');
    if (series['value'] === undefined && series['histogram'] !== undefined) {
      vector.histograms += 1;
      continue;
    }
    const pair = series['value'];
    const value = Array.isArray(pair) && pair.length === 2 ? readNumber(pair[1]) : undefined;
    if (value === undefined) return badAnswer('has a sample that is no number');
    vector.samples.push({ labels: series['metric'], value });
  }
  return success(vector);
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

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isLabels = (value: unknown): value is Record<string, string> =>
  isObject(value) && Object.values(value).every((label) => typeof label === 'string');
