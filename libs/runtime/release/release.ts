/**
 * Lets everything go before Kubervisor is uninstalled. In this order, since each step makes the next one safe:
 *
 *   1. our processes stop, or nothing is begun: a controller would take back at once what is released;
 *   2. the key goes out of the Services' selectors: from then on traffic does not depend on labels, and who was out is served again;
 *   3. the pods lose our marks;
 *   4. a fresh look at all of it says whether anything is left.
 *
 * It asks the API server alone, so it works whatever became of NATS. Every write is guarded by what it rests on and may be repeated: a
 * run that was killed anywhere is gone on with by the next.
 */
import { readPod, type JsonPatchOperation } from '@kubervisor/shared/pods/codec';
import { isOut, isPaused } from '@kubervisor/shared/pods/fleet';
import { LABEL } from '@kubervisor/shared/pods/keys';
import type { Pod, RawPod } from '@kubervisor/shared/pods/pod';
import { bearsMarks, nextPass, releasePod, releaseService, type Pass } from '@kubervisor/shared/release/decide';
import { RELEASE_RIGHTS } from '@kubervisor/shared/release/rights';
import { LEFT } from '@kubervisor/shared/reasons';
import { ApiError, MEDIA_TYPE, pause, type ApiServer } from '../kubernetes/api-server.ts';
import { PATHS, pathIn, readService, type RawObject, type Service } from '../kubernetes/resources.ts';
import { concurrently, PATCHES_AT_ONCE } from '../worker/concurrently.ts';
import { problemOf } from '../worker/problem.ts';
import { findPersistently, listPersistently, persist, type Persistence } from './persist.ts';
import {
  findLeases,
  findWorkloads,
  holderPod,
  kedaCommand,
  lookAtLease,
  pauseKeda,
  podsOf,
  scaleToZero,
  watchLease,
  type Lease,
  type Workload,
} from './processes.ts';

export interface ReleaseSettings {
  /** Whose pods and Services; [] = of the whole cluster. */
  namespaces: readonly string[];
  /** Where Kubervisor itself runs; undefined: looked for everywhere. */
  systemNamespace?: string;
  leaseName: string;
  /** Looks, and changes nothing. */
  dryRun: boolean;
  /** Goes on though our processes run, or nobody can tell. */
  force: boolean;
}

/** What was found before anything was done. */
export interface Found {
  workloads: readonly Workload[];
  /** Services whose selector loses our key. */
  services: readonly Service[];
  /** Pods with marks of ours. */
  pods: number;
  /** Of those: at `no`, at `pause`. */
  out: number;
  paused: number;
}

export interface ReleaseListeners {
  found(found: Found): void;
  /** Asked once, before the first change; false ends it. */
  confirm(found: Found): Promise<boolean>;
  stopping(workload: Workload): void;
  /** Pods of ours that are not gone yet. */
  waiting(pods: readonly string[]): void;
  watchingLease(lease: Lease, seconds: number): void;
  service(report: ServiceReport): void;
  /** In this pass. */
  pods(progress: { settled: number; of: number }): void;
  /** A trouble that is waited out. */
  trouble(message: string): void;
}

export interface ServiceReport {
  namespace: string;
  name: string;
  /** `wouldRemove`: dry run. */
  result: 'removed' | 'wouldRemove' | 'left' | 'gone' | 'failed';
  message?: string;
}

/** What keeps it from having let everything go, and what a person can do about it. */
export interface Problem {
  problem: string;
  next: string;
}

export interface ReleaseReport {
  /** Nothing of ours is left on pods and in selectors, and none of our processes is known to run. Of a dry run: nothing stands in its way. */
  ok: boolean;
  dryRun: boolean;
  /** [] = all. */
  namespaces: readonly string[];
  /** A person said no, or it was interrupted. */
  ended?: 'declined' | 'interrupted';
  stopped: Pick<Workload, 'namespace' | 'name' | 'component' | 'replicas'>[];
  /** ScaledObjects of KEDA that were told to pause. */
  paused: { namespace: string; name: string }[];
  services: ServiceReport[];
  pods: {
    /** With marks, when it began. */
    found: number;
    out: number;
    paused: number;
    released: number;
    /** At most ten. */
    failed: { namespace: string; name: string; message: string }[];
  };
  problems: Problem[];
  notes: string[];
  /** What stays though everything was let go; undefined where it could not be seen. */
  kept: { kubervisorServices?: number };
}

