/**
 * Which resource supervises which Service, and with what power (F4, F5). Made anew from the caches whenever one of them changes;
 * everything else the controller decides starts from it.
 */
import { resolveSpec, type ResolvedSpec } from '@kubervisor/shared/crd/resolve';
import { validateResource, type Problem } from '@kubervisor/shared/crd/validate';
import type { KubervisorServiceSpec } from '@kubervisor/shared/crd/kubervisor-service';
import { fleetSelector, isActivated, type Selector } from '@kubervisor/shared/pods/fleet';
import type { ConditionReason } from '@kubervisor/shared/reasons';

/** A KubervisorService as the API server holds it; the spec is not trusted. */
export interface Resource {
  namespace: string;
  name: string;
  uid: string;
  generation: number;
  resourceVersion: string;
  /** Milliseconds since 1970. */
  createdAt: number;
  terminating: boolean;
  spec: unknown;
  status: unknown;
}

export interface ServiceView {
  namespace: string;
  name: string;
  uid: string;
  selector?: Selector | undefined;
}

/** A resource with everything that follows from its spec, its Service and its rivals. */
export interface Supervised {
  resource: Resource;
  /** Why it does not work, or undefined: it is Ready. */
  problem?: { reason: ConditionReason; message: string };
  /** Undefined where the spec broke a rule. */
  spec?: KubervisorServiceSpec;
  resolved?: ResolvedSpec;
  /** The Service's selector without our key; undefined where the resource has no fleet. */
  selector?: Selector;
  /** The Service's selector holds `kubervisor/traffic: "yes"`. */
  active: boolean;
  /** Valid, active, and of mode enforce: only such a resource holds pods out. */
  enforcing: boolean;
}

const byAge = (one: Resource, other: Resource): number =>
  one.createdAt - other.createdAt || (one.uid < other.uid ? -1 : 1);

const describe = (problems: readonly Problem[]): string =>
  problems
    .slice(0, 5)
    .map(({ path, problem }) => `${path}: ${problem}`)
    .join('; ');

/** By the resource as it came: in a namespace of a thousand each change asks for all of them. */
const validated = new WeakMap<Resource, ReturnType<typeof validateResource>>();
function validate(resource: Resource): ReturnType<typeof validateResource> {
  const known = validated.get(resource);
  if (known !== undefined) return known;
  const checked = validateResource({ metadata: { name: resource.name }, spec: resource.spec });
  validated.set(resource, checked);
  return checked;
}

/** All resources of one namespace, by name. `services` by name. */
export function superviseNamespace(
  resources: readonly Resource[],
  services: ReadonlyMap<string, ServiceView>,
): Map<string, Supervised> {
  const supervised = new Map<string, Supervised>();
  const owners = new Map<string, Resource>();
  for (const resource of [...resources].sort(byAge)) {
    const base = { resource, active: false, enforcing: false };
    const checked = validate(resource);
    if ('problems' in checked) {
      supervised.set(resource.name, {
        ...base,
        problem: { reason: 'InvalidSpec', message: describe(checked.problems) },
      });
      continue;
    }
    const spec = checked.spec;
    const valid = { ...base, spec, resolved: resolveSpec(spec) };
    const owner = owners.get(spec.service);
    if (owner !== undefined) {
      const message = `${owner.name} is older and has the Service ${spec.service}`;
      supervised.set(resource.name, { ...valid, problem: { reason: 'Conflict', message } });
      continue;
    }
    // A resource that is being deleted keeps its Service until it is gone, so that two never decide over one fleet.
    owners.set(spec.service, resource);
    const service = services.get(spec.service);
    if (service === undefined) {
      const message = `there is no Service ${spec.service} in ${resource.namespace}`;
      supervised.set(resource.name, { ...valid, problem: { reason: 'ServiceNotFound', message } });
      continue;
    }
    const selector = fleetSelector(service.selector);
    if (selector === undefined) {
      const message = `the Service ${spec.service} has no selector beside our key, so it selects nobody`;
      supervised.set(resource.name, { ...valid, problem: { reason: 'ServiceWithoutSelector', message } });
      continue;
    }
    const active = isActivated(service.selector);
    supervised.set(resource.name, {
      ...valid,
      selector,
      active,
      enforcing: active && spec.mode === 'enforce' && !resource.terminating,
    });
  }
  return supervised;
}

/**
 * F5: the selectors of the other enforcing, active resources of the namespace that a pod of this one may match too. One that asks for
 * another value of the same label never can; in a namespace of hundreds that are nearly all, and each evaluation carries the rest.
 */
export function othersOf(
  supervised: Supervised,
  namespace: ReadonlyMap<string, Supervised>,
): { name: string; selector: Selector }[] {
  const own = Object.entries(supervised.selector ?? {});
  const mayShare = (selector: Selector): boolean =>
    own.every(([key, value]) => !Object.hasOwn(selector, key) || selector[key] === value);
  return [...namespace.values()].flatMap((other) =>
    other.resource.name !== supervised.resource.name &&
    other.enforcing &&
    other.selector !== undefined &&
    mayShare(other.selector)
      ? [{ name: other.resource.name, selector: other.selector }]
      : [],
  );
}
