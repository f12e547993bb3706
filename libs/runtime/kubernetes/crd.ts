/** Installs and updates the CRD at start, and never puts an older one over a newer. */
import { ApiError, MEDIA_TYPE, pause } from './api-server.ts';
import type { Kubernetes } from './client.ts';
import type { RawObject } from './resources.ts';

export type CrdResult =
  | { result: 'installed' | 'updated' | 'current' }
  /** The one in the cluster is of a newer version: it stays. */
  | { result: 'kept-newer' }
  /** No right to CRDs: somebody else must have installed it. */
  | { result: 'forbidden'; message: string }
  | { result: 'failed'; message: string };

interface Crd extends RawObject {
  status?: { conditions?: { type: string; status: string; message?: string }[] };
}

const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
/** The API server takes well under a second to accept the names. Milliseconds. */
const ESTABLISHED_WITHIN = 15_000;

/**
 * Server-side apply as `kubervisor-controller`, then waits until the API server serves it. `versionAnnotation` is the key whose
 * value, a decimal number, tells which manifest is newer; without it one counts as 0. Never throws.
 */
export async function installCrd(
  { api }: Pick<Kubernetes, 'api'>,
  manifest: { metadata: { name: string; annotations?: Readonly<Record<string, string>> } },
  versionAnnotation: string,
): Promise<CrdResult> {
  const path = `${CRDS}/${encodeURIComponent(manifest.metadata.name)}`;
  const versionOf = (crd: { metadata?: { annotations?: Readonly<Record<string, string>> } }) =>
    Number(crd.metadata?.annotations?.[versionAnnotation]) || 0;

  const once = async (): Promise<CrdResult> => {
    const present = await api.find<Crd>(path);
    if (present !== undefined && versionOf(present) > versionOf(manifest)) return { result: 'kept-newer' };
    if (present !== undefined && versionOf(present) === versionOf(manifest))
      return (await established(present)) ?? { result: 'current' };
    // The version that was looked at is the one that is written over: a newer controller may be doing the same right now.
    const resourceVersion = present?.metadata?.resourceVersion;
    const applied = await api.request<Crd>('PATCH', path, {
      contentType: MEDIA_TYPE.apply,
      query: { fieldManager: 'kubervisor-controller', force: true },
      body: {
        ...manifest,
        metadata: { ...manifest.metadata, ...(resourceVersion !== undefined && { resourceVersion }) },
      },
    });
    return (await established(applied)) ?? { result: present === undefined ? 'installed' : 'updated' };
  };

  const established = async (crd: Crd | undefined): Promise<CrdResult | undefined> => {
    const giveUpAt = performance.now() + ESTABLISHED_WITHIN;
    for (let now = crd; ; now = await api.find<Crd>(path)) {
      const conditions = now?.status?.conditions ?? [];
      if (conditions.some(({ type, status }) => type === 'Established' && status === 'True')) return undefined;
      if (performance.now() > giveUpAt) {
        const refused = conditions.find(({ status }) => status === 'False');
        return { result: 'failed', message: `not established: ${refused?.message ?? 'no word from the API server'}` };
      }
      await pause(100);
    }
  };

  for (let conflicts = 0; ; conflicts++) {
    try {
      return await once();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 409 && conflicts < 3) continue;
      return { result: error.status === 403 ? 'forbidden' : 'failed', message: error.message };
    }
  }
}
