/**
 * The one declaration of what the chart takes: values.yaml, values.schema.json and docs/values.md are made of it (scripts/chart.ts).
 * A default is what a cluster of some hundred Services needs.
 */
import { LOG_LEVELS } from '@kubervisor/runtime/config';
import { DNS_LABEL } from '@kubervisor/shared/crd/kubervisor-service';
import * as z from 'zod';
import { sourceSchema } from '../../services/detector/core/sources-file.ts';

const text = (description: string, value = '') => z.string().default(value).describe(description);
const flag = (description: string, value: boolean) => z.boolean().default(value).describe(description);
const count = (description: string, value: number, min: number, max: number) =>
  z.int().min(min).max(max).default(value).describe(description);
/** As Kubernetes and nats-server both read it, and read the same: no `1.5Gi`, which ends the server, and no `500m`, which is a million bytes to it. */
const bytes = (description: string, value: string) =>
  z
    .string()
    .regex(/^[1-9][0-9]*([kMGT]|[KMGT]i)?$/)
    .default(value)
    .describe(description);
/** Helm reads patterns as Go does: nothing in them looks ahead. */
const NATS_URLS = /^((nats|tls|wss?):\/\/[^\s,]+(, *(nats|tls|wss?):\/\/[^\s,]+)*)?$/;
const image = (description: string) => z.string().regex(/^\S*$/).default('').describe(description);
const amounts = z.record(
  z.string(),
  z.union([z.string().regex(/^[0-9]+(\.[0-9]+)?(m|[kMGTPE]|[KMGTPE]i)?$/), z.number().nonnegative()]),
);
const section = <S extends z.ZodRawShape>(description: string, shape: S) =>
  z
    .strictObject(shape)
    .prefault({} as never)
    .describe(description);

/** As Kubernetes declares it: the API server checks it. */
const asKubernetes = {
  map: (description: string, value: Record<string, unknown> = {}) =>
    z.record(z.string(), z.unknown()).default(value).describe(description),
  list: (description: string, value: Record<string, unknown>[] = []) =>
    z.array(z.record(z.string(), z.unknown())).default(value).describe(description),
};
const strings = (description: string) => z.record(z.string(), z.string()).default({}).describe(description);

const resources = (cpu: string, memory: string, limit: string) =>
  z
    .strictObject({
      requests: amounts.optional(),
      limits: amounts.optional(),
    })
    .default({ requests: { cpu, memory }, limits: { memory: limit } })
    .describe('no limit of CPU: a process that is held back answers late');

const placement = {
  nodeSelector: strings('nodes that they may run on'),
  tolerations: asKubernetes.list('taints that they bear'),
  affinity: asKubernetes.map('as in a pod'),
  priorityClassName: text('as in a pod'),
  podLabels: strings('more labels of the pods'),
  podAnnotations: strings('annotations of the pods'),
};
const process = (...bounds: Parameters<typeof resources>) => ({
  image: image('the whole name of the image, a digest for instance, in place of what `image` says'),
  resources: resources(...bounds),
  ...placement,
});
const peers = asKubernetes.list;

