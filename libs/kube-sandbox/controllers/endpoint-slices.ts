/** EndpointSlices follow a Service's selector and its pods' readiness: they show who receives traffic. */
import { createHash } from 'node:crypto';
import { pathOf } from '../client.ts';
import { at, fieldsOf, listOf, same, type Fields, type KubeObject } from '../objects.ts';
import {
  isEnding,
  isFinished,
  isReady,
  keyOf,
  remove,
  SOURCES,
  splitKey,
  write,
  type Cluster,
  type Controller,
} from './cluster.ts';
import { referenceTo } from './replica-sets.ts';

const SERVICE = 'kubernetes.io/service-name';
const MANAGED_BY = 'endpointslice.kubernetes.io/managed-by';
const US = 'endpointslice-controller.kubervisor-sandbox';
/** As many as the API allows in one. */
const MOST = 1000;

const selectorOf = (service: KubeObject): [string, string][] =>
  Object.entries(fieldsOf(at(service, 'spec.selector'))) as [string, string][];
const selects = (selector: [string, string][], { metadata }: KubeObject): boolean =>
  selector.length > 0 && selector.every(([key, value]) => metadata.labels?.[key] === value);

function endpointOf(pod: KubeObject): Fields {
  const ending = isEnding(pod);
  const serving = isReady(pod);
  return {
    addresses: [pod.status?.podIP],
    conditions: { ready: serving && !ending, serving, terminating: ending },
    nodeName: pod.spec?.nodeName,
    targetRef: { kind: 'Pod', namespace: pod.metadata.namespace, name: pod.metadata.name, uid: pod.metadata.uid },
  };
}

function portsOf(service: KubeObject, pod: KubeObject | undefined): Fields[] {
  const declared = listOf(pod?.spec?.containers).flatMap((container) => listOf(container.ports));
  return listOf(at(service, 'spec.ports')).flatMap(({ name = '', port, targetPort, protocol = 'TCP' }) => {
    const target =
      typeof targetPort === 'string'
        ? declared.find((one) => one.name === targetPort)?.containerPort
        : (targetPort ?? port);
    return target === undefined ? [] : [{ name, port: target, protocol }];
  });
}

const sliceName = ({ metadata: { name, uid } }: KubeObject, place: number): string =>
  `${name.slice(0, 50)}-${createHash('sha256').update(`${uid}/${place}`).digest('hex').slice(0, 5)}`;

export const endpointSlices: Controller = {
  uses: ['services', 'pods', 'endpointslices'],
  keysOf: function* (source, object, cluster: Cluster) {
    const { namespace = '', labels = {} } = object.metadata;
    if (source === 'services') yield keyOf(object);
    else if (source === 'endpointslices') {
      if (labels[MANAGED_BY] === US) yield `${namespace}/${labels[SERVICE]}`;
    } else
      for (const service of cluster.mirrors.services.in(namespace))
        if (selects(selectorOf(service), object)) yield keyOf(service);
  },
  reconcile: async (key, cluster) => {
    const [namespace, name] = splitKey(key);
    const service = cluster.mirrors.services.get(key);
    const selector = service === undefined ? [] : selectorOf(service);
    const present = [...cluster.mirrors.endpointslices.in(namespace)].filter(
      ({ metadata: { labels = {} } }) => labels[MANAGED_BY] === US && labels[SERVICE] === name,
    );
    if (service === undefined || isEnding(service) || selector.length === 0) {
      for (const slice of present) await remove(cluster, 'endpointslices', slice);
      return;
    }
    const pods = [...cluster.mirrors.pods.in(namespace)]
      .filter(
        (pod) =>
          selects(selector, pod) &&
          !isFinished(pod) &&
          pod.status?.podIP !== undefined &&
          pod.spec?.nodeName !== undefined,
      )
      .sort((one, other) => (one.metadata.name < other.metadata.name ? -1 : 1));
    const slices = Array.from({ length: Math.max(1, Math.ceil(pods.length / MOST)) }, (_, place) => ({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: {
        name: sliceName(service, place),
        namespace,
        labels: { [SERVICE]: name, [MANAGED_BY]: US },
        ownerReferences: [referenceTo(service)],
      },
      addressType: 'IPv4',
      endpoints: pods.slice(place * MOST, (place + 1) * MOST).map(endpointOf),
      ports: portsOf(service, pods[0]),
    }));
    for (const slice of slices) {
      const known = present.find(({ metadata }) => metadata.name === slice.metadata.name);
      if (known === undefined) {
        const created = await cluster.client.call('POST', pathOf(SOURCES.endpointslices, namespace), { body: slice });
        cluster.mirrors.endpointslices.note(created);
      } else if (!same(known.endpoints, slice.endpoints) || !same(known.ports, slice.ports))
        await write(cluster, 'endpointslices', 'PUT', keyOf(known), {
          body: { ...slice, metadata: { ...slice.metadata, resourceVersion: known.metadata.resourceVersion } },
        });
    }
    for (const slice of present)
      if (!slices.some(({ metadata }) => metadata.name === slice.metadata.name))
        await remove(cluster, 'endpointslices', slice);
  },
};
