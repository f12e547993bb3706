/** The simulator against the suite always, and the real API server beside it where one is at hand: no difference is allowed. */
import { startCluster } from '@kubervisor/testing/kubernetes/cluster';
import { describeKubernetesApi } from '@kubervisor/testing/kubernetes/conformance';

describeKubernetesApi('the simulator', () => startCluster({ source: 'sandbox', runPods: false }));

const { TEST_KUBECONFIG: given, KUBEBUILDER_ASSETS: assets } = process.env;
if (given !== undefined && given !== '')
  describeKubernetesApi('the given cluster', () => startCluster({ source: 'given', runPods: false }));
else if (assets !== undefined && assets !== '')
  describeKubernetesApi('kube-apiserver', () => startCluster({ source: 'assets', runPods: false }));
