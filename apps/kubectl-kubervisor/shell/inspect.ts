/** The commands that look: what they read, for the views in ../core. */
import { fleetSelector } from '@kubervisor/shared/pods/fleet';
import { ApiError, type RequestOptions } from '@kubervisor/runtime/kubernetes/api-server';
import { PATHS, type RawObject } from '@kubervisor/runtime/kubernetes/resources';
import { CRD_NAME, CRD_VERSION_ANNOTATION } from '@kubervisor/shared/crd/manifest';
import { history, MAX_HISTORY, type History } from '@kubervisor/shared/events/history';
import { COMPONENT, PART_OF } from '@kubervisor/shared/installation';
import { explain, type ExplainView } from '../core/explain.ts';
import { viewResource, viewWhole, type GetView, type ResourceView, type VersionView } from '../core/views.ts';
import { Failure, failureOf } from '../errors.ts';
import { supervisorOf, type Cluster } from './cluster.ts';

export async function listResources(cluster: Cluster, everywhere: boolean): Promise<ResourceView[]> {
  const resources = await cluster.resources(everywhere ? undefined : cluster.namespace);
  return resources
    .map(viewResource)
    .sort((one, other) => (`${one.namespace}/${one.name}` < `${other.namespace}/${other.name}` ? -1 : 1));
}

export async function getResource(cluster: Cluster, name: string): Promise<GetView> {
  const read = await cluster.resource(name);
  const service = await cluster.findService(read.service);
  return viewWhole(read, await cluster.fleet(service), Date.now());
}

