/** Label and field selectors, as strings of a query or as the objects in a spec. */
import { badRequest } from './errors.ts';
import { at, fieldsOf, listOf, type KubeObject } from './objects.ts';

export type Predicate = (object: KubeObject) => boolean;
type Labels = Readonly<Record<string, string>>;

const NAME = String.raw`(?:[A-Za-z0-9.-]+/)?[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?`;
const VALUE = String.raw`[A-Za-z0-9_.-]*`;
const SET = new RegExp(String.raw`^(${NAME})\s+(in|notin)\s*\(([^()]*)\)$`);
const COMPARISON = new RegExp(String.raw`^(${NAME})\s*(==|=|!=|>|<)\s*(${VALUE})$`);
const EXISTS = new RegExp(String.raw`^(!?)\s*(${NAME})$`);

const NEVER = () => false;

function requirement(text: string): (labels: Labels) => boolean {
  const set = SET.exec(text);
  if (set !== null) {
    const [, key = '', operator, list = ''] = set;
    const values = new Set(list.split(',').map((value) => value.trim()));
    return operator === 'in'
      ? (labels) => labels[key] !== undefined && values.has(labels[key])
      : (labels) => labels[key] === undefined || !values.has(labels[key]);
  }
  const comparison = COMPARISON.exec(text);
  if (comparison !== null) {
    const [, key = '', operator, value = ''] = comparison;
    if (operator === '!=') return (labels) => labels[key] !== value;
    if (operator === '>') return (labels) => Number(labels[key] ?? Number.NaN) > Number(value);
    if (operator === '<') return (labels) => Number(labels[key] ?? Number.NaN) < Number(value);
    return (labels) => labels[key] === value;
  }
  const exists = EXISTS.exec(text);
  if (exists !== null) {
    const [, not, key = ''] = exists;
    return not === '!' ? (labels) => labels[key] === undefined : (labels) => labels[key] !== undefined;
  }
  throw badRequest(`unable to parse requirement: ${text}: use key, !key, =, ==, !=, in (…), notin (…), > or <`);
}

/** `a=b,c in (d,e),!f`. @throws ApiError 400 */
export function labelSelector(text: string | undefined): Predicate | undefined {
  if (text === undefined || text.trim() === '') return undefined;
  const requirements = text
    .split(/,(?![^()]*\))/)
    .map((part) => part.trim())
    .map(requirement);
  return ({ metadata }) => requirements.every((holds) => holds(metadata.labels ?? {}));
}

/** `metadata.name=a,status.phase!=Running`; only the fields that the kind knows. @throws ApiError 400 */
export function fieldSelector(text: string | undefined, known: readonly string[]): Predicate | undefined {
  if (text === undefined || text.trim() === '') return undefined;
  const requirements = text.split(',').map((part): Predicate => {
    const [, field = '', operator, value = ''] = /^([^!=]+?)(==|=|!=)(.*)$/.exec(part.trim()) ?? [];
    if (operator === undefined) throw badRequest(`invalid field selector: ${part}`);
    if (!known.includes(field)) throw badRequest(`field label not supported: ${field}`);
    const valueOf = (object: KubeObject) => String(at(object, field) ?? (field === 'spec.unschedulable' ? false : ''));
    return operator === '!=' ? (object) => valueOf(object) !== value : (object) => valueOf(object) === value;
  });
  return (object) => requirements.every((holds) => holds(object));
}

/** A `LabelSelector` of a spec: matchLabels and matchExpressions. One that is missing selects nothing, an empty one all. */
export function specSelector(selector: unknown): (labels: Labels) => boolean {
  if (selector === undefined || selector === null) return NEVER;
  const { matchLabels, matchExpressions } = fieldsOf(selector);
  const equals = Object.entries(fieldsOf(matchLabels));
  const expressions = listOf(matchExpressions).map(({ key, operator, values }) => {
    const name = String(key);
    const wanted = new Set(Array.isArray(values) ? values.map(String) : []);
    const tests: Record<string, (labels: Labels) => boolean> = {
      In: (labels) => labels[name] !== undefined && wanted.has(labels[name]),
      NotIn: (labels) => labels[name] === undefined || !wanted.has(labels[name]),
      Exists: (labels) => labels[name] !== undefined,
      DoesNotExist: (labels) => labels[name] === undefined,
    };
    return tests[String(operator)] ?? NEVER;
  });
  return (labels) =>
    equals.every(([key, value]) => labels[key] === value) && expressions.every((holds) => holds(labels));
}
