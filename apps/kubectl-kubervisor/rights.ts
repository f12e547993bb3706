/** What an account needs for the plug-in, as ClusterRoles; docs/kubectl.md shows them, and the end-to-end test runs every command with them. */
import { GROUP, PLURAL } from '@kubervisor/shared/crd/kubervisor-service';
import { CRD_NAME } from '@kubervisor/shared/crd/manifest';

interface Rule {
  apiGroups: string[];
  resources: string[];
  verbs: string[];
  resourceNames?: string[];
}
interface Role {
  apiVersion: string;
  kind: 'ClusterRole';
  metadata: { name: string };
  rules: Rule[];
}

const role = (name: string, rules: Rule[]): Role => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRole',
  metadata: { name },
  rules,
});
const LOOK = ['get', 'list', 'watch'];

/** In the namespaces of the fleets: whoever looks. */
export const VIEWER = role('kubervisor-viewer', [
  { apiGroups: [GROUP], resources: [PLURAL], verbs: LOOK },
  { apiGroups: [''], resources: ['pods', 'services'], verbs: LOOK },
]);

/** In the namespaces of the fleets, beside the former: whoever switches. */
export const OPERATOR = role('kubervisor-operator', [
  { apiGroups: [GROUP], resources: [PLURAL], verbs: ['patch'] },
  { apiGroups: [''], resources: ['pods', 'services'], verbs: ['patch'] },
  { apiGroups: ['apps'], resources: ['deployments', 'replicasets', 'statefulsets', 'daemonsets'], verbs: ['list'] },
  { apiGroups: [''], resources: ['replicationcontrollers'], verbs: ['list'] },
  { apiGroups: ['argoproj.io'], resources: ['rollouts'], verbs: ['list'] },
]);

/** In the namespace in which Kubervisor runs: whoever may read the history, of all fleets, and see what is installed. */
export const READER = role('kubervisor-history', [
  { apiGroups: [''], resources: ['services'], verbs: ['list'] },
  {
    apiGroups: [''],
    resources: ['services/proxy'],
    resourceNames: ['kubervisor-controller:http'],
    verbs: ['get'],
  },
  { apiGroups: ['apps'], resources: ['deployments'], verbs: ['list'] },
]);

/** In the whole cluster, for `version` alone. */
export const DEFINITION = role('kubervisor-definition', [
  {
    apiGroups: ['apiextensions.k8s.io'],
    resources: ['customresourcedefinitions'],
    resourceNames: [CRD_NAME],
    verbs: ['get'],
  },
]);

export const ROLES = [VIEWER, OPERATOR, READER, DEFINITION];
