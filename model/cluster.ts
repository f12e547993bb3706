/** The Kubernetes API and the fleet behind it: pods, what replaces them, and requests that may get lost, be late, or fail. */
import {
  ApiError,
  DeadlinePassed,
  type ApiServer,
  type RequestOptions,
} from '@kubervisor/runtime/kubernetes/api-server';
import { jsonPatch } from '@kubervisor/kube-sandbox/patch';
import type { Span } from './allowed.ts';
import { EPOCH, type Process } from './event-loop.ts';
import { Leases } from './leases.ts';
import type { Network } from './network.ts';
import { holding } from './holding.ts';
import type { Observer, ObservedPod, Sent } from './observer.ts';

export interface StoredPod extends ObservedPod {
  metadata: ObservedPod['metadata'] & {
    namespace: string;
    resourceVersion: string;
    creationTimestamp: string;
    ownerReferences?: { kind: string; name: string; uid: string; controller: boolean }[];
  };
  status: {
    phase: string;
    startTime: string;
    conditions: { type: string; status: string; lastTransitionTime: string }[];
  };
}

export const NAMESPACE = 'shop';
const PODS = `/api/v1/namespaces/${NAMESPACE}/pods`;
const ITS_PATCH_TIMEOUT = 2000;
/** Times on a pod have whole seconds; sooner after its birth nobody could tell by them that it was Ready once. */
export const READY_AFTER = [2100, 4000] as const;

/** The API's times have whole seconds. */
export const timeAt = (virtual: number): string =>
  `${new Date(EPOCH + Math.floor(virtual / 1000) * 1000).toISOString().slice(0, 19)}Z`;

export class Cluster {
  readonly pods = new Map<string, StoredPod>();
  /** uids of pods that were Ready at some time. */
  readonly everReady = new Set<string>();
  /** Whether a pod is replaced by one of the same name, once it is gone. */
  keepsNames = false;
  /** Called when a worker begins to stand still just before a write. */
  onStandStill: () => void = () => {};
  readonly #network: Network;
  readonly #observer: Observer;
  readonly #watchers: { process: Process; onPod: (pod: StoredPod, gone: boolean) => void; lastAt: number }[] = [];
  #version = 0;
  #made = 0;

  constructor(network: Network, observer: Observer) {
    this.#network = network;
    this.#observer = observer;
  }

  /** Told of each change, in order, by and by. */
  watch(process: Process, onPod: (pod: StoredPod, gone: boolean) => void): void {
    this.#watchers.push({ process, onPod, lastAt: 0 });
  }

  create(
    app: string,
    {
      name,
      labels = {},
      annotations,
      owned = true,
      readyAfter,
    }: {
      /** Of a pod that was there before, as a StatefulSet gives it. */
      name?: string;
      labels?: Record<string, string>;
      annotations?: Record<string, string>;
      owned?: boolean;
      readyAfter?: number;
    },
  ): StoredPod {
    const { loop } = this.#network;
    this.#made += 1;
    name ??= `${app}-${this.#made}`;
    // Some were there for a minute.
    const born = timeAt(readyAfter === undefined ? loop.time - 60_000 : loop.time);
    const pod: StoredPod = {
      metadata: {
        name,
        namespace: NAMESPACE,
        uid: `uid-${app}-${this.#made}`,
        resourceVersion: '',
        creationTimestamp: born,
        labels: { app, ...labels },
        ...(annotations !== undefined && { annotations }),
        ...(owned && {
          ownerReferences: [
            { kind: this.keepsNames ? 'StatefulSet' : 'ReplicaSet', name: app, uid: `owner-${app}`, controller: true },
          ],
        }),
      },
      status: {
        phase: 'Running',
        startTime: born,
        conditions: [
          {
            type: 'Ready',
            status: readyAfter === undefined ? 'True' : 'False',
            lastTransitionTime: readyAfter === undefined ? timeAt(loop.time - 50_000) : born,
          },
        ],
      },
    };
    this.#store(pod);
    if (readyAfter !== undefined)
      loop.after(readyAfter, () => {
        if (this.pods.get(pod.metadata.name)?.metadata.uid === pod.metadata.uid) this.setReady(pod.metadata.name, true);
      });
    return pod;
  }

  setReady(name: string, ready: boolean): void {
    const { loop } = this.#network;
    this.change(name, (pod) => {
      const status = ready ? 'True' : 'False';
      if (pod.status.conditions[0]?.status === status) return;
      pod.status.conditions = [{ type: 'Ready', status, lastTransitionTime: timeAt(loop.time) }];
    });
  }

