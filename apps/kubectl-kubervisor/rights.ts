/** Roles for people: what the plug-in needs, and who may write the resource. The chart makes them, docs/kubectl.md shows them. */
import { GROUP, PLURAL } from '@kubervisor/shared/crd/kubervisor-service';
import { CRD_NAME } from '@kubervisor/shared/crd/manifest';

interface Rule {
  apiGroups: string[];
  resources: string[];
  verbs: string[];
  resourceNames?: string[];
}
export interface PeoplesRole {
  name: string;
  /** Where it is bound: in the namespaces of the fleets, in that in which Kubervisor runs, or in the cluster. */
  in: 'fleets' | 'installation' | 'cluster';
  /** The role of Kubernetes that has all of it as well; above it are edit and admin. */
  partOf?: 'view' | 'edit';
  rules: Rule[];
}

const LOOK = ['get', 'list', 'watch'];

/** Whoever looks. Pods and Services `view` sees anyway. */
const VIEWER: PeoplesRole = {
  name: 'kubervisor-viewer',
  in: 'fleets',
  partOf: 'view',
  rules: [
    { apiGroups: [GROUP], resources: [PLURAL], verbs: LOOK },
    { apiGroups: [''], resources: ['pods', 'services'], verbs: LOOK },
  ],
};

/**
 * Whoever switches, beside the former. Part of no role of Kubernetes: `edit` may do all of this by what it has and by the next role, and
 * who is on call for a fleet need not be one of its editors.
 */
const OPERATOR: PeoplesRole = {
  name: 'kubervisor-operator',
  in: 'fleets',
  rules: [
    { apiGroups: [GROUP], resources: [PLURAL], verbs: ['patch'] },
    { apiGroups: [''], resources: ['pods', 'services'], verbs: ['patch'] },
    // Who released a pod, and when.
    { apiGroups: [''], resources: ['events'], verbs: ['create'] },
    { apiGroups: ['apps'], resources: ['deployments', 'replicasets', 'statefulsets', 'daemonsets'], verbs: ['list'] },
    { apiGroups: [''], resources: ['replicationcontrollers'], verbs: ['list'] },
    { apiGroups: ['argoproj.io'], resources: ['rollouts'], verbs: ['list'] },
  ],
};

/** Whoever says what is supervised, and how. `edit` may delete the pods of its namespace, which is more than any breaker does. */
const EDITOR: PeoplesRole = {
  name: 'kubervisor-editor',
  in: 'fleets',
  partOf: 'edit',
  rules: [
    { apiGroups: [GROUP], resources: [PLURAL], verbs: ['create', 'update', 'patch', 'delete', 'deletecollection'] },
  ],
};

/** Whoever may read the history, of all fleets, and see what is installed. */
const READER: PeoplesRole = {
  name: 'kubervisor-history',
  in: 'installation',
  rules: [
    { apiGroups: [''], resources: ['services'], verbs: ['list'] },
    {
      apiGroups: [''],
      resources: ['services/proxy'],
      resourceNames: ['kubervisor-controller:http'],
      verbs: ['get'],
    },
    { apiGroups: ['apps'], resources: ['deployments'], verbs: ['list'] },
  ],
};

/** For `version` alone. */
const DEFINITION: PeoplesRole = {
  name: 'kubervisor-definition',
  in: 'cluster',
  rules: [
    {
      apiGroups: ['apiextensions.k8s.io'],
      resources: ['customresourcedefinitions'],
      resourceNames: [CRD_NAME],
      verbs: ['get'],
    },
  ],
};

export const ROLES: readonly PeoplesRole[] = [VIEWER, OPERATOR, EDITOR, READER, DEFINITION];

/** As a manifest for who has no chart. */
export const manifestOf = ({ name, in: place, partOf, rules }: PeoplesRole): object => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: place === 'installation' ? 'Role' : 'ClusterRole',
  metadata: {
    name,
    ...(place === 'installation' && { namespace: 'kubervisor' }),
    ...(partOf !== undefined && { labels: { [`rbac.authorization.k8s.io/aggregate-to-${partOf}`]: 'true' } }),
  },
  rules,
});
