/**
 * Our own validation: what the API server does with a resource, done here for objects that slipped by it, for the kubectl plug-in
 * and for the simulator. In its order: unknown fields pruned, nulls dropped, defaults applied; then every problem is
 * listed at once.
 */
import type * as z from 'zod';
import { CRD_NAME, specSchema, type StructuralSchema } from './manifest.ts';
import { spec as specDeclaration, type KubervisorServiceSpec } from './kubervisor-service.ts';
import type { ResolvedSpec } from './resolve.ts';
import { RULES } from './rules.ts';

export interface Problem {
  /** As in `spec.breakers[0].tolerance`. */
  path: string;
  /** What is wrong and what is allowed, without the path. */
  problem: string;
  /** What was found; missing where nothing was. */
  value?: unknown;
}

export type Validated = { spec: KubervisorServiceSpec } | { problems: Problem[] };

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * The API server drops a null where a field is known and not nullable (in a list it stays a mistake), and then fills in defaults,
 * also inside objects of which something else is wrong.
 */
function defaulted(value: unknown, schema: StructuralSchema | undefined): unknown {
  if (Array.isArray(value)) return value.map((item) => defaulted(item, schema?.items));
  if (!isObject(value) || schema?.properties === undefined) return value;
  const known = Object.entries(schema.properties).map(([name, property]): [string, unknown] => [
    name,
    defaulted(value[name] ?? property.default, property),
  ]);
  return Object.fromEntries(known.filter(([, item]) => item !== undefined));
}

const written = (root: string, path: readonly PropertyKey[]): string =>
  path.reduce<string>(
    (text, step) => (typeof step === 'number' ? `${text}[${step}]` : `${text}.${String(step)}`),
    root,
  );

