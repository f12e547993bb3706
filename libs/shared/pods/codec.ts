/**
 * The one place that reads and writes Kubervisor's marks on pods. What is damaged by hand reads as the harmless value and is
 * written anew with the next change: a retryCount that is no number counts as 0, a breakAt that is no time as missing.
 */
import { isOut, isPaused } from './fleet.ts';
import { ANNOTATION, DELETION_COST_OUT, LABEL, type Traffic } from './keys.ts';
import type { Pod, RawPod } from './pod.ts';

const OURS: readonly string[] = Object.values(ANNOTATION);

const ZONE = 'topology.kubernetes.io/zone';

/** Characters of an annotation that are kept; ours are shorter, and a person's may have 256 kB on every pod. */
const MAX_KEPT = 1024;

const millis = (time: string | Date | null | undefined): number | undefined => {
  if (time === undefined || time === null) return undefined;
  const value = time instanceof Date ? time.getTime() : Date.parse(time);
  return Number.isNaN(value) ? undefined : value;
};

/** The pod as any client hands it over → the pod as we keep it. */
export function readPod(raw: RawPod): Pod {
  const metadata = raw.metadata ?? {};
  const annotations = metadata.annotations ?? {};
  const labels = metadata.labels ?? {};
  const readyCondition = raw.status?.conditions?.find((condition) => condition.type === 'Ready');
  const ready = readyCondition?.status === 'True';
  const changed = millis(readyCondition?.lastTransitionTime);
  const started = millis(raw.status?.startTime);
  const createdAt = millis(metadata.creationTimestamp) ?? 0;
  const owner = metadata.ownerReferences?.find((reference) => reference.controller === true);
  const revision = labels['pod-template-hash'] ?? labels['controller-revision-hash'];
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name ?? '',
    uid: metadata.uid ?? '',
    resourceVersion: metadata.resourceVersion ?? '',
    labels,
    annotations: Object.fromEntries(
      Object.entries(annotations).flatMap(([key, value]) =>
        OURS.includes(key) ? [[key, value.length > MAX_KEPT ? value.slice(0, MAX_KEPT) : value]] : [],
      ),
    ),
    hasAnnotations: metadata.annotations !== undefined,
    terminating: metadata.deletionTimestamp !== undefined && metadata.deletionTimestamp !== null,
    finished: raw.status?.phase === 'Succeeded' || raw.status?.phase === 'Failed',
    ready,
    ...(ready && { readySince: changed ?? started ?? createdAt }),
    // The kubelet writes Ready=False when it first sees the pod (times have whole seconds); a later change means it was ready once.
    everReady:
      ready ||
      annotations[ANNOTATION.breakAt] !== undefined ||
      annotations[ANNOTATION.activatedAt] !== undefined ||
      (changed !== undefined && changed > (started ?? createdAt) + 1000),
    createdAt,
    ...(raw.status?.podIP !== undefined && { ip: raw.status.podIP }),
    ...(raw.spec?.nodeName !== undefined && { node: raw.spec.nodeName }),
    ...(owner !== undefined && { owner: { kind: owner.kind, name: owner.name, uid: owner.uid } }),
    ...(revision !== undefined && { revision }),
    ...(labels[ZONE] !== undefined && { zone: labels[ZONE] }),
  };
}

/** What the marks on a pod say. Times in milliseconds since 1970. */
export interface Marks {
  /** Undefined: the label is missing or holds a value that is not ours. */
  traffic?: Traffic;
  /** The KubervisorService that owns the pod. An empty label names nobody; a look for it would find the whole collection. */
  name?: string;
  /** The breaker that took it out. */
  strategy?: string;
  breakAt?: number;
  /** Breaks after decay (A3); 0 of a pod that was never broken. */
  retryCount: number;
  activatedAt?: number;
  reason?: string;
  exempt: boolean;
}

const RFC_3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/;
/** As RFC 3339 writes years; beyond them a time is in no event and in no status. */
const LAST_TIME = Date.parse('9999-12-31T23:59:59.999Z');
function readTime(value: string | undefined): number | undefined {
  const time = value !== undefined && RFC_3339.test(value) ? millis(value) : undefined;
  return time !== undefined && time >= 0 && time <= LAST_TIME ? time : undefined;
}
export const writeTime = (time: number): string => new Date(time).toISOString();

/** Whoever writes anything but a no means to protect the pod: a wrong break is worse than none. */
const NOT_EXEMPT = /^\s*(false|no|off|0)?\s*$/i;

