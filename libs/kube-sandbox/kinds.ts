/** Which kinds are served, as data: the built-in ones here, those of custom resources as their definitions say. */
import { COLUMNS, customColumns, DEFAULT_COLUMNS, type Column } from './columns.ts';
import type { Cause } from './errors.ts';
import { at, copy, fieldsOf, isFields, listOf, same, type Fields, type KubeObject } from './objects.ts';
import { builtInLists, type ListRules } from './patch.ts';
import { applyDefaults, compileSchema, listRules, prune, type Schema } from './schema.ts';

export type Subresource = 'status' | 'scale' | 'eviction' | 'binding' | 'finalize';

export interface Kind {
  group: string;
  version: string;
  plural: string;
  singular: string;
  kind: string;
  shortNames: readonly string[];
  categories: readonly string[];
  namespaced: boolean;
  subresources: readonly Subresource[];
  /** Where the state keeps the objects; two versions of one kind share it. */
  storage: string;
  /** The fields that a fieldSelector may name. */
  selectable: readonly string[];
  columns: readonly Column[];
  lists: ListRules;
  /** Custom resources refuse it with 415. */
  strategicMerge: boolean;
  /** Fields that the server fills in at creation; `status` as it begins. */
  initialStatus?: (object: KubeObject) => Fields | undefined;
  /** Fills in defaults and prunes, in place; returns the unknown fields it removed. */
  complete: (object: KubeObject) => string[];
  validate: (object: KubeObject, previous?: KubeObject) => Cause[];
  /** Of a custom resource: its schema, for `kubectl explain`. */
  schema?: Schema;
  toStorage?: (object: KubeObject) => KubeObject;
  fromStorage?: (object: KubeObject) => KubeObject;
}

const required = (object: KubeObject, path: string): Cause[] => {
  const value = at(object, path);
  const missing = value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0);
  return missing ? [{ reason: 'FieldValueRequired', message: 'Required value', field: path }] : [];
};

const setDefaults = (target: Fields, defaults: Fields): void => {
  for (const [key, value] of Object.entries(defaults))
    if (target[key] === undefined || target[key] === null) target[key] = copy(value);
};
const specOf = (object: KubeObject): Fields => (object.spec ??= {});

function completePodSpec(spec: Fields): void {
  setDefaults(spec, {
    restartPolicy: 'Always',
    terminationGracePeriodSeconds: 30,
    dnsPolicy: 'ClusterFirst',
    schedulerName: 'default-scheduler',
    securityContext: {},
  });
  for (const container of [...listOf(spec.containers), ...listOf(spec.initContainers)]) {
    setDefaults(container, {
      resources: {},
      terminationMessagePath: '/dev/termination-log',
      terminationMessagePolicy: 'File',
      imagePullPolicy:
        /:[^/]+$/.test(String(container.image)) && !String(container.image).endsWith(':latest')
          ? 'IfNotPresent'
          : 'Always',
    });
    for (const port of listOf(container.ports)) setDefaults(port, { protocol: 'TCP' });
  }
}

const podContainers = (podSpec: unknown, path: string): Cause[] => {
  const containers = listOf(at(podSpec, 'containers'));
  if (containers.length === 0)
    return [{ reason: 'FieldValueRequired', message: 'Required value', field: `${path}.containers` }];
  return containers.flatMap((container, place) =>
    (['name', ...(path === 'spec' ? [] : ['image'])] as const)
      .filter((key) => typeof container[key] !== 'string' || container[key] === '')
      .map((key): Cause => ({
        reason: 'FieldValueRequired',
        message: 'Required value',
        field: `${path}.containers[${place}].${key}`,
      })),
  );
};

/** Of a running pod only what concerns its end, its images and the scheduler may change. */
function podImmutable(pod: KubeObject, previous: KubeObject): Cause[] {
  const fixed = (object: KubeObject) => {
    const {
      activeDeadlineSeconds: _,
      tolerations: _t,
      terminationGracePeriodSeconds: _g,
      nodeName: _n,
      ...spec
    } = copy(fieldsOf(object.spec));
    for (const container of [...listOf(spec.containers), ...listOf(spec.initContainers)]) {
      delete container.image;
      delete container.imagePullPolicy;
      delete container.resources;
    }
    return spec;
  };
  return same(fixed(pod), fixed(previous))
    ? []
    : [
        {
          reason: 'FieldValueForbidden',
          message:
            'Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
          field: 'spec',
        },
      ];
}

