/** The CRD manifest, generated from the declaration: zod → JSON Schema → the structural schema that Kubernetes takes. */
import * as z from 'zod';
import { GROUP, KIND, PLURAL, spec, VERSION } from './kubervisor-service.ts';
import { RULES } from './rules.ts';
import { status } from './status.ts';

/** One more with every released change of the manifest: an older controller leaves a newer CRD alone. */
export const CRD_VERSION = 1;
/** The annotation that holds it, in decimal. */
export const CRD_VERSION_ANNOTATION = 'kubervisor.k8s.io/crd-version';
export const CRD_NAME = `${PLURAL}.${GROUP}`;

/** The part of OpenAPI v3 that a structural schema may use and that we do use. */
export interface StructuralSchema {
  type?: string;
  description?: string;
  default?: unknown;
  enum?: unknown[];
  format?: string;
  pattern?: string;
  minimum?: number;
  exclusiveMinimum?: boolean;
  maximum?: number;
  exclusiveMaximum?: boolean;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  required?: string[];
  properties?: Record<string, StructuralSchema>;
  items?: StructuralSchema;
  'x-kubernetes-list-type'?: 'map' | 'atomic';
  'x-kubernetes-list-map-keys'?: string[];
  'x-kubernetes-int-or-string'?: true;
  'x-kubernetes-preserve-unknown-fields'?: true;
  'x-kubernetes-validations'?: { rule: string; message: string }[];
}

const KEPT: readonly string[] = [
  'type',
  'description',
  'default',
  'enum',
  'format',
  'minimum',
  'exclusiveMinimum',
  'maximum',
  'exclusiveMaximum',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'required',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-int-or-string',
  'x-kubernetes-preserve-unknown-fields',
];
/** Zod's bounds of a safe integer: no rule of ours, and not exact as a float64. */
const isSafeBound = (value: unknown): boolean => value === Number.MAX_SAFE_INTEGER || value === Number.MIN_SAFE_INTEGER;

type JsonSchema = Record<string, unknown>;

function structural(schema: JsonSchema, path: string): StructuralSchema {
  const intOrString = schema['x-kubernetes-int-or-string'] === true;
  const free = schema['x-kubernetes-preserve-unknown-fields'] === true;
  const result: Record<string, unknown> = {};
  for (const [keyword, value] of Object.entries(schema)) {
    if ((keyword === 'minimum' || keyword === 'maximum') && isSafeBound(value)) continue;
    if (keyword === 'anyOf' && intOrString) continue;
    if (keyword === 'additionalProperties' && (free || value === false)) continue;
    if (keyword === 'properties')
      result.properties = Object.fromEntries(
        Object.entries(value as Record<string, JsonSchema>).map(([name, property]) => [
          name,
          structural(property, `${path}.${name}`),
        ]),
      );
    else if (keyword === 'items') result.items = structural(value as JsonSchema, `${path}[]`);
    // A RegExp's source escapes slashes, which nothing but a JavaScript literal needs.
    else if (keyword === 'pattern') result.pattern = (value as string).replaceAll('\\/', '/');
    else if (KEPT.includes(keyword)) result[keyword] = value;
    else throw new Error(`${path}: a structural schema has no place for "${keyword}"`);
  }
  if (result.type === 'array') result['x-kubernetes-list-type'] ??= 'atomic';
  const rules = RULES.filter(({ at, cel }) => cel !== undefined && at.includes(path));
  if (rules.length > 0)
    result['x-kubernetes-validations'] = rules.map(({ cel = '', message }) => ({ rule: cel, message }));
  return result;
}

const ofZod = (schema: z.ZodType, path: string): StructuralSchema =>
  structural(z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input', reused: 'inline' }) as JsonSchema, path);

/** `spec` as the API server checks it. */
export const specSchema = (): StructuralSchema => ({
  ...ofZod(spec, 'spec'),
  description: 'What is supervised, and how.',
});
/** `status` as the API server checks it. */
export const statusSchema = (): StructuralSchema => ({
  ...ofZod(status, 'status'),
  description: 'What was found and done. Written by the controller.',
});

const condition = (type: string) => `.status.conditions[?(@.type=="${type}")].status`;

/** The whole CustomResourceDefinition. */
export function crdManifest() {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: CRD_NAME,
      annotations: {
        // The group ends in k8s.io: without this the API server refuses the CRD.
        'api-approved.kubernetes.io': 'unapproved, kept for compatibility',
        [CRD_VERSION_ANNOTATION]: String(CRD_VERSION),
      },
    },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: {
        kind: KIND,
        listKind: `${KIND}List`,
        plural: PLURAL,
        singular: KIND.toLowerCase(),
        shortNames: ['kvs'],
      },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: [
            {
              name: 'Service',
              type: 'string',
              jsonPath: '.spec.service',
              description: 'The Service that is supervised',
            },
            { name: 'Mode', type: 'string', jsonPath: '.spec.mode', description: 'enforce, dryRun or disabled' },
            {
              name: 'Ready',
              type: 'string',
              jsonPath: condition('Ready'),
              description: 'Valid, and its Service was found',
            },
            { name: 'Active', type: 'string', jsonPath: condition('Active'), description: 'The Service takes part' },
            {
              name: 'Available',
              type: 'integer',
              jsonPath: '.status.available',
              description: 'Pods ready and in traffic',
            },
            { name: 'Floor', type: 'integer', jsonPath: '.status.floor', description: 'The highest enforced floor' },
            {
              name: 'Out',
              type: 'integer',
              jsonPath: '.status.podCount.nbPodsBreaked',
              description: 'Pods out of traffic',
            },
            {
              name: 'Paused',
              type: 'integer',
              jsonPath: '.status.podCount.nbPodsPaused',
              description: 'Pods that wait for a person',
            },
            { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
          ],
          schema: {
            openAPIV3Schema: {
              type: 'object',
              description:
                'Takes outlier pods out of the traffic of a Service, never below a floor, and brings them back.',
              required: ['spec'],
              properties: {
                apiVersion: { type: 'string', description: 'Version of the schema of this object.' },
                kind: { type: 'string', description: 'Kind of this object.' },
                metadata: { type: 'object' },
                spec: specSchema(),
                status: statusSchema(),
              },
              'x-kubernetes-validations': RULES.filter(
                ({ at, cel }) => cel !== undefined && at.includes('metadata'),
              ).map(({ cel = '', message }) => ({ rule: cel, message })),
            },
          },
        },
      ],
    },
  };
}