/** Nothing was begun, or it goes no further: what stands in the way, and the next step. */
export class Refused extends Error {
  override name = 'Refused';
  readonly next: string;
  constructor(problem: string, next: string) {
    super(problem);
    this.next = next;
  }
}

const SERVICES_AT_ONCE = 8;
/** Looks at one object that others change at the same time. */
const ATTEMPTS = 5;
/** A pod's grace is 30 s unless it says another, and some for a kubelet. Milliseconds. */
const STOPPED_WITHIN = 90_000;
const LOOK_AGAIN = 500;
/** Stops, where somebody lifts our Deployments again and again. */
const TURNS = 4;
const SHOWN_FAILURES = 10;

const concernsUs = (service: Service): boolean => releaseService(service).do !== 'nothing';

type Keyed = { namespace: string; name: string };
const keyOf = ({ namespace, name }: Keyed): string => `${namespace}/${name}`;

export async function release(
  api: ApiServer,
  settings: ReleaseSettings,
  on: ReleaseListeners,
  signal: AbortSignal,
): Promise<ReleaseReport> {
  const how: Persistence = { api, signal, trouble: on.trouble };
  const report: ReleaseReport = {
    ok: false,
    dryRun: settings.dryRun,
    namespaces: settings.namespaces,
    stopped: [],
    paused: [],
    services: [],
    pods: { found: 0, out: 0, paused: 0, released: 0, failed: [] },
    problems: [],
    notes: [],
    kept: {},
  };
  try {
    await run(how, settings, on, report);
  } catch (error) {
    if (signal.aborted) {
      report.ended = 'interrupted';
      report.problems.push({ problem: 'interrupted', next: 'run it again: it goes on where it was' });
    } else if (error instanceof Refused) report.problems.push({ problem: error.message, next: error.next });
    else if (error instanceof ApiError)
      report.problems.push({
        problem: `the API server: ${error.message}`,
        next:
          error.status === 403
            ? 'use an account with the rights of a release (README)'
            : 'run it again: it goes on where it was',
      });
    else throw error;
  }
  report.ok = report.problems.length === 0 && report.ended === undefined;
  return report;
}