const SIMPLE_EQUALITY = (selector: unknown, labels: unknown): boolean =>
  Object.entries(fieldsOf(fieldsOf(selector).matchLabels)).every(([key, value]) => fieldsOf(labels)[key] === value);

function validateWorkload(object: KubeObject, previous?: KubeObject): Cause[] {
  const template = fieldsOf(at(object, 'spec.template'));
  const labels = at(template, 'metadata.labels');
  return [
    ...required(object, 'spec.selector'),
    ...podContainers(template.spec, 'spec.template.spec'),
    ...(SIMPLE_EQUALITY(at(object, 'spec.selector'), labels)
      ? []
      : [
          {
            reason: 'FieldValueInvalid',
            message: `Invalid value: ${JSON.stringify(labels ?? {})}: \`selector\` does not match template \`labels\``,
            field: 'spec.template.metadata.labels',
          },
        ]),
    ...(previous !== undefined && !same(at(object, 'spec.selector'), at(previous, 'spec.selector'))
      ? [{ reason: 'FieldValueInvalid', message: 'Invalid value: field is immutable', field: 'spec.selector' }]
      : []),
  ];
}

function completeWorkload(object: KubeObject, more: Fields = {}): void {
  const spec = specOf(object);
  setDefaults(spec, { replicas: 1, ...more });
  const template = fieldsOf(spec.template);
  template.metadata ??= {};
  if (isFields(template.spec)) completePodSpec(template.spec);
}

const EVENT_TWINS: readonly (readonly [core: string, group: string])[] = [
  ['involvedObject', 'regarding'],
  ['message', 'note'],
  ['source', 'deprecatedSource'],
  ['count', 'deprecatedCount'],
  ['firstTimestamp', 'deprecatedFirstTimestamp'],
  ['lastTimestamp', 'deprecatedLastTimestamp'],
  ['reportingComponent', 'reportingController'],
];
/** Events are kept as core/v1 has them; events.k8s.io/v1 is another view of the same. */
function renameEvent(event: KubeObject, from: 0 | 1, to: 0 | 1, apiVersion: string): KubeObject {
  const result: KubeObject = { ...event, apiVersion };
  for (const twin of EVENT_TWINS) {
    if (event[twin[from]] === undefined) continue;
    result[twin[to]] = event[twin[from]];
    delete result[twin[from]];
  }
  return result;
}

type Declared = Partial<Omit<Kind, 'complete'>> & { complete?: (object: KubeObject) => void } & Pick<
    Kind,
    'plural' | 'kind'
  >;

const METADATA_FIELDS = ['metadata.name', 'metadata.namespace'] as const;

function builtIn(given: Declared): Kind {
  const { group = '', version = 'v1', plural, kind, complete, selectable = [], ...rest } = given;
  return {
    group,
    version,
    singular: kind.toLowerCase(),
    shortNames: [],
    categories: [],
    namespaced: true,
    subresources: [],
    storage: group === '' ? plural : `${plural}.${group}`,
    columns: COLUMNS[plural] ?? DEFAULT_COLUMNS,
    lists: builtInLists,
    strategicMerge: true,
    validate: () => [],
    ...rest,
    plural,
    kind,
    selectable: [...METADATA_FIELDS, ...selectable],
    complete: (object) => {
      complete?.(object);
      return [];
    },
  };
}

const ALL = ['all'];
const EVENT_FIELDS = [
  ...['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'].map(
    (field) => `involvedObject.${field}`,
  ),
  'reason',
  'reportingComponent',
  'source',
  'type',
];

