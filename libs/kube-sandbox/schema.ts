/** The schema of a CRD's version: prunes what it does not know, fills in defaults, validates. */
import { Ajv, type ErrorObject } from 'ajv';
import type { Cause } from './errors.ts';
import { copy, fieldsOf, isFields, type Fields } from './objects.ts';
import type { ListRules } from './patch.ts';

/** A structural schema as the CRD has it (OpenAPI v3). */
export type Schema = Fields;

const ENVELOPE: readonly string[] = ['apiVersion', 'kind', 'metadata'];

/** Removes unknown fields in place and names them. `apiVersion`, `kind` and `metadata` at the root always stay. */
export function prune(object: Fields, schema: Schema): string[] {
  const dropped: string[] = [];
  const visit = (value: unknown, within: Schema, path: string, root: boolean) => {
    if (Array.isArray(value)) {
      value.forEach((item, place) => visit(item, fieldsOf(within.items), `${path}[${place}]`, false));
      return;
    }
    if (!isFields(value)) return;
    const properties = fieldsOf(within.properties);
    const rest = within.additionalProperties;
    const embedded = root || within['x-kubernetes-embedded-resource'] === true;
    for (const key of Object.keys(value)) {
      const inner = path === '' ? key : `${path}.${key}`;
      if (embedded && ENVELOPE.includes(key)) continue;
      if (properties[key] !== undefined) visit(value[key], fieldsOf(properties[key]), inner, false);
      else if (isFields(rest)) visit(value[key], rest, inner, false);
      else if (rest !== true && within['x-kubernetes-preserve-unknown-fields'] !== true) {
        delete value[key];
        dropped.push(inner);
      }
    }
  };
  visit(object, schema, '', true);
  return dropped;
}

/** Fills in defaults in place. A null in a field that does not allow it counts as missing. */
export function applyDefaults(value: unknown, schema: Schema): void {
  if (Array.isArray(value)) {
    for (const item of value) applyDefaults(item, fieldsOf(schema.items));
    return;
  }
  if (!isFields(value)) return;
  for (const [key, given] of Object.entries(fieldsOf(schema.properties))) {
    const property = fieldsOf(given);
    if (value[key] === null && property.nullable !== true) delete value[key];
    if (value[key] === undefined && property.default !== undefined) value[key] = copy(property.default);
    if (value[key] !== undefined) applyDefaults(value[key], property);
  }
  if (isFields(schema.additionalProperties))
    for (const item of Object.values(value)) applyDefaults(item, schema.additionalProperties);
}

/** As `apply` asks: which lists of the schema are list maps or sets. */
export const listRules =
  (schema: Schema): ListRules =>
  (path) => {
    let current: Schema = schema;
    for (const step of path) {
      const property = fieldsOf(current.properties)[step];
      current = fieldsOf(step === '*' ? current.items : (property ?? current.additionalProperties));
    }
    const keys = current['x-kubernetes-list-map-keys'];
    if (current['x-kubernetes-list-type'] === 'map' && Array.isArray(keys)) return { keys: keys as string[] };
    return current['x-kubernetes-list-type'] === 'set' ? 'set' : undefined;
  };

/** OpenAPI v3 of a CRD → JSON Schema that Ajv understands. */
function jsonSchema(schema: Schema): Fields {
  const result: Fields = {};
  for (const [key, value] of Object.entries(schema)) {
    if (key === 'properties')
      result[key] = Object.fromEntries(
        Object.entries(fieldsOf(value)).map(([name, inner]) => [name, jsonSchema(fieldsOf(inner))]),
      );
    else if (key === 'items' || key === 'not') result[key] = jsonSchema(fieldsOf(value));
    else if (key === 'additionalProperties') result[key] = isFields(value) ? jsonSchema(value) : value;
    else if (key === 'allOf' || key === 'anyOf' || key === 'oneOf')
      result[key] = (value as Schema[]).map((inner) => jsonSchema(inner));
    else if (
      !key.startsWith('x-') &&
      !['default', 'nullable', 'example', 'description', 'title', 'format'].includes(key)
    )
      result[key] = value;
  }
  if (schema['x-kubernetes-int-or-string'] === true) result.type = ['integer', 'string'];
  if (schema['x-kubernetes-list-type'] === 'set') result.uniqueItems = true;
  for (const [exclusive, bound] of [
    ['exclusiveMinimum', 'minimum'],
    ['exclusiveMaximum', 'maximum'],
  ] as const) {
    if (result[exclusive] === true) {
      result[exclusive] = result[bound];
      delete result[bound];
    } else if (result[exclusive] === false) delete result[exclusive];
  }
  if (typeof schema.format === 'string' && schema.format === 'date-time') result.format = 'date-time';
  return schema.nullable === true ? { anyOf: [result, { type: 'null' }] } : result;
}

