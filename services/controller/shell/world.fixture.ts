/** Stand-ins in the process for what the controller's shell talks to. Time is Jest's: only a test moves it. */
import pino from 'pino';
import type { Logger } from '@kubervisor/runtime/logs';
import type { Bus } from '@kubervisor/runtime/nats/bus';
import { activationCompleted, type ActivationCompleted } from '@kubervisor/shared/events/activation-completed';
import { encodeEvent, type CloudEvent } from '@kubervisor/shared/events/envelope';
import { evaluationCompleted, type EvaluationCompleted } from '@kubervisor/shared/events/evaluation-completed';
import { roundSubject, type WorkKind } from '@kubervisor/shared/events/subjects';
import type { WorkActivate } from '@kubervisor/shared/events/work-activate';
import type { WorkEvaluate } from '@kubervisor/shared/events/work-evaluate';
import { fleetSelector, isActivated, ownedBy } from '@kubervisor/shared/pods/fleet';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { superviseNamespace, type Resource, type ServiceView } from '../core/supervision.ts';
import { keyOf, type Caches } from './caches.ts';

export const silent: Logger = pino({ level: 'silent' });

/** A logger whose lines a test reads. */
export function listening(): { log: Logger; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>);
  return { log: pino({ level: 'debug' }, { write }), lines };
}

/** The collections as a test fills them; what is derived is derived as in the process. */
export class FakeCaches implements Caches {
  synced = true;
  readonly resources = new Map<string, Resource>();
  readonly services = new Map<string, ServiceView>();
  readonly pods = new Map<string, Pod>();
  /** How often a fleet was walked through. */
  walks = 0;
  /** How often all pods of a namespace were asked for. */
  looks = 0;

  add(...objects: { resource?: Resource; service?: ServiceView; pod?: Pod }[]): this {
    for (const { resource, service, pod } of objects) {
      if (resource !== undefined) this.resources.set(keyOf(resource), resource);
      if (service !== undefined) this.services.set(keyOf(service), service);
      if (pod !== undefined) this.pods.set(keyOf(pod), pod);
    }
    return this;
  }
  pod = (key: string) => this.pods.get(key);
  podsIn = (namespace: string) => {
    this.looks += 1;
    return this.#podsIn(namespace);
  };
  #podsIn = (namespace: string) => [...this.pods.values()].filter((pod) => pod.namespace === namespace);
  allPods = () => this.pods.values();
  fleetOf: Caches['fleetOf'] = ({ resource, selector }) => {
    this.walks += 1;
    return selector === undefined ? [] : ownedBy(this.#podsIn(resource.namespace), selector, resource.name);
  };
  view: Caches['view'] = (namespace) => {
    const here = [...this.services.values()].filter((service) => service.namespace === namespace);
    return {
      supervised: superviseNamespace(
        [...this.resources.values()].filter((resource) => resource.namespace === namespace),
        new Map(here.map((service) => [service.name, service])),
      ),
      activatedSelectors: here.flatMap(({ name, uid, selector }) => {
        const rest = isActivated(selector) ? fleetSelector(selector) : undefined;
        return rest === undefined ? [] : [{ service: name, uid, selector: rest }];
      }),
    };
  };
  supervised = () =>
    [...new Set([...this.resources.values()].map(({ namespace }) => namespace))].flatMap((namespace) => [
      ...this.view(namespace).supervised.values(),
    ]);
  find: Caches['find'] = (namespace, name) => this.view(namespace).supervised.get(name);
  resource: Caches['resource'] = (namespace, name) => this.resources.get(keyOf({ namespace, name }));
  watches = () => ({});
  stop = async () => {};
}

export interface Published {
  subject: string;
  event: CloudEvent;
  /** Milliseconds, monotonic. */
  at: number;
}

/** Keeps what is published; answers as the test says. */
export class FakeBus {
  readonly published: Published[] = [];
  /** Undefined: stored. May throw, or hand back a promise that the test settles. */
  answer: (published: Published) => void | Promise<void> = () => {};

  readonly publish: Bus['publish'] = async (subject, event) => {
    const published = { subject, event, at: performance.now() };
    this.published.push(published);
    await this.answer(published);
  };
  of(kind: 'evaluate'): { work: WorkEvaluate; at: number }[];
  of(kind: 'activate'): { work: WorkActivate; at: number }[];
  of(kind: WorkKind): { work: unknown; at: number }[] {
    return this.published
      .filter(({ subject }) => subject.startsWith(`kubervisor.work.${kind}.`))
      .map(({ event, at }) => ({ work: event.data, at }));
  }
}

/** What a worker tells of a piece of work; by default that it was done and found nothing. */
export function evaluated(work: WorkEvaluate, change: Partial<EvaluationCompleted> = {}) {
  const fact: EvaluationCompleted = {
    round: work.round,
    resource: work.resource,
    claim: { outcome: 'claimed', revision: work.claimRevision + 1 },
    outcome: 'completed',
    due: work.due,
    breakers: work.due.map((name) => ({
      name,
      result: 'ok',
      counts: { ok: work.fleet.length, anomalous: 0, inconclusive: 0, error: 0 },
      ignored: {},
      warnings: [],
    })),
    outcomes: [],
    judged: {},
    breaks: [],
    withheld: [],
    errors: [],
    durationMilliseconds: 1,
    ...change,
  };
  return message('evaluate', work, encodeEvent(evaluationCompleted, 'shop/cart', fact, stamp(work.round)));
}
export function activated(work: WorkActivate, change: Partial<ActivationCompleted> = {}) {
  const fact: ActivationCompleted = {
    round: work.round,
    resource: work.resource,
    claim: { outcome: 'claimed', revision: work.claimRevision + 1 },
    outcome: 'completed',
    actions: [],
    withheld: [],
    errors: [],
    durationMilliseconds: 1,
    ...change,
  };
  return message('activate', work, encodeEvent(activationCompleted, 'shop/cart', fact, stamp(work.round)));
}
const stamp = (round: string) => ({ id: round, source: '/kubervisor/test/worker', time: Date.now() });
const message = (kind: WorkKind, { resource }: { resource: WorkActivate['resource'] }, event: CloudEvent) => ({
  subject: roundSubject(kind, resource),
  text: JSON.stringify(event),
});
