/** What `kubectl get` shows: the columns of each kind, and how their values are read. */
import { at, fieldsOf, listOf, numberAt, textAt, type Fields, type KubeObject } from './objects.ts';

export interface Column {
  name: string;
  type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  /** 0 is always shown, more only with `-o wide`. */
  priority: number;
  description: string;
  /** `now` in milliseconds since 1970. */
  value: (object: KubeObject, now: number) => unknown;
}

const column = (
  name: string,
  value: Column['value'],
  { type = 'string', priority = 0 }: { type?: Column['type']; priority?: number } = {},
): Column => ({ name, type, priority, description: name, value });

const WIDE = { priority: 1 };

/** `45s`, `3m20s`, `5h`, `12d`: as coarse as kubectl shows it. */
export function shortDuration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const days = Math.floor(hours / 24);
  const pair = (large: string, rest: number, unit: string) => (rest === 0 ? large : `${large}${rest}${unit}`);
  if (seconds < 120) return `${seconds}s`;
  if (minutes < 10) return pair(`${minutes}m`, seconds % 60, 's');
  if (hours < 3) return `${minutes}m`;
  if (hours < 8) return pair(`${hours}h`, minutes % 60, 'm');
  if (days < 2) return `${hours}h`;
  if (days < 8) return pair(`${days}d`, hours % 24, 'h');
  if (days < 730) return `${days}d`;
  return pair(`${Math.floor(days / 365)}y`, days % 365, 'd');
}

export function age(time: unknown, now: number): string {
  const since = typeof time === 'string' ? Date.parse(time) : Number.NaN;
  return Number.isNaN(since) ? '<unknown>' : shortDuration(now - since);
}

const NAME = column('Name', ({ metadata }) => metadata.name);
const AGE = column('Age', ({ metadata }, now) => age(metadata.creationTimestamp, now));
const orNone = (text: string): string => (text === '' ? '<none>' : text);
const text = (name: string, path: string, options: { priority?: number } = {}) =>
  column(name, (object) => orNone(textAt(object, path)), options);
const count = (name: string, path: string) =>
  column(name, (object) => numberAt(object, path) ?? 0, { type: 'integer' });

const pairs = (map: unknown): string =>
  orNone(
    Object.entries(fieldsOf(map))
      .map(([key, value]) => `${key}=${String(value)}`)
      .sort()
      .join(','),
  );
const specSelectorText = (selector: unknown): string => {
  const { matchLabels, matchExpressions } = fieldsOf(selector);
  const expressions = listOf(matchExpressions).map(
    ({ key, operator, values }) =>
      `${String(key)} ${String(operator).toLowerCase()}${Array.isArray(values) ? ` (${values.join(',')})` : ''}`,
  );
  const labels = Object.keys(fieldsOf(matchLabels)).length === 0 ? [] : [pairs(matchLabels)];
  return orNone([...labels, ...expressions].join(','));
};
const containersOf = (podSpec: unknown) => listOf(at(podSpec, 'containers'));
const templateColumns = [
  column(
    'Containers',
    (o) =>
      containersOf(at(o, 'spec.template.spec'))
        .map(({ name }) => name)
        .join(','),
    WIDE,
  ),
  column(
    'Images',
    (o) =>
      containersOf(at(o, 'spec.template.spec'))
        .map(({ image }) => image)
        .join(','),
    WIDE,
  ),
  column('Selector', (o) => specSelectorText(at(o, 'spec.selector')), WIDE),
];

function podStatus(pod: KubeObject): string {
  const statuses = listOf(at(pod, 'status.containerStatuses'));
  const waiting = statuses.map((status) => textAt(status, 'state.waiting.reason')).find((reason) => reason !== '');
  if (pod.metadata.deletionTimestamp !== undefined) return 'Terminating';
  return waiting ?? (textAt(pod, 'status.reason') || textAt(pod, 'status.phase'));
}

const conditionStatus = (object: KubeObject, type: string): string =>
  textAt(
    listOf(at(object, 'status.conditions')).find((condition) => condition.type === type),
    'status',
  );

const servicePorts = (service: KubeObject): string =>
  orNone(
    listOf(at(service, 'spec.ports'))
      .map(({ port, nodePort, protocol = 'TCP' }) =>
        nodePort === undefined
          ? `${String(port)}/${String(protocol)}`
          : `${String(port)}:${String(nodePort)}/${String(protocol)}`,
      )
      .join(','),
  );

