/** Parameters of the resource against the JSON Schema of the plug-in. */
import { Ajv, type ErrorObject } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { MAX_PATTERN_LENGTH } from './contract.ts';

const regExp = Object.assign(
  (pattern: string, flags: string): RegExp => {
    if (pattern.length > MAX_PATTERN_LENGTH) throw new Error('a pattern is too long');
    return new RegExp(pattern, flags);
  },
  { code: 'new RegExp' },
);

const OPTIONS = { strict: false, validateFormats: false, logger: false, code: { regExp } } as const;
/** These never compile a foreign schema, so no `$id` of one plug-in is known to the next. What they compile, on first use, is what a schema may be. */
const DRAFTS = {
  'up to 07': {
    definition: new Ajv(OPTIONS),
    create: () => new Ajv({ ...OPTIONS, meta: false, validateSchema: false }),
  },
  '2020-12': {
    definition: new Ajv2020(OPTIONS),
    create: () => new Ajv2020({ ...OPTIONS, meta: false, validateSchema: false }),
  },
};

/**
 * Undefined where they fit, else one line: where in the parameters, and what is wrong there. Throws where the schema is none, or uses what it does not hold
 * itself (a `$ref` to elsewhere). The schema is foreign: whoever calls this bounds how long it may take.
 */
export function parametersProblem(schema: Record<string, unknown>, parameters: unknown): string | undefined {
  const { $schema, $async: _neverPromises, ...rules } = schema;
  const isOld = typeof $schema === 'string' && /draft-0[4-7]/.test($schema);
  const { definition, create } = DRAFTS[isOld ? 'up to 07' : '2020-12'];
  if (definition.validateSchema(rules) !== true) throw new Error('not a JSON Schema');
  const validate = create().compile(rules);
  if (validate(parameters)) return undefined;
  return explain(validate.errors?.[0]);
}

/** Of the foreign schema it shows the names of types and fields and the bounds alone: what stands in text there stays there. */
function explain(error: ErrorObject | undefined): string {
  if (error === undefined) return 'parameters do not fit the schema of the plug-in';
  const { keyword, params } = error;
  const steps = error.instancePath.split('/').slice(1);
  const at = ['parameters', ...steps.map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))];
  const where = (field?: unknown) => [...at, ...(field === undefined ? [] : [field])].join('.').slice(0, 200);
  const limit = Number((params as { limit?: unknown }).limit);
  switch (keyword) {
    case 'required':
      return nameable(params['missingProperty'])
        ? `${where(params['missingProperty'])} is missing`
        : `${where()} lacks a field that the plug-in needs`;
    case 'additionalProperties':
      return `${where(params['additionalProperty'])} is not known to the plug-in`;
    case 'unevaluatedProperties':
      return `${where(params['unevaluatedProperty'])} is not known to the plug-in`;
    case 'type':
      return `${where()} must be of type ${[params['type'] as string | string[]].flat().join(' or ')}`;
    case 'minimum':
      return `${where()} must be at least ${limit}`;
    case 'maximum':
      return `${where()} must be at most ${limit}`;
    case 'exclusiveMinimum':
      return `${where()} must be more than ${limit}`;
    case 'exclusiveMaximum':
      return `${where()} must be less than ${limit}`;
    case 'minLength':
    case 'minItems':
      return `${where()} must have at least ${limit} ${keyword === 'minLength' ? 'characters' : 'items'}`;
    case 'maxLength':
    case 'maxItems':
      return `${where()} must have at most ${limit} ${keyword === 'maxLength' ? 'characters' : 'items'}`;
    case 'enum':
    case 'const':
      return `${where()} is none of the values that the plug-in allows`;
    case 'pattern':
      return `${where()} does not have the form that the plug-in asks for`;
    default:
      return `${where()} does not fit the schema of the plug-in`;
  }
}

const nameable = (field: unknown): field is string =>
  typeof field === 'string' && /^[A-Za-z_][\w.-]{0,62}$/.test(field);
