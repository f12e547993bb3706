/** All that only the leader does, from the moment it is elected and its caches are warm until it stops. Nothing of it outlives the lease. */
import { randomBytes } from 'node:crypto';
import type { Kubernetes } from '@kubervisor/runtime/kubernetes/client';
import type { EventRecorder } from '@kubervisor/runtime/kubernetes/events';
import type { Logger } from '@kubervisor/runtime/logs';
import type { MetricsOf } from '@kubervisor/runtime/metrics';
import { BusFault, type Bus } from '@kubervisor/runtime/nats/bus';
import { API_VERSION, KIND } from '@kubervisor/shared/crd/kubervisor-service';
import { decodeEvent, encodeEvent } from '@kubervisor/shared/events/envelope';
import { FACTS, type FactType } from '@kubervisor/shared/events/facts';
import { factSubject } from '@kubervisor/shared/events/subjects';
import { marksOf, writeTime } from '@kubervisor/shared/pods/codec';
import { countsOf, isOut, isPaused } from '@kubervisor/shared/pods/fleet';
import { LABEL } from '@kubervisor/shared/pods/keys';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { EVENTS, TRANSITIONS } from '@kubervisor/shared/reasons';
import { announce, fleetAnomalous, templateWithoutLabel, type Announcement } from '../core/announcements.ts';
import { composeStatus, highestFloor } from '../core/status.ts';
import type { Supervised } from '../core/supervision.ts';
import type { controllerMetrics } from '../metrics.ts';
import { keyOf, type Caches } from './caches.ts';
import { createMembership, type MembershipReport } from './membership.ts';
import { keepRounds, type Kept } from './round-keeper.ts';
import { createStatusWriter, type WrittenStatus } from './status-writer.ts';

export interface LeadershipOptions {
  kubernetes: Kubernetes;
  bus: Bus;
  caches: Caches;
  recorder: EventRecorder;
  log: Logger;
  metrics: MetricsOf<typeof controllerMetrics>;
  isLeader: () => boolean;
  natsReplicas: number;
}

export interface Leadership {
  podChanged(pod: Pod, before: Pod | undefined): void;
  /** Somebody wrote a status: we, or a leader of before. */
  statusSeen(resource: WrittenStatus): void;
  namespaceChanged(namespace: string): void;
  /** The connection to NATS is (back) there. */
  connected(): void;
  stop(): Promise<void>;
}

const ENSURE_EVERY = 10_000;
/** Each look walks through all that is in the namespace: hundreds of resources that come at once make a few of them. Milliseconds. */
const NAMESPACE_LOOKS_APART = 100;
const POD_STATES = ['available', 'unready', 'out', 'paused'] as const;