const endpoints = (slice: KubeObject): string => {
  const addresses = listOf(slice.endpoints).flatMap((endpoint) => endpoint.addresses as string[]);
  if (addresses.length === 0) return '<unset>';
  return addresses.length > 3
    ? `${addresses.slice(0, 3).join(',')} + ${addresses.length - 3} more...`
    : addresses.join(',');
};

const eventSeen = (event: KubeObject): unknown =>
  at(event, 'series.lastObservedTime') ?? event.lastTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp;
const involved = (event: KubeObject): string => {
  const { kind, name } = fieldsOf(event.involvedObject ?? event.regarding);
  return `${String(kind ?? '').toLowerCase()}/${String(name ?? '')}`;
};

/** By plural; a kind that is not here shows name and age. */
export const COLUMNS: Readonly<Record<string, readonly Column[]>> = {
  pods: [
    NAME,
    column('Ready', (pod) => {
      const statuses = listOf(at(pod, 'status.containerStatuses'));
      return `${statuses.filter(({ ready }) => ready === true).length}/${containersOf(pod.spec).length}`;
    }),
    column('Status', podStatus),
    column('Restarts', (pod) =>
      String(
        listOf(at(pod, 'status.containerStatuses')).reduce(
          (sum, status) => sum + (numberAt(status, 'restartCount') ?? 0),
          0,
        ),
      ),
    ),
    AGE,
    text('IP', 'status.podIP', WIDE),
    text('Node', 'spec.nodeName', WIDE),
    text('Nominated Node', 'status.nominatedNodeName', WIDE),
    column(
      'Readiness Gates',
      (pod) =>
        orNone(
          listOf(at(pod, 'spec.readinessGates'))
            .map(({ conditionType }) => conditionType)
            .join(','),
        ),
      WIDE,
    ),
  ],
  services: [
    NAME,
    text('Type', 'spec.type'),
    text('Cluster-IP', 'spec.clusterIP'),
    column('External-IP', (service) => textAt(service, 'spec.externalName') || '<none>'),
    column('Port(s)', servicePorts),
    AGE,
    column('Selector', (service) => pairs(at(service, 'spec.selector')), WIDE),
  ],
  deployments: [
    NAME,
    column('Ready', (o) => `${numberAt(o, 'status.readyReplicas') ?? 0}/${numberAt(o, 'spec.replicas') ?? 0}`),
    count('Up-to-date', 'status.updatedReplicas'),
    count('Available', 'status.availableReplicas'),
    AGE,
    ...templateColumns,
  ],
  replicasets: [
    NAME,
    count('Desired', 'spec.replicas'),
    count('Current', 'status.replicas'),
    count('Ready', 'status.readyReplicas'),
    AGE,
    ...templateColumns,
  ],
  endpointslices: [
    NAME,
    text('AddressType', 'addressType'),
    column(
      'Ports',
      (slice) =>
        listOf(slice.ports)
          .map(({ port }) => String(port ?? '*'))
          .join(',') || '<unset>',
    ),
    column('Endpoints', endpoints),
    AGE,
  ],
  nodes: [
    NAME,
    column('Status', (node) =>
      [
        conditionStatus(node, 'Ready') === 'True'
          ? 'Ready'
          : conditionStatus(node, 'Ready') === ''
            ? 'Unknown'
            : 'NotReady',
        ...(at(node, 'spec.unschedulable') === true ? ['SchedulingDisabled'] : []),
      ].join(','),
    ),
    column('Roles', (node) =>
      orNone(
        Object.keys(node.metadata.labels ?? {})
          .filter((label) => label.startsWith('node-role.kubernetes.io/'))
          .map((label) => label.slice('node-role.kubernetes.io/'.length))
          .join(','),
      ),
    ),
    AGE,
    text('Version', 'status.nodeInfo.kubeletVersion'),
    column(
      'Internal-IP',
      (node) =>
        orNone(
          textAt(
            listOf(at(node, 'status.addresses')).find(({ type }) => type === 'InternalIP'),
            'address',
          ),
        ),
      WIDE,
    ),
  ],
  namespaces: [NAME, text('Status', 'status.phase'), AGE],
  configmaps: [NAME, column('Data', (o) => Object.keys(fieldsOf(o.data)).length, { type: 'integer' }), AGE],
  secrets: [
    NAME,
    text('Type', 'type'),
    column('Data', (o) => Object.keys(fieldsOf(o.data)).length, { type: 'integer' }),
    AGE,
  ],
  leases: [NAME, text('Holder', 'spec.holderIdentity'), AGE],
  poddisruptionbudgets: [
    NAME,
    column('Min Available', (o) => textAt(o, 'spec.minAvailable') || 'N/A'),
    column('Max Unavailable', (o) => textAt(o, 'spec.maxUnavailable') || 'N/A'),
    count('Allowed Disruptions', 'status.disruptionsAllowed'),
    AGE,
  ],
  events: [
    column('Last Seen', (event, now) => age(eventSeen(event), now)),
    column('Type', (event) => textAt(event, 'type')),
    column('Reason', (event) => textAt(event, 'reason')),
    column('Object', involved),
    text('Subobject', 'involvedObject.fieldPath', WIDE),
    column('Source', (event) => textAt(event, 'source.component') || textAt(event, 'reportingComponent'), WIDE),
    column('Message', (event) => textAt(event, 'message') || textAt(event, 'note')),
    column('First Seen', (event, now) => age(event.firstTimestamp ?? event.eventTime, now), WIDE),
    column('Count', (event) => String(numberAt(event, 'count') ?? 1), WIDE),
    column('Name', ({ metadata }) => metadata.name, WIDE),
  ],
  customresourcedefinitions: [
    NAME,
    column('Created At', ({ metadata }) => metadata.creationTimestamp, { type: 'date' }),
  ],
};