const valueAt = (value: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>((found, step) => (found as Record<PropertyKey, unknown> | undefined)?.[step], value);

const NOUNS: Record<string, string> = { int: 'an integer', object: 'an object', array: 'a list', record: 'an object' };
const noun = (type: string): string => NOUNS[type] ?? `a ${type}`;

function problemOf(issue: z.core.$ZodIssue, value: unknown): string {
  const unit = 'origin' in issue ? { string: ' characters', array: ' items' }[String(issue.origin)] : undefined;
  switch (issue.code) {
    case 'invalid_type':
      return value === undefined ? 'is required' : `must be ${noun(issue.expected)}`;
    case 'too_big':
      return unit === undefined
        ? `must be ${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}`
        : `must have at most ${issue.maximum}${unit}`;
    case 'too_small':
      if (unit !== undefined)
        return issue.minimum === 1 ? 'must not be empty' : `must have at least ${issue.minimum}${unit}`;
      return `must be ${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}`;
    case 'invalid_value':
      return `must be one of ${issue.values.map(String).join(', ')}`;
    case 'invalid_union':
      return 'must be an integer or a string';
    default:
      return issue.message;
  }
}

/** An empty text is also of the wrong form, but one of the two says it all. */
function firstOfEachPath(issues: readonly z.core.$ZodIssue[]): z.core.$ZodIssue[] {
  const first = new Map<string, z.core.$ZodIssue>();
  for (const issue of issues) {
    const path = written('spec', issue.path);
    if (!first.has(path)) first.set(path, issue);
  }
  return [...first.values()];
}

/** Every value that a rule's path names, with the steps that lead there. Missing ones are left out. */
function placesOf(value: unknown, pattern: readonly string[]): { steps: PropertyKey[]; value: unknown }[] {
  return pattern.reduce<{ steps: PropertyKey[]; value: unknown }[]>(
    (places, step) =>
      places.flatMap((place) => {
        const name = step.replace('[]', '');
        if (!isObject(place.value) || place.value[name] === undefined) return [];
        const next = { steps: [...place.steps, name], value: place.value[name] };
        if (!step.endsWith('[]')) return [next];
        return Array.isArray(next.value)
          ? next.value.map((item: unknown, index) => ({ steps: [...next.steps, index], value: item }))
          : [];
      }),
    [{ steps: [], value }],
  );
}

const startsWith = (path: readonly PropertyKey[], start: readonly PropertyKey[]): boolean =>
  start.every((step, index) => path[index] === step);

/** The rules over several fields. `malformed` are the paths below `root` where single fields are wrong already. */
function rulesBroken(root: 'spec' | 'metadata', value: unknown, malformed: readonly PropertyKey[][]): Problem[] {
  return RULES.flatMap(({ at, reads, holds, message }) =>
    at
      .map((path) => path.split('.'))
      .filter(([first]) => first === root)
      .flatMap(([, ...pattern]) => placesOf(value, pattern))
      .filter(
        ({ steps }) =>
          !malformed.some((path) => startsWith(steps, path)) &&
          !reads.some((field) => malformed.some((path) => startsWith(path, [...steps, field]))),
      )
      .filter((place) => !holds(place.value as never))
      .map(({ steps, value: found }) => ({ path: written(root, steps), problem: message, value: found })),
  );
}

const schema = specSchema();

/**
 * The spec as the API server would store it, or all of its problems. `input` is what JSON or YAML gave.
 */
export function validateSpec(input: unknown): Validated {
  const given = defaulted(input ?? undefined, schema);
  const parsed = specDeclaration.safeParse(given);
  const issues = parsed.success ? [] : firstOfEachPath(parsed.error.issues);
  const problems = [
    ...issues.map((issue): Problem => {
      const value = valueAt(given, issue.path);
      return {
        path: written('spec', issue.path),
        problem: problemOf(issue, value),
        ...(value !== undefined && { value }),
      };
    }),
    ...rulesBroken(
      'spec',
      given,
      issues.map(({ path }) => path),
    ),
  ];
  return parsed.success && problems.length === 0 ? { spec: parsed.data } : { problems };
}

/** A whole resource: its name, too. Any more of metadata is the API server's business. */
export function validateResource(resource: {
  metadata?: { name?: string | undefined } | undefined;
  spec?: unknown;
}): Validated {
  const ofName = rulesBroken('metadata', resource.metadata ?? {}, []).map((problem): Problem => ({
    ...problem,
    path: 'metadata.name',
    value: resource.metadata?.name,
  }));
  const validated = validateSpec(resource.spec);
  if (ofName.length === 0) return validated;
  return { problems: [...ofName, ...('problems' in validated ? validated.problems : [])] };
}

/** `spec.breakers[0].tolerance: must be at most 100 (120)`: one line a problem, for people. */
export function describeProblem({ path, problem, value }: Problem): string {
  const found =
    value === undefined || (typeof value === 'object' && value !== null) ? undefined : JSON.stringify(value);
  return `${path}: ${problem}${found === undefined ? '' : ` (found ${found.length > 80 ? `${found.slice(0, 80)}…` : found})`}`;
}

/** By CRD, for a simulated API server, which has no CEL: what our rules say of an object. */
export const CRD_VALIDATORS = {
  [CRD_NAME]: (object: { metadata: { name: string }; spec?: unknown }): { path: string; message: string }[] => {
    const validated = validateResource(object);
    return 'problems' in validated ? validated.problems.map(({ path, problem }) => ({ path, message: problem })) : [];
  },
};

export interface Warning {
  path: string;
  reason: 'GraceTooShort';
  message: string;
}

/** What is allowed but hardly meant. */
export function warningsOf(resolved: ResolvedSpec): Warning[] {
  return resolved.breakers.flatMap(({ name, gracePeriod, lookBack }, index) =>
    gracePeriod >= lookBack
      ? []
      : [
          {
            path: `spec.breakers[${index}].gracePeriod`,
            reason: 'GraceTooShort' as const,
            message: `breaker ${name}: gracePeriod ${gracePeriod} s is shorter than its query looks back (${lookBack} s): a pod that came back is judged by what it did before`,
          },
        ],
  );
}