async function run(
  how: Persistence,
  settings: ReleaseSettings,
  on: ReleaseListeners,
  report: ReleaseReport,
): Promise<void> {
  const { namespaces, dryRun, force } = settings;
  /** Says no, unless it is to go on all the same: then it stands among the problems. */
  const refuse = (problem: string, next: string): void => {
    if (!force || dryRun) throw new Refused(problem, next);
    report.problems.push({ problem, next });
  };

  await checkNamespaces(how, namespaces);
  await checkRights(how, settings);

  const workloads = await seen(() => findWorkloads(how, settings.systemNamespace), 'Deployments', report);
  const leases = await seen(() => findLeases(how, settings.systemNamespace, settings.leaseName), 'Leases', report);
  const services = await listServices(how, namespaces);
  const pods = await listMarkedPods(how, namespaces);
  const found: Found = {
    workloads: workloads ?? [],
    services: services.filter((service) => releaseService(service).do === 'remove'),
    pods: pods.length,
    out: pods.filter(isOut).length,
    paused: pods.filter(isPaused).length,
  };
  report.pods = { ...report.pods, found: found.pods, out: found.out, paused: found.paused };
  on.found(found);

  if (workloads === undefined && leases === undefined)
    refuse(
      'it cannot be seen whether Kubervisor runs: this account may list neither Deployments nor Leases',
      'use an account that may, name the namespace that it runs in (--system-namespace), or, if you know that nothing runs, --force',
    );
  const homes = new Set(found.workloads.map(({ namespace }) => namespace));
  if (namespaces.length > 0 && homes.size > 1)
    throw new Refused(
      `Kubervisor runs in ${[...homes].sort().join(' and ')}: which of them has the pods of ${namespaces.join(', ')}?`,
      'name it: --system-namespace NAMESPACE',
    );
  const outside = await findOutside(how, found.workloads, leases ?? [], on);
  if (outside.alive !== undefined) refuse(...controllerRuns(outside.alive));

  await checkRightToStop(how, found.workloads);

  if (dryRun) {
    report.services = services.filter(concernsUs).map((service) => {
      const { do: what, ...rest } = releaseService(service);
      return what === 'leave' && 'reason' in rest
        ? { namespace: service.namespace, name: service.name, result: 'left', message: LEFT[rest.reason] }
        : { namespace: service.namespace, name: service.name, result: 'wouldRemove' };
    });
    await countResources(how, namespaces, report);
    return;
  }
  if (!(await on.confirm(found))) {
    report.ended = 'declined';
    return;
  }

  const stop = () => stopWorkloads(how, found.workloads, settings, on, report, refuse);
  await stop();
  const silent: Lease[] = [];
  for (const lease of leases ?? []) {
    // Who was seen to be dead need not be watched again where no controller was stopped since that may have waited for its end.
    const known = outside.dead.includes(lease) && found.workloads.every(({ component }) => component !== 'controller');
    const present = known ? lease : await lookAtLease(how, lease);
    const alive =
      known || present === undefined
        ? undefined
        : await watchLease(how, present, (seconds) => on.watchingLease(present, seconds));
    if (alive !== undefined) refuse(...controllerRuns(alive));
    else if (present !== undefined) silent.push(present);
  }
  if (found.workloads.length === 0)
    report.notes.push(
      'No Deployment of ours was found. Breakers and activators that run outside of one cannot be seen: end them. Without a controller they get no work.',
    );

  await releaseServices(how, namespaces, on, report);
  await releasePods(how, namespaces, on, report);
  // Whoever lifts our Deployments may have done so meanwhile.
  for (let turn = 1; turn < TURNS && !force && (await areUp(how, settings, found.workloads)); turn++) {
    await stop();
    await releasePods(how, namespaces, on, report);
  }
  await verify(how, settings, silent, on, report);
  await countResources(how, namespaces, report);
  await lookElsewhere(how, namespaces, found, report);
}

const controllerRuns = ({ namespace, name, holder }: Lease): [problem: string, next: string] => [
  `a controller runs outside of any Deployment of ours: ${holder || 'somebody'} renews the Lease ${namespace}/${name}`,
  'end that process and run this again; --force goes on, but the controller takes the pods back',
];

/** Undefined, and a note, where this account may not look. */
async function seen<T>(look: () => Promise<T[]>, what: string, report: ReleaseReport): Promise<T[] | undefined> {
  try {
    return await look();
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 403) throw error;
    report.notes.push(`This account may not list ${what}: ${error.message}`);
    return undefined;
  }
}

async function checkNamespaces(how: Persistence, namespaces: readonly string[]): Promise<void> {
  for (const name of namespaces) {
    const there = await findPersistently(how, `/api/v1/namespaces/${encodeURIComponent(name)}`).catch(
      (error: unknown) => {
        // Whoever may not look at namespaces may still work in one.
        if (error instanceof ApiError && error.status === 403) return {};
        throw error;
      },
    );
    if (there === undefined)
      throw new Refused(`--namespace ${name}: there is no such namespace`, 'kubectl get namespaces');
  }
}

interface Question {
  group: string;
  resource: string;
  verb: string;
  /** Undefined: in all. */
  namespace: string | undefined;
  /** Undefined: any. */
  name?: string;
}

