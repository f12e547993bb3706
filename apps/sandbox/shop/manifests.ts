/** What the shop's owner would write. YAML is sent as it stands (server-side apply), so what is shown is what is applied. */
import { API_VERSION, PLURAL } from '@kubervisor/shared/crd/kubervisor-service';
import { SOURCE } from '../platform.ts';

export const NAMESPACE = 'shop';
export const NAME = 'cart';
export const FLEET_SIZE = 8;
/** Seconds that the breaker looks back, which is also the gracePeriod. */
export const WINDOW_SECONDS = 5;
export const TOLERANCE_PERCENT = 20;
/** Set by the story or by a person on a pod: the status code that it answers from then on. */
export const FAULT = 'shop/fault';

/** Amounts per pod and code: what the breaker judges, and what the screen shows. */
export const QUERY = `sum by (pod, code) (increase(http_requests_total{app="${NAME}"}[${WINDOW_SECONDS}s]))`;

export const KUBERVISOR_SERVICE = `apiVersion: ${API_VERSION}
kind: KubervisorService
metadata: { name: ${NAME}, namespace: ${NAMESPACE} }
spec:
  service: ${NAME}
  breakers:
    - name: http-errors
      evaluationPeriod: 1
      confirm: { anomalous: 3, of: 3 }
      minPodsAvailableRatio: 60 # never fewer than 5 of the 8 in traffic
      discreteValueOutOfList:
        prometheusService: ${SOURCE}
        promQL: ${QUERY}
        key: code
        podNamekey: pod
        goodValues: ["200", "404"]
        tolerance: ${TOLERANCE_PERCENT} # percent
        minActivity: 10
      activator: { mode: periodic, period: 5 } # out of traffic for 5 s, then another try
`;

const SERVICE = `apiVersion: v1
kind: Service
metadata: { name: ${NAME}, namespace: ${NAMESPACE} }
spec:
  selector: { app: ${NAME}, kubervisor/traffic: "yes" }
  ports: [{ name: http, port: 80, targetPort: 8080 }]
`;

const DEPLOYMENT = `apiVersion: apps/v1
kind: Deployment
metadata: { name: ${NAME}, namespace: ${NAMESPACE} }
spec:
  replicas: ${FLEET_SIZE}
  selector: { matchLabels: { app: ${NAME} } }
  template:
    metadata: { labels: { app: ${NAME}, kubervisor/traffic: "yes" } }
    spec:
      containers: [{ name: ${NAME}, image: shop/cart:1.0, ports: [{ containerPort: 8080 }] }]
`;

export const PATHS = {
  namespace: `/api/v1/namespaces/${NAMESPACE}`,
  service: `/api/v1/namespaces/${NAMESPACE}/services/${NAME}`,
  deployment: `/apis/apps/v1/namespaces/${NAMESPACE}/deployments/${NAME}`,
  kubervisorService: `/apis/${API_VERSION}/namespaces/${NAMESPACE}/${PLURAL}/${NAME}`,
  pods: `/api/v1/namespaces/${NAMESPACE}/pods`,
  endpointSlices: `/apis/discovery.k8s.io/v1/namespaces/${NAMESPACE}/endpointslices`,
} as const;

/** In the order in which they are applied. The KubervisorService waits for its CRD, which the controller installs. */
export const SHOP: readonly { path: string; manifest: string }[] = [
  {
    path: PATHS.namespace,
    manifest: `{ apiVersion: v1, kind: Namespace, metadata: { name: ${NAMESPACE} } }`,
  },
  { path: PATHS.service, manifest: SERVICE },
  { path: PATHS.deployment, manifest: DEPLOYMENT },
];
