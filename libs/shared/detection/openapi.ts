/** The contract of detectors as OpenAPI, for those who write a plug-in; from the one schema in ./contract.ts. */
import * as z from 'zod';
import {
  DETECTOR_API_VERSION,
  detectorInfo,
  MAX_ANSWER_BYTES,
  verdictRequest,
  verdictResponse,
  type DetectorInfo,
} from './contract.ts';

/** `input`: what may be sent, so what has a default may be left out. Objects stay open: the contract grows by optional fields. */
const schemaOf = (schema: z.ZodType): object => {
  const { $schema: _ofAll, ...json } = z.toJSONSchema(schema, { target: 'draft-2020-12', io: 'input' });
  return json;
};
const body = (name: string) => ({ 'application/json': { schema: { $ref: `#/components/schemas/${name}` } } });

/** Of any plug-in, or of the one that says this of itself. */
export function detectorOpenApi(plugin?: DetectorInfo): object {
  const request = schemaOf(verdictRequest) as { properties: object };
  return {
    openapi: '3.1.0',
    info: {
      title: plugin?.name ?? 'Kubervisor detector plug-in',
      version: plugin?.version ?? DETECTOR_API_VERSION.split('/')[1],
      description: `What a plug-in is asked and answers. It grows by optional fields: ignore those that you do not know. An answer that is late, larger than ${MAX_ANSWER_BYTES / 1024 / 1024} MiB, not 2xx or not of this shape is an error for the round, and nobody is taken out of traffic by it.`,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    // Below the url, or the path of the service, that the resource names.
    servers: [{ url: '/' }],
    paths: {
      '/v1/verdicts': {
        post: {
          operationId: 'verdicts',
          summary: 'Judges the pods of a fleet.',
          description: `Pods left out of the answer are inconclusive. A pod has one verdict; those for pods that were not asked about do not count.`,
          requestBody: { required: true, content: body('VerdictRequest') },
          responses: {
            200: { description: 'The verdicts.', content: body('VerdictResponse') },
            400: {
              description:
                'The request is not of this shape, or of another apiVersion; or the parameters do not fit the schema.',
            },
            default: { description: 'It could not be answered. The body is not read.' },
          },
        },
      },
      '/v1/info': {
        get: {
          operationId: 'info',
          summary: 'What the plug-in is, and the JSON Schema that the parameters of a resource are checked against.',
          responses: { 200: { description: 'The plug-in.', content: body('DetectorInfo') } },
        },
      },
      '/healthz': {
        get: {
          operationId: 'health',
          summary: 'Whether the process lives.',
          responses: { 200: { description: 'It does.' } },
        },
      },
    },
    components: {
      schemas: {
        VerdictRequest: plugin
          ? { ...request, properties: { ...request.properties, parameters: plugin.parameters } }
          : request,
        VerdictResponse: schemaOf(verdictResponse),
        DetectorInfo: schemaOf(detectorInfo),
      },
    },
  };
}
