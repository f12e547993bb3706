/** For the tests of the client itself: a cluster, our client on it, a namespace for the file, pods that nobody else touches. */
import { connectKubernetes, type Kubernetes } from '@kubervisor/runtime/kubernetes/client';
import { PATHS, pathIn } from '@kubervisor/runtime/kubernetes/resources';
import { createLogger } from '@kubervisor/runtime/logs';
import { readPod } from '@kubervisor/shared/pods/codec';
import type { Pod, RawPod } from '@kubervisor/shared/pods/pod';
import { startCluster } from './cluster.ts';

export const silent = createLogger('test', 'silent');

export interface Fixture {
  kubeconfigFile: string;
  kubernetes: Kubernetes;
  namespace: string;
  createPod(name: string, metadata?: object): Promise<Pod>;
  end(): Promise<void>;
}

export async function startFixture(): Promise<Fixture> {
  const cluster = await startCluster({ runPods: false });
  const kubernetes = connectKubernetes({ kubeconfigFile: cluster.kubeconfig, userAgent: 'kubervisor-tests' }, silent);
  const namespace = await cluster.namespace();
  return {
    kubeconfigFile: cluster.kubeconfig,
    kubernetes,
    namespace,
    async createPod(name, metadata = {}) {
      const body = {
        metadata: { name, ...metadata },
        // Never scheduled: so nobody else changes it.
        spec: {
          schedulerName: 'nobody',
          terminationGracePeriodSeconds: 0,
          containers: [{ name: 'main', image: 'registry.example/main' }],
        },
      };
      return readPod(await kubernetes.api.request<RawPod>('POST', pathIn(PATHS.pods, namespace), { body }));
    },
    async end() {
      await kubernetes.close();
      await cluster.stop();
    },
  };
}
