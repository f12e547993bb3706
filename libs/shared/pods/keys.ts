/** Every label and annotation key on pods, and the values of the traffic label (design §4). */
export const LABEL = {
  traffic: 'kubervisor/traffic',
  name: 'kubervisor/name',
  strategy: 'kubervisor/strategy',
} as const;

export const ANNOTATION = {
  breakAt: 'breaker/breakAt',
  retryCount: 'breaker/retryCount',
  activatedAt: 'kubervisor/activatedAt',
  reason: 'kubervisor/reason',
  exempt: 'kubervisor/exempt',
  deletionCost: 'controller.kubernetes.io/pod-deletion-cost',
} as const;

/** With it a scale-down takes the pods that are out first. The value is also how we know that it is ours to remove. */
export const DELETION_COST_OUT = '-1000';

export type Traffic = 'yes' | 'no' | 'pause';
