/** Random specs for property tests: near enough to the schema that some are accepted, far enough that most are not. */
import fc from 'fast-check';
import { DETECTOR_KINDS } from './kubervisor-service.ts';
import { specSchema, type StructuralSchema } from './manifest.ts';

/** Any JSON that comes near the schema: right values, values at and over the bounds, wrong types, nulls, gaps. */
function near(schema: StructuralSchema): fc.Arbitrary<unknown> {
  const wrong = fc.constantFrom<unknown>(null, 'x', -1, 1.5, true, [], {});
  const right = (): fc.Arbitrary<unknown> => {
    if (schema['x-kubernetes-int-or-string']) return fc.constantFrom<unknown>(1, 10_000, '5%', '100%', '0%', 0);
    if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
    if (schema.properties !== undefined) {
      const required = new Set(schema.required);
      return fc.record(
        Object.fromEntries(Object.entries(schema.properties).map(([name, property]) => [name, near(property)])),
        { requiredKeys: [...required] },
      );
    }
    if (schema.items !== undefined) return fc.array(near(schema.items), { maxLength: 3 });
    const { minimum = 0, maximum = 1000 } = schema;
    if (schema.type === 'integer') return fc.integer({ min: minimum, max: maximum });
    if (schema.type === 'number') return fc.double({ min: minimum, max: maximum, noNaN: true });
    if (schema.type === 'string') {
      const texts = ['a', 'b-1', 'judge:80', '/path', 'http://judge', 'x'.repeat(schema.maxLength ?? 1)];
      return fc.constantFrom(...texts.filter((text) => new RegExp(schema.pattern ?? '').test(text)));
    }
    return fc.dictionary(fc.string({ maxLength: 3 }), fc.jsonValue({ maxDepth: 1 }), { maxKeys: 2 });
  };
  return fc.oneof({ weight: 200, arbitrary: right() }, { weight: 1, arbitrary: wrong });
}

/** Breakers of one detector each, so that accepted specs are not rare. */
export const anySpec = (): fc.Arbitrary<unknown> => {
  const schema = specSchema();
  const { breakers, ...rest } = schema.properties ?? {};
  const { properties = {}, ...breaker } = breakers?.items ?? {};
  const others = Object.fromEntries(
    Object.entries(properties).filter(([name]) => !DETECTOR_KINDS.some((kind) => kind === name)),
  );
  const ofKind = (kind: string) =>
    near({ ...breaker, properties: { ...others, [kind]: properties[kind] ?? {} }, required: ['name', kind] });
  return fc
    .tuple(
      near({ ...schema, properties: rest, required: ['service'] }),
      fc.array(fc.oneof(...DETECTOR_KINDS.map(ofKind)), { maxLength: 3 }),
    )
    .map(([spec, list]) => (typeof spec === 'object' && spec !== null ? { ...spec, breakers: list } : spec));
};
