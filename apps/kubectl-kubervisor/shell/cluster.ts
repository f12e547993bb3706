/** The cluster that is meant, and what the commands read of it. Whatever goes wrong is a Failure with the next step. */
import { existsSync } from 'node:fs';
import { ApiError, connectApiServer, type ApiServer } from '@kubervisor/runtime/kubernetes/api-server';
import { kubernetesOn, type Kubernetes } from '@kubervisor/runtime/kubernetes/client';
import { kubeconfigFiles } from '@kubervisor/runtime/kubernetes/kubeconfig';
import {
  PATHS,
  pathIn,
  readKubervisorService,
  readService,
  type RawObject,
} from '@kubervisor/runtime/kubernetes/resources';
import { createLogger } from '@kubervisor/runtime/logs';
import { readPod, marksOf } from '@kubervisor/shared/pods/codec';
import { fleetSelector, selectorString, selects } from '@kubervisor/shared/pods/fleet';
import type { Pod, RawPod } from '@kubervisor/shared/pods/pod';
import { readResource, type ReadResource } from '../core/resource.ts';
import { namesOf, type ServiceState } from '../core/decide.ts';
import { failureOf, Failure, notInstalled } from '../errors.ts';
import type { Arguments } from '../arguments.ts';

export interface Cluster {
  api: ApiServer;
  kubernetes: Kubernetes;
  namespace: string;
  /** Undefined: of all namespaces. */
  resources(namespace: string | undefined): Promise<ReadResource[]>;
  /** Fails where there is none, naming those that there are. */
  resource(name: string): Promise<ReadResource>;
  findResource(name: string): Promise<ReadResource | undefined>;
  findService(name: string): Promise<ServiceState | undefined>;
  services(): Promise<ServiceState[]>;
  findPod(name: string): Promise<Pod | undefined>;
  pod(name: string): Promise<Pod>;
  /** Fresh from the API server: all that the Service selects without our key. */
  fleet(service: ServiceState | undefined): Promise<Pod[]>;
  /** Of any read or write: a Failure in place of what the API server says. */
  attempt<T>(doing: string, work: () => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

const PAGE = 500;

export function connect(
  args: Pick<Arguments, 'kubeconfig' | 'context' | 'namespace'>,
  env: Readonly<Record<string, string | undefined>>,
): Cluster {
  const api = ((): ApiServer => {
    try {
      const files = kubeconfigFiles(args.kubeconfig, env, existsSync);
      return connectApiServer({
        ...(files.length > 0 && { kubeconfigFile: files }),
        ...(args.context !== undefined && { context: args.context }),
        userAgent: 'kubectl-kubervisor',
      });
    } catch (error) {
      throw error instanceof Error && error.name !== 'NoKubeconfig'
        ? new Failure(`the kubeconfig is of no use: ${error.message.split('\n')[0]}`, 'see it: kubectl config view')
        : failureOf(error, 'read the kubeconfig', '');
    }
  })();
  const kubernetes = kubernetesOn(api, createLogger('kubectl', 'silent'));
  const namespace = args.namespace ?? api.namespace ?? 'default';

  async function attempt<T>(doing: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw failureOf(error, doing, api.url);
    }
  }
  /** All of it, page by page. */
  async function list<Raw, Item>(
    path: string,
    labelSelector: string | undefined,
    read: (raw: Raw) => Item,
  ): Promise<Item[]> {
    const items: Item[] = [];
    for (let next: string | undefined = ''; next !== undefined;) {
      const page: { metadata?: { continue?: string }; items: Raw[] } = await api.read(path, {
        query: { limit: PAGE, continue: next, labelSelector },
      });
      items.push(...page.items.map(read));
      next = page.metadata?.continue === '' ? undefined : page.metadata?.continue;
    }
    return items;
  }
  const resources = (of: string | undefined): Promise<ReadResource[]> =>
    attempt(`list KubervisorServices in ${of ?? 'all namespaces'}`, async () => {
      const path = of === undefined ? PATHS.kubervisorServices : pathIn(PATHS.kubervisorServices, of);
      try {
        return await list(path, undefined, (raw: RawObject) => readResource(readKubervisorService(raw)));
      } catch (error) {
        // The collection itself is not known.
        if (error instanceof ApiError && error.status === 404) throw notInstalled(api.url);
        throw error;
      }
    });
  const findResource = (name: string): Promise<ReadResource | undefined> =>
    attempt(`get the KubervisorService ${name} in ${namespace}`, async () => {
      const found = await kubernetes.getKubervisorService(namespace, name);
      return found && readResource(found);
    });
  const findPod = (name: string): Promise<Pod | undefined> =>
    attempt(`get the pod ${name} in ${namespace}`, async () => {
      const raw = await api.find<RawPod>(pathIn(PATHS.pods, namespace, name));
      return raw && readPod(raw);
    });

  return {
    api,
    kubernetes,
    namespace,
    attempt,
    resources,
    findResource,
    async resource(name) {
      const found = await findResource(name);
      if (found !== undefined) return found;
      // Tells also where there is no such collection.
      const others = (await resources(namespace)).map((one) => one.resource.name);
      throw new Failure(
        `there is no KubervisorService ${name} in ${namespace}`,
        others.length === 0
          ? 'see all: kubectl kubervisor list -A'
          : `there are: ${namesOf(others)}; another namespace: -n NAME`,
      );
    },
    findService: (name) =>
      attempt(`get the Service ${name} in ${namespace}`, () => kubernetes.getService(namespace, name)),
    services: () =>
      attempt(`list Services in ${namespace}`, () => list(pathIn(PATHS.services, namespace), undefined, readService)),
    findPod,
    async pod(name) {
      const found = await findPod(name);
      if (found !== undefined) return found;
      throw new Failure(
        `there is no pod ${name} in ${namespace}`,
        `see which there are: kubectl get pods -n ${namespace}; another namespace: -n NAME`,
      );
    },
    async fleet(service) {
      const selector = fleetSelector(service?.selector);
      if (selector === undefined) return [];
      return attempt(`list pods in ${namespace}`, () =>
        list(pathIn(PATHS.pods, namespace), selectorString(selector), readPod),
      );
    },
    close: () => api.close(),
  };
}

/** The resource of a pod: the one that its label names, else one whose Service selects it. */
export async function supervisorOf(
  cluster: Cluster,
  pod: Pod,
): Promise<{ read: ReadResource | undefined; missingOwner: string | undefined }> {
  const { name } = marksOf(pod);
  if (name !== undefined) {
    const read = await cluster.findResource(name);
    if (read === undefined) await cluster.resources(cluster.namespace);
    return { read, missingOwner: read === undefined ? name : undefined };
  }
  const [resources, services] = await Promise.all([cluster.resources(cluster.namespace), cluster.services()]);
  const read = resources.find((one) => {
    const selector = fleetSelector(services.find((service) => service.name === one.service)?.selector);
    return selector !== undefined && selects(selector, pod.labels);
  });
  return { read, missingOwner: undefined };
}