export const DEFAULT_COLUMNS: readonly Column[] = [NAME, AGE];

const TOKEN =
  /\.([A-Za-z0-9_-]+)|\[['"]([^'"]+)['"]\]|\[(\d+|\*)\]|\[\?\(@\.([A-Za-z0-9_.-]+)\s*==\s*["']([^"']*)["']\)\]/y;

/** The part of JSONPath that printer columns use: `.a.b`, `['a']`, `[0]`, `[*]`, `[?(@.type=="Ready")]`. */
export function jsonPath(path: string): (object: unknown) => unknown[] {
  const steps: ((value: unknown) => unknown[])[] = [];
  const present = (values: unknown[]) => values.filter((value) => value !== undefined && value !== null);
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < path.length) {
    const begin = TOKEN.lastIndex;
    const match = TOKEN.exec(path);
    if (match === null)
      throw new Error(`a printer column's jsonPath is not understood from position ${begin}: ${path}`);
    const [, name, quoted, place, filterPath, wanted] = match;
    const key = name ?? quoted;
    if (key !== undefined) steps.push((value) => present([fieldsOf(value)[key]]));
    else if (filterPath !== undefined)
      steps.push((value) => listOf(value).filter((item) => textAt(item, filterPath) === wanted));
    else if (place === '*')
      steps.push((value) => (Array.isArray(value) ? (value as unknown[]) : Object.values(fieldsOf(value))));
    else steps.push((value) => present([Array.isArray(value) ? (value[Number(place)] as unknown) : undefined]));
  }
  return (object) => steps.reduce<unknown[]>((values, step) => values.flatMap(step), [object]);
}

/** The columns of a custom resource: its `additionalPrinterColumns`. */
export function customColumns(declared: readonly Fields[]): readonly Column[] {
  if (declared.length === 0) return DEFAULT_COLUMNS;
  return [
    NAME,
    ...declared.map((given): Column => {
      const find = jsonPath(String(given.jsonPath));
      const type = given.type as Column['type'];
      return {
        name: String(given.name),
        type,
        priority: typeof given.priority === 'number' ? given.priority : 0,
        description: String(given.description ?? ''),
        value: (object, now) => {
          const [found] = find(object);
          if (found === undefined) return type === 'date' ? '<unknown>' : null;
          if (type === 'date') return age(found, now);
          return type === 'string' ? (typeof found === 'object' ? JSON.stringify(found) : String(found)) : found;
        },
      };
    }),
  ];
}

/** The answer to `Accept: application/json;as=Table`. */
export function tableOf(
  columns: readonly Column[],
  objects: readonly KubeObject[],
  listMetadata: Fields,
  { includeObject = 'Metadata', headers = true, now }: { includeObject?: string; headers?: boolean; now: number },
): Fields {
  const rowObject = (object: KubeObject) =>
    includeObject === 'None'
      ? {}
      : {
          object:
            includeObject === 'Object'
              ? object
              : { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata },
        };
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: listMetadata,
    columnDefinitions: headers
      ? columns.map(({ name, type, priority, description }) => ({
          name,
          type,
          format: name === 'Name' ? 'name' : '',
          description,
          priority,
        }))
      : [],
    rows: objects.map((object) => ({ cells: columns.map(({ value }) => value(object, now)), ...rowObject(object) })),
  };
}
