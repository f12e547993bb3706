/** What the account of a release needs, and no other account of ours has: it alone may change Services and scale our Deployments. */
export interface Right {
  group: string;
  /** With the subresource after a slash. */
  resource: string;
  verbs: readonly string[];
  /** Where: the namespaces whose pods are released, or that in which Kubervisor itself runs. */
  in: 'fleets' | 'installation';
  /** Without it nothing is begun; without the others it is told what could not be seen or done. */
  needed: boolean;
}

export const RELEASE_RIGHTS: readonly Right[] = [
  { group: '', resource: 'services', verbs: ['list', 'get', 'patch'], in: 'fleets', needed: true },
  { group: '', resource: 'pods', verbs: ['list', 'get', 'patch'], in: 'fleets', needed: true },
  { group: '', resource: 'pods', verbs: ['list'], in: 'installation', needed: false },
  { group: 'apps', resource: 'deployments', verbs: ['list'], in: 'installation', needed: false },
  { group: 'apps', resource: 'deployments/scale', verbs: ['patch'], in: 'installation', needed: false },
  { group: 'coordination.k8s.io', resource: 'leases', verbs: ['list', 'get'], in: 'installation', needed: false },
  { group: 'keda.sh', resource: 'scaledobjects', verbs: ['list', 'patch'], in: 'installation', needed: false },
  { group: 'kubervisor.k8s.io', resource: 'kubervisorservices', verbs: ['list'], in: 'fleets', needed: false },
];