export async function explainPod(cluster: Cluster, name: string): Promise<ExplainView> {
  const pod = await cluster.pod(name.replace(/^(pods?|po)\//, ''));
  const { read, missingOwner } = await supervisorOf(cluster, pod);
  const service = read === undefined ? undefined : await cluster.findService(read.service);
  const fleet = fleetSelector(service?.selector) === undefined ? [] : await cluster.fleet(service);
  return explain({ pod, read, missingOwner, service, fleet, now: Date.now() });
}

interface RawServiceObject extends RawObject {
  spec?: { ports?: { name?: string; port: number }[] };
}
const installed = (component?: string): NonNullable<RequestOptions['query']> => ({
  labelSelector: [
    `${PART_OF.key}=${PART_OF.value}`,
    ...(component === undefined ? [] : [`${COMPONENT}=${component}`]),
  ].join(','),
});
const within = (collection: string, namespace: string | undefined): string => {
  const at = collection.lastIndexOf('/');
  return namespace === undefined
    ? collection
    : `${collection.slice(0, at)}/namespaces/${namespace}${collection.slice(at)}`;
};

/** Where the controller is asked: its Service, as the API server's proxy takes it. */
async function controllerPath(cluster: Cluster, systemNamespace: string | undefined): Promise<string> {
  const where = systemNamespace ?? 'all namespaces';
  const { items } = await cluster
    .attempt(`list Services in ${where}, to find the controller`, () =>
      cluster.api.read<{ items: RawServiceObject[] }>(within(PATHS.services, systemNamespace), {
        query: installed('controller'),
      }),
    )
    .catch((error: unknown) => {
      if (systemNamespace !== undefined || !(error instanceof Failure)) throw error;
      throw new Failure(
        error.message,
        `name the namespace in which Kubervisor runs: --system-namespace NAME; or: ${error.next}`,
      );
    });
  const [service] = items;
  if (service === undefined)
    throw new Failure(
      `no Service of the controller was found in ${where} (labels ${PART_OF.key}=${PART_OF.value}, ${COMPONENT}=controller)`,
      'is Kubervisor installed in this cluster, and by its chart? kubectl kubervisor version; another namespace: --system-namespace NAME',
    );
  const ports = service.spec?.ports ?? [];
  const port = ports.find(({ name }) => name === 'http') ?? ports[0];
  const { namespace = '', name = '' } = service.metadata ?? {};
  return `${within(PATHS.services, namespace)}/${name}:${port?.name ?? String(port?.port ?? 80)}/proxy`;
}

export async function readHistoryOf(
  cluster: Cluster,
  name: string,
  {
    limit,
    pod,
    systemNamespace,
  }: { limit: number | undefined; pod: string | undefined; systemNamespace: string | undefined },
): Promise<History> {
  const path = await controllerPath(cluster, systemNamespace);
  const { namespace } = cluster;
  // One pod's facts are few among those of its fleet.
  const asked = pod === undefined ? limit : MAX_HISTORY;
  const answer = await cluster.api
    .read(`${path}/history`, { query: { namespace, name, limit: asked } })
    .catch((error: unknown) => {
      if (error instanceof ApiError && error.status === 404)
        throw new Failure('the controller has no history to tell: it is older than this plug-in', 'upgrade Kubervisor');
      if (error instanceof ApiError && error.status === 403)
        throw new Failure(
          `this account may not ask the controller: ${error.message}`,
          'it takes the right to get services/proxy of the controller’s Service',
        );
      if (error instanceof ApiError && error.status === 503)
        throw new Failure(
          `the controller could not tell the history: ${error.message}`,
          'is a controller running? kubectl kubervisor version',
        );
      throw failureOf(error, 'ask the controller', cluster.api.url);
    });
  const read = history.safeParse(answer);
  if (!read.success)
    throw new Failure(
      'what answers in the place of the controller is of another kind',
      'are plug-in and controller of one version? kubectl kubervisor version',
    );
  if (read.data.facts.length === 0) await cluster.resource(name);
  if (pod === undefined) return read.data;
  const facts = read.data.facts.filter((fact) => fact.pod === pod);
  return { ...read.data, facts: facts.slice(-(limit ?? facts.length)) };
}

interface RawDeployment extends RawObject {
  spec?: { replicas?: number; template?: { spec?: { containers?: { image?: string }[] } } };
  status?: { readyReplicas?: number };
}

/** What can be seen; a version is also told where there is no cluster at all. */
export async function versions(
  connect: () => Cluster,
  client: VersionView['client'],
  systemNamespace: string | undefined,
): Promise<VersionView> {
  const problems: string[] = [];
  const seen = async <T>(what: string, look: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await look();
    } catch (error) {
      problems.push(`${what}: ${(error as Error).message}`);
      return undefined;
    }
  };
  let cluster: Cluster;
  try {
    cluster = connect();
  } catch (error) {
    return { client, problems: [(error as Error).message] };
  }
  try {
    const { api, attempt } = cluster;
    const server = await seen('the API server', () =>
      attempt('ask for its version', () => api.read<{ gitVersion?: string }>('/version', { timeout: 5000 })),
    );
    if (server === undefined) return { client, server: { url: api.url, workloads: [] }, problems };
    const crd = await seen('the CRD', () =>
      attempt('get the CustomResourceDefinition', () =>
        api.find<RawObject>(`/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${CRD_NAME}`),
      ),
    );
    const deployments = await seen('what is installed', () =>
      attempt('list Deployments', () =>
        api.read<{ items: RawDeployment[] }>(within('/apis/apps/v1/deployments', systemNamespace), {
          query: installed(),
        }),
      ),
    );
    const crdVersion = crd?.metadata?.annotations?.[CRD_VERSION_ANNOTATION];
    if (crd === undefined && problems.length === 0)
      problems.push(`there is no ${CRD_NAME}: Kubervisor is not installed`);
    return {
      client,
      server: {
        url: api.url,
        ...(server.gitVersion !== undefined && { kubernetes: server.gitVersion }),
        ...(crdVersion !== undefined && { crd: crdVersion }),
        workloads: (deployments?.items ?? []).map(({ metadata, spec, status }) => ({
          namespace: metadata?.namespace ?? '',
          name: metadata?.name ?? '',
          component: metadata?.labels?.[COMPONENT] ?? '',
          image: spec?.template?.spec?.containers?.[0]?.image ?? '',
          ready: status?.readyReplicas ?? 0,
          replicas: spec?.replicas ?? 1,
        })),
      },
      problems,
    };
  } finally {
    await cluster.close();
  }
}
