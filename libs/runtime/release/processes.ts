/** Which of our processes run, as far as the API server can tell: Deployments by their labels, and whoever renews the Lease. */
import { COMPONENT, PART_OF, WRITERS } from '@kubervisor/shared/installation';
import { MEDIA_TYPE, pause } from '../kubernetes/api-server.ts';
import { LEASES, leaseTimes, type LeaseObject } from '../kubernetes/lease.ts';
import { PATHS, pathIn, type RawObject } from '../kubernetes/resources.ts';
import { findPersistently, listPersistently, persist, type Persistence } from './persist.ts';

const DEPLOYMENTS = '/apis/apps/v1/deployments';

/** A Deployment of ours. */
export interface Workload {
  namespace: string;
  name: string;
  component: string;
  replicas: number;
  /** Of its pods, as `labelSelector` takes it. */
  selector: string;
}

interface RawDeployment extends RawObject {
  spec?: {
    replicas?: number;
    selector?: {
      matchLabels?: Record<string, string>;
      matchExpressions?: { key: string; operator: string; values?: string[] }[];
    };
  };
}

const EXPRESSIONS: Readonly<Record<string, (key: string, values: string) => string>> = {
  In: (key, values) => `${key} in (${values})`,
  NotIn: (key, values) => `${key} notin (${values})`,
  Exists: (key) => key,
  DoesNotExist: (key) => `!${key}`,
};

