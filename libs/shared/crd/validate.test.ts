import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { anySpec } from './arbitrary-specs.ts';
import { resolveSpec } from './resolve.ts';
import { describeProblem, validateResource, validateSpec, warningsOf } from './validate.ts';
import { VALIDATION_CASES } from './validation-cases.ts';

const accept = (input: unknown) => {
  const validated = validateSpec(input);
  if ('problems' in validated) throw new Error(validated.problems.map(describeProblem).join('\n'));
  return validated.spec;
};
const query = { prometheusService: 'prometheus', promQL: 'rate(errors[5m])', podNamekey: 'pod' };

describe('the table of specs', () => {
  test('is no shorter than was promised, and its titles tell its cases apart', () => {
    expect(VALIDATION_CASES.length).toBeGreaterThanOrEqual(60);
    expect(new Set(VALIDATION_CASES.map(({ title }) => title)).size).toBe(VALIDATION_CASES.length);
  });

  test.each(VALIDATION_CASES)('$title', ({ name = 'cart', spec, verdict }) => {
    const validated = validateResource({ metadata: { name }, spec });
    if ('stored' in verdict) expect(validated).toEqual({ spec: verdict.stored });
    else expect('problems' in validated && validated.problems.map(({ path }) => path)).toEqual([verdict.refusedAt]);
  });
});

describe('problems', () => {
  test('are listed all at once, with path, value and what is allowed', () => {
    const validated = validateSpec({
      service: 'Cart',
      mode: 'off',
      breakers: [
        { name: 'one', evaluationPeriod: 0, threshold: { ...query, max: 1, min: 2 } },
        { name: 'one', minPodsAvailableCount: 'two', customService: 'judge', confirm: { anomalous: 4, of: 3 } },
        { name: 'two', discreteValueOutOfList: { ...query, tolerance: 120 } },
      ],
      defaultActivator: { maxConcurrentActivations: '0%' },
    });
    expect('problems' in validated && validated.problems.map(describeProblem).sort()).toEqual([
      'spec.breakers: the names of the breakers must be unique',
      'spec.breakers[0].evaluationPeriod: must be more than 0.01 (found 0)',
      'spec.breakers[0].threshold: min must not be larger than max',
      'spec.breakers[1].confirm: anomalous must not be larger than of',
      'spec.breakers[1].minPodsAvailableCount: must be a number (found "two")',
      'spec.breakers[2].discreteValueOutOfList.key: is required',
      'spec.breakers[2].discreteValueOutOfList.tolerance: must be at most 100 (found 120)',
      'spec.breakers[2].discreteValueOutOfList: either goodValues or badValues is needed, not both',
      'spec.defaultActivator.maxConcurrentActivations: must be a count from 1 to 10000 or a percentage from "1%" to "100%" (found "0%")',
      'spec.mode: must be one of enforce, dryRun, disabled (found "off")',
      'spec.service: must be the name of a Service: lower case letters, digits and - (found "Cart")',
    ]);
  });

  test('a rule over fields that are malformed is not asked', () => {
    const validated = validateSpec({
      service: 'cart',
      breakers: [{ name: 'one', threshold: { ...query, max: 'much', min: 2 } }],
    });
    expect('problems' in validated && validated.problems).toEqual([
      { path: 'spec.breakers[0].threshold.max', problem: 'must be a number', value: 'much' },
    ]);
  });
});

describe('warnings', () => {
  const resolved = (gracePeriod: number) =>
    resolveSpec(accept({ service: 'cart', breakers: [{ name: 'one', gracePeriod, threshold: { ...query, max: 1 } }] }));

  test('a grace period shorter than the query looks back', () => {
    expect(warningsOf(resolved(299))).toMatchObject([
      { path: 'spec.breakers[0].gracePeriod', reason: 'GraceTooShort' },
    ]);
    expect(warningsOf(resolved(300))).toEqual([]);
  });
});

describe('any spec', () => {
  test('what is accepted is accepted again, unchanged, and can be resolved; what is refused has a problem', () => {
    let accepted = 0;
    fc.assert(
      fc.property(anySpec(), (input) => {
        const validated = validateSpec(input);
        if ('problems' in validated) return expect(validated.problems.length).toBeGreaterThan(0);
        accepted++;
        expect(validateSpec(validated.spec)).toEqual(validated);
        expect(resolveSpec(validated.spec).breakers).toHaveLength(validated.spec.breakers.length);
      }),
      { numRuns: 2000, seed: 7 },
    );
    // Otherwise the property would hold of nothing.
    expect(accepted).toBeGreaterThan(100);
  });

  test('any JSON at all is answered, not thrown at', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (input) => {
        expect(validateSpec(input)).toHaveProperty('problems');
        expect(validateSpec({ service: 'cart', breakers: [input] })).toHaveProperty('problems');
      }),
    );
  });
});