export const BUILT_IN: readonly Kind[] = [
  builtIn({
    plural: 'namespaces',
    kind: 'Namespace',
    shortNames: ['ns'],
    namespaced: false,
    subresources: ['status', 'finalize'],
    selectable: ['status.phase'],
    initialStatus: () => ({ phase: 'Active' }),
    complete: (namespace) => {
      namespace.metadata.labels = {
        ...namespace.metadata.labels,
        'kubernetes.io/metadata.name': namespace.metadata.name,
      };
      setDefaults(specOf(namespace), { finalizers: ['kubernetes'] });
    },
  }),
  builtIn({
    plural: 'nodes',
    kind: 'Node',
    shortNames: ['no'],
    namespaced: false,
    subresources: ['status'],
    selectable: ['spec.unschedulable'],
    initialStatus: (node) => node.status,
    complete: (node) => void specOf(node),
  }),
  builtIn({
    plural: 'pods',
    kind: 'Pod',
    shortNames: ['po'],
    categories: ALL,
    subresources: ['status', 'eviction', 'binding'],
    selectable: [
      'spec.nodeName',
      'spec.restartPolicy',
      'spec.schedulerName',
      'spec.serviceAccountName',
      'spec.hostNetwork',
      'status.phase',
      'status.podIP',
      'status.nominatedNodeName',
    ],
    initialStatus: () => ({ phase: 'Pending', qosClass: 'BestEffort' }),
    complete: (pod) => {
      const spec = specOf(pod);
      completePodSpec(spec);
      setDefaults(spec, {
        serviceAccountName: 'default',
        serviceAccount: spec.serviceAccountName ?? 'default',
        enableServiceLinks: true,
      });
    },
    validate: (pod, previous) => [
      ...podContainers(pod.spec, 'spec'),
      ...(previous === undefined ? [] : podImmutable(pod, previous)),
    ],
  }),
  builtIn({
    plural: 'services',
    kind: 'Service',
    shortNames: ['svc'],
    categories: ALL,
    subresources: ['status'],
    selectable: ['spec.clusterIP', 'spec.type'],
    initialStatus: () => ({ loadBalancer: {} }),
    complete: (service) => {
      const spec = specOf(service);
      setDefaults(spec, { type: 'ClusterIP', sessionAffinity: 'None' });
      for (const port of listOf(spec.ports)) setDefaults(port, { protocol: 'TCP', targetPort: port.port });
      if (spec.type !== 'ExternalName')
        setDefaults(spec, { internalTrafficPolicy: 'Cluster', ipFamilyPolicy: 'SingleStack', ipFamilies: ['IPv4'] });
    },
    validate: (service) =>
      at(service, 'spec.clusterIP') === 'None' || at(service, 'spec.type') === 'ExternalName'
        ? []
        : required(service, 'spec.ports'),
  }),
  builtIn({ plural: 'configmaps', kind: 'ConfigMap', shortNames: ['cm'] }),
  builtIn({
    plural: 'secrets',
    kind: 'Secret',
    selectable: ['type'],
    complete: (secret) => {
      secret.type ??= 'Opaque';
      if (!isFields(secret.stringData)) return;
      const encoded = Object.entries(secret.stringData).map(([key, value]) => [
        key,
        Buffer.from(String(value)).toString('base64'),
      ]);
      secret.data = { ...fieldsOf(secret.data), ...Object.fromEntries(encoded) };
      delete secret.stringData;
    },
  }),
  builtIn({ plural: 'serviceaccounts', kind: 'ServiceAccount', shortNames: ['sa'] }),
  builtIn({
    plural: 'events',
    kind: 'Event',
    shortNames: ['ev'],
    selectable: EVENT_FIELDS,
    validate: (event) => {
      const namespace = at(event, 'involvedObject.namespace') ?? '';
      return namespace === event.metadata.namespace || (namespace === '' && event.metadata.namespace === 'default')
        ? []
        : [
            {
              reason: 'FieldValueInvalid',
              message: 'Invalid value: does not match event.namespace',
              field: 'involvedObject.namespace',
            },
          ];
    },
  }),
  builtIn({
    group: 'events.k8s.io',
    plural: 'events',
    kind: 'Event',
    shortNames: ['ev'],
    storage: 'events',
    selectable: [
      'regarding.kind',
      'regarding.namespace',
      'regarding.name',
      'regarding.uid',
      'reason',
      'type',
      'reportingController',
    ],
    toStorage: (event) => renameEvent(event, 1, 0, 'v1'),
    fromStorage: (event) => renameEvent(event, 0, 1, 'events.k8s.io/v1'),
    validate: (event) => [
      ...required(event, 'eventTime'),
      ...required(event, 'reportingController'),
      ...required(event, 'reportingInstance'),
      ...required(event, 'action'),
      ...required(event, 'reason'),
    ],
  }),
  builtIn({
    group: 'apps',
    plural: 'deployments',
    kind: 'Deployment',
    shortNames: ['deploy'],
    categories: ALL,
    subresources: ['status', 'scale'],
    complete: (deployment) => {
      const strategy = { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '25%', maxSurge: '25%' } };
      completeWorkload(deployment, { strategy, revisionHistoryLimit: 10, progressDeadlineSeconds: 600 });
    },
    validate: validateWorkload,
  }),
  builtIn({
    group: 'apps',
    plural: 'replicasets',
    kind: 'ReplicaSet',
    shortNames: ['rs'],
    categories: ALL,
    subresources: ['status', 'scale'],
    selectable: ['status.replicas'],
    initialStatus: () => ({ replicas: 0 }),
    complete: completeWorkload,
    validate: validateWorkload,
  }),
  builtIn({
    group: 'discovery.k8s.io',
    plural: 'endpointslices',
    kind: 'EndpointSlice',
    complete: (slice) => {
      slice.endpoints ??= [];
    },
    validate: (slice) => required(slice, 'addressType'),
  }),
  builtIn({
    group: 'policy',
    plural: 'poddisruptionbudgets',
    kind: 'PodDisruptionBudget',
    shortNames: ['pdb'],
    subresources: ['status'],
    initialStatus: () => ({ disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 }),
    validate: (budget) =>
      at(budget, 'spec.minAvailable') !== undefined && at(budget, 'spec.maxUnavailable') !== undefined
        ? [
            {
              reason: 'FieldValueInvalid',
              message: 'Invalid value: minAvailable and maxUnavailable cannot be both set',
              field: 'spec',
            },
          ]
        : [],
  }),
  builtIn({
    group: 'coordination.k8s.io',
    plural: 'leases',
    kind: 'Lease',
    validate: (lease) => {
      const duration = at(lease, 'spec.leaseDurationSeconds');
      return duration !== undefined && !(Number(duration) > 0)
        ? [
            {
              reason: 'FieldValueInvalid',
              message: `Invalid value: ${JSON.stringify(duration)}: must be greater than 0`,
              field: 'spec.leaseDurationSeconds',
            },
          ]
        : [];
    },
  }),
  builtIn({
    group: 'apiextensions.k8s.io',
    plural: 'customresourcedefinitions',
    kind: 'CustomResourceDefinition',
    shortNames: ['crd', 'crds'],
    categories: ['api-extensions'],
    namespaced: false,
    subresources: ['status'],
    complete: completeDefinition,
    validate: validateDefinition,
    initialStatus: (definition) => ({
      conditions: [],
      acceptedNames: { plural: '', kind: '' },
      storedVersions: listOf(at(definition, 'spec.versions'))
        .filter(({ storage }) => storage === true)
        .map(({ name }) => name),
    }),
    // A definition is written by apply, and its versions are atomic or not: as the real server has it, a list without keys.
    lists: () => undefined,
  }),
];