function readWorkload({ metadata, spec }: RawDeployment): Workload {
  const { matchLabels = {}, matchExpressions = [] } = spec?.selector ?? {};
  return {
    namespace: metadata?.namespace ?? '',
    name: metadata?.name ?? '',
    component: metadata?.labels?.[COMPONENT] ?? '',
    replicas: spec?.replicas ?? 1,
    selector: [
      ...Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`),
      ...matchExpressions.map(
        ({ key, operator, values = [] }) => EXPRESSIONS[operator]?.(key, values.join(',')) ?? key,
      ),
    ].join(','),
  };
}

const inNamespace = (path: string, namespace: string | undefined): string =>
  namespace === undefined ? path : pathIn(path, namespace);

/** Those that write to pods; the detector may go on. */
export const findWorkloads = (how: Persistence, namespace: string | undefined): Promise<Workload[]> =>
  listPersistently(
    how,
    inNamespace(DEPLOYMENTS, namespace),
    { labelSelector: `${PART_OF.key}=${PART_OF.value},${COMPONENT} in (${WRITERS.join(',')})` },
    readWorkload,
  );

export const scaleToZero = (how: Persistence, { namespace, name }: Workload): Promise<unknown> =>
  persist(how, () =>
    how.api.request('PATCH', pathIn(DEPLOYMENTS, namespace, name, 'scale'), {
      body: { spec: { replicas: 0 } },
      contentType: MEDIA_TYPE.mergePatch,
      signal: how.signal,
    }),
  );

const KEDA = '/apis/keda.sh/v1alpha1';
/** KEDA then brings its target to so many replicas itself, and leaves it there. */
const PAUSED_REPLICAS = 'autoscaling.keda.sh/paused-replicas';

interface RawScaledObject extends RawObject {
  spec?: { scaleTargetRef?: { kind?: string; name?: string } };
}

/**
 * KEDA lifts whatever is below its minimum, from 0 too (a HorizontalPodAutoscaler leaves a Deployment at 0 alone), so it is told to pause
 * before its target is stopped. Answers the names of the ScaledObjects that were told.
 */
export async function pauseKeda(how: Persistence, { namespace, name }: Workload): Promise<string[]> {
  // Everybody may ask what is served; who may not list, and need not, where there is none.
  if ((await findPersistently(how, KEDA)) === undefined) return [];
  const path = pathIn(`${KEDA}/scaledobjects`, namespace);
  const objects = await listPersistently<RawScaledObject, RawScaledObject>(how, path, {}, (raw) => raw);
  const names = objects
    .filter(
      ({ metadata, spec: { scaleTargetRef: target } = {} }) =>
        target?.name === name &&
        (target.kind ?? 'Deployment') === 'Deployment' &&
        metadata?.annotations?.[PAUSED_REPLICAS] !== '0',
    )
    .map(({ metadata }) => metadata?.name ?? '');
  for (const one of names)
    await persist(how, () =>
      how.api.request('PATCH', pathIn(`${KEDA}/scaledobjects`, namespace, one), {
        body: { metadata: { annotations: { [PAUSED_REPLICAS]: '0' } } },
        contentType: MEDIA_TYPE.mergePatch,
        signal: how.signal,
      }),
    );
  return names;
}
/** As a person says it to KEDA, and takes it back. */
export const kedaCommand = (name: string, namespace: string, how: 'pause' | 'resume'): string =>
  `kubectl annotate scaledobject ${name} --namespace ${namespace} ${PAUSED_REPLICAS}${how === 'pause' ? '=0' : '-'}`;

/** Names of its pods whose processes may be there yet. */
export async function podsOf(how: Persistence, { namespace, selector }: Workload): Promise<string[]> {
  const pods = await listPersistently<RawObject & { status?: { phase?: string } }, { name: string; over: boolean }>(
    how,
    pathIn(PATHS.pods, namespace),
    { labelSelector: selector },
    ({ metadata, status }) => ({
      name: metadata?.name ?? '',
      over: status?.phase === 'Succeeded' || status?.phase === 'Failed',
    }),
  );
  return pods.filter(({ over }) => !over).map(({ name }) => name);
}

export interface Lease {
  namespace: string;
  name: string;
  holder: string;
  /** Seconds. */
  duration: number;
  /** All that a holder writes. It alone tells whether one lives: clocks of two machines are never compared. */
  record: string;
}

function readLease({ metadata, spec }: LeaseObject): Lease {
  return {
    namespace: metadata?.namespace ?? '',
    name: metadata?.name ?? '',
    holder: spec?.holderIdentity ?? '',
    duration: spec?.leaseDurationSeconds ?? 15,
    record: JSON.stringify(spec),
  };
}

export const findLeases = (how: Persistence, namespace: string | undefined, name: string): Promise<Lease[]> =>
  listPersistently(how, inNamespace(LEASES, namespace), { fieldSelector: `metadata.name=${name}` }, readLease);

/** `holderIdentity` begins with the name of the holder's pod. */
export const holderPod = ({ holder }: Lease): string => holder.slice(0, holder.lastIndexOf('_'));

/** Of a Lease that was given back nobody knows any more how long it was held at a time. Seconds. */
const USUAL = 15;
/** For the requests of a controller that takes over, on a busy server. Milliseconds. */
const SLACK = 2000;

/** How long to watch: a holder renews well within the lease, and a standby takes it over within one look of the end. */
const patience = ({ holder, duration }: Lease): number => {
  const { duration: whole, observePeriod } = leaseTimes(holder === '' ? Math.max(USUAL, duration) : duration);
  return (holder === '' ? 0 : whole) + 2 * observePeriod + SLACK;
};

/** The Lease as it is when somebody renewed or took it meanwhile; undefined where nobody did, so no controller is alive. */
export async function watchLease(
  how: Persistence,
  first: Lease,
  told: (seconds: number) => void,
): Promise<Lease | undefined> {
  let seen = first;
  told(Math.ceil(patience(seen) / 1000));
  for (let until = performance.now() + patience(seen); performance.now() < until;) {
    await pause(Math.max(100, leaseTimes(seen.duration).observePeriod), how.signal);
    const now = await lookAtLease(how, seen);
    if (now === undefined || now.record === seen.record) continue;
    if (now.holder !== '') return now;
    // Given back by one that ended in due form: another may be waiting for it.
    seen = { ...now, duration: Math.max(seen.duration, now.duration) };
    until = performance.now() + patience(seen);
  }
  return undefined;
}

export async function lookAtLease(how: Persistence, { namespace, name }: Lease): Promise<Lease | undefined> {
  const raw = await findPersistently<LeaseObject>(how, pathIn(LEASES, namespace, name));
  return raw === undefined ? undefined : readLease(raw);
}
