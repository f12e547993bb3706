import { describe, expect, test } from '@jest/globals';
import {
  crdManifest,
  CRD_VERSION,
  CRD_VERSION_ANNOTATION,
  specSchema,
  statusSchema,
  type StructuralSchema,
} from './manifest.ts';
import { RULES } from './rules.ts';

/** Every schema below, with its path. */
function walk(schema: StructuralSchema, path: string): [string, StructuralSchema][] {
  return [
    [path, schema],
    ...Object.entries(schema.properties ?? {}).flatMap(([name, property]) => walk(property, `${path}.${name}`)),
    ...(schema.items === undefined ? [] : walk(schema.items, `${path}[]`)),
  ];
}
const all = [...walk(specSchema(), 'spec'), ...walk(statusSchema(), 'status')];
const failing = (bad: (schema: StructuralSchema) => boolean): string[] =>
  all.filter(([, schema]) => bad(schema)).map(([path]) => path);

describe('the CRD manifest', () => {
  test('every field says what it does', () => {
    const undescribed = all.filter(([path, { description }]) => !path.endsWith('[]') && !description);
    expect(undescribed).toEqual([]);
  });

  test('every list and text is bounded, or the API server refuses the CEL rules as too costly', () => {
    expect(failing(({ type, maxItems }) => type === 'array' && maxItems === undefined)).toEqual([]);
    const unbounded = failing(
      ({ type, maxLength, enum: values, format }) =>
        type === 'string' && maxLength === undefined && values === undefined && format === undefined,
    );
    expect(unbounded).toEqual([]);
  });

  test('no bound is that of a safe integer', () => {
    expect(failing(({ maximum = 0, minimum = 0 }) => Math.max(maximum, -minimum) >= Number.MAX_SAFE_INTEGER)).toEqual(
      [],
    );
  });

  test('every rule is in it, or is the list type of the breakers', () => {
    const text = JSON.stringify(crdManifest());
    for (const { cel, message } of RULES)
      if (cel !== undefined) {
        expect(text).toContain(JSON.stringify(cel));
        expect(text).toContain(JSON.stringify(message));
      }
    expect(RULES.filter(({ cel }) => cel === undefined).map(({ at }) => at)).toEqual([['spec.breakers']]);
    expect(specSchema().properties?.breakers).toMatchObject({
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
    });
  });

  test('it may live in a protected group, and says which version it is', () => {
    expect(crdManifest().metadata.annotations).toEqual({
      'api-approved.kubernetes.io': 'unapproved, kept for compatibility',
      [CRD_VERSION_ANNOTATION]: String(CRD_VERSION),
    });
  });

  test('it is made anew at each call, so that nobody can spoil it for another', () => {
    const spoilt = crdManifest();
    spoilt.spec.versions.length = 0;
    expect(crdManifest().spec.versions).toHaveLength(1);
  });
});