/** Before anything is stopped: with the processes gone and no right to release, pods that are out would be stranded. */
async function checkRights(how: Persistence, { namespaces, dryRun }: ReleaseSettings): Promise<void> {
  const places = namespaces.length === 0 ? [undefined] : namespaces;
  const missing = await missingRights(
    how,
    RELEASE_RIGHTS.filter(({ needed }) => needed).flatMap(({ group, resource, verbs }) =>
      places.flatMap((namespace) =>
        verbs
          .filter((verb) => !dryRun || verb !== 'patch')
          .map((verb): Question => ({ group, resource, verb, namespace })),
      ),
    ),
  );
  if (missing.length > 0)
    throw new Refused(
      `this account may not ${missing.join(', ')}; nothing was changed`,
      `use an account that may${namespaces.length === 0 ? ', or name the namespaces in which this one may: --namespace NAMESPACE' : ''}`,
    );
}

/** All or none: with one of them stopped and another at work nothing would be better than before. */
async function checkRightToStop(how: Persistence, workloads: readonly Workload[]): Promise<void> {
  const running = workloads.filter(({ replicas }) => replicas > 0);
  const missing = await missingRights(
    how,
    // An account may be bound to ours by their names.
    running.map(({ namespace, name }): Question => ({
      group: 'apps',
      resource: 'deployments/scale',
      verb: 'patch',
      namespace,
      name,
    })),
  );
  if (missing.length === 0) return;
  const commands = running.map(
    ({ namespace, name }) => `kubectl scale deployment ${name} --namespace ${namespace} --replicas 0`,
  );
  throw new Refused(
    `${running.map(keyOf).join(', ')} run, and this account may not ${missing.join(', ')}; nothing was changed`,
    `stop them (${commands.join('; ')}), then run this again`,
  );
}

async function missingRights(how: Persistence, questions: readonly Question[]): Promise<string[]> {
  const missing = new Set<string>();
  for (const { namespace, verb, group, resource: whole, name } of questions) {
    const [resource, subresource] = whole.split('/');
    const attributes = { group, resource, subresource, verb, namespace, name };
    const body = {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      spec: { resourceAttributes: attributes },
    };
    const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
    const answer = await persist(how, () =>
      how.api.request<{ status?: { allowed?: boolean } }>('POST', path, { body, signal: how.signal }),
    ).catch((error: unknown) => {
      // An API server that cannot be asked is found out by trying.
      if (error instanceof ApiError && (error.status === 404 || error.status === 403)) return undefined;
      throw error;
    });
    if (answer?.status?.allowed === false) missing.add(`${verb} ${whole} in ${namespace ?? 'all namespaces'}`);
  }
  return [...missing];
}

/** Of the Leases whose holder is none of our pods: those of the dead, and one that lives. */
async function findOutside(
  how: Persistence,
  workloads: readonly Workload[],
  leases: readonly Lease[],
  on: ReleaseListeners,
): Promise<{ alive?: Lease; dead: Lease[] }> {
  const dead: Lease[] = [];
  if (leases.length === 0) return { dead };
  const inside = new Set((await Promise.all(workloads.map((workload) => podsOf(how, workload)))).flat());
  for (const lease of leases) {
    if (lease.holder === '' || inside.has(holderPod(lease))) continue;
    const alive = await watchLease(how, lease, (seconds) => on.watchingLease(lease, seconds));
    if (alive !== undefined && !inside.has(holderPod(alive))) return { alive, dead };
    if (alive === undefined) dead.push(lease);
  }
  return { dead };
}

