import { expect, test } from '@jest/globals';
import { parametersProblem } from './parameters.ts';

const schema = {
  type: 'object',
  properties: {
    rate: { type: 'number', minimum: 0, exclusiveMaximum: 1 },
    mode: { enum: ['secret', 'other'] },
    name: { type: 'string', pattern: '^secret', maxLength: 8 },
    list: { type: 'array', minItems: 1, items: { type: ['integer', 'null'] } },
    'a/b~c': { type: 'boolean' },
  },
  required: ['rate'],
  additionalProperties: false,
};

test.each<[object]>([[{ rate: 0.5 }], [{ rate: 0, mode: 'other', name: 'secret', list: [1, null], 'a/b~c': true }]])(
  '%j fit',
  (parameters) => expect(parametersProblem(schema, parameters)).toBeUndefined(),
);

test.each([
  [{}, 'parameters.rate is missing'],
  [{ rate: '0.5' }, 'parameters.rate must be of type number'],
  [{ rate: -1 }, 'parameters.rate must be at least 0'],
  [{ rate: 1 }, 'parameters.rate must be less than 1'],
  [{ rate: 0, mode: 'x' }, 'parameters.mode is none of the values that the plug-in allows'],
  [{ rate: 0, name: 'x' }, 'parameters.name does not have the form that the plug-in asks for'],
  [{ rate: 0, name: 'secret-long' }, 'parameters.name must have at most 8 characters'],
  [{ rate: 0, list: [] }, 'parameters.list must have at least 1 items'],
  [{ rate: 0, list: [1, 1.5] }, 'parameters.list.1 must be of type integer or null'],
  [{ rate: 0, 'a/b~c': 1 }, 'parameters.a/b~c must be of type boolean'],
  [{ rate: 0, more: 1 }, 'parameters.more is not known to the plug-in'],
])('%j do not: %s; what the schema has as text is not repeated', (parameters, problem) => {
  expect(parametersProblem(schema, parameters)).toBe(problem);
  expect(problem).not.toMatch(/secret(?!-long)/);
});

test('a field that is missing is named only where its name is one', () => {
  expect(parametersProblem({ required: ['<b>secret page</b>'] }, {})).toBe(
    'parameters lacks a field that the plug-in needs',
  );
});

test('a schema says by $schema of which draft it is: the newest unless told', () => {
  const pair = [1, 'x'];
  const tuple = (keyword: string, $schema?: string) =>
    parametersProblem({ $schema, properties: { pair: { [keyword]: [{ type: 'string' }] } } }, { pair });
  const problem = 'parameters.pair.0 must be of type string';
  expect(tuple('prefixItems')).toBe(problem);
  expect(tuple('prefixItems', 'https://json-schema.org/draft/2020-12/schema')).toBe(problem);
  expect(tuple('items', 'http://json-schema.org/draft-07/schema#')).toBe(problem);
});

test.each<[object]>([
  [{ type: 'secret' }],
  [{ $ref: 'http://169.254.169.254/schema' }],
  [{ properties: { a: { pattern: '(' } } }],
  [{ properties: 7 }],
  [{ properties: { a: { pattern: 'a'.repeat(1001) } } }],
  [{ patternProperties: { [`(${'\\p{L}'.repeat(200)})`]: {} } }],
])('%j is no schema', (none) => {
  expect(() => parametersProblem(none as Record<string, unknown>, { a: '' })).toThrow();
});

test('a pattern may have 1000 characters', () => {
  const schema = { properties: { a: { pattern: 'a'.repeat(1000) } } };
  expect(parametersProblem(schema, { a: '' })).toBe('parameters.a does not have the form that the plug-in asks for');
});

test('a schema cannot make a promise of the answer, nor change the parameters', () => {
  const parameters = {};
  expect(parametersProblem({ $async: true, required: ['rate'] }, parameters)).toBe('parameters.rate is missing');
  expect(parametersProblem({ properties: { rate: { default: 1 } } }, parameters)).toBeUndefined();
  expect(parameters).toEqual({});
});
