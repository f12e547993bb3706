/** How an installation of Kubervisor is known in a cluster: the labels of its Deployments and their pods, and its Lease. */
export const PART_OF = { key: 'app.kubernetes.io/part-of', value: 'kubervisor' } as const;
export const COMPONENT = 'app.kubernetes.io/component';

/** The components that write to pods. The detector has no right to any. */
export const WRITERS = ['controller', 'breaker', 'activator'] as const;

/** Unless LEASE_NAME says another. */
export const LEASE_NAME = 'kubervisor-controller';
