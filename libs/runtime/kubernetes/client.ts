/** What the services ask of Kubernetes. Every call takes bounded time; every write of a pod is guarded and tried once (W3, W4). */
import { readPod, type JsonPatchOperation } from '@kubervisor/shared/pods/codec';
import type { Pod, RawPod } from '@kubervisor/shared/pods/pod';
import { PATCH_TIMEOUT } from '@kubervisor/shared/policy/claim';
import type { Logger } from '../logs.ts';
import {
  ApiError,
  connectApiServer,
  DeadlinePassed,
  MEDIA_TYPE,
  type ApiServer,
  type ApiServerSettings,
  type Deadline,
} from './api-server.ts';
import {
  PATHS,
  pathIn,
  readKubervisorService,
  readService,
  type KubervisorServiceObject,
  type Service,
} from './resources.ts';

export { ApiError, type Deadline } from './api-server.ts';

/** Nothing of it is an exception: what a write came to is what the round reports. Messages are one line, at most 200 characters. */
interface Failed {
  result: 'failed';
  message: string;
  /** There was no answer, or the server broke down over it: the change may have been made all the same. */
  uncertain?: true;
}
export type PatchResult =
  | { result: 'patched'; pod: Pod }
  /** Something that the patch was guarded by is different now. */
  | { result: 'changed' }
  /** No pod of this name, or another one (uid). */
  | { result: 'gone' }
  /** The deadline passed first: nothing was sent. */
  | { result: 'deadline' }
  | Failed;
export type KillResult =
  | { result: 'killed' }
  /** 429: a PodDisruptionBudget, or a busy server, says later. */
  | { result: 'refused'; message: string }
  | { result: 'changed' }
  | { result: 'gone' }
  | { result: 'deadline' }
  | Failed;
export type StatusResult =
  | { result: 'written'; resourceVersion: string }
  | { result: 'gone' }
  /** The resource has another resourceVersion by now. */
  | { result: 'conflict' }
  | Failed;

export interface Kubernetes {
  /** The API itself, for what has no method here. */
  readonly api: ApiServer;
  readonly log: Logger;
  /** B5: from the API server's present state (no resourceVersion), never from a cache of ours. Throws ApiError. */
  listPods(namespace: string, labelSelector: string): Promise<Pod[]>;
  getPod(namespace: string, name: string): Promise<Pod | undefined>;
  /**
   * W3, W4: one attempt that starts before the deadline or not at all, and waits PATCH_TIMEOUT for its answer. `operations` as
   * `guardedPatch` makes them.
   */
  patchPod(pod: Pod, operations: readonly JsonPatchOperation[], deadline?: Deadline): Promise<PatchResult>;
  /** A5: an eviction of exactly this pod as it was read (uid and resourceVersion are preconditions). */
  evictPod(pod: Pod, deadline?: Deadline): Promise<KillResult>;
  /** As `evictPod`, past PodDisruptionBudgets. */
  deletePod(pod: Pod, deadline?: Deadline): Promise<KillResult>;
  listServices(namespace?: string): Promise<Service[]>;
  getService(namespace: string, name: string): Promise<Service | undefined>;
  listKubervisorServices(namespace?: string): Promise<KubervisorServiceObject[]>;
  getKubervisorService(namespace: string, name: string): Promise<KubervisorServiceObject | undefined>;
  /** Merges `status` into the status subresource (null deletes a field); with `resourceVersion` only onto that very version. */
  patchStatus(namespace: string, name: string, status: object, resourceVersion?: string): Promise<StatusResult>;
  close(): Promise<void>;
}

interface List<T> {
  items: T[];
}

/**
 * The API server evicts no pod that two PodDisruptionBudgets select, and says so with a 500. It is a refusal like any other:
 * nothing was done, and a person must mend it.
 */
const isUnderTwoBudgets = ({ status, message }: ApiError): boolean =>
  status === 500 && message.includes('more than one PodDisruptionBudget');

/** Connects with the first request; throws where the kubeconfig cannot be read. */
export function connectKubernetes(settings: ApiServerSettings, log: Logger): Kubernetes {
  return kubernetesOn(connectApiServer(settings), log);
}

