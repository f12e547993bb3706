/** What a controller sees of the cluster: behind by a little, or by a lot. Derived as in the process itself (shell/caches.ts). */
import { readPod } from '@kubervisor/shared/pods/codec';
import { fleetSelector, isActivated, ownedBy } from '@kubervisor/shared/pods/fleet';
import type { Pod } from '@kubervisor/shared/pods/pod';
import type { NamespaceView } from '../services/controller/core/membership.ts';
import { superviseNamespace } from '../services/controller/core/supervision.ts';
import { keyOf, type Caches } from '../services/controller/shell/caches.ts';
import type { StoredPod } from './cluster.ts';
import type { Manifests, Resources, Services } from './manifests.ts';

/** Deriving a view means validating specs; one for all controllers that see the same manifests. */
const views = new WeakMap<Resources, WeakMap<Services, NamespaceView>>();

function viewOf(resources: Resources, services: Services): NamespaceView {
  let beside = views.get(resources);
  if (beside === undefined) views.set(resources, (beside = new WeakMap()));
  let view = beside.get(services);
  if (view === undefined) {
    view = {
      supervised: superviseNamespace(resources, new Map(services.map((service) => [service.name, service]))),
      activatedSelectors: services.flatMap(({ name, uid, selector }) => {
        const rest = isActivated(selector) ? fleetSelector(selector) : undefined;
        return rest === undefined ? [] : [{ service: name, uid, selector: rest }];
      }),
    };
    beside.set(services, view);
  }
  return view;
}

export class View implements Caches {
  readonly synced = true;
  resources: Resources;
  services: Services;
  readonly #pods = new Map<string, Pod>();

  constructor({ resources, services }: Pick<Manifests, 'resources' | 'services'>, pods: Iterable<StoredPod>) {
    this.resources = resources;
    this.services = services;
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
  view = () => viewOf(this.resources, this.services);
  supervised = () => this.view().supervised.values();
  find: Caches['find'] = (_namespace, name) => this.view().supervised.get(name);
  resource: Caches['resource'] = (_namespace, name) => this.resources.find((one) => one.name === name);
  watches = () => ({});
  stop = async () => {};
}