/** Until none of their pods is there. An autoscaler or GitOps may lift what was stopped: it is stopped again. */
async function stopWorkloads(
  how: Persistence,
  workloads: readonly Workload[],
  { systemNamespace }: ReleaseSettings,
  on: ReleaseListeners,
  report: ReleaseReport,
  refuse: (problem: string, next: string) => void,
): Promise<void> {
  if (workloads.length === 0) return;
  const lifted = new Map<string, Workload>();
  const unstoppable = new Set<string>();
  const stop = async (workload: Workload): Promise<void> => {
    const { namespace, name, component, replicas } = workload;
    on.stopping(workload);
    try {
      report.paused.push(
        ...(await pauseKeda(how, workload).catch(notPermitted)).map((one) => ({ namespace, name: one })),
      );
      await scaleToZero(how, workload);
      if (report.stopped.some((one) => keyOf(one) === keyOf(workload))) lifted.set(keyOf(workload), workload);
      else report.stopped.push({ namespace, name, component, replicas });
    } catch (error) {
      if (!(error instanceof ApiError) || how.signal.aborted) throw error;
      // Gone meanwhile, as wanted; its pods are waited for all the same.
      if (error.status === 404) return;
      unstoppable.add(keyOf(workload));
      refuse(
        `the Deployment ${keyOf(workload)} runs and could not be scaled to 0: ${error.message}`,
        `kubectl scale deployment ${workload.name} --namespace ${workload.namespace} --replicas 0, then run this again`,
      );
    }
  };
  let told = '';
  for (const giveUpAt = performance.now() + STOPPED_WITHIN; ;) {
    for (const workload of await findWorkloads(how, systemNamespace))
      if (workload.replicas > 0 && !unstoppable.has(keyOf(workload))) await stop(workload);
    const running = await runningPods(how, workloads);
    if (running.length === 0) return;
    if (told !== running.join()) on.waiting(running);
    told = running.join();
    if (performance.now() > giveUpAt) {
      const [first] = lifted.values();
      return refuse(
        `${running.length} of our pods did not end within ${STOPPED_WITHIN / 1000} s: ${running.slice(0, 5).join(', ')}`,
        first === undefined ? `see what holds them (kubectl describe pod), then run this again` : pauseLifter(first),
      );
    }
    await pause(LOOK_AGAIN, how.signal);
    how.signal.throwIfAborted();
  }
}

/** Without the right to see ScaledObjects whatever they lift is stopped again. */
function notPermitted(error: unknown): never[] {
  if (error instanceof ApiError && error.status === 403) return [];
  throw error;
}

const pauseLifter = (workload: Workload): string =>
  `something lifts the Deployment ${keyOf(workload)} whenever it is stopped: pause that (KEDA: ${kedaCommand('NAME', workload.namespace, 'pause')}; Argo CD, Flux: suspend), then run this again`;

async function runningPods(how: Persistence, workloads: readonly Workload[]): Promise<string[]> {
  const running: string[] = [];
  for (const workload of workloads)
    running.push(...(await podsOf(how, workload)).map((name) => keyOf({ namespace: workload.namespace, name })));
  return running;
}

async function areUp(
  how: Persistence,
  { systemNamespace }: ReleaseSettings,
  workloads: readonly Workload[],
): Promise<boolean> {
  if (workloads.length === 0) return false;
  const present = await findWorkloads(how, systemNamespace);
  return present.some(({ replicas }) => replicas > 0) || (await runningPods(how, workloads)).length > 0;
}

/** For each of the namespaces, or once for the cluster. */
async function inAll<T>(
  namespaces: readonly string[],
  path: string,
  list: (path: string) => Promise<T[]>,
): Promise<T[]> {
  const paths = namespaces.length === 0 ? [path] : namespaces.map((namespace) => pathIn(path, namespace));
  const lists: T[][] = [];
  for (const one of paths) lists.push(await list(one));
  return lists.flat();
}

const listServices = (how: Persistence, namespaces: readonly string[]): Promise<Service[]> =>
  inAll(namespaces, PATHS.services, (path) => listPersistently(how, path, {}, readService));

/** A selector cannot say "this label or that one": so one list for each of ours. */
async function listMarkedPods(how: Persistence, namespaces: readonly string[]): Promise<Pod[]> {
  const found = new Map<string, Pod>();
  for (const labelSelector of Object.values(LABEL)) {
    const pods = await inAll(namespaces, PATHS.pods, (path) =>
      listPersistently<RawPod, Pod | undefined>(how, path, { labelSelector }, (raw) => {
        const pod = readPod(raw);
        return bearsMarks(pod) ? pod : undefined;
      }),
    );
    for (const pod of pods) if (pod !== undefined) found.set(pod.uid, pod);
  }
  return [...found.values()];
}

const patch = <Raw>(how: Persistence, path: string, body: readonly JsonPatchOperation[]): Promise<Raw> =>
  persist(how, () =>
    how.api.request<Raw>('PATCH', path, { body, contentType: MEDIA_TYPE.jsonPatch, signal: how.signal }),
  );

