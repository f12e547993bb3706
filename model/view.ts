/** What a controller sees of the cluster: behind by a little, or by a lot. Derived as in the process itself (shell/caches.ts). */
import { readPod } from '@kubervisor/shared/pods/codec';
import { fleetSelector, isActivated, ownedBy } from '@kubervisor/shared/pods/fleet';
import type { Pod } from '@kubervisor/shared/pods/pod';
import type { NamespaceView } from '../services/controller/core/membership.ts';
import { superviseNamespace, type Resource, type ServiceView } from '../services/controller/core/supervision.ts';
import { keyOf, type Caches } from '../services/controller/shell/caches.ts';
import type { ResourceManifest, ServiceManifest } from './allowed.ts';
import type { StoredPod } from './cluster.ts';

export interface Manifests {
  resources: readonly Resource[];
  services: readonly ServiceView[];
}

/** As a person would read them: for the observer. */
export const asObserved = ({ resources, services }: Manifests) => ({
  resources: resources.map(({ name, uid, createdAt, spec }): ResourceManifest => ({
    metadata: { name, uid, creationTimestamp: new Date(createdAt).toISOString() },
    spec: spec as ResourceManifest['spec'],
  })),
  services: services.map(({ name, selector }): ServiceManifest => ({
    metadata: { name },
    spec: selector === undefined ? {} : { selector },
  })),
});

/** Deriving a view means validating specs; one for all controllers that see the same manifests. */
const views = new WeakMap<Manifests, NamespaceView>();

function viewOf(manifests: Manifests): NamespaceView {
  let view = views.get(manifests);
  if (view === undefined) {
    const { resources, services } = manifests;
    view = {
      supervised: superviseNamespace(resources, new Map(services.map((service) => [service.name, service]))),
      activatedSelectors: services.flatMap(({ name, uid, selector }) => {
        const rest = isActivated(selector) ? fleetSelector(selector) : undefined;
        return rest === undefined ? [] : [{ service: name, uid, selector: rest }];
      }),
    };
    views.set(manifests, view);
  }
  return view;
}

export class View implements Caches {
  readonly synced = true;
  manifests: Manifests;
  readonly #pods = new Map<string, Pod>();

  constructor(manifests: Manifests, pods: Iterable<StoredPod>) {
    this.manifests = manifests;
    for (const pod of pods) this.put(pod);
  }

  /** Answers the pod as it was seen before. */
  put(stored: StoredPod): { pod: Pod; before: Pod | undefined } {
    const pod = readPod(stored);
    const before = this.#pods.get(keyOf(pod));
    this.#pods.set(keyOf(pod), pod);
    return { pod, before };
  }
  remove(stored: StoredPod): Pod {
    const pod = readPod(stored);
    this.#pods.delete(keyOf(pod));
    return pod;
  }

  pod = (key: string) => this.#pods.get(key);
  podsIn = () => [...this.#pods.values()];
  allPods = () => this.#pods.values();
  fleetOf: Caches['fleetOf'] = ({ resource, selector }) =>
    selector === undefined ? [] : ownedBy(this.podsIn(), selector, resource.name);
  view = () => viewOf(this.manifests);
  supervised = () => this.view().supervised.values();
  find: Caches['find'] = (_namespace, name) => this.view().supervised.get(name);
  resource: Caches['resource'] = (_namespace, name) => this.manifests.resources.find((one) => one.name === name);
  watches = () => ({});
  stop = async () => {};
}
