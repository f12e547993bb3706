import { expect, test } from '@jest/globals';
import * as z from 'zod';
import { detectorOpenApi } from './openapi.ts';

const document = z
  .looseObject({
    info: z.looseObject({ version: z.string() }),
    components: z.object({ schemas: z.record(z.string(), z.record(z.string(), z.unknown())) }),
  })
  .parse(detectorOpenApi());
const { schemas } = document.components;

test('the contract as OpenAPI has its version, its paths and no reference that leads nowhere', () => {
  expect(document.info.version).toBe('v1');
  expect(Object.keys(document['paths'] as object)).toEqual(['/v1/verdicts', '/v1/info', '/healthz']);
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]*)"/g)].map(([, to]) => to);
  expect(new Set(references)).toEqual(new Set(Object.keys(schemas).map((name) => `#/components/schemas/${name}`)));
});

test('what must be sent is required, what has a default or is optional is not, and objects are open for later fields', () => {
  expect(schemas['VerdictRequest']?.['required']).toEqual([
    'apiVersion',
    'evaluationId',
    'timeoutMilliseconds',
    'service',
    'breaker',
    'pods',
  ]);
  expect(schemas['VerdictResponse']).toMatchObject({
    properties: { verdicts: { maxItems: 20_000, items: { required: ['pod', 'outcome'] } } },
  });
  expect(JSON.stringify(schemas)).not.toContain('"additionalProperties":false');
});