export function marksOf(pod: Pick<Pod, 'labels' | 'annotations'>): Marks {
  const { labels, annotations } = pod;
  const traffic = labels[LABEL.traffic];
  const breakAt = readTime(annotations[ANNOTATION.breakAt]);
  const activatedAt = readTime(annotations[ANNOTATION.activatedAt]);
  const count = annotations[ANNOTATION.retryCount] ?? '';
  const name = labels[LABEL.name];
  const strategy = labels[LABEL.strategy];
  const reason = annotations[ANNOTATION.reason];
  return {
    ...(traffic === 'yes' || traffic === 'no' || traffic === 'pause' ? { traffic } : {}),
    ...(name !== undefined && name !== '' && { name }),
    ...(strategy !== undefined && strategy !== '' && { strategy }),
    ...(breakAt !== undefined && { breakAt }),
    retryCount: /^\d{1,9}$/.test(count) ? Number(count) : 0,
    ...(activatedAt !== undefined && { activatedAt }),
    ...(reason !== undefined && { reason }),
    exempt: !NOT_EXEMPT.test(annotations[ANNOTATION.exempt] ?? ''),
  };
}

/** What was observed at a break: one line for people that machines can read back (status shows the figures). */
export interface Observation {
  reason: string;
  score?: number | undefined;
  observed?: number | undefined;
  limit?: number | undefined;
}

const FIGURE = String.raw`(?:observed|limit|score)=[^\s,)]+`;
/** One way alone to read each text: whoever may annotate a pod would else keep every process busy that reads it. */
const FIGURES = new RegExp(String.raw`^(?<reason>.*) \((?<figures>${FIGURE}(?:, ${FIGURE})*)\)$`, 's');

export function writeReason({ reason, score, observed, limit }: Observation): string {
  const figures = Object.entries({ observed, limit, score })
    .filter((entry): entry is [string, number] => entry[1] !== undefined)
    .map(([name, value]) => `${name}=${Number(value.toPrecision(6))}`);
  const line = reason.replace(/\s+/g, ' ').trim().slice(0, 512);
  return figures.length === 0 ? line : `${line} (${figures.join(', ')})`;
}

export function readReason(line: string): Observation {
  const groups = FIGURES.exec(line)?.groups;
  if (groups === undefined) return { reason: line };
  const figures = Object.fromEntries(
    (groups.figures ?? '')
      .split(', ')
      .map((figure) => figure.split('='))
      .map(([name, value]) => [name, Number(value)] as const)
      .filter(([, value]) => Number.isFinite(value)),
  );
  return { reason: groups.reason ?? line, ...figures };
}

/** What a change writes; null removes the key. */
export interface Edit {
  labels: Readonly<Record<string, string | null>>;
  annotations: Readonly<Record<string, string | null>>;
}

/** Ours comes with a break and goes with the return; on a pod that is in traffic the same value is somebody else's. */
const withoutOurDeletionCost = (pod: Pod): Record<string, null> => {
  const wasBroken = isOut(pod) || isPaused(pod) || pod.annotations[ANNOTATION.breakAt] !== undefined;
  return wasBroken && pod.annotations[ANNOTATION.deletionCost] === DELETION_COST_OUT
    ? { [ANNOTATION.deletionCost]: null }
    : {};
};

