/** Of kinds of other projects as much as the chart uses, so that a real API server can say whether what it renders is one. */
type Schema = Record<string, unknown>;

const text: Schema = { type: 'string' };
const flag: Schema = { type: 'boolean' };
const number: Schema = { type: 'integer' };
const texts: Schema = { type: 'object', additionalProperties: text };
const list = (items: Schema): Schema => ({ type: 'array', items });
const object = (properties: Record<string, Schema>, required = Object.keys(properties)): Schema => ({
  type: 'object',
  properties,
  required,
});

const definition = (group: string, version: string, kind: string, plural: string, spec: Schema) => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `${plural}.${group}` },
  spec: {
    group,
    scope: 'Namespaced',
    names: { kind, plural, singular: kind.toLowerCase(), listKind: `${kind}List` },
    versions: [{ name: version, served: true, storage: true, schema: { openAPIV3Schema: object({ spec }) } }],
  },
});

export const FOREIGN_KINDS = [
  definition(
    'monitoring.coreos.com',
    'v1',
    'ServiceMonitor',
    'servicemonitors',
    object({
      selector: object({
        matchLabels: texts,
        matchExpressions: list(object({ key: text, operator: text, values: list(text) })),
      }),
      endpoints: list(object({ port: text, interval: text, honorLabels: flag })),
    }),
  ),
  definition(
    'monitoring.coreos.com',
    'v1',
    'PrometheusRule',
    'prometheusrules',
    object({
      groups: list(
        object(
          {
            name: text,
            interval: text,
            rules: list(
              object({ alert: text, record: text, expr: text, for: text, labels: texts, annotations: texts }, ['expr']),
            ),
          },
          ['name', 'rules'],
        ),
      ),
    }),
  ),
  definition(
    'keda.sh',
    'v1alpha1',
    'ScaledObject',
    'scaledobjects',
    object({
      scaleTargetRef: object({ apiVersion: text, kind: text, name: text }),
      minReplicaCount: number,
      maxReplicaCount: number,
      triggers: list(object({ type: text, metadata: texts })),
    }),
  ),
];