const REASONS: Readonly<Record<string, string>> = {
  required: 'FieldValueRequired',
  enum: 'FieldValueNotSupported',
  type: 'FieldValueTypeInvalid',
  maxLength: 'FieldValueTooLong',
  maxItems: 'FieldValueTooMany',
  uniqueItems: 'FieldValueDuplicate',
};
const TITLES: Readonly<Record<string, string>> = {
  FieldValueRequired: 'Required value',
  FieldValueNotSupported: 'Unsupported value',
  FieldValueTooLong: 'Too long',
  FieldValueTooMany: 'Too many',
  FieldValueDuplicate: 'Duplicate value',
};

function fieldPath(pointer: string): string {
  const steps = pointer
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
  return steps.reduce(
    (path, step) => (/^\d+$/.test(step) ? `${path}[${step}]` : path === '' ? step : `${path}.${step}`),
    '',
  );
}

function causeOf({ instancePath, keyword, params, message = '', data }: ErrorObject): Cause {
  const reason = REASONS[keyword] ?? 'FieldValueInvalid';
  const missing = keyword === 'required' ? String((params as Fields).missingProperty) : undefined;
  const base = fieldPath(instancePath);
  const field = missing === undefined ? base : base === '' ? missing : `${base}.${missing}`;
  const allowed =
    keyword === 'enum'
      ? `: ${((params as Fields).allowedValues as unknown[]).map((v) => JSON.stringify(v)).join(', ')}`
      : '';
  const value = missing === undefined && !isFields(data) && !Array.isArray(data) ? `: ${JSON.stringify(data)}` : '';
  return {
    reason,
    message: `${TITLES[reason] ?? 'Invalid value'}${value}: ${missing === undefined ? `${field} ${message}${allowed}` : message}`,
    field: field === '' ? '<nil>' : field,
  };
}

/** Lists declared as maps must not hold a key twice. */
function duplicates(value: unknown, schema: Schema, path: string, causes: Cause[]): void {
  if (Array.isArray(value)) {
    const keys = schema['x-kubernetes-list-map-keys'];
    const seen = new Set<string>();
    value.forEach((item: unknown, place) => {
      const inner = `${path}[${place}]`;
      if (Array.isArray(keys)) {
        const id = JSON.stringify((keys as string[]).map((key) => fieldsOf(item)[key]));
        if (seen.has(id))
          causes.push({ reason: 'FieldValueDuplicate', message: `Duplicate value: ${id}`, field: inner });
        seen.add(id);
      }
      duplicates(item, fieldsOf(schema.items), inner, causes);
    });
  } else if (isFields(value))
    for (const [key, property] of Object.entries(fieldsOf(schema.properties)))
      if (value[key] !== undefined)
        duplicates(value[key], fieldsOf(property), path === '' ? key : `${path}.${key}`, causes);
}

/** A function that names what is wrong with an object of this schema. @throws if the schema itself makes no sense */
export function compileSchema(schema: Schema): (object: unknown) => Cause[] {
  const ajv = new Ajv({ allErrors: true, strict: false, verbose: true, formats: { 'date-time': DATE_TIME } });
  const validate = ajv.compile(jsonSchema(schema));
  return (object) => {
    const causes: Cause[] = validate(object) ? [] : (validate.errors ?? []).map(causeOf);
    duplicates(object, schema, '', causes);
    return causes;
  };
}

const DATE_TIME = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;
