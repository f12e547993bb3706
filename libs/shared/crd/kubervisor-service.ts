/**
 * The one declaration of the resource `kubervisorservices.kubervisor.k8s.io/v1alpha1`. Types, defaults, validation, the CRD
 * manifest and the reference page follow from it. Constants are defaults here; what depends on other fields is computed in
 * ./resolve.ts; rules over several fields stand in ./rules.ts. Every field says what its value does: `kubectl explain` shows it.
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

const HOST = '[A-Za-z0-9]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?';
const PORT = '(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?';
/** Printable ASCII; a query is allowed only where the address is asked as it stands. */
const PATH = '/[!"$->@-~]*';
const PATH_AND_QUERY = '/[!"$-~]*';
const ADDRESS = new RegExp(`^${HOST}${PORT}$`);
const ADDRESS_AND_PATH = new RegExp(`^${HOST}${PORT}(${PATH_AND_QUERY})?$`);
const PATH_ALONE = new RegExp(`^${PATH}$`);
const BASE_URL = new RegExp(`^https?://${HOST}${PORT}(${PATH})?$`);

/** Lengths count characters, as the API server does, not UTF-16 units. */
const text = (max: number) =>
  z
    .string()
    .min(1)
    .refine((value) => value.length <= max || Array.from(value).length <= max, {
      error: `must have at most ${max} characters`,
    })
    .meta({ maxLength: max });
const matching = (max: number, pattern: RegExp, error: string) => z.string().min(1).max(max).regex(pattern, { error });
const percent = z.number().min(0).max(100);
const seconds = z.number().gt(0.01).max(86_400);

const prometheusService = matching(260, ADDRESS, 'must be host[:port], or the name of a source').describe(
  'Where the query goes: NAME.NAMESPACE[:PORT] of a Service of the cluster, asked over HTTP (port 9090 unless given), or the name of a source that the operator configured.',
);
const promQL = (meaning: string) => text(4096).describe(`Instant query. ${meaning}`);
const podNamekey = text(256).describe(
  'Label of the series that holds the name of the pod. Series without it are dropped.',
);

export const mode = z.enum(['enforce', 'dryRun', 'disabled']);
export const activatorMode = z.enum(['periodic', 'retryAndKill', 'retryAndPause']);

export const discreteValueOutOfList = z.object({
  prometheusService,
  promQL: promQL('Counts per pod and value, for example requests per pod and status code.'),
  key: text(256).describe('Label of the series that holds the value to judge, for example code.'),
  podNamekey,
  goodValues: z
    .array(text(256))
    .max(256)
    .optional()
    .describe(
      'Values that are good; every other one is bad. Either this or badValues. An empty list counts as not set.',
    ),
  badValues: z
    .array(text(256))
    .max(256)
    .optional()
    .describe(
      'Values that are bad; every other one is good. Either this or goodValues. An empty list counts as not set.',
    ),
  tolerance: percent
    .default(50)
    .describe(
      'Percent of bad values that is tolerated: a pod with more of them is anomalous. 100 tolerates everything.',
    ),
  minActivity: z
    .number()
    .min(0)
    .max(1e12)
    .default(2)
    .describe('Sum of the counts of a pod below which nothing is concluded about it.'),
});

export const continuousValueDeviation = z.object({
  prometheusService,
  promQL: promQL('A ratio per pod to the average of the fleet; 1 is no deviation.'),
  podNamekey,
  maxDeviationPercent: z
    .number()
    .gt(0)
    .max(100_000)
    .default(75)
    .describe(
      'Deviation from 1, up or down, in percent, beyond which a pod is anomalous: with 75, below 0.25 or above 1.75.',
    ),
});

export const threshold = z.object({
  prometheusService,
  promQL: promQL('A value per pod.'),
  podNamekey,
  max: z.number().optional().describe('A pod with a larger value is anomalous. At least one of max and min is set.'),
  min: z.number().optional().describe('A pod with a smaller value is anomalous. At most max.'),
});

const direction = z.enum(['above', 'below', 'both']);