export function kubernetesOn(api: ApiServer, log: Logger): Kubernetes {
  const podPath = (pod: Pod, subresource?: string) => pathIn(PATHS.pods, pod.namespace, pod.name, subresource);

  /** The time-out goes to the server as well: a request that hangs there must not take effect after we gave it up. */
  const write = (method: string, path: string, body: unknown, contentType: string, deadline: Deadline | undefined) =>
    api.request<RawPod>(method, path, {
      body,
      contentType,
      deadline,
      timeout: PATCH_TIMEOUT,
      query: { timeout: `${PATCH_TIMEOUT / 1000}s` },
    });

  async function attempt<R>(
    send: () => Promise<R>,
    onRefusal: (error: ApiError) => Promise<R> | R,
    deadline?: Deadline,
  ) {
    if (deadline !== undefined && performance.now() > deadline.at) return { result: 'deadline' } as const;
    try {
      return await send();
    } catch (error) {
      if (error instanceof DeadlinePassed) return { result: 'deadline' } as const;
      if (error instanceof ApiError) return onRefusal(error);
      throw error;
    }
  }

  /** What became of the pod that a write was refused for; undefined where the refusal has another cause. */
  async function classify(
    pod: Pod,
    operations: readonly JsonPatchOperation[],
  ): Promise<'gone' | 'changed' | undefined> {
    const now = await api.find<RawPod>(podPath(pod), { timeout: PATCH_TIMEOUT });
    if (now === undefined || now.metadata?.uid !== pod.uid) return 'gone';
    return operations.every((operation) => holds(now, operation)) ? undefined : 'changed';
  }

  async function kill(
    pod: Pod,
    send: (preconditions: { uid: string; resourceVersion: string }) => Promise<unknown>,
    deadline: Deadline | undefined,
  ): Promise<KillResult> {
    const { uid, resourceVersion } = pod;
    return attempt<KillResult>(
      async () => {
        await send({ uid, resourceVersion });
        return { result: 'killed' };
      },
      async (error) => {
        if (error.status === 429 || isUnderTwoBudgets(error)) return { result: 'refused', message: error.message };
        if (error.status === 404) return { result: 'gone' };
        if (error.status !== 409) return failed(error);
        try {
          return { result: (await classify(pod, [])) ?? 'changed' };
        } catch {
          return { result: 'changed' };
        }
      },
      deadline,
    );
  }

  return {
    api,
    log,

    async listPods(namespace, labelSelector) {
      const list = await api.read<List<RawPod>>(pathIn(PATHS.pods, namespace), { query: { labelSelector } });
      return list.items.map(readPod);
    },

    async getPod(namespace, name) {
      const raw = await api.find<RawPod>(pathIn(PATHS.pods, namespace, name));
      return raw && readPod(raw);
    },

    async patchPod(pod, operations, deadline) {
      return attempt<PatchResult>(
        async () => {
          const raw = await write('PATCH', podPath(pod), operations, MEDIA_TYPE.jsonPatch, deadline);
          return { result: 'patched', pod: readPod(raw) };
        },
        async (error) => {
          // 422 is a failed test as well as any other fault of a patch: only the pod itself says which.
          if (![404, 409, 422].includes(error.status)) return failed(error);
          try {
            const found = await classify(pod, operations);
            return found === undefined ? failed(error) : { result: found };
          } catch {
            return failed(error);
          }
        },
        deadline,
      );
    },

    evictPod: (pod, deadline) =>
      kill(
        pod,
        (preconditions) =>
          write(
            'POST',
            podPath(pod, 'eviction'),
            {
              apiVersion: 'policy/v1',
              kind: 'Eviction',
              metadata: { namespace: pod.namespace, name: pod.name },
              deleteOptions: { preconditions },
            },
            MEDIA_TYPE.json,
            deadline,
          ),
        deadline,
      ),

    deletePod: (pod, deadline) =>
      kill(
        pod,
        (preconditions) =>
          write(
            'DELETE',
            podPath(pod),
            { apiVersion: 'v1', kind: 'DeleteOptions', preconditions },
            MEDIA_TYPE.json,
            deadline,
          ),
        deadline,
      ),

    async listServices(namespace) {
      const path = namespace === undefined ? PATHS.services : pathIn(PATHS.services, namespace);
      return (await api.read<List<Parameters<typeof readService>[0]>>(path)).items.map(readService);
    },

    async getService(namespace, name) {
      const raw = await api.find<Parameters<typeof readService>[0]>(pathIn(PATHS.services, namespace, name));
      return raw && readService(raw);
    },

    async listKubervisorServices(namespace) {
      const path = namespace === undefined ? PATHS.kubervisorServices : pathIn(PATHS.kubervisorServices, namespace);
      return (await api.read<List<object>>(path)).items.map(readKubervisorService);
    },

    async getKubervisorService(namespace, name) {
      const raw = await api.find<object>(pathIn(PATHS.kubervisorServices, namespace, name));
      return raw && readKubervisorService(raw);
    },

    async patchStatus(namespace, name, status, resourceVersion) {
      try {
        const raw = await api.request<Parameters<typeof readKubervisorService>[0]>(
          'PATCH',
          pathIn(PATHS.kubervisorServices, namespace, name, 'status'),
          {
            body: { ...(resourceVersion !== undefined && { metadata: { resourceVersion } }), status },
            contentType: MEDIA_TYPE.mergePatch,
          },
        );
        return { result: 'written', resourceVersion: raw.metadata?.resourceVersion ?? '' };
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (error.status === 404) return { result: 'gone' };
        if (error.status === 409) return { result: 'conflict' };
        return failed(error);
      }
    },

    close: () => api.close(),
  };
}

const failed = (error: ApiError): Failed => ({
  result: 'failed',
  message: error.message,
  ...(error.uncertain && { uncertain: true }),
});

/** Whether an operation would still go through on the pod as it is now: a `test` by its value, a `remove` by there being a value. */
function holds(pod: RawPod, operation: JsonPatchOperation): boolean {
  if (operation.op === 'add') return true;
  const found = operation.path
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], pod);
  return operation.op === 'remove' ? found !== undefined : (found ?? null) === (operation.value ?? null);
}
