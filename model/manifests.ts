/** The resources and Services of the namespace, and who is told when people change them. */
import type { Resource, ServiceView } from '../services/controller/core/supervision.ts';
import type { ResourceManifest, ServiceManifest, Span } from './allowed.ts';
import { NAMESPACE } from './cluster.ts';
import type { Process } from './event-loop.ts';
import type { Network } from './network.ts';
import type { Observer } from './observer.ts';

export type Resources = readonly Resource[];
export type Services = readonly ServiceView[];

interface Watcher {
  process: Process;
  lastAt: number;
}
interface WatcherOf<List> extends Watcher {
  told: (list: List) => void;
}

/** Two collections, each with a watch of its own. Nothing in them is changed in place: each change makes a new list. */
export class Manifests {
  readonly #network: Network;
  readonly #observer: Observer;
  readonly #watchers: { resources: WatcherOf<Resources>[]; services: WatcherOf<Services>[] } = {
    resources: [],
    services: [],
  };
  /** When another list took the place of one. */
  readonly #until = new WeakMap<Resources | Services, number>();
  #resources: Resources = [];
  #services: Services = [];
  #version = 0;

  constructor(network: Network, observer: Observer) {
    this.#network = network;
    this.#observer = observer;
  }

  get resources(): Resources {
    return this.#resources;
  }
  get services(): Services {
    return this.#services;
  }
  resource = (name: string): Resource | undefined => this.#resources.find((one) => one.name === name);
  service = (name: string): ServiceView | undefined => this.#services.find((one) => one.name === name);

  /** A controller asks the API. */
  lookedFor(controller: string, name: string): void {
    this.#observer.lookedFor(controller, name, this.resource(name) !== undefined);
  }

  putResource(name: string, change: Partial<Pick<Resource, 'uid' | 'createdAt' | 'spec'>>): void {
    const before = this.resource(name);
    const resource: Resource = {
      ...{ namespace: NAMESPACE, name, uid: `uid-${name}`, createdAt: 0, terminating: false, status: undefined },
      ...{ spec: {}, generation: 0, ...before, ...change },
      resourceVersion: String((this.#version += 1)),
    };
    resource.generation += 1;
    this.#setResources([...this.#resources.filter((one) => one !== before), resource]);
  }
  deleteResource(name: string): void {
    this.#setResources(this.#resources.filter((one) => one.name !== name));
  }
  /** One that was deleted before gets another uid. */
  putService(name: string, selector: Record<string, string>): void {
    const before = this.service(name);
    const uid = before?.uid ?? `svc-${name}-${(this.#version += 1)}`;
    this.#setServices([
      ...this.#services.filter((one) => one !== before),
      { namespace: NAMESPACE, name, uid, selector },
    ]);
  }
  deleteService(name: string): void {
    this.#setServices(this.#services.filter((one) => one.name !== name));
  }

  /** Told of each change, in order, by and by. */
  watch(process: Process, on: { resources(list: Resources): void; services(list: Services): void }): void {
    this.#watchers.resources.push({ process, lastAt: 0, told: on.resources });
    this.#watchers.services.push({ process, lastAt: 0, told: on.services });
  }

  /** When stood what somebody knows who has seen these lists last. */
  stood(resources: Resources, services: Services): Span {
    const now = this.#network.loop.time;
    const last = [this.#until.get(resources) ?? now, this.#until.get(services) ?? now];
    return { from: Math.min(...last), to: Math.max(...last) };
  }

  #setResources(list: Resources): void {
    this.#supersede(this.#resources);
    this.#resources = list;
    this.#observer.resourcesAre(
      list.map(({ name, uid, createdAt, spec }) => ({
        metadata: { name, uid, creationTimestamp: new Date(createdAt).toISOString() },
        spec: spec as ResourceManifest['spec'],
      })),
    );
    this.#tell(this.#watchers.resources, list);
  }
  #setServices(list: Services): void {
    this.#supersede(this.#services);
    this.#services = list;
    this.#observer.servicesAre(
      list.map(({ name, selector }): ServiceManifest => ({
        metadata: { name },
        spec: selector === undefined ? {} : { selector },
      })),
    );
    this.#tell(this.#watchers.services, list);
  }
  /** Just before now it still stood. */
  #supersede(list: Resources | Services): void {
    this.#until.set(list, this.#network.loop.time - 1e-6);
  }
  #tell<List>(watchers: readonly WatcherOf<List>[], list: List): void {
    const { loop } = this.#network;
    for (const watcher of watchers) {
      if (!watcher.process.alive) continue;
      watcher.lastAt = Math.max(watcher.lastAt, loop.time + this.#network.lag(5000));
      loop.after(watcher.lastAt - loop.time, () => watcher.told(list), watcher.process);
    }
  }
}
