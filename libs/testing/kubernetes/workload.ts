/** A Deployment and the Service in front of it, as small as they can be. */
import { MEDIA_TYPE } from '@kubervisor/runtime/kubernetes/api-server';
import type { Kubernetes } from '@kubervisor/runtime/kubernetes/client';
import { pathIn } from '@kubervisor/runtime/kubernetes/resources';
import { LABEL } from '@kubervisor/shared/pods/keys';

/** While thousands of pods come up an API server answers late. Milliseconds. */
const PATIENCE = 30_000;
export const DEPLOYMENTS = '/apis/apps/v1/deployments';

export interface Workload {
  namespace: string;
  /** Of both; the value of the label `app` too. */
  name: string;
  replicas: number;
  /** The Service's selector and the pod template hold `kubervisor/traffic: "yes"`. */
  activated: boolean;
}

export async function createWorkload(
  { api }: Pick<Kubernetes, 'api'>,
  { namespace, name, replicas, activated }: Workload,
): Promise<void> {
  const traffic = activated ? { [LABEL.traffic]: 'yes' } : {};
  await api.request('POST', pathIn('/api/v1/services', namespace), {
    timeout: PATIENCE,
    body: {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name },
      spec: { selector: { app: name, ...traffic }, ports: [{ name: 'http', port: 80 }] },
    },
  });
  await api.request('POST', pathIn(DEPLOYMENTS, namespace), {
    timeout: PATIENCE,
    body: {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name },
      spec: {
        replicas,
        selector: { matchLabels: { app: name } },
        template: {
          metadata: { labels: { app: name, ...traffic } },
          spec: { containers: [{ name: 'app', image: 'app' }], terminationGracePeriodSeconds: 0 },
        },
      },
    },
  });
}

/** A merge patch of the Deployment's spec. */
export async function changeDeployment(
  { api }: Pick<Kubernetes, 'api'>,
  { namespace, name }: Pick<Workload, 'namespace' | 'name'>,
  spec: object,
): Promise<void> {
  await api.request('PATCH', pathIn(DEPLOYMENTS, namespace, name), {
    timeout: PATIENCE,
    body: { spec },
    contentType: MEDIA_TYPE.mergePatch,
  });
}
