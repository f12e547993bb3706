/**
 * What the manifests of one namespace allow: which pods are whose, who may be taken out by whom, and under which floors. Read here
 * from the manifests as a person would read them, without the code that is watched.
 */

/** A KubervisorService as the API server holds it, as far as it is looked at here. Fields that are left out have their defaults. */
export interface ResourceManifest {
  metadata: { name: string; uid: string; creationTimestamp: string; deletionTimestamp?: string };
  spec: {
    service: string;
    mode?: string;
    defaultActivator?: ActivatorManifest;
    breakers: readonly {
      name: string;
      mode?: string;
      evaluationPeriod?: number;
      minPodsAvailableCount?: number;
      minPodsAvailableRatio?: number;
      activator?: ActivatorManifest;
    }[];
  };
}
interface ActivatorManifest {
  mode?: string;
  maxRetryCount?: number;
  maxPauseCount?: number;
  pauseOverflow?: string;
}
export interface ServiceManifest {
  metadata: { name: string };
  spec: { selector?: Labels };
}
type Labels = Readonly<Record<string, string>>;

/** What holds for the pods that one breaker, or none that is still there, has taken out. */
interface Terms {
  /** It takes pods out of traffic and keeps them out; otherwise it touches nothing (A6, F4). */
  enforces: boolean;
  /** The most that may be paused of the Service (A4). */
  pauses: number;
  /** A pod that was broken more often than this may be held out until a person comes; undefined: none may (A7). */
  holdsBeyond?: number;
}
export interface AllowedBreaker extends Terms {
  name: string;
  count: number;
  ratio: number;
  /** Milliseconds, at most, that its detector is waited for. */
  longestTimeout: number;
}
/** What one resource allows. */
export interface Allowed {
  name: string;
  uid: string;
  /** What its Service selects, without our key. Undefined: it has no fleet, for want of a Service, or because another has it (F5). */
  selector: Labels | undefined;
  breakers: readonly AllowedBreaker[];
  /** Of pods whose breaker was removed. */
  withoutBreaker: Terms;
  /** F5: what the Services of other enforcing, active resources select. */
  others: readonly Labels[];
}
/** What all of them allow. */
export interface AllowedHere {
  resources: readonly Allowed[];
  /** What Services with our key select, whoever supervises them (F1). */
  activated: readonly Labels[];
}

const TRAFFIC = 'kubervisor/traffic';
const MODES = ['enforce', 'dryRun', 'disabled'];

export const selects = (selector: Labels, labels: Labels): boolean =>
  Object.entries(selector).every(([key, value]) => labels[key] === value);

/** By the breaker's name on the pod. */
export const termsOf = ({ breakers, withoutBreaker }: Allowed, strategy: string | undefined): Terms =>
  breakers.find(({ name }) => name === strategy) ?? withoutBreaker;

/** B1. */
export const floorOf = ({ count, ratio }: AllowedBreaker, total: number): number =>
  Math.max(count, Math.ceil((total * ratio) / 100 - 1e-9));

export function allowedBy(manifests: readonly ResourceManifest[], services: readonly ServiceManifest[]): AllowedHere {
  const selectors = new Map(services.map(({ metadata, spec }) => [metadata.name, spec.selector ?? {}]));
  const restOf = (selector: Labels): Labels | undefined => {
    const rest = Object.entries(selector).filter(([key]) => key !== TRAFFIC);
    return rest.length === 0 ? undefined : Object.fromEntries(rest);
  };
  const taken = new Set<string>();
  const found = [...manifests].sort(byAge).map(({ metadata, spec }) => {
    const isFirst = !taken.has(spec.service);
    taken.add(spec.service);
    const selector = isFirst ? restOf(selectors.get(spec.service) ?? {}) : undefined;
    const active =
      selector !== undefined &&
      selectors.get(spec.service)?.[TRAFFIC] === 'yes' &&
      metadata.deletionTimestamp === undefined;
    const terms = (mode: string | undefined, activator: ActivatorManifest = {}): Terms => ({
      enforces: active && MODES.indexOf(mode ?? 'enforce') <= 0 && MODES.indexOf(spec.mode ?? 'enforce') <= 0,
      pauses: activator.maxPauseCount ?? 1,
      ...(activator.mode === 'retryAndPause' &&
        activator.pauseOverflow === 'hold' && { holdsBeyond: activator.maxRetryCount ?? 3 }),
    });
    const breakers = spec.breakers.map(({ name, mode, activator, evaluationPeriod = 5, ...floors }) => ({
      name,
      longestTimeout: 1000 * Math.max(1, evaluationPeriod),
      count: floors.minPodsAvailableCount ?? 1,
      ratio: floors.minPodsAvailableRatio ?? 0,
      ...terms(mode, activator ?? spec.defaultActivator),
    }));
    return {
      name: metadata.name,
      uid: metadata.uid,
      selector,
      breakers,
      withoutBreaker: terms(undefined, spec.defaultActivator),
    };
  });
  return {
    resources: found.map((one) => ({
      ...one,
      others: found.flatMap(({ uid, selector, withoutBreaker }) =>
        uid !== one.uid && withoutBreaker.enforces && selector !== undefined ? [selector] : [],
      ),
    })),
    activated: [...selectors.values()].flatMap((selector) => {
      const rest = selector[TRAFFIC] === 'yes' ? restOf(selector) : undefined;
      return rest === undefined ? [] : [rest];
    }),
  };
}

const byAge = ({ metadata: one }: ResourceManifest, { metadata: other }: ResourceManifest): number =>
  Date.parse(one.creationTimestamp) - Date.parse(other.creationTimestamp) || (one.uid < other.uid ? -1 : 1);

/** From and to, on the observer's clock. */
export interface Span {
  from: number;
  to: number;
}

/** What stood when. */
class Versions<T extends object> {
  readonly #all: { since: number; value: T }[];
  constructor(first: T) {
    this.#all = [{ since: -Infinity, value: first }];
  }
  stands(value: T, since: number): void {
    this.#all.push({ since, value });
  }
  /** Newest first. */
  during({ from, to }: Span): T[] {
    const found: T[] = [];
    for (let index = this.#all.length - 1; index >= 0; index--) {
      const { since, value } = this.#all[index]!;
      if (since <= to) found.push(value);
      if (since <= from) break;
    }
    return found;
  }
}

/** What was allowed when, in one namespace. */
export class History {
  readonly #resources = new Versions<readonly ResourceManifest[]>([]);
  readonly #services = new Versions<readonly ServiceManifest[]>([]);
  readonly #known = new WeakMap<readonly ResourceManifest[], WeakMap<readonly ServiceManifest[], AllowedHere>>();

  resourcesAre(manifests: readonly ResourceManifest[], since: number): void {
    this.#resources.stands(manifests, since);
  }
  servicesAre(manifests: readonly ServiceManifest[], since: number): void {
    this.#services.stands(manifests, since);
  }

  /**
   * Newest first. Resources and Services are told of by two watches, of which either may be behind the other: so whoever looks
   * in this time may see any of the one beside any of the other.
   */
  during(span: Span): AllowedHere[] {
    const services = this.#services.during(span);
    return this.#resources.during(span).flatMap((resources) => services.map((one) => this.#allowed(resources, one)));
  }

  #allowed(resources: readonly ResourceManifest[], services: readonly ServiceManifest[]): AllowedHere {
    let beside = this.#known.get(resources);
    if (beside === undefined) this.#known.set(resources, (beside = new WeakMap()));
    let allowed = beside.get(services);
    if (allowed === undefined) beside.set(services, (allowed = allowedBy(resources, services)));
    return allowed;
  }
}