type Outcome = { result: 'done' | 'nothing' | 'gone' } | { result: 'failed'; message: string };

/**
 * Guarded patches of an object that others may change at the same time: a refused one is decided on anew, on the object as it is by
 * then. `decide` answers no operations where there is nothing (more) to do.
 */
async function settle<T>(
  how: Persistence,
  path: string,
  first: T,
  decide: (object: T) => readonly JsonPatchOperation[],
  reread: () => Promise<T | undefined>,
): Promise<Outcome> {
  let object: T | undefined = first;
  for (let attempt = 1; ; attempt++) {
    const operations = decide(object);
    if (operations.length === 0) return { result: attempt === 1 ? 'nothing' : 'done' };
    try {
      await patch(how, path, operations);
      return { result: 'done' };
    } catch (error) {
      how.signal.throwIfAborted();
      if (!(error instanceof ApiError)) return { result: 'failed', message: problemOf(error) };
      if (error.status === 404) return { result: 'gone' };
      // 422 is a refused guard as well as any other fault of a patch.
      if ((error.status !== 409 && error.status !== 422) || attempt >= ATTEMPTS)
        return { result: 'failed', message: error.message };
    }
    object = await reread();
    if (object === undefined) return { result: 'gone' };
  }
}

async function releaseServices(
  how: Persistence,
  namespaces: readonly string[],
  on: ReleaseListeners,
  report: ReleaseReport,
): Promise<void> {
  const services = (await listServices(how, namespaces)).filter(concernsUs);
  await concurrently(services, SERVICES_AT_ONCE, async (service) => {
    const path = pathIn(PATHS.services, service.namespace, service.name);
    let left: string | undefined;
    const outcome = await settle(
      how,
      path,
      service,
      (present) => {
        const decision = releaseService(present);
        left = decision.do === 'leave' ? LEFT[decision.reason] : undefined;
        return decision.do === 'remove' ? decision.operations : [];
      },
      async () => {
        const raw = await findPersistently<Parameters<typeof readService>[0]>(how, path);
        return raw && readService(raw);
      },
    );
    const { namespace, name } = service;
    const told: ServiceReport =
      outcome.result === 'failed'
        ? { namespace, name, result: 'failed', message: outcome.message }
        : left !== undefined
          ? { namespace, name, result: 'left', message: left }
          : { namespace, name, result: outcome.result === 'gone' ? 'gone' : 'removed' };
    report.services.push(told);
    on.service(told);
  });
}

async function releasePods(
  how: Persistence,
  namespaces: readonly string[],
  on: ReleaseListeners,
  report: ReleaseReport,
): Promise<void> {
  const passes: Pass[] = [];
  const released = new Set<string>();
  for (;;) {
    const next = nextPass(passes);
    if (next.do === 'giveUp' && next.because === 'MarkedAgain')
      report.problems.push({
        problem: 'pods that were released are marked again: a controller, a breaker or an activator runs somewhere',
        next: 'end it and run this again',
      });
    if (next.do !== 'look') return;
    if (next.after > 0) await pause(next.after, how.signal);
    how.signal.throwIfAborted();

    const pods = await listMarkedPods(how, namespaces);
    const pass: Pass = {
      found: pods.length,
      settled: 0,
      markedAgain: pods.filter(({ uid }) => released.has(uid)).length,
    };
    const failed: ReleaseReport['pods']['failed'] = [];
    if (pods.length > 0) on.pods({ settled: 0, of: pods.length });
    await concurrently(pods, PATCHES_AT_ONCE, async (pod) => {
      const path = pathIn(PATHS.pods, pod.namespace, pod.name);
      const outcome = await settle(how, path, pod, releasePod, async () => {
        const raw = await findPersistently<RawPod>(how, path);
        // Another of the same name is for the next look.
        return raw?.metadata?.uid === pod.uid ? readPod(raw) : undefined;
      });
      if (outcome.result === 'failed') {
        if (failed.length < SHOWN_FAILURES)
          failed.push({ namespace: pod.namespace, name: pod.name, message: outcome.message });
        return;
      }
      if (outcome.result === 'done') {
        released.add(pod.uid);
        report.pods.released = released.size;
      }
      pass.settled += 1;
      on.pods({ settled: pass.settled, of: pods.length });
    });
    report.pods.failed = failed;
    passes.push(pass);
  }
}

