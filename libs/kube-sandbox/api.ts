/**
 * What the API server does with a request, without HTTP: the verbs on stored objects. Answers are objects or lists; refusals are
 * thrown as ApiError.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import {
  alreadyExists,
  badRequest,
  conflict,
  expired,
  forbidden,
  internalError,
  invalid,
  notFound,
  STALE,
  success,
  tooManyRequests,
  unsupportedMediaType,
  ApiError,
  type Cause,
} from './errors.ts';
import { BUILT_IN, kindsOf, type Kind, type Subresource, type Validator } from './kinds.ts';
import {
  at,
  copy,
  fieldsOf,
  isFields,
  listOf,
  numberAt,
  same,
  timestamp,
  type Fields,
  type KubeObject,
  type Metadata,
} from './objects.ts';
import { apply, jsonPatch, mergePatch, strategicMergePatch } from './patch.ts';
import { fieldSelector, labelSelector, specSelector, type Predicate } from './selectors.ts';
import type { KubeState } from './store.ts';

export interface WriteOptions {
  dryRun?: boolean;
  /** `Strict` refuses unknown fields of custom resources, `Warn` (default) names them in a warning. */
  fieldValidation?: string;
  fieldManager?: string;
}

export interface ListOptions {
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
  limit?: number | undefined;
  continue?: string | undefined;
  resourceVersion?: string | undefined;
}

export interface Written {
  code: number;
  object: KubeObject | ReturnType<typeof success>;
  warnings: string[];
}

export interface Listed {
  metadata: Fields;
  items: KubeObject[];
}

export const PATCH_TYPES = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;

const LABEL_KEY = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

const DEFINITIONS = 'customresourcedefinitions.apiextensions.k8s.io';
const SYSTEM_NAMESPACES = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];
/** A definition is served a moment after it is written, as on a real server: clients must wait for Established. */
const ESTABLISH_AFTER_MS = 20;
/** After a refused eviction. */
const EVICTION_RETRY_SECONDS = 10;

const present = (kind: Kind, object: KubeObject): KubeObject => kind.fromStorage?.(object) ?? object;

/** A resourceVersion of a request: undefined or "0" is any. @throws ApiError 400 */
export function revisionOf(text: string | undefined): number {
  if (text === undefined || text === '') return 0;
  if (!/^\d+$/.test(text)) throw badRequest(`Invalid value: ${JSON.stringify(text)}: resourceVersion must be a number`);
  return Number(text);
}

function metadataCauses({ labels = {}, annotations = {}, name }: Metadata): Cause[] {
  const causes: Cause[] = [];
  const problem = (field: string, message: string) =>
    causes.push({ reason: 'FieldValueInvalid', message: `Invalid value: ${message}`, field });
  if (name.length > 253 || !SUBDOMAIN.test(name))
    problem('metadata.name', `${JSON.stringify(name)}: a lowercase RFC 1123 subdomain is required`);
  for (const [key, value] of Object.entries(labels)) {
    if (!LABEL_KEY.test(key)) problem('metadata.labels', `${JSON.stringify(key)}: not a qualified name`);
    if (typeof value !== 'string' || !LABEL_VALUE.test(value))
      problem(
        'metadata.labels',
        `${JSON.stringify(value)}: a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', at most 63`,
      );
  }
  for (const key of Object.keys(annotations))
    if (!LABEL_KEY.test(key)) problem('metadata.annotations', `${JSON.stringify(key)}: not a qualified name`);
  return causes;
}

const stringMaps = (metadata: Fields): void => {
  for (const field of ['labels', 'annotations']) {
    const map = metadata[field];
    if (map === undefined) continue;
    if (map === null) delete metadata[field];
    else if (!isFields(map) || Object.values(map).some((value) => typeof value !== 'string'))
      throw badRequest(`metadata.${field}: every value must be a string: in YAML quote "yes", "no" and numbers`);
    // As the real server encodes it: an empty map is left out.
    else if (Object.keys(map).length === 0) delete metadata[field];
  }
};

export interface ApiOptions {
  state: KubeState;
  /** Rules of custom resources by `<plural>.<group>`. */
  validators?: Readonly<Record<string, Validator>>;
  /** Milliseconds since 1970. */
  now?: () => number;
}

