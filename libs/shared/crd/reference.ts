/** The reference page of the resource, generated from the declaration: one table an object. */
import { API_VERSION, KIND } from './kubervisor-service.ts';
import { specSchema, statusSchema, type StructuralSchema } from './manifest.ts';
import { RULES } from './rules.ts';

const code = (text: string): string => `\`${text}\``;
const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

function typeOf(schema: StructuralSchema): string {
  if (schema['x-kubernetes-int-or-string']) return 'integer or text';
  if (schema.type === 'array')
    return `list of ${schema.items?.type === 'object' ? 'objects' : `${typeOf(schema.items ?? {})}s`}`;
  if (schema.format === 'date-time') return 'time';
  return schema.type === 'string' ? 'text' : (schema.type ?? 'any');
}

function boundsOf(schema: StructuralSchema): string {
  const { minimum, maximum, exclusiveMinimum, minLength, maxLength, minItems, maxItems } = schema;
  return [
    ...(schema.enum === undefined ? [] : [schema.enum.map((value) => code(String(value))).join(', ')]),
    ...(minimum === undefined ? [] : [`${exclusiveMinimum ? '>' : '≥'} ${minimum}`]),
    ...(maximum === undefined ? [] : [`≤ ${maximum}`]),
    ...(maxLength === undefined ? [] : [`${minLength ?? 0} to ${maxLength} characters`]),
    ...(maxItems === undefined ? [] : [`${minItems ?? 0} to ${maxItems} items`]),
    ...(schema['x-kubernetes-list-map-keys'] ?? []).map((key) => `one a ${code(key)}`),
  ].join('; ');
}

interface Section {
  path: string;
  schema: StructuralSchema;
}

/** The objects below, in the order of their fields. Both places of an activator have the same fields: one table says them. */
function sectionsOf({ path, schema }: Section): Section[] {
  const below = Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
    const inner = property.items ?? property;
    const innerPath = `${path}.${name}${property.items === undefined ? '' : '[]'}`;
    return inner.properties === undefined || innerPath === 'spec.breakers[].activator'
      ? []
      : sectionsOf({ path: innerPath, schema: inner });
  });
  return [{ path, schema }, ...below];
}

function tableOf({ path, schema }: Section): string {
  const required = new Set(schema.required);
  const rows = Object.entries(schema.properties ?? {}).map(([name, property]) => {
    const byDefault = required.has(name)
      ? 'required'
      : property.default === undefined
        ? ''
        : code(JSON.stringify(property.default).replaceAll('"', ''));
    return `| ${[code(name), typeOf(property), byDefault, boundsOf(property), property.description ?? ''].map(cell).join(' | ')} |`;
  });
  // A rule over a list is told with the list's items, one over a plain field with the object that has the field.
  const fields = Object.entries(schema.properties ?? {}).filter(([, { properties, items }]) => !properties && !items);
  const subjects = new Map([
    [path, ''],
    [path.replace(/\[\]$/, ''), ''],
    ...fields.map(([name]): [string, string] => [`${path}.${name}`, `${code(name)} `]),
  ]);
  const rules = RULES.flatMap(({ at, message }) =>
    at.flatMap((place) => (subjects.has(place) ? [`- Rule: ${subjects.get(place)}${message}.`] : [])),
  );
  return [
    `### ${code(path)}${path === 'spec.defaultActivator' ? ` and ${code('spec.breakers[].activator')}` : ''}`,
    '',
    '| field | type | default | bounds | meaning |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
    ...(rules.length === 0 ? [] : ['', ...rules]),
  ].join('\n');
}

/** Markdown. */
export function referencePage(): string {
  const tables = (root: string, schema: StructuralSchema) => sectionsOf({ path: root, schema }).map(tableOf);
  return [
    `# Reference: ${KIND}`,
    `Generated from \`libs/shared/crd\` by \`npm run generate\`; do not edit. \`kubectl explain kvs.spec\` says the same.`,
    `${code(`apiVersion: ${API_VERSION}`)}, ${code(`kind: ${KIND}`)}, short name ${code('kvs')}, namespaced. ${code('metadata.name')} has at most 63 characters, for it becomes the value of a label. All times are seconds unless a field says otherwise. A computed default depends on other fields: it is not written into the object.`,
    '## Spec',
    ...tables('spec', specSchema()),
    '## Status',
    ...tables('status', statusSchema()),
    '',
  ]
    .join('\n\n')
    .replace(/\n+$/, '\n');
}