export const outlier = z.object({
  prometheusService,
  promQL: promQL('A value per pod, compared with those of the whole fleet.'),
  podNamekey,
  method: z
    .enum(['mad', 'iqr'])
    .default('mad')
    .describe(
      'mad measures the distance from the median in (scaled) median absolute deviations, iqr the distance from the quartiles in interquartile ranges.',
    ),
  factor: z
    .number()
    .gt(0)
    .max(1000)
    .optional()
    .describe('How many of these distances make an outlier. Computed default: 3.5 for mad, 1.5 for iqr.'),
  direction: direction.default('above').describe('Which side of the fleet is bad.'),
  minDeviationPercent: z
    .number()
    .min(0)
    .max(100_000)
    .default(10)
    .describe(
      'Percent of the median that a pod must be away from it at least, so that a fleet of near equals has no outliers.',
    ),
  minFleet: z
    .int()
    .min(3)
    .max(10_000)
    .default(3)
    .describe('Pods with a value below which nothing is concluded: of two pods nobody knows which is the outlier.'),
});

export const trend = z.object({
  prometheusService,
  promQL: promQL('A value per pod, asked as a range query over window.'),
  podNamekey,
  window: seconds.describe(
    'Seconds of history over which the slope is taken (Theil-Sen: the median of the slopes of all pairs).',
  ),
  maxPerMinute: z.number().gt(0).describe('Change of the value per minute beyond which a pod is anomalous.'),
  direction: direction.default('above').describe('above: a rise is bad; below: a fall is bad; both: either.'),
});

export const pluginDetector = z.object({
  url: matching(2048, BASE_URL, 'must be http(s)://host[:port][/path] without user, query and fragment')
    .optional()
    .describe(
      'Base URL of the plug-in; /v1/verdicts is appended. Either this or service. Addresses outside the namespace need the allow-list of the operator.',
    ),
  service: z
    .object({
      name: matching(63, DNS_LABEL, 'must be the name of a Service').describe(
        'Name of a Service in the same namespace.',
      ),
      port: z
        .int()
        .min(1)
        .max(65_535)
        .optional()
        .describe('Port of the Service. Computed default: 80 for http, 443 for https.'),
      path: matching(1024, PATH_ALONE, 'must begin with / and hold no query')
        .optional()
        .describe('Put before /v1/verdicts.'),
      scheme: z.enum(['http', 'https']).default('http').describe('How the plug-in is spoken to.'),
    })
    .optional()
    .describe('The plug-in as a Service of the same namespace. Either this or url.'),
  parameters: z
    .record(z.string(), z.unknown())
    .optional()
    .meta({ 'x-kubernetes-preserve-unknown-fields': true })
    .describe('Free JSON that the plug-in is given as it stands. The plug-in may name a schema for it.'),
  timeoutSeconds: z
    .number()
    .min(1)
    .max(20)
    .default(5)
    .describe('Seconds the plug-in has to answer. Cut to the evaluationPeriod, but never under 1.'),
});

export const activator = z.object({
  mode: activatorMode
    .default('periodic')
    .describe(
      'periodic: back into traffic after period. retryAndKill: back after period x retries, killed after maxRetryCount. retryAndPause: the same, but set aside for a person instead of killed.',
    ),
  period: seconds
    .default(10)
    .describe('Seconds out of traffic; in the retry modes multiplied by the number of retries.'),
  maxRetryCount: z
    .int()
    .min(0)
    .max(1000)
    .default(3)
    .describe(
      'In the retry modes: how often a pod may come back. When it is broken once more, it is killed or paused.',
    ),
  maxPauseCount: z
    .int()
    .min(0)
    .max(10_000)
    .default(1)
    .describe(
      'retryAndPause: pods of the Service that may be paused at once. Beyond it pauseOverflow says what happens.',
    ),
  maxPeriod: seconds
    .default(300)
    .describe('Seconds at which the growing wait is capped. Never cuts below one period: a longer period wins.'),
  jitter: z
    .number()
    .min(0)
    .max(1)
    .default(0.1)
    .describe('Share of the wait that is added at random, so that pods do not come back together. 0 switches it off.'),
  retryDecayPeriod: seconds
    .optional()
    .describe(
      'Each such stretch in traffic, in seconds, forgives one retry. Computed default: the larger of 10 x period and 3 x (gracePeriod + confirm.of x evaluationPeriod).',
    ),
  maxConcurrentActivations: z
    .union([z.int(), z.string()])
    .optional()
    .meta({ 'x-kubernetes-int-or-string': true, maxLength: 4 })
    .describe(
      'Pods on probation at once, as a count (1 to 10000) or a percentage of the fleet ("1%" to "100%"). Unset: no limit.',
    ),
  killPolicy: z
    .enum(['evict', 'delete'])
    .default('evict')
    .describe('evict honours PodDisruptionBudgets; delete does not, and needs a right that the operator may withhold.'),
  pauseOverflow: z
    .enum(['kill', 'hold'])
    .default('kill')
    .describe('retryAndPause beyond maxPauseCount: kill the pod, or hold it out of traffic until a person comes.'),
});

