/** Where the collections are that Kubervisor reads, and the few fields it reads of them. */
import { GROUP, PLURAL, VERSION } from '@kubervisor/shared/crd/kubervisor-service';

export const PATHS = {
  pods: '/api/v1/pods',
  services: '/api/v1/services',
  kubervisorServices: `/apis/${GROUP}/${VERSION}/${PLURAL}`,
} as const;

/** `/api/v1/pods` → `/api/v1/namespaces/shop/pods`, and on to one object where a name is given. */
export function pathIn(collection: string, namespace: string, name?: string, subresource?: string): string {
  const at = collection.lastIndexOf('/');
  return [
    `${collection.slice(0, at)}/namespaces/${encodeURIComponent(namespace)}${collection.slice(at)}`,
    ...(name === undefined ? [] : [encodeURIComponent(name)]),
    ...(subresource === undefined ? [] : [subresource]),
  ].join('/');
}

/** What every object of the API has. */
export interface RawObject {
  metadata?: {
    name?: string;
    namespace?: string;
    uid?: string;
    resourceVersion?: string;
    generation?: number;
    creationTimestamp?: string;
    deletionTimestamp?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  };
}

/** A KubervisorService as it came. The spec is unknown until libs/shared/crd/validate has looked at it. */
export interface KubervisorServiceObject {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation: number;
  /** Milliseconds since 1970: of two resources on one Service the older has it (F5). */
  readonly createdAt: number;
  readonly terminating: boolean;
  readonly spec: unknown;
  readonly status: unknown;
}

export function readKubervisorService(raw: RawObject & { spec?: unknown; status?: unknown }): KubervisorServiceObject {
  const metadata = raw.metadata ?? {};
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name ?? '',
    uid: metadata.uid ?? '',
    resourceVersion: metadata.resourceVersion ?? '',
    generation: metadata.generation ?? 0,
    createdAt: Date.parse(metadata.creationTimestamp ?? '') || 0,
    terminating: metadata.deletionTimestamp !== undefined,
    spec: raw.spec,
    status: raw.status,
  };
}

export interface Service {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly selector?: Readonly<Record<string, string>>;
  readonly type?: string;
}

export function readService(raw: RawObject & { spec?: { selector?: Record<string, string>; type?: string } }): Service {
  const metadata = raw.metadata ?? {};
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name ?? '',
    uid: metadata.uid ?? '',
    resourceVersion: metadata.resourceVersion ?? '',
    ...(raw.spec?.selector != null && { selector: raw.spec.selector }),
    ...(raw.spec?.type !== undefined && { type: raw.spec.type }),
  };
}
