/** Looks at the cluster as anybody could: over the Kubernetes API and Prometheus' HTTP API. */
import type { ApiClient } from '@kubervisor/kube-sandbox/client';
import type { KubervisorServiceStatus } from '@kubervisor/shared/crd/status';
import type { RawPod } from '@kubervisor/shared/pods/pod';
import { PATHS, QUERY, NAME } from '../shop/manifests.ts';
import type { Shoppers } from '../shop/shoppers.ts';
import { endpointNames, readScene, type RawScene, type Scene } from './scene.ts';

export interface ObserverPorts {
  client: ApiClient;
  prometheusUrl: string;
  shoppers: Shoppers;
  /** Seconds since the demo began. */
  seconds: () => number;
}

/** Prometheus learns nothing new more often than it scrapes. */
const QUERY_EVERY_SECONDS = 0.5;
/** Also where it is away, and its name can take long to be found out as nobody's: what else there is to see is seen on time. */
const QUERY_LIMIT_MS = 1000;

/** One look. Shoppers learn of it who is in the EndpointSlice now. */
export function createObserver({ client, prometheusUrl, shoppers, seconds }: ObserverPorts): () => Promise<Scene> {
  let samples: RawScene['samples'] = [];
  let asked = -Infinity;
  return async () => {
    const list = async (path: string, labelSelector: string) =>
      (await client.call('GET', path, { query: { labelSelector } })).items ?? [];
    const slices = list(PATHS.endpointSlices, `kubernetes.io/service-name=${NAME}`);
    const [pods, endpointSlices, resource] = await Promise.all([
      list(PATHS.pods, `app=${NAME}`),
      slices as Promise<unknown> as Promise<RawScene['endpointSlices']>,
      client.request('GET', PATHS.kubervisorService),
    ]);
    shoppers.sendTo([...endpointNames(endpointSlices)].sort());
    if (seconds() - asked >= QUERY_EVERY_SECONDS) {
      asked = seconds();
      samples = await ask(prometheusUrl).catch(() => samples);
    }
    return readScene({
      pods: pods as RawPod[],
      endpointSlices,
      status: resource.code === 200 ? (resource.body['status'] as KubervisorServiceStatus | undefined) : undefined,
      samples,
      shoppers: shoppers.figures(),
      seconds: seconds(),
      now: Date.now(),
    });
  };
}

async function ask(url: string): Promise<RawScene['samples']> {
  const answer = await fetch(`${url}/api/v1/query?${new URLSearchParams({ query: QUERY }).toString()}`, {
    signal: AbortSignal.timeout(QUERY_LIMIT_MS),
  });
  const body = (await answer.json()) as { data?: { result?: RawScene['samples'] } };
  return body.data?.result ?? [];
}
