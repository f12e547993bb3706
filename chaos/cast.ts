/** Who plays: the fleets with their Services and resources, so small that every rule is at its limit often. */
import { API_VERSION, KIND, type KubervisorServiceSpecInput } from '@kubervisor/shared/crd/kubervisor-service';
import { LABEL } from '@kubervisor/shared/pods/keys';

export interface Fleet {
  /** Of its Service, its Deployment, and the label `app` of its pods. */
  readonly name: string;
  readonly replicas: number;
  /** The selector of the Service holds our key. */
  readonly activated: boolean;
  /** A pod that nothing owns stands among them; where it is deleted it comes anew under its name. */
  readonly solo: boolean;
  /** In the order of their creation: of two the first has the Service (F5). */
  readonly resources: readonly Resource[];
}
export interface Resource {
  readonly name: string;
  readonly spec: KubervisorServiceSpecInput;
}

type Breaker = KubervisorServiceSpecInput['breakers'][number];

/** `address`: host and port of the plug-in, which is asked by a path for each breaker. */
export function castOf(address: string): Fleet[] {
  const breaker = (service: string, name: string, more: Partial<Breaker>): Breaker => ({
    name,
    evaluationPeriod: 1,
    gracePeriod: 1,
    customService: `${address}/${service}/${name}`,
    ...more,
  });
  const quick = { period: 2, maxPeriod: 6 };
  const fleet = (name: string, replicas: number, spec: Omit<KubervisorServiceSpecInput, 'service'>): Fleet => ({
    ...{ name, replicas, activated: true, solo: false },
    resources: [{ name, spec: { service: name, ...spec } }],
  });
  return [
    {
      ...fleet('cart', 8, {
        breakers: [
          breaker('cart', 'errors', { minPodsAvailableCount: 5, activator: { mode: 'periodic', ...quick } }),
          breaker('cart', 'slow', {
            minPodsAvailableRatio: 50,
            panicThreshold: 80,
            activator: { mode: 'retryAndKill', ...quick, maxRetryCount: 2, killPolicy: 'delete' },
          }),
          // Bad twice before it counts; without an activator of its own.
          breaker('cart', 'leaks', { minPodsAvailableCount: 4, confirm: { anomalous: 2, of: 3 } }),
        ],
        defaultActivator: { mode: 'periodic', ...quick, maxConcurrentActivations: 2 },
      }),
      solo: true,
    },
    {
      ...fleet('pay', 6, {
        breakers: [
          breaker('pay', 'errors', {
            minPodsAvailableRatio: 60,
            panicThreshold: 100,
            activator: { mode: 'retryAndKill', ...quick, maxRetryCount: 1 },
          }),
        ],
      }),
      solo: true,
    },
    fleet('wish', 6, {
      breakers: [
        breaker('wish', 'errors', {
          minPodsAvailableCount: 2,
          panicThreshold: 80,
          activator: { mode: 'retryAndPause', ...quick, maxRetryCount: 1, maxPauseCount: 1 },
        }),
        breaker('wish', 'slow', {
          evaluationPeriod: 2,
          minPodsAvailableCount: 3,
          activator: { mode: 'retryAndPause', ...quick, maxRetryCount: 0, maxPauseCount: 2 },
        }),
      ],
    }),
    {
      ...fleet('twin', 4, { breakers: [] }),
      resources: ['twin-a', 'twin-b'].map((name) => ({
        name,
        spec: {
          service: 'twin',
          breakers: [
            breaker('twin', 'errors', { minPodsAvailableCount: 2, activator: { mode: 'periodic', ...quick } }),
          ],
        },
      })),
    },
    fleet('trial', 4, { mode: 'dryRun', breakers: [breaker('trial', 'errors', { panicThreshold: 100 })] }),
    {
      ...fleet('asleep', 4, { breakers: [breaker('asleep', 'errors', { panicThreshold: 100 })] }),
      activated: false,
    },
  ];
}

const containers = [{ name: 'app', image: 'app' }];
const podLabels = ({ name, activated }: Fleet) => ({
  app: name,
  tier: 'web',
  ...(activated && { [LABEL.traffic]: 'yes' }),
});

export const serviceOf = ({ name, activated }: Fleet, selector: Record<string, string> = {}) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: {
    selector: { app: name, ...(activated && { [LABEL.traffic]: 'yes' }), ...selector },
    ports: [{ name: 'http', port: 80 }],
  },
});

export const deploymentOf = (fleet: Fleet) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: fleet.name },
  spec: {
    replicas: fleet.replicas,
    selector: { matchLabels: { app: fleet.name } },
    template: { metadata: { labels: podLabels(fleet) }, spec: { containers, terminationGracePeriodSeconds: 0 } },
  },
});

/**
 * Nobody owns it (it lacks the pod-template-hash by which a ReplicaSet would take it): so it is never killed, and made anew it has
 * nothing of what it was but its name. A selector that asks for `tier` leaves it out.
 */
export const soloOf = (fleet: Fleet) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: `${fleet.name}-solo`, labels: { app: fleet.name, [LABEL.traffic]: 'yes' } },
  spec: { containers, terminationGracePeriodSeconds: 0 },
});

export const resourceOf = ({ name, spec }: Resource) => ({
  apiVersion: API_VERSION,
  kind: KIND,
  metadata: { name },
  spec,
});

/** Voluntary disruptions of `pay` are few: evictions are refused now and then (A5). */
export const budgetOf = ({ name, replicas }: Fleet) => ({
  apiVersion: 'policy/v1',
  kind: 'PodDisruptionBudget',
  metadata: { name },
  spec: { minAvailable: replicas - 1, selector: { matchLabels: { app: name } } },
});