export const confirm = z.object({
  anomalous: z.int().min(1).max(100).default(1).describe('Bad evaluations that are needed. At most of.'),
  of: z.int().min(1).max(100).default(1).describe('How many of the last evaluations count.'),
});

export const breaker = z.object({
  name: matching(
    63,
    LABEL_VALUE,
    'must be a label value: letters, digits, -, _ and ., alphanumeric at both ends',
  ).describe(
    'Name of the strategy, unique in the resource. Written to each pod that it takes out (label kubervisor/strategy).',
  ),
  mode: mode
    .optional()
    .describe("The breaker's own mode. The stricter of it and spec.mode wins. Computed default: spec.mode."),
  evaluationPeriod: seconds.default(5).describe('Seconds between two evaluations.'),
  minPodsAvailableCount: z
    .int()
    .min(0)
    .max(100_000)
    .default(1)
    .describe('Floor as a count: no break may leave fewer pods available. The higher of the two floors holds.'),
  minPodsAvailableRatio: percent
    .optional()
    .describe('Floor as a percentage of the fleet, rounded up. 100 lets nobody be broken. Unset: only the count.'),
  discreteValueOutOfList: discreteValueOutOfList
    .optional()
    .describe('Detector: a pod is anomalous when too large a share of its counted values is bad.'),
  continuousValueDeviation: continuousValueDeviation
    .optional()
    .describe('Detector: a pod is anomalous when its ratio to the average of the fleet is too far from 1.'),
  customService: matching(2048, ADDRESS_AND_PATH, 'must be host[:port][/path], without a scheme')
    .optional()
    .describe(
      'Detector: address of a plug-in of the first kind, host[:port][/path]. A GET over HTTP answers a v1.PodList of the bad pods.',
    ),
  threshold: threshold.optional().describe('Detector: a pod is anomalous when its value is beyond a fixed limit.'),
  outlier: outlier.optional().describe('Detector: a pod is anomalous when its value stands out from the fleet.'),
  trend: trend.optional().describe('Detector: a pod is anomalous when its value changes too fast.'),
  detector: pluginDetector
    .optional()
    .describe('Detector: a plug-in that speaks the contract detector.kubervisor.io/v1.'),
  confirm: confirm.optional().describe('How often a pod must be bad before it is broken. Unset: once (1 of 1).'),
  gracePeriod: z
    .number()
    .min(0)
    .max(86_400)
    .optional()
    .describe(
      'Seconds after a pod became ready, or came back, during which it is not judged. Computed default: the largest of 2 x evaluationPeriod, the longest range in the query, and window. Shorter than the query looks back: a warning in status, for old samples would judge the pod again.',
    ),
  panicThreshold: percent
    .default(50)
    .describe(
      'If more than this percentage of the judged fleet is bad, the cause is common and nobody is broken. 100 switches it off.',
    ),
  activator: activator
    .optional()
    .describe('What becomes of the pods that this breaker took out. Computed default: spec.defaultActivator.'),
});

export const spec = z.object({
  service: matching(63, DNS_LABEL, 'must be the name of a Service: lower case letters, digits and -').describe(
    'Name of the Service in the same namespace whose pods are supervised.',
  ),
  mode: mode
    .default('enforce')
    .describe('enforce; dryRun: evaluate, decide and report, but break nobody; disabled: do not evaluate.'),
  breakers: z
    .array(breaker)
    .min(1)
    .max(64)
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] })
    .describe('The strategies that take pods out of traffic, each with one detector and a floor of its own.'),
  defaultActivator: activator
    .optional()
    .describe(
      'What becomes of pods whose breaker names no activator, or was removed. Unset: periodic with the defaults below.',
    ),
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
