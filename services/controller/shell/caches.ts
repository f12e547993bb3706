/** What the controller sees of the cluster: three watched collections, and two views that are derived from them when asked. */
import { watchCollection, type Collection, type WatchHealth } from '@kubervisor/runtime/kubernetes/watch';
import type { Kubernetes } from '@kubervisor/runtime/kubernetes/client';
import {
  PATHS,
  readKubervisorService,
  readService,
  type KubervisorServiceObject,
  type Service,
} from '@kubervisor/runtime/kubernetes/resources';
import { readPod } from '@kubervisor/shared/pods/codec';
import { fleetSelector, isActivated, ownedBy } from '@kubervisor/shared/pods/fleet';
import { LABEL } from '@kubervisor/shared/pods/keys';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { superviseNamespace, type Supervised } from '../core/supervision.ts';
import type { NamespaceView } from '../core/membership.ts';

export interface CacheListeners {
  /** `before`: undefined where it is new; `pod` is the last that was seen of one that is gone. */
  pod(pod: Pod, before: Pod | undefined): void;
  /** A resource or a Service of the namespace changed: everything in it may have. */
  namespace(namespace: string): void;
  /** Of a resource nothing but the status (or its metadata) changed. */
  status(resource: KubervisorServiceObject): void;
}

export interface Caches {
  readonly synced: boolean;
  pod(key: string): Pod | undefined;
  podsIn(namespace: string): readonly Pod[];
  allPods(): Iterable<Pod>;
  /** The pods that the resource owns and its Service selects, ending ones included. */
  fleetOf(supervised: Supervised): Pod[];
  view(namespace: string): NamespaceView;
  supervised(): Iterable<Supervised>;
  find(namespace: string, name: string): Supervised | undefined;
  /** As it is now, its status included. */
  resource(namespace: string, name: string): KubervisorServiceObject | undefined;
  /** By collection, with how much its watch left out. */
  watches(): Record<string, WatchHealth & { missed: number }>;
  stop(): Promise<void>;
}

export const keyOf = ({ namespace, name }: { namespace: string; name: string }): string => `${namespace}/${name}`;

/** At rest the watch alone speaks; a relist is for watches that went quiet. */
const RELIST_SECONDS = 300;

export function watchCluster(
  kubernetes: Kubernetes,
  namespaces: readonly string[],
  listeners: CacheListeners,
  onSynced: () => void,
): Caches {
  const views = new Map<string, NamespaceView>();
  /** Pods by the resource that their label names, so that a fleet is found without a walk through the namespace. */
  const byOwner = new Map<string, Map<string, Pod>>();

  const ownerOf = (pod: Pod): string | undefined => {
    const name = pod.labels[LABEL.name];
    return name === undefined ? undefined : keyOf({ namespace: pod.namespace, name });
  };
  const reindex = (before: Pod | undefined, after: Pod | undefined): void => {
    if (before !== undefined) {
      const owner = ownerOf(before);
      if (owner !== undefined) {
        byOwner.get(owner)?.delete(before.name);
        if (byOwner.get(owner)?.size === 0) byOwner.delete(owner);
      }
    }
    if (after === undefined) return;
    const owner = ownerOf(after);
    if (owner === undefined) return;
    let owned = byOwner.get(owner);
    if (owned === undefined) byOwner.set(owner, (owned = new Map<string, Pod>()));
    owned.set(after.name, after);
  };

  let synced = false;
  const collections: Collection<unknown>[] = [];
  const onOneSynced = (): void => {
    if (synced || collections.length < 3 || collections.some((collection) => !collection.synced)) return;
    synced = true;
    onSynced();
  };
  const changed = (namespace: string): void => {
    views.delete(namespace);
    listeners.namespace(namespace);
  };
  const common = { namespaces: [...namespaces], key: keyOf, relistSeconds: RELIST_SECONDS, onSynced: onOneSynced };

  const pods = watchCollection<Pod>(kubernetes, {
    ...common,
    path: PATHS.pods,
    read: readPod,
    onChange: (_key, before, after) => {
      reindex(before, after);
      const pod = after ?? before;
      if (pod !== undefined) listeners.pod(pod, before);
    },
  });
  const services = watchCollection<Service>(kubernetes, {
    ...common,
    path: PATHS.services,
    read: readService,
    onChange: (_key, before, after) => {
      const namespace = (after ?? before)?.namespace;
      // A Service changes for many reasons; only its identity and its selector are ours.
      const same = before?.uid === after?.uid && JSON.stringify(before?.selector) === JSON.stringify(after?.selector);
      if (namespace !== undefined && !same) changed(namespace);
    },
  });
  const resources = watchCollection<KubervisorServiceObject>(kubernetes, {
    ...common,
    path: PATHS.kubervisorServices,
    read: readKubervisorService,
    onChange: (_key, before, after) => {
      const namespace = (after ?? before)?.namespace;
      const same =
        before?.uid === after?.uid &&
        before?.generation === after?.generation &&
        before?.terminating === after?.terminating;
      if (namespace !== undefined && !same) changed(namespace);
      // Our own writes of status come back here too.
      else if (after !== undefined) listeners.status(after);
    },
  });
  collections.push(pods, services, resources);
  onOneSynced();

  const caches: Caches = {
    get synced() {
      return synced;
    },
    pod: (key) => pods.get(key),
    podsIn: (namespace) => pods.byNamespace(namespace),
    allPods: () => pods.values(),
    fleetOf: ({ resource, selector }) =>
      selector === undefined
        ? []
        : ownedBy([...(byOwner.get(keyOf(resource))?.values() ?? [])], selector, resource.name),
    view(namespace) {
      let view = views.get(namespace);
      if (view === undefined) {
        const servicesHere = services.byNamespace(namespace);
        view = {
          supervised: superviseNamespace(
            resources.byNamespace(namespace),
            new Map(servicesHere.map((service) => [service.name, service])),
          ),
          activatedSelectors: servicesHere.flatMap((service) => {
            const selector = isActivated(service.selector) ? fleetSelector(service.selector) : undefined;
            return selector === undefined ? [] : [{ service: service.name, uid: service.uid, selector }];
          }),
        };
        views.set(namespace, view);
      }
      return view;
    },
    *supervised() {
      const seen = new Set<string>();
      for (const { namespace } of resources.values()) seen.add(namespace);
      for (const namespace of seen) yield* caches.view(namespace).supervised.values();
    },
    find: (namespace, name) => caches.view(namespace).supervised.get(name),
    resource: (namespace, name) => resources.get(keyOf({ namespace, name })),
    watches: () =>
      Object.fromEntries(
        Object.entries({ pods, services, resources }).map(([name, { health, stats }]) => [
          name,
          { ...health, missed: stats.missed },
        ]),
      ),
    async stop() {
      await Promise.all(collections.map((collection) => collection.stop()));
    },
  };
  return caches;
}