/** A fresh look at everything: it alone says that it is done. */
async function verify(
  how: Persistence,
  settings: ReleaseSettings,
  silent: readonly Lease[],
  on: ReleaseListeners,
  report: ReleaseReport,
): Promise<void> {
  const { namespaces, systemNamespace } = settings;
  const services = (await listServices(how, namespaces)).filter((service) => releaseService(service).do === 'remove');
  const failed = new Map(
    report.services.filter(({ result }) => result === 'failed').map((one) => [keyOf(one), one.message]),
  );
  for (const service of services)
    report.problems.push({
      problem: `the selector of the Service ${keyOf(service)} holds kubervisor/traffic: ${failed.get(keyOf(service)) ?? 'somebody put it back (Argo CD, Flux, Helm?)'}`,
      next: `take it out: kubectl edit service ${service.name} --namespace ${service.namespace}, and out of the manifest it comes from`,
    });
  const pods = await listMarkedPods(how, namespaces);
  if (pods.length > 0) {
    const [first] = report.pods.failed;
    const out = pods.filter((pod) => isOut(pod) || isPaused(pod)).length;
    report.problems.push({
      problem: `${pods.length} pods bear marks of ours, ${out} of them out of traffic${first === undefined ? '' : `; ${keyOf(first)}: ${first.message}`}`,
      next: 'run it again',
    });
  } else report.pods.failed = [];

  const workloads = await findWorkloads(how, systemNamespace).catch((error: unknown) => {
    if (error instanceof ApiError && error.status === 403) return [];
    throw error;
  });
  for (const workload of workloads.filter(({ replicas }) => replicas > 0))
    report.problems.push({
      problem: `the Deployment ${keyOf(workload)} has ${workload.replicas} replicas: somebody scaled it (an autoscaler, Argo CD, Flux, an operator?)`,
      next: pauseLifter(workload),
    });
  for (const lease of silent) {
    const now = await lookAtLease(how, lease);
    if (now !== undefined && now.holder !== '' && now.record !== lease.record) {
      const [problem, next] = controllerRuns(now);
      report.problems.push({ problem, next });
    }
  }
}

async function countResources(how: Persistence, namespaces: readonly string[], report: ReleaseReport): Promise<void> {
  try {
    const names = await inAll(namespaces, PATHS.kubervisorServices, (path) =>
      listPersistently<RawObject, string>(how, path, {}, ({ metadata }) => metadata?.name ?? ''),
    );
    report.kept.kubervisorServices = names.length;
  } catch (error) {
    // No CRD, or no right to look.
    if (!(error instanceof ApiError) || (error.status !== 404 && error.status !== 403)) throw error;
    if (error.status === 404) report.kept.kubervisorServices = 0;
  }
}

/** Whoever releases some namespaces of an installation has stopped it for the others too. */
async function lookElsewhere(how: Persistence, namespaces: readonly string[], found: Found, report: ReleaseReport) {
  if (namespaces.length === 0 || found.workloads.length === 0) return;
  const elsewhere = await listPersistently(
    how,
    PATHS.pods,
    { labelSelector: `${LABEL.traffic} in (no,pause)` },
    readPod,
  ).catch((error: unknown) => {
    if (error instanceof ApiError && error.status === 403) return [];
    throw error;
  });
  const out = elsewhere.filter((pod) => bearsMarks(pod) && !namespaces.includes(pod.namespace));
  if (out.length === 0) return;
  const where = [...new Set(out.map(({ namespace }) => namespace))].sort();
  report.notes.push(
    `${out.length} pods of other namespaces (${where.slice(0, 5).join(', ')}) are out of traffic, and while Kubervisor is stopped nobody brings them back: release those namespaces too, or scale its Deployments up again.`,
  );
}
