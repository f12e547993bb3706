/** Pods and specs for tests: a Service `cart` of pods in traffic, unless a test says otherwise. */
import * as crd from '@kubervisor/shared/crd/kubervisor-service';
import { resolveSpec, type ResolvedSpec } from '@kubervisor/shared/crd/resolve';
import { readPod } from '@kubervisor/shared/pods/codec';
import { ANNOTATION, LABEL } from '@kubervisor/shared/pods/keys';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { decideActivations, type ActivationDecision, type ActivationInput } from './decide-activations.ts';

export const NOW = Date.parse('2026-03-01T12:00:00.000Z');
export const SELECTOR = { app: 'cart' };

export interface PodText {
  traffic?: string;
  strategy?: string;
  breakAt?: string;
  /** Seconds before NOW. */
  brokenFor?: number;
  retryCount?: string | number;
  activatedAt?: string;
  score?: number;
  exempt?: boolean;
  ready?: boolean;
  neverReady?: boolean;
  terminating?: boolean;
  owned?: boolean;
}

export const before = (seconds: number): string => new Date(NOW - seconds * 1000).toISOString();

export function aPod(name: string, text: PodText = {}): Pod {
  const { traffic = 'yes', strategy, brokenFor, retryCount, activatedAt, score, exempt } = text;
  const breakAt = text.breakAt ?? (brokenFor === undefined ? undefined : before(brokenFor));
  const defined = (map: Record<string, string | undefined>) =>
    Object.fromEntries(Object.entries(map).filter((entry): entry is [string, string] => entry[1] !== undefined));
  const ready = text.ready !== false && text.neverReady !== true;
  return readPod({
    metadata: {
      name,
      namespace: 'shop',
      uid: `uid-${name}`,
      resourceVersion: '1',
      creationTimestamp: before(86_400),
      ...(text.terminating === true && { deletionTimestamp: before(1) }),
      labels: defined({
        app: 'cart',
        [LABEL.name]: 'cart',
        [LABEL.traffic]: traffic,
        [LABEL.strategy]: strategy ?? (traffic === 'yes' ? undefined : 'slow'),
      }),
      annotations: defined({
        [ANNOTATION.breakAt]: breakAt,
        [ANNOTATION.retryCount]: retryCount === undefined ? undefined : String(retryCount),
        [ANNOTATION.activatedAt]: activatedAt,
        [ANNOTATION.reason]: score === undefined ? undefined : `slow (score=${score})`,
        [ANNOTATION.exempt]: exempt === true ? 'true' : undefined,
      }),
      ...(text.owned !== false && {
        ownerReferences: [{ kind: 'ReplicaSet', name: 'cart-1', uid: 'rs', controller: true }],
      }),
    },
    status: {
      phase: 'Running',
      startTime: before(86_400),
      conditions: [
        {
          type: 'Ready',
          status: ready ? 'True' : 'False',
          lastTransitionTime: before(text.neverReady === true ? 86_400 : 3600),
        },
      ],
    },
  });
}

/** `count` pods in traffic beside those that a test is about. */
export const healthy = (count: number): Pod[] => Array.from({ length: count }, (_, index) => aPod(`healthy-${index}`));

/** Without jitter, so that tests can name the second. */
export function aSpec(
  activator: Partial<crd.ActivatorSpec> = {},
  {
    breaker = {},
    breakers,
    ...spec
  }: { breaker?: object; breakers?: object[]; mode?: crd.Mode; defaultActivator?: object } = {},
): ResolvedSpec {
  const threshold = { prometheusService: 'prometheus', promQL: 'latency', podNamekey: 'pod', max: 1 };
  const base = { name: 'slow', threshold, activator: { jitter: 0, ...activator }, ...breaker };
  return resolveSpec(
    crd.spec.parse({
      service: 'cart',
      defaultActivator: { jitter: 0 },
      ...spec,
      breakers: breakers?.map((one) => ({ ...base, ...one })) ?? [base],
    }),
  );
}

export const decide = (pods: readonly Pod[], resolved: ResolvedSpec, over: Partial<ActivationInput> = {}) =>
  decideActivations({
    now: NOW,
    resource: { name: 'cart' },
    resolved,
    selector: SELECTOR,
    pods,
    active: true,
    simulated: [],
    refusedKills: [],
    ...over,
  });

/** A decision in words: `activate a WaitOver`, `withheld b NoOwner`; `~` before what is only simulated. */
export const inWords = ({ activate, pause, kill, stamp, withheld }: ActivationDecision): string[] =>
  Object.entries({ activate, pause, kill, stamp, withheld }).flatMap(([verb, items]) =>
    items.map(({ pod, reason, enforced }) => `${enforced ? '' : '~'}${verb} ${pod.name} ${reason}`),
  );