  /** By anybody but us. */
  change(name: string, edit: (pod: StoredPod) => void): void {
    const pod = this.pods.get(name);
    if (pod === undefined) return;
    const changed = structuredClone(pod);
    edit(changed);
    this.#store(changed);
  }

  /** It ends within so many milliseconds, and is replaced if somebody owns it. */
  end(name: string, within = 2500): void {
    const { loop, random } = this.#network;
    if (this.pods.get(name)?.metadata.deletionTimestamp !== undefined) return;
    this.change(name, (pod) => (pod.metadata.deletionTimestamp = timeAt(loop.time)));
    const pod = this.pods.get(name);
    if (pod === undefined) return;
    const { labels = {}, ownerReferences } = pod.metadata;
    const replace = (again?: string): void => {
      const ofTemplate = Object.entries(labels).filter(([key]) => !key.startsWith('kubervisor/'));
      this.create(labels['app'] ?? '', {
        ...(again !== undefined && { name: again }),
        labels: { ...Object.fromEntries(ofTemplate), ...(random.chance(0.8) && { 'kubervisor/traffic': 'yes' }) },
        readyAfter: random.between(...READY_AFTER),
      });
    };
    loop.after(random.between(50, within), () => {
      const last = this.pods.get(name);
      if (last === undefined) return;
      this.pods.delete(name);
      this.#tell({ ...last, metadata: { ...last.metadata, resourceVersion: String((this.#version += 1)) } }, true);
      if (ownerReferences !== undefined && this.keepsNames) loop.after(random.between(0, 300), () => replace(name));
    });
    if (ownerReferences !== undefined && !this.keepsNames) loop.after(random.between(50, 800), () => replace());
  }

  /** The API as one process sees it. `known`: of a controller, when stood what it decides on now; undefined of a worker. */
  connect(
    process: Process,
    others: (method: string, path: string, body: unknown) => unknown,
    known?: () => Span,
  ): ApiServer {
    const { random } = this.#network;
    const request = async (method: string, path: string, options: RequestOptions = {}): Promise<unknown> => {
      const timeout = options.timeout ?? (method === 'GET' ? 10_000 : 5000);
      // Status is no part of what is looked at here, and costs much to compose: its first write is never answered.
      if (path.endsWith('/status')) return new Promise(() => {});
      const isWrite = method !== 'GET' && path.includes('/pods/');
      const decidedOn = known?.();
      let sent: Sent | undefined;
      if (isWrite && decidedOn !== undefined) this.#observer.leads(process.name);
      if (isWrite) {
        const { faults } = this.#network;
        if (decidedOn === undefined && random.chance(faults.frozenBeforeWrite))
          await this.#standStill(process, 'before a write');
        const calledAt = performance.now();
        // It may have to wait for a connection.
        if (random.chance(faults.slow / 4)) await this.#pass(process, random.between(0, 1900));
        if (performance.now() - calledAt >= timeout) throw new ApiError(0, 'Timeout', 'no answer');
        if (options.deadline !== undefined && performance.now() > options.deadline.at) throw new DeadlinePassed('late');
        const frozen = decidedOn === undefined && random.chance(faults.frozenAtSocket);
        if (frozen) await this.#standStill(process, 'at the socket');
        if (decidedOn === undefined) sent = this.#observer.left(holding.getStore(), frozen);
      }
      const transport = {
        timeout,
        longest: isWrite ? ITS_PATCH_TIMEOUT : 8000,
        slow: Leases.has(path) ? this.#network.faults.slowLease : undefined,
        timedOut: () => new ApiError(0, 'Timeout', `no answer within ${timeout} ms`),
        broken: () => new ApiError(0, 'ECONNRESET', 'no answer: ECONNRESET'),
      };
      const serve = <T>(answer: () => T): Promise<T> =>
        this.#network.request(process, transport, () => {
          if (random.chance(this.#network.faults.refused))
            throw random.pick(
              new ApiError(500, 'InternalError', 'etcd is away'),
              new ApiError(429, 'TooManyRequests', 'the server is busy'),
            );
          return answer();
        });
      const took = (before: StoredPod, after: StoredPod | undefined): void => {
        if (sent !== undefined) {
          const others = [...this.pods.values()];
          this.#observer.wrote(
            sent,
            before,
            after,
            after === undefined ? others : others.map((one) => (one === before ? after : one)),
          );
        } else if (decidedOn !== undefined && after !== undefined)
          this.#observer.relabelled(decidedOn, before, after, process.name);
      };
      if (path !== PODS) return serve(() => this.#serve(process, method, path, options, took, others));
      const list = await serve(() => {
        const items = this.#list(String(options.query?.['labelSelector']));
        return { items, sight: this.#observer.sight(items) };
      });
      // What was listed counts only for who got to know it.
      this.#observer.listed(holding.getStore(), list.sight);
      return { items: list.items };
    };
    const read = request.bind(undefined, 'GET');
    return {
      url: 'simulated',
      request: request as ApiServer['request'],
      read: read as ApiServer['read'],
      find: (async (path: string, options?: RequestOptions) => {
        try {
          return await read(path, options);
        } catch (error) {
          if (error instanceof ApiError && error.status === 404) return undefined;
          throw error;
        }
      }) as ApiServer['find'],
      lines: async function* () {
        throw new Error('the model watches by itself');
      },
      close: async () => {},
    };
  }

  async #standStill(process: Process, where: string): Promise<void> {
    const { loop, random, trace, faults } = this.#network;
    const length = random.between(...faults.standsStill);
    trace(process.name, `stands still ${where} for ${Math.round(length)} ms`);
    process.frozenUntil = loop.time + length;
    this.onStandStill();
    await this.#pass(process, 0);
  }
  #pass(process: Process, delay: number): Promise<void> {
    return new Promise((resolve) => void this.#network.loop.after(delay, resolve, process));
  }

