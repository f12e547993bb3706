import { edited, type JsonPatchOperation } from '@kubervisor/shared/pods/codec';
import { LABEL } from '@kubervisor/shared/pods/keys';
import type { Pod } from '@kubervisor/shared/pods/pod';
import type { PatchResult } from '@kubervisor/runtime/kubernetes/client';

/** The API server as far as a breaker sees it. `fates`: what becomes of the patch of a pod; by default it is applied. */
export class FakeCluster {
  pods: Pod[];
  lists: [string, string][] = [];
  patches: { pod: string; operations: readonly JsonPatchOperation[]; deadline: number | undefined }[] = [];
  fates: Record<string, (apply: () => PatchResult) => PatchResult | Promise<PatchResult>> = {};
  onList: () => void = () => {};

  constructor(pods: Pod[]) {
    this.pods = pods;
  }

  readonly listPods = async (namespace: string, selector: string): Promise<Pod[]> => {
    this.lists.push([namespace, selector]);
    this.onList();
    return this.pods;
  };

  readonly patchPod = async (
    pod: Pod,
    operations: readonly JsonPatchOperation[],
    deadline?: { at: number },
  ): Promise<PatchResult> => {
    this.patches.push({ pod: pod.name, operations, deadline: deadline?.at });
    const apply = (): PatchResult => {
      const values = operations.flatMap(({ op, path, value }) =>
        op === 'add' && path.split('/').length === 4
          ? [[path.split('/')[2], path.split('/')[3]?.replaceAll('~1', '/'), value]]
          : [],
      );
      const of = (map: string) =>
        Object.fromEntries(values.filter(([one]) => one === map).map(([, key, value]) => [key, value]));
      const after = edited(pod, { labels: of('labels'), annotations: of('annotations') });
      this.pods = this.pods.map((one) => (one.uid === pod.uid ? after : one));
      return { result: 'patched', pod: after };
    };
    return this.fates[pod.name]?.(apply) ?? apply();
  };

  get out(): string[] {
    return this.pods.filter((pod) => pod.labels[LABEL.traffic] === 'no').map(({ name }) => name);
  }
}
