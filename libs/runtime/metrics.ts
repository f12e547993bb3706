/**
 * Metrics are declared as data (design §8), so that they are typed where they are used and a page about them can be generated.
 * Names are `kubervisor_*` with the unit in the name, counters end in `_total`, and no label names a pod: a fleet of thousands
 * that is replaced at every release would leave that many dead series behind.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

export interface MetricDefinition {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly name: string;
  /** One sentence. */
  readonly help: string;
  readonly labels?: readonly string[];
  /** Upper bounds, of histograms. */
  readonly buckets?: readonly number[];
}
export type MetricDefinitions = Readonly<Record<string, MetricDefinition>>;

type Labels<D extends MetricDefinition> = D['labels'] extends readonly string[] ? D['labels'][number] : never;
type MetricOf<D extends MetricDefinition> = D['type'] extends 'counter'
  ? Counter<Labels<D>>
  : D['type'] extends 'gauge'
    ? Gauge<Labels<D>>
    : Histogram<Labels<D>>;
export type MetricsOf<D extends MetricDefinitions> = { readonly [K in keyof D]: MetricOf<D[K]> };

export interface Metrics {
  readonly registry: Registry;
  /** Makes the declared metrics; once a registry. */
  declare<const D extends MetricDefinitions>(definitions: D): MetricsOf<D>;
}

const UNIT = /_(seconds|bytes|ratio|percent|pods|series|milliseconds|info|count)$/;
const POD_LABELS = ['pod', 'pod_name', 'uid', 'ip', 'instance'];

/** The definitions as they are. Throws a list of every name or label that breaks the rules above. */
export function defineMetrics<const D extends MetricDefinitions>(definitions: D): D {
  const problems = Object.values(definitions).flatMap(({ type, name, help, labels = [], buckets }) => [
    ...(/^kubervisor_[a-z0-9]+(_[a-z0-9]+)*$/.test(name) ? [] : [`${name}: must be kubervisor_ and snake case`]),
    ...(type !== 'counter' || name.endsWith('_total') ? [] : [`${name}: a counter ends in _total`]),
    ...(type === 'counter' || !name.endsWith('_total') ? [] : [`${name}: only a counter ends in _total`]),
    ...(type !== 'histogram' || UNIT.test(name) ? [] : [`${name}: a histogram ends in its unit`]),
    ...(type === 'histogram' || buckets === undefined ? [] : [`${name}: only a histogram has buckets`]),
    ...(help.trim() === '' ? [`${name}: needs a help text`] : []),
    ...labels.filter((label) => POD_LABELS.includes(label)).map((label) => `${name}: label ${label} names a pod`),
  ]);
  if (problems.length > 0) throw new Error(`metrics: ${problems.join('; ')}`);
  return definitions;
}

/** Upper bounds, in seconds, for what takes from a millisecond to half a minute. */
export const LATENCY_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30] as const;

export const processMetrics = defineMetrics({
  build: {
    type: 'gauge',
    name: 'kubervisor_build_info',
    help: 'Always 1; which service this process is, and on which Node it runs.',
    labels: ['component', 'node'],
  },
});

/** A registry of its own, with the process's default metrics (CPU, memory, event loop, garbage collection). */
export function createMetrics(service: string, nodeVersion = ''): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const metrics: Metrics = {
    registry,
    declare: (definitions) =>
      Object.fromEntries(
        Object.entries(definitions).map(([key, definition]) => [key, createMetric(registry, definition)]),
      ) as MetricsOf<typeof definitions>,
  };
  metrics.declare(processMetrics).build.set({ component: service, node: nodeVersion }, 1);
  return metrics;
}

function createMetric(registry: Registry, { type, name, help, labels = [], buckets }: MetricDefinition) {
  const common = { name, help, labelNames: [...labels], registers: [registry] };
  switch (type) {
    case 'counter':
      return new Counter(common);
    case 'gauge':
      return new Gauge(common);
    case 'histogram':
      return new Histogram({ ...common, buckets: [...(buckets ?? LATENCY_BUCKETS)] });
  }
}
