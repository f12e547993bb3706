/** What the conformance check asks: requests as the detector service sends them, and some that it never would. */
import { DETECTOR_API_VERSION, type JudgedPod, type VerdictRequest } from '@kubervisor/shared/detection/contract';
import { LARGE_FLEET } from './obligations.ts';

export interface Asked {
  parameters: Record<string, unknown>;
  timeoutMilliseconds: number;
}

const FLEETS_AT_ONCE = 8;
/** An address that nobody has (RFC 5737). */
const ADDRESS = '192.0.2.';

/** Names and uids of one fleet are of no other. */
function podsOf(fleet: string, count: number): JudgedPod[] {
  const number = [...fleet].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 2 ** 24, 1);
  const hex = (value: number, digits: number) => value.toString(16).padStart(digits, '0');
  return Array.from({ length: count }, (_, n) => ({
    name: `${fleet}-7d9f8c6b5-${n.toString(36).padStart(5, '0')}`,
    uid: `00000000-0000-4000-8000-${hex(number, 6)}${hex(n, 6)}`,
    ip: `${ADDRESS}${(n % 254) + 1}`,
    node: `node-${n % 10}`,
    revision: '7d9f8c6b5',
    readySince: '2026-01-01T00:00:00Z',
  }));
}

function question(fleet: string, pods: JudgedPod[], { parameters, timeoutMilliseconds }: Asked): VerdictRequest {
  return {
    apiVersion: DETECTOR_API_VERSION,
    evaluationId: `conformance/${fleet}`,
    timeoutMilliseconds,
    service: { namespace: 'conformance', name: fleet },
    breaker: 'conformance',
    parameters,
    pods,
  };
}

export const ordinary = (asked: Asked): VerdictRequest => question('cart', podsOf('cart', 3), asked);

/** One obligation each: every problem with its answer that the ordinary question had not is a breach of it. */
export const VARIANTS = {
  'asked-again': (asked: Asked) => [ordinary(asked)],
  'fewest-fields': (asked: Asked) => [
    question(
      'bare',
      podsOf('bare', 3).map(({ name, uid }) => ({ name, uid })),
      asked,
    ),
  ],
  'unknown-fields': (asked: Asked) => {
    const later = { addedLater: { by: ['contract', 1] } };
    const { service, pods, ...request } = question('later', podsOf('later', 3), asked);
    return [
      { ...request, ...later, service: { ...service, ...later }, pods: pods.map((pod) => ({ ...pod, ...later })) },
    ];
  },
  'one-pod': (asked: Asked) => [question('alone', podsOf('alone', 1), asked)],
  'large-fleet': (asked: Asked) => [question('large', podsOf('large', LARGE_FLEET), asked)],
  'at-once': (asked: Asked) =>
    Array.from({ length: FLEETS_AT_ONCE }, (_, n) => question(`fleet${n}`, podsOf(`fleet${n}`, 3), asked)),
} as const satisfies Record<string, (asked: Asked) => VerdictRequest[]>;

/** Bodies that must be refused. */
export const REFUSALS = {
  'refuses-nonsense': () => '{"apiVersion": ',
  'refuses-other-shape': (asked: Asked) => JSON.stringify({ ...ordinary(asked), pods: undefined }),
  'refuses-other-version': (asked: Asked) =>
    JSON.stringify({ ...ordinary(asked), apiVersion: 'detector.kubervisor.io/v999' }),
} as const satisfies Record<string, (asked: Asked) => string>;

type Fields = Record<string, unknown>;
const fieldsOf = (value: unknown): Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};

/** What may fit a schema, the likeliest first: nothing at all, its examples, its fields with their defaults and examples. */
export function parametersToTry(schema: Fields): Fields[] {
  const examples = Array.isArray(schema['examples']) ? schema['examples'] : [];
  const ofFields = Object.entries(fieldsOf(schema['properties'])).flatMap(([name, field]) => {
    const { default: usual, examples: some, const: only, enum: allowed } = fieldsOf(field);
    const value = [usual, only, ...[some, allowed].flatMap((list) => (Array.isArray(list) ? (list as unknown[]) : []))];
    return value
      .filter((one) => one !== undefined)
      .slice(0, 1)
      .map((one) => [name, one] as const);
  });
  return [{}, ...[...examples, schema['default']].map(fieldsOf), Object.fromEntries(ofFields)];
}

/** What may not fit it. */
export function parametersToRefuse(schema: Fields, sound: Fields): Fields[] {
  const names = [...new Set([...Object.keys(fieldsOf(schema['properties'])), ...Object.keys(sound)])];
  const odd: unknown[] = [null, 'nonsense', -1e9, [], {}, false];
  return [
    ...names.flatMap((name) => odd.map((value) => ({ ...sound, [name]: value }))),
    { ...sound, noSuchParameter: true },
    {},
  ];
}