function completeDefinition(definition: KubeObject): void {
  const spec = specOf(definition);
  setDefaults(spec, { conversion: { strategy: 'None' } });
  const names = fieldsOf(spec.names);
  setDefaults(names, { singular: String(names.kind ?? '').toLowerCase(), listKind: `${String(names.kind ?? '')}List` });
}

const PROTECTED = /(^|\.)(k8s\.io|kubernetes\.io)$/;
const APPROVAL = 'api-approved.kubernetes.io';

function validateDefinition(definition: KubeObject): Cause[] {
  const { spec, metadata } = definition;
  const group = String(at(spec, 'group') ?? '');
  const plural = String(at(spec, 'names.plural') ?? '');
  const versions = listOf(at(spec, 'versions'));
  const causes = ['spec.group', 'spec.scope', 'spec.names.plural', 'spec.names.kind', 'spec.versions'].flatMap((path) =>
    required(definition, path),
  );
  const problem = (field: string, message: string, reason = 'FieldValueInvalid') =>
    causes.push({ reason, message, field });
  if (metadata.name !== `${plural}.${group}`)
    problem(
      'metadata.name',
      `Invalid value: ${JSON.stringify(metadata.name)}: must be spec.names.plural+"."+spec.group`,
    );
  if (PROTECTED.test(group)) {
    const approval = metadata.annotations?.[APPROVAL];
    if (approval === undefined)
      problem(
        `metadata.annotations[${APPROVAL}]`,
        'Required value: protected groups must have approval annotation',
        'FieldValueRequired',
      );
    else if (!/^(https?:\/\/|unapproved)/.test(approval))
      problem(
        `metadata.annotations[${APPROVAL}]`,
        `Invalid value: ${JSON.stringify(approval)}: must be a URL or begin with "unapproved"`,
      );
  }
  if (versions.filter(({ storage }) => storage === true).length !== 1)
    problem('spec.versions', 'Invalid value: must have exactly one version marked as storage version');
  versions.forEach((version, place) => {
    const path = `spec.versions[${place}].schema.openAPIV3Schema`;
    const schema = at(version, 'schema.openAPIV3Schema');
    if (!isFields(schema)) problem(path, 'Required value: schemas are required', 'FieldValueRequired');
    else if (schema.type !== 'object') problem(`${path}.type`, 'Invalid value: must be object at the root');
    else
      try {
        compileSchema(schema);
      } catch (error) {
        problem(path, `Invalid value: ${(error as Error).message}`);
      }
    try {
      customColumns(listOf(version.additionalPrinterColumns));
    } catch (error) {
      problem(`spec.versions[${place}].additionalPrinterColumns`, `Invalid value: ${(error as Error).message}`);
    }
  });
  return causes;
}