export class Api {
  readonly state: KubeState;
  readonly #validators: Readonly<Record<string, Validator>>;
  readonly now: () => number;
  #served: { revision: string; kinds: Kind[] } = { revision: '', kinds: [] };
  readonly #timers = new Set<NodeJS.Timeout>();
  /** The last two parts of the newest ClusterIP; those of an earlier server on this state stay taken. */
  #lastAddress = 10;

  constructor({ state, validators = {}, now = Date.now }: ApiOptions) {
    this.state = state;
    this.#validators = validators;
    this.now = now;
    for (const name of SYSTEM_NAMESPACES)
      if (state.get('namespaces', '', name) === undefined)
        this.create(this.kind('namespaces'), undefined, { metadata: { name } });
    for (const service of state.list('services')) {
      const [, third, fourth] = /^10\.96\.(\d+)\.(\d+)$/.exec(String(at(service, 'spec.clusterIP'))) ?? [];
      this.#lastAddress = Math.max(this.#lastAddress, 256 * Number(third ?? 0) + Number(fourth ?? 0));
    }
    for (const definition of state.list(DEFINITIONS)) this.#establishSoon(definition.metadata.name);
  }

  close(): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }

  // Kinds

  /** Every kind that is served at the moment: the built-in ones and those of established definitions. */
  kinds(): Kind[] {
    const definitions = this.state.list(DEFINITIONS).filter((definition) => isEstablished(definition));
    const revision = definitions.map(({ metadata }) => `${metadata.uid}@${metadata.generation}`).join();
    if (revision !== this.#served.revision || this.#served.kinds.length === 0)
      this.#served = {
        revision,
        kinds: [
          ...BUILT_IN,
          ...definitions.flatMap((definition) => kindsOf(definition, this.#validators[definition.metadata.name])),
        ],
      };
    return this.#served.kinds;
  }

  find(group: string, version: string, plural: string): Kind | undefined {
    return this.kinds().find((kind) => kind.plural === plural && kind.group === group && kind.version === version);
  }

  /** A kind by where it is stored. */
  kind(storage: string): Kind {
    const found = this.kinds().find((kind) => kind.storage === storage);
    if (found === undefined) throw new Error(`kind ${storage} is not served`);
    return found;
  }

  // Reading

  #stored(kind: Kind, namespace: string | undefined, name: string): KubeObject {
    const object = this.state.get(kind.storage, namespace ?? '', name);
    if (object === undefined) throw notFound(kind, name);
    return object;
  }

  get(kind: Kind, namespace: string | undefined, name: string): KubeObject {
    return present(kind, this.#stored(kind, namespace, name));
  }

  matcher(kind: Kind, options: ListOptions): Predicate | undefined {
    const labels = labelSelector(options.labelSelector);
    const fields = fieldSelector(options.fieldSelector, kind.selectable);
    if (labels === undefined) return fields;
    return fields === undefined ? labels : (object) => labels(object) && fields(object);
  }

  /** A page of a list; `continue` names the last object of the page before. */
  list(kind: Kind, namespace: string | undefined, options: ListOptions = {}): Listed {
    const wanted = revisionOf(options.resourceVersion);
    if (wanted > this.state.revision)
      throw new ApiError(504, 'Timeout', `Too large resource version: ${wanted}, current: ${this.state.revision}`, {
        causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
        retryAfterSeconds: 1,
      });
    const matches = this.matcher(kind, options);
    let objects = this.state.list(kind.storage, kind.namespaced ? namespace : undefined);
    if (kind.fromStorage !== undefined) objects = objects.map((object) => present(kind, object));
    if (matches !== undefined) objects = objects.filter(matches);
    let revision = this.state.revision;
    if (options.continue !== undefined && options.continue !== '') {
      const token = readContinue(options.continue);
      revision = token.revision;
      objects = objects.filter(({ metadata }) => placeOf(metadata) > token.after);
    }
    const { limit } = options;
    const page = limit !== undefined && limit > 0 ? objects.slice(0, limit) : objects;
    const last = page.at(-1);
    const left = objects.length - page.length;
    return {
      metadata: {
        resourceVersion: String(revision),
        ...(left > 0 &&
          last !== undefined && {
            continue: writeContinue({ revision, after: placeOf(last.metadata) }),
            ...(matches === undefined && { remainingItemCount: left }),
          }),
      },
      items: page,
    };
  }

  // Writing

  create(kind: Kind, namespace: string | undefined, body: unknown, options: WriteOptions = {}): Written {
    const object = this.#parse(kind, namespace, body);
    const { metadata } = object;
    if (!metadata.name) {
      if (metadata.generateName === undefined || metadata.generateName === '')
        throw invalid(kind, '', [
          {
            reason: 'FieldValueRequired',
            message: 'Required value: name or generateName is required',
            field: 'metadata.name',
          },
        ]);
      do metadata.name = metadata.generateName.slice(0, 58) + randomName();
      while (this.state.get(kind.storage, metadata.namespace ?? '', metadata.name) !== undefined);
    }
    if (metadata.resourceVersion) throw badRequest('resourceVersion should not be set on objects to be created');
    if (kind.namespaced) this.#mustAccept(kind, metadata.namespace ?? '', metadata.name);
    if (this.state.get(kind.storage, metadata.namespace ?? '', metadata.name) !== undefined)
      throw alreadyExists(kind, metadata.name);
    delete metadata.deletionTimestamp;
    delete metadata.deletionGracePeriodSeconds;
    metadata.uid = randomUUID();
    metadata.creationTimestamp = timestamp(this.now());
    delete metadata.generation;
    if (hasGeneration(kind)) metadata.generation = 1;
    if (kind.subresources.includes('status')) {
      const status = kind.initialStatus?.(object);
      if (status === undefined) delete object.status;
      else object.status = status;
    }
    const warnings = this.#complete(kind, object, options);
    if (kind.storage === 'services') this.#assignAddress(object);
    this.#mustBeValid(kind, object);
    return { code: 201, object: present(kind, this.#commit(kind, object, options)), warnings };
  }

  /** PUT, and the second half of every patch. */
  update(
    kind: Kind,
    namespace: string | undefined,
    name: string,
    body: unknown,
    subresource?: Subresource,
    options: WriteOptions = {},
  ): Written {
    const existing = this.#stored(kind, namespace, name);
    if (subresource === 'scale') return this.#updateScale(kind, existing, body, options);
    const proposed = this.#parse(kind, namespace, body);
    const { metadata } = proposed;
    if (metadata.name !== name)
      throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${name})`);
    if (metadata.resourceVersion && metadata.resourceVersion !== existing.metadata.resourceVersion)
      throw conflict(kind, name, STALE);
    if (metadata.uid && metadata.uid !== existing.metadata.uid)
      throw conflict(
        kind,
        name,
        `Precondition failed: UID in precondition: ${metadata.uid}, UID in object meta: ${existing.metadata.uid}`,
      );
    return this.#replace(kind, existing, proposed, subresource, options);
  }

  #replace(
    kind: Kind,
    existing: KubeObject,
    proposed: KubeObject,
    subresource: Subresource | undefined,
    options: WriteOptions,
  ): Written {
    const { name } = existing.metadata;
    let object = proposed;
    if (subresource === 'status') {
      object = { ...existing };
      if (proposed.status === undefined) delete object.status;
      else object.status = proposed.status;
      object = copy(object);
    } else if (kind.subresources.includes('status')) {
      object = { ...proposed };
      if (existing.status === undefined) delete object.status;
      else object.status = existing.status;
    }
    const { uid, creationTimestamp, resourceVersion, generation, deletionTimestamp, deletionGracePeriodSeconds } =
      existing.metadata;
    const given = object.metadata.finalizers ?? [];
    if (
      deletionTimestamp !== undefined &&
      given.some((finalizer) => !(existing.metadata.finalizers ?? []).includes(finalizer))
    )
      throw invalid(kind, name, [
        {
          reason: 'FieldValueForbidden',
          message: 'Forbidden: no new finalizers can be added if the object is being deleted',
          field: 'metadata.finalizers',
        },
      ]);
    object.metadata = {
      ...object.metadata,
      uid,
      creationTimestamp,
      resourceVersion,
      ...(generation !== undefined && { generation }),
      ...(deletionTimestamp !== undefined && { deletionTimestamp }),
      ...(deletionGracePeriodSeconds !== undefined && { deletionGracePeriodSeconds }),
    };
    if (deletionTimestamp === undefined) {
      delete object.metadata.deletionTimestamp;
      delete object.metadata.deletionGracePeriodSeconds;
    }
    if (given.length === 0) delete object.metadata.finalizers;
    const warnings = this.#complete(kind, object, options);
    this.#keepAddress(kind, object, existing);
    if (hasGeneration(kind) && bodyChanged(kind, existing, object)) object.metadata.generation = (generation ?? 1) + 1;
    this.#mustBeValid(kind, object, existing);
    if (same(object, existing)) return { code: 200, object: present(kind, existing), warnings };
    const over =
      deletionTimestamp !== undefined &&
      (deletionGracePeriodSeconds ?? 0) === 0 &&
      given.length === 0 &&
      kind.storage !== 'namespaces';
    const stored = this.#commit(kind, object, options);
    if (over && options.dryRun !== true) this.#remove(kind, stored);
    return { code: 200, object: present(kind, stored), warnings };
  }

  patch(
    kind: Kind,
    namespace: string | undefined,
    name: string,
    type: string,
    body: unknown,
    subresource?: Subresource,
    options: WriteOptions & { force?: boolean } = {},
  ): Written {
    if (type === PATCH_TYPES.apply) return this.#apply(kind, namespace, name, body, subresource, options);
    const existing = present(kind, this.#stored(kind, namespace, name));
    const before = subresource === 'scale' ? scaleOf(existing) : existing;
    const patched = (() => {
      switch (type) {
        case PATCH_TYPES.json:
          return jsonPatch(before, body);
        case PATCH_TYPES.merge:
          return mergePatch(before, body);
        case PATCH_TYPES.strategic:
          if (kind.strategicMerge) return strategicMergePatch(before, body);
          throw unsupportedMediaType(type, `${PATCH_TYPES.json}, ${PATCH_TYPES.merge}, ${PATCH_TYPES.apply}`);
        default:
          throw unsupportedMediaType(type, Object.values(PATCH_TYPES).join(', '));
      }
    })();
    // A PUT names the uid that it means (409); a patch that would change it is a fault of the patch.
    const uid = at(patched, 'metadata.uid');
    if (uid !== undefined && uid !== existing.metadata.uid)
      throw invalid(kind, name, [
        {
          reason: 'FieldValueInvalid',
          message: `Invalid value: ${JSON.stringify(uid)}: field is immutable`,
          field: 'metadata.uid',
        },
      ]);
    return this.update(kind, namespace, name, patched, subresource, options);
  }

  #apply(
    kind: Kind,
    namespace: string | undefined,
    name: string,
    body: unknown,
    subresource: Subresource | undefined,
    options: WriteOptions & { force?: boolean },
  ): Written {
    if (options.fieldManager === undefined || options.fieldManager === '')
      throw invalid({ group: 'meta.k8s.io', plural: '', kind: 'PatchOptions' }, '', [
        { reason: 'FieldValueRequired', message: 'Required value: is required for apply patch', field: 'fieldManager' },
      ]);
    const applied = fieldsOf(body);
    if (applied.apiVersion === undefined || applied.kind === undefined)
      throw badRequest('an apply patch needs apiVersion and kind');
    if (at(applied, 'metadata.managedFields') !== undefined) throw badRequest('metadata.managedFields must be nil');
    const existing = this.state.get(kind.storage, namespace ?? '', name);
    if (existing === undefined && subresource !== undefined) throw notFound(kind, name);
    const before = existing === undefined ? { metadata: { name } } : present(kind, existing);
    const owner = JSON.stringify([existing?.metadata.uid ?? '', subresource ?? '', options.fieldManager]);
    const merged = apply(before, applied, this.state.applied.get(owner), kind.lists);
    const written =
      existing === undefined
        ? this.create(kind, namespace, merged, options)
        : this.update(kind, namespace, name, merged, subresource, options);
    if (options.dryRun !== true)
      this.state.applied.set(
        JSON.stringify([(written.object as KubeObject).metadata.uid, subresource ?? '', options.fieldManager]),
        copy(applied),
      );
    return written;
  }

  scale(kind: Kind, namespace: string | undefined, name: string): KubeObject {
    return scaleOf(this.#stored(kind, namespace, name));
  }

  #updateScale(kind: Kind, existing: KubeObject, body: unknown, options: WriteOptions): Written {
    const replicas = numberAt(body, 'spec.replicas') ?? 0;
    const wanted = at(body, 'metadata.resourceVersion');
    if (wanted !== undefined && wanted !== existing.metadata.resourceVersion)
      throw conflict(kind, existing.metadata.name, STALE);
    const written = this.#replace(
      kind,
      existing,
      copy({ ...existing, spec: { ...existing.spec, replicas } }),
      undefined,
      options,
    );
    return { ...written, object: scaleOf(written.object as KubeObject) };
  }

  // Deleting

  delete(
    kind: Kind,
    namespace: string | undefined,
    name: string,
    body: unknown = {},
    options: WriteOptions = {},
  ): Written {
    const existing = this.#stored(kind, namespace, name);
    const { preconditions, gracePeriodSeconds, propagationPolicy, orphanDependents } = fieldsOf(body);
    const { uid, resourceVersion } = fieldsOf(preconditions);
    if (uid !== undefined && uid !== existing.metadata.uid)
      throw conflict(
        kind,
        name,
        `Precondition failed: UID in precondition: ${String(uid)}, UID in object meta: ${existing.metadata.uid}`,
      );
    if (resourceVersion !== undefined && resourceVersion !== existing.metadata.resourceVersion)
      throw conflict(
        kind,
        name,
        `Precondition failed: ResourceVersion in precondition: ${String(resourceVersion)}, ResourceVersion in object meta: ${existing.metadata.resourceVersion}`,
      );
    const answer = (object: KubeObject, ended: boolean): Written => ({
      code: 200,
      object:
        ended && kind.schema !== undefined
          ? success({ name, group: kind.group, kind: kind.plural, uid: object.metadata.uid })
          : present(kind, object),
      warnings: [],
    });
    if (options.dryRun === true) return answer(existing, true);
    if (propagationPolicy === 'Orphan' || orphanDependents === true) this.#orphan(existing);
    if (kind.storage === 'namespaces') return answer(this.#deleteNamespace(kind, existing), false);
    if (kind.storage === DEFINITIONS) this.#deleteCustomResources(existing);
    const grace =
      kind.storage === 'pods' ? graceOf(existing, numberAt({ gracePeriodSeconds }, 'gracePeriodSeconds')) : 0;
    const held = (existing.metadata.finalizers ?? []).length > 0;
    if (grace === 0 && !held) return answer(this.#remove(kind, existing), true);
    const { deletionTimestamp, deletionGracePeriodSeconds } = existing.metadata;
    // A second delete may shorten the wait, never lengthen it.
    if (deletionTimestamp !== undefined && (deletionGracePeriodSeconds ?? 0) <= grace) return answer(existing, false);
    const ending = {
      ...existing,
      metadata: {
        ...existing.metadata,
        deletionTimestamp: timestamp(this.now() + grace * 1000),
        deletionGracePeriodSeconds: grace,
        ...(existing.metadata.generation !== undefined && { generation: existing.metadata.generation + 1 }),
      },
    };
    return answer(this.state.put(kind.storage, ending), false);
  }

  deleteCollection(
    kind: Kind,
    namespace: string | undefined,
    list: ListOptions,
    body: unknown,
    options: WriteOptions = {},
  ): Listed {
    const { metadata, items } = this.list(kind, namespace, list);
    for (const item of items) this.delete(kind, item.metadata.namespace, item.metadata.name, body, options);
    return { metadata, items };
  }

  #remove(kind: Kind, object: KubeObject): KubeObject {
    const { namespace = '', name, uid } = object.metadata;
    const gone = this.state.remove(kind.storage, namespace, name) ?? object;
    for (const key of this.state.applied.keys()) if (key.startsWith(`["${uid}"`)) this.state.applied.delete(key);
    if (namespace !== '') this.#finishNamespace(namespace);
    return gone;
  }

  /** Dependents lose their reference to the owner and stay. */
  #orphan(owner: KubeObject): void {
    for (const kind of this.kinds())
      for (const object of this.state.list(kind.storage, owner.metadata.namespace)) {
        const references = object.metadata.ownerReferences ?? [];
        if (!references.some(({ uid }) => uid === owner.metadata.uid)) continue;
        const left = references.filter(({ uid }) => uid !== owner.metadata.uid);
        const { ownerReferences: _, ...metadata } = object.metadata;
        this.state.put(kind.storage, {
          ...object,
          metadata: { ...metadata, ...(left.length > 0 && { ownerReferences: left }) },
        });
      }
  }

  #deleteNamespace(kind: Kind, existing: KubeObject): KubeObject {
    const { name } = existing.metadata;
    const terminating = this.state.put(kind.storage, {
      ...existing,
      metadata: {
        ...existing.metadata,
        deletionTimestamp: existing.metadata.deletionTimestamp ?? timestamp(this.now()),
      },
      status: { ...existing.status, phase: 'Terminating' },
    });
    for (const other of this.kinds().filter(({ namespaced }) => namespaced))
      for (const object of this.state.list(other.storage, name))
        this.delete(other, name, object.metadata.name, { gracePeriodSeconds: 0 });
    this.#finishNamespace(name);
    return terminating;
  }

  /** A namespace that ends is gone once the last object in it is. */
  #finishNamespace(name: string): void {
    const namespace = this.state.get('namespaces', '', name);
    if (namespace?.metadata.deletionTimestamp === undefined) return;
    const empty = this.kinds().every((kind) => !kind.namespaced || this.state.list(kind.storage, name).length === 0);
    if (empty) this.state.remove('namespaces', '', name);
  }

  #deleteCustomResources(definition: KubeObject): void {
    if (!isEstablished(definition)) return;
    for (const object of this.state.list(definition.metadata.name))
      this.state.remove(definition.metadata.name, object.metadata.namespace ?? '', object.metadata.name);
  }

  // Subresources of pods

  bind(namespace: string, name: string, body: unknown): ReturnType<typeof success> {
    const kind = this.kind('pods');
    const pod = this.#stored(kind, namespace, name);
    const node = String(at(body, 'target.name') ?? '');
    if (at(pod, 'spec.nodeName') !== undefined)
      throw conflict(kind, name, `pod ${name} is already assigned to node "${String(at(pod, 'spec.nodeName'))}"`);
    const conditions = [
      ...listOf(at(pod, 'status.conditions')),
      { type: 'PodScheduled', status: 'True', lastTransitionTime: timestamp(this.now()) },
    ];
    this.state.put('pods', { ...pod, spec: { ...pod.spec, nodeName: node }, status: { ...pod.status, conditions } });
    return { ...success(), code: 201 };
  }

  /** @throws ApiError 429 where a PodDisruptionBudget does not allow it, 409 where a precondition does not hold */
  evict(namespace: string, name: string, body: unknown, options: WriteOptions = {}): ReturnType<typeof success> {
    const kind = this.kind('pods');
    const pod = this.#stored(kind, namespace, name);
    const deleteOptions = fieldsOf(fieldsOf(body).deleteOptions);
    const phase = at(pod, 'status.phase');
    const exempt =
      phase === 'Succeeded' ||
      phase === 'Failed' ||
      phase === 'Pending' ||
      pod.metadata.deletionTimestamp !== undefined;
    if (!exempt) this.#spendBudget(pod, options);
    this.delete(kind, namespace, name, deleteOptions, options);
    return { ...success(), code: 201 };
  }

  /** As the real server does it, the allowance is spent before the preconditions are looked at. */
  #spendBudget(pod: KubeObject, options: WriteOptions): void {
    const { namespace = '', name, labels = {} } = pod.metadata;
    const budgets = this.state
      .list('poddisruptionbudgets.policy', namespace)
      .filter((budget) => specSelector(at(budget, 'spec.selector'))(labels));
    if (budgets.length > 1)
      throw internalError(
        'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.',
      );
    const [budget] = budgets;
    if (budget === undefined) return;
    const status = fieldsOf(budget.status);
    const desired = numberAt(status, 'desiredHealthy') ?? 0;
    const healthy = numberAt(status, 'currentHealthy') ?? 0;
    const ready = listOf(at(pod, 'status.conditions')).some(
      (condition) => condition.type === 'Ready' && condition.status === 'True',
    );
    if (!ready) {
      const policy = at(budget, 'spec.unhealthyPodEvictionPolicy');
      if (policy === 'AlwaysAllow' || (healthy >= desired && desired > 0)) return;
    }
    const refuse = (message: string) =>
      tooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", EVICTION_RETRY_SECONDS, [
        { reason: 'DisruptionBudget', message },
      ]);
    if ((numberAt(status, 'observedGeneration') ?? 0) < (budget.metadata.generation ?? 1))
      throw refuse(`The disruption budget ${budget.metadata.name} is still being processed by the server.`);
    const allowed = numberAt(status, 'disruptionsAllowed') ?? 0;
    if (allowed <= 0)
      throw refuse(
        `The disruption budget ${budget.metadata.name} needs ${desired} healthy pods and has ${healthy} currently`,
      );
    if (options.dryRun === true) return;
    this.state.put('poddisruptionbudgets.policy', {
      ...budget,
      status: {
        ...status,
        disruptionsAllowed: allowed - 1,
        disruptedPods: { ...fieldsOf(status.disruptedPods), [name]: timestamp(this.now()) },
      },
    });
  }

  // Steps of a write

  #parse(kind: Kind, namespace: string | undefined, body: unknown): KubeObject {
    if (!isFields(body)) throw badRequest('the object provided is not a JSON object');
    const apiVersion = kind.group === '' ? kind.version : `${kind.group}/${kind.version}`;
    const object = copy(body) as unknown as KubeObject;
    object.apiVersion ??= apiVersion;
    object.kind ??= kind.kind;
    if (object.apiVersion !== apiVersion || object.kind !== kind.kind)
      throw badRequest(
        `${object.apiVersion}, Kind=${object.kind} does not match the expected ${apiVersion}, Kind=${kind.kind}`,
      );
    const metadata = fieldsOf(object.metadata);
    for (const field of ['managedFields', 'selfLink', ...(kind.namespaced ? [] : ['namespace'])])
      delete metadata[field];
    for (const [field, value] of Object.entries(metadata)) if (value === null) delete metadata[field];
    stringMaps(metadata);
    if (Array.isArray(metadata.ownerReferences) && metadata.ownerReferences.length === 0)
      delete metadata.ownerReferences;
    if (kind.namespaced) {
      const given = metadata.namespace;
      if (given !== undefined && given !== '' && namespace !== undefined && given !== namespace)
        throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
      metadata.namespace = namespace ?? given ?? 'default';
    }
    object.metadata = metadata as unknown as Metadata;
    return object;
  }

  #complete(kind: Kind, object: KubeObject, options: WriteOptions): string[] {
    const unknown = kind.complete(object).map((path) => `unknown field ${JSON.stringify(path)}`);
    if (unknown.length > 0 && options.fieldValidation === 'Strict')
      throw badRequest(`strict decoding error: ${unknown.join(', ')}`);
    return options.fieldValidation === 'Ignore' ? [] : unknown;
  }

  #mustBeValid(kind: Kind, object: KubeObject, previous?: KubeObject): void {
    const causes = [...metadataCauses(object.metadata), ...kind.validate(object, previous)];
    if (causes.length > 0) throw invalid(kind, object.metadata.name, causes);
  }

  #mustAccept(kind: Kind, namespace: string, name: string): void {
    const found = this.state.get('namespaces', '', namespace);
    if (found === undefined) throw notFound(this.kind('namespaces'), namespace);
    if (found.metadata.deletionTimestamp !== undefined)
      throw forbidden(
        kind,
        name,
        `unable to create new content in namespace ${namespace} because it is being terminated`,
        [
          {
            reason: 'NamespaceTerminating',
            message: `namespace ${namespace} is being terminated`,
            field: 'metadata.namespace',
          },
        ],
      );
  }

  #commit(kind: Kind, object: KubeObject, { dryRun = false }: WriteOptions): KubeObject {
    const stored = kind.toStorage?.(object) ?? object;
    if (dryRun) return stored;
    const put = this.state.put(kind.storage, stored);
    if (kind.storage === DEFINITIONS) this.#establishSoon(put.metadata.name);
    if (kind.storage === 'namespaces' && put.metadata.deletionTimestamp === undefined) this.#welcome(put.metadata.name);
    return put;
  }

  #welcome(namespace: string): void {
    if (this.state.get('serviceaccounts', namespace, 'default') === undefined)
      this.create(this.kind('serviceaccounts'), namespace, { metadata: { name: 'default' } });
  }

  #establishSoon(name: string): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      const definition = this.state.get(DEFINITIONS, '', name);
      if (definition === undefined) return;
      this.#establish(definition);
      this.#completeStored(name);
    }, ESTABLISH_AFTER_MS);
    this.#timers.add(timer);
  }

  #establish(definition: KubeObject): void {
    const acceptedNames = copy(at(definition, 'spec.names'));
    const stored = listOf(at(definition, 'spec.versions')).find(({ storage }) => storage === true)?.name;
    const known = at(definition, 'status.storedVersions');
    const storedVersions = [...new Set([...(Array.isArray(known) ? (known as unknown[]) : []), stored])];
    if (
      isEstablished(definition) &&
      same(acceptedNames, at(definition, 'status.acceptedNames')) &&
      same(storedVersions, known)
    )
      return;
    const condition = (type: string, reason: string, message: string) => ({
      type,
      status: 'True',
      lastTransitionTime: timestamp(this.now()),
      reason,
      message,
    });
    this.state.put(DEFINITIONS, {
      ...definition,
      status: {
        ...definition.status,
        acceptedNames,
        storedVersions,
        conditions: [
          condition('NamesAccepted', 'NoConflicts', 'no conflicts found'),
          condition('Established', 'InitialNamesAccepted', 'the initial names have been accepted'),
        ],
      },
    });
  }

  /** Objects of an older schema get the new one's defaults, as the real server gives them on reading. */
  #completeStored(storage: string): void {
    const kind = this.kinds().find((found) => found.storage === storage);
    if (kind === undefined) return;
    for (const object of this.state.list(storage)) {
      const completed = copy(object);
      kind.complete(completed);
      if (!same(completed, object)) this.state.put(storage, completed);
    }
  }

  #assignAddress(service: KubeObject): void {
    const spec = (service.spec ??= {});
    if (spec.type === 'ExternalName') return;
    if (spec.clusterIP === undefined || spec.clusterIP === '') {
      this.#lastAddress += 1;
      spec.clusterIP = `10.96.${(this.#lastAddress >> 8) & 255}.${this.#lastAddress & 255}`;
    }
    spec.clusterIPs ??= [spec.clusterIP];
  }

  #keepAddress(kind: Kind, object: KubeObject, existing: KubeObject): void {
    if (kind.storage !== 'services' || at(object, 'spec.type') === 'ExternalName') return;
    const spec = (object.spec ??= {});
    spec.clusterIP ??= at(existing, 'spec.clusterIP');
    spec.clusterIPs ??= at(existing, 'spec.clusterIPs');
    if (spec.clusterIP === undefined) this.#assignAddress(object);
  }
}

const ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';
const randomName = (): string => [...randomBytes(5)].map((byte) => ALPHABET[byte % ALPHABET.length]).join('');

const placeOf = ({ namespace = '', name }: Metadata): string => `${namespace}/${name}`;
interface ContinueToken {
  revision: number;
  after: string;
}
const writeContinue = (token: ContinueToken): string => Buffer.from(JSON.stringify(token)).toString('base64url');
function readContinue(text: string): ContinueToken {
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString()) as ContinueToken;
  } catch {
    throw expired('The provided continue parameter is not valid: begin the list anew.');
  }
}

export const isEstablished = (definition: KubeObject): boolean =>
  listOf(at(definition, 'status.conditions')).some(
    (condition) => condition.type === 'Established' && condition.status === 'True',
  );

const hasGeneration = (kind: Kind): boolean => kind.schema !== undefined || kind.subresources.includes('status');

/** Whether anything but metadata, and status where that is apart, differs: then the generation goes up. */
function bodyChanged(kind: Kind, existing: KubeObject, object: KubeObject): boolean {
  const { metadata: _m, status: oldStatus, ...before } = existing;
  const { metadata: _n, status: newStatus, ...after } = object;
  return !same(before, after) || (!kind.subresources.includes('status') && !same(oldStatus, newStatus));
}

/** Seconds that a pod has to end; none where no kubelet knows of it or it has ended already. */
function graceOf(pod: KubeObject, asked: number | undefined): number {
  const phase = at(pod, 'status.phase');
  if (at(pod, 'spec.nodeName') === undefined || phase === 'Succeeded' || phase === 'Failed') return 0;
  return Math.max(0, asked ?? numberAt(pod, 'spec.terminationGracePeriodSeconds') ?? 30);
}

function scaleOf(object: KubeObject): KubeObject {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const selector = Object.entries(fieldsOf(at(object, 'spec.selector.matchLabels')));
  return {
    apiVersion: 'autoscaling/v1',
    kind: 'Scale',
    metadata: { name, ...(namespace !== undefined && { namespace }), uid, resourceVersion, creationTimestamp },
    spec: { replicas: numberAt(object, 'spec.replicas') ?? 0 },
    status: {
      replicas: numberAt(object, 'status.replicas') ?? 0,
      selector: selector.map(([key, value]) => `${key}=${String(value)}`).join(','),
    },
  };
}