export function lead(options: LeadershipOptions): Leadership {
  const { kubernetes, bus, caches, recorder, log, metrics, isLeader } = options;
  const now = (): number => Date.now();
  const leaderId = randomBytes(6).toString('hex');
  let stopped = false;
  /** By uid of the resource: owners whose pods came without the label (F1), as long as pods of theirs are there. */
  const templates = new Map<string, Set<string>>();

  const announceOn = (
    resource: { namespace: string; name: string; uid: string },
    pod: { name: string; uid: string } | undefined,
    announcement: Announcement,
  ): void => {
    const involved =
      announcement.on === 'resource'
        ? { apiVersion: API_VERSION, kind: KIND, namespace: resource.namespace, name: resource.name, uid: resource.uid }
        : { apiVersion: 'v1', kind: 'Pod', namespace: resource.namespace, name: pod?.name ?? '', uid: pod?.uid ?? '' };
    recorder.record({
      involved,
      type: announcement.type,
      reason: announcement.reason,
      message: announcement.message,
      at: now(),
    });
  };

  const writer = createStatusWriter(kubernetes, log, (result) => metrics.statusWrites.inc({ result }));
  const showStatus = (supervised: Supervised): void => {
    const { namespace, name, uid } = supervised.resource;
    // What stands is asked of the collection: what was derived from it is older than the last writes of status.
    writer.touch({ uid, namespace, name, status: caches.resource(namespace, name)?.status }, (previous) => {
      const present = caches.find(namespace, name);
      const kept = rounds.keptOf(uid);
      if (present?.resource.uid !== uid || kept === undefined || !isLeader()) return undefined;
      return composeStatus({
        supervised: present,
        pods: caches.fleetOf(present),
        memory: kept.memory,
        templatesWithoutLabel: templatesOf(present),
        fleetTooLarge: kept.fleetTooLarge,
        previous,
        now: now(),
      });
    });
  };
  const templatesOf = (supervised: Supervised): string[] => {
    const known = templates.get(supervised.resource.uid);
    if (known === undefined || !supervised.active) return [];
    const alive = new Set(caches.fleetOf(supervised).map((pod) => `${pod.owner?.kind}/${pod.owner?.name}`));
    for (const owner of known) if (!alive.has(owner)) known.delete(owner);
    return [...known].sort();
  };
  const showMetrics = (supervised: Supervised, kept: Kept): void => {
    const { namespace, name } = supervised.resource;
    const owned = caches.fleetOf(supervised);
    const { available, total } = countsOf(owned);
    const pods = owned.filter((pod) => !pod.terminating);
    const states: Record<(typeof POD_STATES)[number], number> = {
      available,
      unready: pods.filter((pod) => !pod.ready && !isOut(pod) && !isPaused(pod)).length,
      out: pods.filter(isOut).length,
      paused: pods.filter(isPaused).length,
    };
    for (const [state, count] of Object.entries(states)) metrics.pods.set({ namespace, name, state }, count);
    const floor = highestFloor(supervised, total);
    if (floor === undefined) metrics.floor.remove({ namespace, name });
    else metrics.floor.set({ namespace, name }, floor);
    // While a detector fails the time of the last decision stays: how long ago that is, is what is asked.
    const lastDecision = (breaker: string, { endedAt, report }: { endedAt: number; report: { error?: unknown } }) =>
      report.error === undefined ? endedAt / 1000 : shown.get(kept.uid)?.lastEvaluation.get(breaker);
    const decided = Object.entries(kept.memory.breakers).flatMap(([breaker, last]): [string, number][] => {
      const at = lastDecision(breaker, last);
      return at === undefined ? [] : [[breaker, at]];
    });
    const evaluated = (supervised.resolved?.breakers ?? []).filter(({ mode }) => mode !== 'disabled');
    showByBreaker(kept, {
      lastEvaluation: new Map(decided),
      evaluationPeriod: new Map(evaluated.map(({ name: breaker, evaluationPeriod }) => [breaker, evaluationPeriod])),
    });
  };
  type ByBreaker = Record<'lastEvaluation' | 'evaluationPeriod', ReadonlyMap<string, number>>;
  const NONE: ByBreaker = { lastEvaluation: new Map(), evaluationPeriod: new Map() };
  /** By uid of the resource: what the metrics show of its breakers. */
  const shown = new Map<string, ByBreaker>();
  const showByBreaker = (
    { uid, namespace, name }: { uid: string; namespace: string; name: string },
    values: ByBreaker,
  ) => {
    const before = shown.get(uid) ?? NONE;
    for (const which of ['lastEvaluation', 'evaluationPeriod'] as const) {
      for (const breaker of before[which].keys())
        if (!values[which].has(breaker)) metrics[which].remove({ namespace, name, breaker });
      for (const [breaker, value] of values[which]) metrics[which].set({ namespace, name, breaker }, value);
    }
    if (values === NONE) shown.delete(uid);
    else shown.set(uid, values);
  };
  const hideMetrics = ({ uid, namespace, name }: { uid: string; namespace: string; name: string }): void => {
    for (const state of POD_STATES) metrics.pods.remove({ namespace, name, state });
    metrics.floor.remove({ namespace, name });
    showByBreaker({ uid, namespace, name }, NONE);
  };

  const panicking = new Map<string, Set<string>>();
  const showPanic = (supervised: Supervised, kept: Kept): void => {
    const before = panicking.get(kept.uid) ?? new Set<string>();
    const after = new Set<string>();
    for (const [breaker, { report }] of Object.entries(kept.memory.breakers)) {
      if (report.result !== 'panic') continue;
      after.add(breaker);
      if (!before.has(breaker))
        announceOn(supervised.resource, undefined, fleetAnomalous(breaker, report.message ?? EVENTS.FleetAnomalous));
    }
    panicking.set(kept.uid, after);
  };

  const claimsForgotten = (bucket: string): void => {
    log.info('claims bucket was made: no work for the life of a claim');
    rounds.onClaimsForgotten(bucket);
  };
  let ensuring: Promise<void> | undefined;
  const ensure = (): void => {
    if (stopped || !isLeader()) return;
    ensuring ??= (async () => {
      try {
        const { bucketMade } = await bus.ensure(options.natsReplicas);
        const bucket = bus.claims.bucket();
        if (bucket !== undefined && !stopped) (bucketMade ? claimsForgotten : rounds.onClaimsBucket)(bucket);
      } catch (error) {
        if (!(error instanceof BusFault)) log.warn({ err: error }, 'streams could not be ensured');
      }
      ensuring = undefined;
    })();
  };

  const rounds = keepRounds({
    bus,
    caches,
    log,
    leaderId,
    isLeader: () => !stopped && isLeader(),
    now,
    monotonic: () => performance.now(),
    changed: (kept, supervised) => {
      showStatus(supervised);
      showMetrics(supervised, kept);
      showPanic(supervised, kept);
    },
    gone(kept) {
      hideMetrics(kept);
      writer.forget(kept.uid);
      templates.delete(kept.uid);
      panicking.delete(kept.uid);
    },
    roundEnded: (kind, outcome) => metrics.rounds.inc({ kind, outcome }),
    counted: (kind, result) => metrics.published.inc({ kind, result }),
    poison: (kind) => metrics.poison.inc({ kind }),
    ensure,
  });

  const released = ({ pod, change }: MembershipReport): void => {
    const { resource, reason } = change;
    const marks = marksOf(pod);
    if (marks.traffic !== 'no' && marks.traffic !== 'pause') return;
    const owner = resource?.resource;
    const name = owner?.name ?? marks.name ?? '';
    const fact = {
      pod: pod.name,
      uid: pod.uid,
      resource: { namespace: pod.namespace, name, uid: owner?.uid ?? '', generation: owner?.generation ?? 0 },
      enforced: true,
      actor: 'controller' as const,
      ...(marks.strategy !== undefined && { breaker: marks.strategy }),
      reason,
      message: TRANSITIONS[reason],
      at: writeTime(now()),
    };
    const id = `${pod.uid}-released-${pod.resourceVersion}`;
    const event = encodeEvent(FACTS['pod-released'], `${pod.namespace}/${name}`, fact, {
      id,
      source: `/kubervisor/controller/${leaderId}`,
      time: now(),
    });
    bus
      .publish(factSubject('pod-released', { namespace: pod.namespace, name: name === '' ? 'none' : name }), event, {
        messageId: id,
      })
      .catch((error: unknown) =>
        log.warn(
          {
            namespace: pod.namespace,
            service: resource?.spec?.service,
            resource: name,
            pod: pod.name,
            breaker: marks.strategy,
            reason,
            err: error,
          },
          'fact could not be published',
        ),
      );
  };
  /** Services that an Event was written on, by uid. */
  const unsupervised = new Set<string>();
  const membership = createMembership({
    kubernetes,
    caches,
    log,
    isLeader: () => !stopped && isLeader(),
    now,
    count: (reason, result) => metrics.membership.inc({ reason, result }),
    applied(report) {
      const { pod, change } = report;
      if (change.reason !== 'Adopted') released(report);
      const owner = pod.owner === undefined ? undefined : `${pod.owner.kind}/${pod.owner.name}`;
      if (change.templateWithoutLabel === true && change.resource?.active === true && owner !== undefined) {
        const { resource } = change.resource;
        const known = templates.get(resource.uid) ?? new Set<string>();
        if (!known.has(owner)) announceOn(resource, undefined, templateWithoutLabel(owner));
        templates.set(resource.uid, known.add(owner));
        showStatus(change.resource);
      }
      const { withoutSupervisor: service } = change;
      if (service !== undefined && !unsupervised.has(service.uid)) {
        unsupervised.add(service.uid);
        const { namespace } = pod;
        recorder.record({
          involved: { apiVersion: 'v1', kind: 'Service', namespace, name: service.name, uid: service.uid },
          type: 'Warning',
          reason: 'SelectorWithoutSupervisor',
          message: EVENTS.SelectorWithoutSupervisor,
          at: now(),
        });
      }
    },
  });

  const onFact = ({ subject, text }: { subject: string; text: string }): void => {
    const type = subject.split('.')[2] as FactType;
    const declared = FACTS[type];
    const decoded =
      declared === undefined ? { ok: false as const, problem: 'unknown type' } : decodeEvent(declared, text);
    if (!decoded.ok) {
      metrics.poison.inc({ kind: 'fact' });
      log.warn({ subject, problem: decoded.problem }, 'fact does not parse');
      return;
    }
    const fact = decoded.event.data;
    for (const announcement of announce(type, fact)) {
      // A pod that outlived its resource has nobody but itself to be announced on.
      if (announcement.on === 'resource' && fact.resource.uid === '') continue;
      announceOn(fact.resource, { name: fact.pod, uid: fact.uid }, announcement);
    }
  };

  const lookAtNamespace = (namespace: string): void => {
    rounds.lookForGone(namespace);
    const { supervised: here, activatedSelectors } = caches.view(namespace);
    for (const { service, uid } of activatedSelectors)
      if ([...here.values()].some(({ spec, selector }) => selector !== undefined && spec?.service === service))
        unsupervised.delete(uid);
    for (const supervised of here.values()) {
      rounds.look(supervised);
      showStatus(supervised);
      if (supervised.problem !== undefined) hideMetrics(supervised.resource);
    }
    for (const pod of caches.podsIn(namespace)) membership.add(keyOf(pod));
  };

  /** By namespace: when it was looked at, and the timer of the next look where it has changed since. */
  const looks = new Map<string, { at: number; again: NodeJS.Timeout | undefined }>();
  const namespaceChanged = (namespace: string): void => {
    const look = looks.get(namespace) ?? { at: -Infinity, again: undefined };
    looks.set(namespace, look);
    if (stopped || look.again !== undefined) return;
    const wait = look.at + NAMESPACE_LOOKS_APART - performance.now();
    const again = (): void => {
      look.again = undefined;
      look.at = performance.now();
      try {
        lookAtNamespace(namespace);
      } catch (error) {
        log.error({ namespace, err: error }, 'look at a namespace failed');
      }
    };
    if (wait <= 0) again();
    else look.again = setTimeout(again, wait);
  };

  // First what is there, then what is told of it: facts and claims of resources that are not known yet would be dropped.
  const namespaces = new Set<string>();
  for (const { resource } of caches.supervised()) namespaces.add(resource.namespace);
  for (const pod of caches.allPods()) namespaces.add(pod.namespace);
  for (const namespace of namespaces) lookAtNamespace(namespace);
  const consumptions = [
    bus.subscribeRounds(rounds.onRound),
    bus.claims.watch({
      forgotten: claimsForgotten,
      begun: rounds.onClaimsBucket,
      claim: rounds.onClaim,
      current: rounds.onClaimsCurrent,
    }),
    bus.subscribeFacts(onFact),
  ];
  ensure();
  const ensureTimer = setInterval(ensure, ENSURE_EVERY);
  metrics.leader.set(1);
  log.info({ leaderId }, 'leading');

  return {
    podChanged(pod, before) {
      membership.add(keyOf(pod));
      // A pod that was released, or given to another, is missing where it was.
      for (const name of new Set([pod, before].map((one) => one?.labels[LABEL.name]))) {
        const supervised = name === undefined ? undefined : caches.find(pod.namespace, name);
        if (supervised !== undefined) rounds.look(supervised);
      }
    },
    statusSeen: (resource) => writer.seen(resource),
    namespaceChanged,
    connected: ensure,
    async stop() {
      stopped = true;
      clearInterval(ensureTimer);
      for (const { again } of looks.values()) clearTimeout(again);
      membership.clear();
      rounds.stop();
      writer.stop();
      metrics.leader.set(0);
      // Who leads tells of these; what a former leader knew would stand beside it for ever.
      for (const gauge of [metrics.pods, metrics.floor, metrics.lastEvaluation, metrics.evaluationPeriod])
        gauge.reset();
      log.info({ leaderId }, 'leading no more');
      await Promise.all(consumptions.map((consumption) => consumption.stop()));
    },
  };
}