export const values = z.strictObject({
  namespaces: z
    .array(z.string().regex(DNS_LABEL))
    .meta({ uniqueItems: true })
    .default([])
    .describe(
      'whose Services and pods; [] is the whole cluster. With some named nothing of the whole cluster is asked for: a Role in each of them',
    ),
  logLevel: z.enum(LOG_LEVELS).default('info').describe('least level that is logged'),
  clusterDomain: z
    .string()
    .regex(/^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/)
    .default('cluster.local')
    .describe('DNS domain of the cluster'),
  runAsUser: z
    .int()
    .min(1)
    .nullable()
    .default(65_532)
    .describe('who the processes run as; null leaves it to the platform (OpenShift)'),
  image: section('where the images are: prefix, name of the component, tag', {
    prefix: z
      .string()
      .regex(/^(\S*[/_.-])?$/)
      .default('kubervisor/')
      .describe('what stands before the name: a registry and a folder, with what parts them from it'),
    tag: text("the chart's appVersion, unless another is named"),
    pullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).default('IfNotPresent').describe('as in a pod'),
    pullSecrets: asKubernetes.list('as in a pod: [{name: …}]'),
  }),
  crd: section('the definition of KubervisorService', {
    update: flag(
      'the controller brings it up to date (Helm never does); only without `namespaces`, for it is an object of the cluster',
      true,
    ),
  }),
  controller: section('watches, adopts and releases pods, publishes work, writes status', {
    replicas: count('one leads, the others stand by', 2, 0, 10),
    leaseDurationSeconds: count('after so long without a renewal another one leads', 15, 3, 3600),
    ...process('50m', '160Mi', '512Mi'),
  }),
  breaker: section('decides within the floor, takes pods out of traffic', {
    replicas: count('unless it is scaled automatically', 2, 0, 100),
    concurrency: count('rounds at once in one process', 16, 1, 1000),
    ...process('50m', '128Mi', '512Mi'),
    autoscaling: section('a HorizontalPodAutoscaler, by CPU', {
      enabled: flag('make one', false),
      minReplicas: count('at least', 2, 1, 100),
      maxReplicas: count('at most', 5, 1, 100),
      targetCPUUtilizationPercentage: count('of what is requested', 80, 1, 1000),
    }),
    keda: section('a ScaledObject of KEDA, by the work that waits; in place of `autoscaling`', {
      enabled: flag('make one', false),
      minReplicas: count('at least', 2, 1, 100),
      maxReplicas: count('at most', 5, 1, 100),
      lagThreshold: count('evaluations that may wait for each breaker', 10, 1, 10_000),
      monitoringEndpoint: text('host:port of the monitoring of `nats.url`; of the built-in NATS it is known'),
    }),
  }),
  activator: section('brings pods back, pauses them, evicts them', {
    replicas: count('any number', 2, 0, 100),
    concurrency: count('rounds at once in one process', 16, 1, 1000),
    allowDelete: flag('the right to delete pods, which `killPolicy: delete` needs; evictions need none', false),
    ...process('50m', '128Mi', '512Mi'),
  }),
  detector: section('answers verdicts; it alone talks to Prometheus and to plug-ins', {
    replicas: count('any number', 2, 0, 100),
    allow: z
      .array(z.string().regex(/^\S+:(\*|\d+)$/))
      .default([])
      .describe('where detectors may connect beside Services: host:port, * for any run of characters'),
    sources: z
      .array(sourceSchema)
      .default([])
      .describe('named sources, as in docs/detectors/sources.md; the chart keeps them in a Secret'),
    sourcesSecret: text(
      'a Secret of yours in place of `sources`: sources.yaml, and the files that it names below /etc/kubervisor/sources',
    ),
    ...process('50m', '128Mi', '512Mi'),
  }),
  nats: section('the bus', {
    url: z
      .string()
      .regex(NATS_URLS)
      .default('')
      .describe('of a NATS of yours with JetStream; several, comma-separated, of a cluster. Empty: one is built in'),
    replicas: z
      .union([z.literal(1), z.literal(3), z.literal(5)])
      .default(1)
      .describe('servers of the built-in NATS, and replicas of the streams, also on a NATS of yours: 1, 3 or 5'),
    image: z.string().regex(/^\S+$/).default('nats:2.15.2-alpine').describe('of the built-in NATS'),
    storage: section('of the built-in NATS. What is lost with it costs one round and the audit trail', {
      persistent: flag('a volume, in place of an emptyDir; it is deleted with the installation', false),
      size: bytes('of the volume, or at most of the emptyDir; 256 Mi are the audit trail', '1Gi'),
      storageClassName: text('of the volume; empty: the default one'),
      memory: bytes('for the work under way', '256Mi'),
    }),
    auth: section('a user each for controller, breaker and activator, who may do what it must and no more', {
      existingSecret: text(
        'their passwords, under the keys controller, breaker, activator, and with several servers cluster: letters and digits. Empty: made at the first install and kept; on a NATS of yours: none are sent',
      ),
      credsSecret: text('for a NATS of yours with JWTs: controller.creds, breaker.creds, activator.creds'),
    }),
    tls: section('encryption', {
      serverSecret: text(
        'tls.crt, tls.key and ca.crt of the built-in NATS, for the names kubervisor-nats and *.kubervisor-nats-peers',
      ),
      caSecret: text('ca.crt, by which a NATS of yours is known'),
      clientSecret: text('tls.crt and tls.key of our services; the built-in NATS then asks for them'),
    }),
    resources: resources('50m', '128Mi', '768Mi'),
    ...placement,
  }),
  podDisruptionBudgets: flag('at most one pod of each is taken down at a time', true),
  topologySpread: flag('replicas on different nodes and zones where there are some', true),
  networkPolicies: section('who may talk to whom', {
    enabled: flag('make them', true),
    metricsFrom: peers('who reads /metrics; [] is everybody', [
      { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } },
    ]),
    kedaFrom: peers('where KEDA runs', [
      { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'keda' } } },
    ]),
    apiServer: peers('where the API server is, as peers: [{ipBlock: {cidr: 10.0.0.1/32}}]; [] is anywhere'),
    apiServerPorts: z.array(z.int().min(1).max(65_535)).min(1).default([443, 6443]).describe('its ports'),
    detectorTo: peers(
      'where the detector may connect, DNS beside; [] is anywhere but link-local addresses. It checks each address itself as well',
    ),
  }),
  monitoring: section('for the Prometheus operator and for Grafana', {
    serviceMonitor: section('', {
      enabled: flag('make one', false),
      interval: z
        .string()
        .regex(/^([0-9]+(ms|[smhd]))+$/)
        .default('15s')
        .describe(''),
      labels: strings(''),
    }),
    prometheusRule: section('', { enabled: flag('the alerts', false), labels: strings('') }),
    dashboard: section('a ConfigMap that the sidecar of Grafana finds', {
      enabled: flag('make one', false),
      labels: z.record(z.string(), z.string()).default({ grafana_dashboard: '1' }).describe(''),
    }),
  }),
  roles: section('for people, to be bound by you (docs/kubectl.md); none of ours has them', {
    enabled: flag('make them: ClusterRoles, or with `namespaces` a Role in each of them', true),
    aggregate: flag(
      'whoever has `view` in a namespace may look there, whoever has `edit` or `admin` may write KubervisorServices; only without `namespaces`',
      true,
    ),
  }),
  uninstall: section('before `helm uninstall`: stops us, takes the key out of every Service, gives every pod back', {
    release: flag('without it pods that are out stay out', true),
    image: image('the whole name of the image in place of what `image` says'),
    resources: resources('50m', '128Mi', '512Mi'),
  }),
  global: z.record(z.string(), z.unknown()).optional().describe('of a chart that has this one as a part; not used'),
});
export type ValuesGiven = z.input<typeof values>;