/** Cross-field rules of a custom resource, standing in for the CEL rules of its definition: there is no CEL interpreter here. */
export type Validator = (object: KubeObject) => readonly { path: string; message: string }[];

/** The kinds that a definition serves, one a version. */
export function kindsOf(definition: KubeObject, validator?: Validator): Kind[] {
  const spec = fieldsOf(definition.spec);
  const names = fieldsOf(spec.names);
  const group = String(spec.group);
  const plural = String(names.plural);
  const strings = (value: unknown) => (Array.isArray(value) ? (value as string[]) : []);
  return listOf(spec.versions)
    .filter(({ served }) => served === true)
    .map((version): Kind => {
      const schema = fieldsOf(at(version, 'schema.openAPIV3Schema'));
      const validate = compileSchema(schema);
      const apiVersion = `${group}/${String(version.name)}`;
      return {
        group,
        version: String(version.name),
        plural,
        singular: String(names.singular ?? ''),
        kind: String(names.kind),
        shortNames: strings(names.shortNames),
        categories: strings(names.categories),
        namespaced: spec.scope === 'Namespaced',
        subresources: (['status', 'scale'] as const).filter((name) => isFields(fieldsOf(version.subresources)[name])),
        storage: `${plural}.${group}`,
        selectable: [
          ...METADATA_FIELDS,
          ...listOf(version.selectableFields).map(({ jsonPath }) => String(jsonPath).replace(/^\./, '')),
        ],
        columns: customColumns(listOf(version.additionalPrinterColumns)),
        lists: listRules(schema),
        strategicMerge: false,
        schema,
        complete: (object) => {
          const dropped = prune(object, schema);
          applyDefaults(object, schema);
          return dropped;
        },
        validate: (object) => {
          const causes = validate(object);
          if (causes.length > 0) return causes;
          return (validator?.(object) ?? []).map(({ path, message }) => ({
            reason: 'FieldValueInvalid',
            message: `Invalid value: ${message}`,
            field: path,
          }));
        },
        fromStorage: (object) => (object.apiVersion === apiVersion ? object : { ...object, apiVersion }),
      };
    });
}
