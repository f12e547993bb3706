/** §8: every transition is told in an Event on the pod and on its resource. This one is a person's, so nobody else can tell of it. */
import { createEventRecorder, type InvolvedObject } from '@kubervisor/runtime/kubernetes/events';
import { API_VERSION, KIND } from '@kubervisor/shared/crd/kubervisor-service';
import { marksOf } from '@kubervisor/shared/pods/codec';
import type { Pod } from '@kubervisor/shared/pods/pod';
import type { EventReason } from '@kubervisor/shared/reasons';
import type { Cluster } from './cluster.ts';

const REASON: EventReason = 'PodActivated';
const COMPONENT = 'kubectl-kubervisor';

/** By the name that the API server knows the account by. */
async function whoAmI(cluster: Cluster): Promise<string> {
  try {
    const { status } = await cluster.api.request<{ status?: { userInfo?: { username?: string } } }>(
      'POST',
      '/apis/authentication.k8s.io/v1/selfsubjectreviews',
      { body: { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' } },
    );
    return status?.userInfo?.username ?? 'somebody';
  } catch {
    return 'somebody';
  }
}

/** `pods` as they were when they were brought back. False where not all of it could be told. */
export async function tellRelease(cluster: Cluster, pods: readonly Pod[]): Promise<boolean> {
  if (pods.length === 0) return true;
  const who = await whoAmI(cluster);
  const recorder = createEventRecorder(cluster.kubernetes, { component: COMPONENT, instance: who });
  const tell = (involved: InvolvedObject, message: string): void =>
    recorder.record({ involved, type: 'Normal', reason: REASON, message, at: Date.now() });
  for (const pod of pods) {
    const { namespace, name, uid } = pod;
    const by = `by hand: ${who} released it with kubectl kubervisor`;
    tell({ apiVersion: 'v1', kind: 'Pod', namespace, name, uid }, `The pod came back into traffic ${by}`);
    const owner = marksOf(pod).name;
    const resource = owner === undefined ? undefined : await cluster.findResource(owner).catch(() => undefined);
    if (resource !== undefined)
      tell(
        { apiVersion: API_VERSION, kind: KIND, namespace, name: resource.resource.name, uid: resource.resource.uid },
        `pod ${name} came back into traffic ${by}`,
      );
  }
  await recorder.stop();
  return recorder.stats.failed === 0 && recorder.stats.dropped === 0;
}
