/**
 * The one declaration of the resource `kubervisorservices.kubervisor.k8s.io/v1alpha1`. Types, defaults, validation and the
 * CRD manifest follow from it. Constants are defaults here; what depends on other fields is computed in ./resolve.ts.
 */
import * as z from 'zod';

export const GROUP = 'kubervisor.k8s.io';
export const VERSION = 'v1alpha1';
export const KIND = 'KubervisorService';
export const PLURAL = 'kubervisorservices';
export const API_VERSION = `${GROUP}/${VERSION}`;

/** A Kubernetes label value: at most 63 characters, begins and ends alphanumeric. */
export const LABEL_VALUE = /^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/;
/** RFC 1123 label, what a Service's name must be here. */
export const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

const text = (max: number) => z.string().min(1).max(max);
const promQL = text(4096);
const percent = z.number().min(0).max(100);
const seconds = z.number().gt(0.01).max(86_400);

export const mode = z.enum(['enforce', 'dryRun', 'disabled']);
export const activatorMode = z.enum(['periodic', 'retryAndKill', 'retryAndPause']);

export const discreteValueOutOfList = z.object({
  prometheusService: text(253),
  promQL,
  key: text(256),
  podNamekey: text(256),
  goodValues: z.array(text(256)).min(1).max(256).optional(),
  badValues: z.array(text(256)).min(1).max(256).optional(),
  tolerance: percent.default(50),
  minActivity: z.number().min(0).max(1e12).default(2),
});

export const continuousValueDeviation = z.object({
  prometheusService: text(253),
  promQL,
  podNamekey: text(256),
  maxDeviationPercent: z.number().gt(0).max(100_000).default(75),
});

export const threshold = z.object({
  prometheusService: text(253),
  promQL,
  podNamekey: text(256),
  max: z.number().optional(),
  min: z.number().optional(),
});

export const outlier = z.object({
  prometheusService: text(253),
  promQL,
  podNamekey: text(256),
  method: z.enum(['mad', 'iqr']).default('mad'),
  factor: z.number().gt(0).max(1000).optional(),
  direction: z.enum(['above', 'below', 'both']).default('above'),
  minDeviationPercent: z.number().min(0).max(100_000).default(10),
  minFleet: z.int().min(3).max(10_000).default(3),
});

export const trend = z.object({
  prometheusService: text(253),
  promQL,
  podNamekey: text(256),
  window: seconds,
  maxPerMinute: z.number().gt(0),
  direction: z.enum(['above', 'below', 'both']).default('above'),
});

export const pluginDetector = z.object({
  url: text(2048).optional(),
  service: z
    .object({
      name: text(63).regex(DNS_LABEL),
      port: z.int().min(1).max(65_535).optional(),
      path: text(1024).optional(),
      scheme: z.enum(['http', 'https']).default('http'),
    })
    .optional(),
  parameters: z.record(z.string(), z.unknown()).optional(),
  timeoutSeconds: z.number().min(1).max(20).default(5),
});

export const activator = z.object({
  mode: activatorMode.default('periodic'),
  period: seconds.default(10),
  maxRetryCount: z.int().min(0).max(1000).default(3),
  maxPauseCount: z.int().min(0).max(10_000).default(1),
  maxPeriod: seconds.default(300),
  jitter: z.number().min(0).max(1).default(0.1),
  retryDecayPeriod: seconds.optional(),
  maxConcurrentActivations: z.union([z.int().min(1).max(10_000), z.string().regex(/^(100|[1-9]?[0-9])%$/)]).optional(),
  killPolicy: z.enum(['evict', 'delete']).default('evict'),
  pauseOverflow: z.enum(['kill', 'hold']).default('kill'),
});

export const confirm = z.object({
  anomalous: z.int().min(1).max(100).default(1),
  of: z.int().min(1).max(100).default(1),
});

export const breaker = z.object({
  name: z.string().min(1).max(63).regex(LABEL_VALUE),
  mode: mode.optional(),
  evaluationPeriod: seconds.default(5),
  minPodsAvailableCount: z.int().min(0).max(100_000).default(1),
  minPodsAvailableRatio: percent.optional(),
  discreteValueOutOfList: discreteValueOutOfList.optional(),
  continuousValueDeviation: continuousValueDeviation.optional(),
  customService: text(2048).optional(),
  threshold: threshold.optional(),
  outlier: outlier.optional(),
  trend: trend.optional(),
  detector: pluginDetector.optional(),
  confirm: confirm.optional(),
  gracePeriod: z.number().min(0).max(86_400).optional(),
  panicThreshold: percent.default(50),
  activator: activator.optional(),
});

export const spec = z.object({
  service: z.string().min(1).max(63).regex(DNS_LABEL),
  mode: mode.default('enforce'),
  breakers: z.array(breaker).min(1).max(64),
  defaultActivator: activator.optional(),
});

export type Mode = z.infer<typeof mode>;
export type ActivatorSpec = z.infer<typeof activator>;
export type BreakerSpec = z.infer<typeof breaker>;
export type KubervisorServiceSpec = z.infer<typeof spec>;
/** The spec as a person writes it, before defaults. */
export type KubervisorServiceSpecInput = z.input<typeof spec>;

/** Every kind of detector: the name of the one optional field of a breaker that is set. */
export const DETECTOR_KINDS = [
  'discreteValueOutOfList',
  'continuousValueDeviation',
  'customService',
  'threshold',
  'outlier',
  'trend',
  'detector',
] as const;
export type DetectorKind = (typeof DETECTOR_KINDS)[number];
