/** A KubervisorService as it came, with all that can be read of it though it may be damaged. */
import { resolveSpec, type ResolvedSpec } from '@kubervisor/shared/crd/resolve';
import type { KubervisorServiceStatus } from '@kubervisor/shared/crd/status';
import { describeProblem, validateResource } from '@kubervisor/shared/crd/validate';

export interface Resource {
  namespace: string;
  name: string;
  uid: string;
  generation: number;
  resourceVersion: string;
  /** Milliseconds since 1970. */
  createdAt: number;
  spec: unknown;
  status: unknown;
}

export interface ReadResource {
  resource: Resource;
  /** Undefined where the spec breaks a rule. */
  spec: ResolvedSpec | undefined;
  problems: string[];
  /** Named in the spec, whatever else is wrong with it. */
  service: string;
  status: KubervisorServiceStatus;
}

export function readResource(resource: Resource): ReadResource {
  const checked = validateResource({ metadata: { name: resource.name }, spec: resource.spec });
  const service = (resource.spec as { service?: unknown } | undefined)?.service;
  return {
    resource,
    spec: 'problems' in checked ? undefined : resolveSpec(checked.spec),
    problems: 'problems' in checked ? checked.problems.map(describeProblem) : [],
    service: typeof service === 'string' ? service : '',
    // Written by the controller alone, within the CRD's schema; all of it may be missing.
    status: (resource.status ?? {}) as KubervisorServiceStatus,
  };
}