/** The edits of the life cycle (see ./life-cycle.ts). Each is a function of the pod as listed. */
export const EDITS = {
  break: (
    pod: Pod,
    {
      breaker,
      at,
      retryCount,
      observation,
    }: { breaker: string; at: number; retryCount: number; observation: Observation },
  ): Edit => ({
    labels: { [LABEL.traffic]: 'no', [LABEL.strategy]: breaker },
    annotations: {
      [ANNOTATION.breakAt]: writeTime(at),
      [ANNOTATION.retryCount]: String(retryCount),
      [ANNOTATION.reason]: writeReason(observation),
      ...(pod.annotations[ANNOTATION.deletionCost] === undefined && { [ANNOTATION.deletionCost]: DELETION_COST_OUT }),
    },
  }),
  /** Back into traffic, on probation: the count of breaks stays, so that a relapse waits longer. */
  activate: (pod: Pod, { at }: { at: number }): Edit => ({
    labels: { [LABEL.traffic]: 'yes', [LABEL.strategy]: null },
    annotations: {
      [ANNOTATION.activatedAt]: writeTime(at),
      [ANNOTATION.breakAt]: null,
      [ANNOTATION.reason]: null,
      ...withoutOurDeletionCost(pod),
    },
  }),
  pause: (_pod: Pod): Edit => ({ labels: { [LABEL.traffic]: 'pause' }, annotations: {} }),
  /** A `no` without a readable time counts as broken now (A7). */
  stampBreakAt: (_pod: Pod, { at }: { at: number }): Edit => ({
    labels: {},
    annotations: { [ANNOTATION.breakAt]: writeTime(at) },
  }),
  adopt: (pod: Pod, { name }: { name: string }): Edit => ({
    labels: { [LABEL.name]: name, ...(marksOf(pod).traffic === undefined && { [LABEL.traffic]: 'yes' }) },
    annotations: {},
  }),
  /** Only the traffic label, where a selector holds our key but nobody supervises (F1). */
  letIn: (_pod: Pod): Edit => ({ labels: { [LABEL.traffic]: 'yes' }, annotations: {} }),
  /** A person's `kubervisor/exempt` stays: it is not ours, and a pod that is adopted again must not lose its protection. */
  release: (pod: Pod): Edit => ({
    labels: { [LABEL.traffic]: 'yes', [LABEL.name]: null, [LABEL.strategy]: null },
    annotations: {
      [ANNOTATION.breakAt]: null,
      [ANNOTATION.retryCount]: null,
      [ANNOTATION.activatedAt]: null,
      [ANNOTATION.reason]: null,
      ...withoutOurDeletionCost(pod),
    },
  }),
} as const;

export interface JsonPatchOperation {
  op: 'test' | 'add' | 'remove';
  path: string;
  value?: unknown;
}

export const pointer = (key: string): string => key.replaceAll('~', '~0').replaceAll('/', '~1');

/**
 * W4: the JSON patch of an edit, guarded by what the decision rested on. A `test` for null passes where the key is missing;
 * so the same three tests fit every pod. What the edit would take away and the pod did not bear must be missing still: a pod that
 * went out and came in again meanwhile passes the three, and would keep what that left on it (F2). Empty where the pod has it all
 * already.
 */
export function guardedPatch(pod: Pod, edit: Edit): JsonPatchOperation[] {
  const absent: JsonPatchOperation[] = [];
  const changes: JsonPatchOperation[] = [];
  const change = (map: 'labels' | 'annotations', edits: Readonly<Record<string, string | null>>) => {
    for (const [key, value] of Object.entries(edits)) {
      const path = `/metadata/${map}/${pointer(key)}`;
      if (value === null) {
        if (pod[map][key] !== undefined) changes.push({ op: 'remove', path });
        else if (map === 'labels' || pod.hasAnnotations) absent.push({ op: 'test', path, value: null });
      } else if (pod[map][key] !== value) changes.push({ op: 'add', path, value });
    }
  };
  change('labels', edit.labels);
  const labelsOnly = changes.length;
  change('annotations', edit.annotations);
  if (changes.length === 0) return [];
  const guards: JsonPatchOperation[] = [
    { op: 'test', path: '/metadata/uid', value: pod.uid },
    { op: 'test', path: `/metadata/labels/${pointer(LABEL.name)}`, value: pod.labels[LABEL.name] ?? null },
    { op: 'test', path: `/metadata/labels/${pointer(LABEL.traffic)}`, value: pod.labels[LABEL.traffic] ?? null },
    ...absent,
  ];
  if (Object.keys(edit.annotations).length > 0 && !pod.hasAnnotations) {
    guards.push({ op: 'test', path: '/metadata/annotations', value: null });
    if (changes.length > labelsOnly) guards.push({ op: 'add', path: '/metadata/annotations', value: {} });
  }
  return [...guards, ...changes];
}

/** The pod as it will be after an edit: what the next decision of the same round, or a simulated one, works on. */
export function edited(pod: Pod, edit: Edit): Pod {
  const merge = (map: Readonly<Record<string, string>>, edits: Readonly<Record<string, string | null>>) =>
    Object.fromEntries(
      Object.entries({ ...map, ...edits }).filter((entry): entry is [string, string] => entry[1] !== null),
    );
  return {
    ...pod,
    labels: merge(pod.labels, edit.labels),
    annotations: merge(pod.annotations, edit.annotations),
    hasAnnotations: pod.hasAnnotations || Object.keys(edit.annotations).length > 0,
  };
}