  #list(labelSelector: string): StoredPod[] {
    const wanted = labelSelector.split(',').map((pair) => pair.split('='));
    return [...this.pods.values()].filter(({ metadata: { labels = {} } }) =>
      wanted.every(([key = '', value]) => labels[key] === value),
    );
  }

  #serve(
    process: Process,
    method: string,
    path: string,
    { body }: RequestOptions,
    took: (before: StoredPod, after: StoredPod | undefined) => void,
    others: (method: string, path: string, body: unknown) => unknown,
  ): unknown {
    const { faults, random, trace } = this.#network;
    const [name, subresource] = path.startsWith(`${PODS}/`) ? path.slice(PODS.length + 1).split('/') : [];
    if (name === undefined) {
      const found = others(method, path, body);
      if (found === undefined) throw new ApiError(404, 'NotFound', 'not found');
      return found;
    }
    const pod = this.pods.get(name);
    if (pod === undefined) throw new ApiError(404, 'NotFound', 'not found');
    if (method === 'GET') return pod;
    if (method === 'PATCH') {
      let after: StoredPod;
      try {
        after = jsonPatch(pod, body) as StoredPod;
      } catch {
        trace(process.name, `patch of ${name} refused`);
        throw new ApiError(422, 'Invalid', 'the patch does not fit');
      }
      trace(process.name, `patched ${name}: ${trafficLine(pod)} → ${trafficLine(after)}`);
      took(pod, after);
      this.#store(after);
      return after;
    }
    const { preconditions } = ((body as { deleteOptions?: unknown }).deleteOptions ?? body) as {
      preconditions: { uid?: string; resourceVersion?: string };
    };
    const { uid = pod.metadata.uid, resourceVersion = pod.metadata.resourceVersion } = preconditions;
    if (uid !== pod.metadata.uid || resourceVersion !== pod.metadata.resourceVersion)
      throw new ApiError(409, 'Conflict', 'the precondition failed');
    if (subresource === 'eviction' && random.chance(faults.evictionRefused))
      throw new ApiError(429, 'TooManyRequests', 'a PodDisruptionBudget does not allow it');
    trace(process.name, `killed ${name}`);
    took(pod, undefined);
    this.end(name);
    return {};
  }

  #store(pod: StoredPod): void {
    pod.metadata.resourceVersion = String((this.#version += 1));
    this.pods.set(pod.metadata.name, pod);
    if (pod.status.conditions[0]?.status === 'True') this.everReady.add(pod.metadata.uid);
    this.#tell(pod, false);
  }
  #tell(pod: StoredPod, gone: boolean): void {
    const { loop } = this.#network;
    for (const watcher of this.#watchers) {
      if (!watcher.process.alive) continue;
      watcher.lastAt = Math.max(watcher.lastAt, loop.time + this.#network.lag(5000));
      loop.after(watcher.lastAt - loop.time, () => watcher.onPod(pod, gone), watcher.process);
    }
  }
}

const trafficLine = ({ metadata: { labels = {} } }: ObservedPod): string =>
  `${labels['kubervisor/traffic'] ?? '-'}${labels['kubervisor/strategy'] === undefined ? '' : ` by ${labels['kubervisor/strategy']}`}`;
