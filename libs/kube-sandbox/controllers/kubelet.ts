/** Scheduler and kubelet in one: binds a new pod to a node, says that it runs and is ready, and ends it when it is deleted. */
import { pathOf } from '../client.ts';
import { listOf, timestamp, type Fields, type KubeObject } from '../objects.ts';
import { isEnding, isFinished, keyOf, remove, splitKey, write, type Cluster, type Controller } from './cluster.ts';

export interface KubeletOptions {
  /** Names of the nodes it plays; each is made if it is not there. */
  nodes: readonly string[];
  /** The address of a pod that starts; unique 10.x ones if left out. A callback may start a server of its own first. */
  address?: (pod: KubeObject) => string | Promise<string>;
  /** Milliseconds that a deleted pod takes to end. */
  endsAfter: number;
}

const SCHEDULER = 'default-scheduler';
/** On nodes that nothing but us runs. */
export const SIMULATED = 'kubervisor-sandbox/simulated';
const NODE_ADDRESS = '10.0.0.1';
/** As many as there are addresses in the network 10.128.0.0/9, less a few. */
const FIRST_ADDRESS = 0x0a800000;

export async function installNode(cluster: Pick<Cluster, 'client' | 'now'>, name: string): Promise<void> {
  const time = timestamp(cluster.now());
  const { code } = await cluster.client.request('POST', pathOf({ plural: 'nodes' }), {
    body: {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name, labels: { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux', [SIMULATED]: 'true' } },
    },
  });
  if (code !== 201) return;
  const status = {
    capacity: { cpu: '64', memory: '256Gi', pods: '5000' },
    allocatable: { cpu: '64', memory: '256Gi', pods: '5000' },
    addresses: [
      { type: 'InternalIP', address: NODE_ADDRESS },
      { type: 'Hostname', address: name },
    ],
    conditions: [
      {
        type: 'Ready',
        status: 'True',
        reason: 'Simulated',
        message: 'simulated node',
        lastHeartbeatTime: time,
        lastTransitionTime: time,
      },
    ],
    nodeInfo: {
      architecture: 'simulated',
      bootID: '',
      containerRuntimeVersion: 'simulated://0',
      kernelVersion: '',
      kubeProxyVersion: '',
      kubeletVersion: 'v1.37.0+kubervisor-sandbox',
      machineID: '',
      operatingSystem: 'linux',
      osImage: 'simulated',
      systemUUID: '',
    },
  };
  await cluster.client.call('PATCH', pathOf({ plural: 'nodes' }, undefined, name, 'status'), {
    body: { status },
    contentType: 'application/merge-patch+json',
  });
}

/** Renews the nodes' leases: where a node life-cycle controller watches, a node without a heartbeat loses its pods. */
export async function heartbeat(
  { client, now }: Pick<Cluster, 'client' | 'now'>,
  nodes: readonly string[],
): Promise<void> {
  const leases = { group: 'coordination.k8s.io', plural: 'leases' };
  for (const name of nodes) {
    const renewTime = new Date(now()).toISOString().replace('Z', '000Z');
    const body = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name },
      spec: { holderIdentity: name, leaseDurationSeconds: 40, renewTime },
    };
    const { code } = await client.request('PATCH', pathOf(leases, 'kube-node-lease', name), {
      body,
      contentType: 'application/merge-patch+json',
    });
    if (code === 404) await client.request('POST', pathOf(leases, 'kube-node-lease'), { body });
  }
}

function runningStatus(pod: KubeObject, address: string, time: string): Fields {
  const condition = (type: string) => ({ type, status: 'True', lastProbeTime: null, lastTransitionTime: time });
  const containers = listOf(pod.spec?.containers);
  return {
    phase: 'Running',
    podIP: address,
    podIPs: [{ ip: address }],
    hostIP: NODE_ADDRESS,
    startTime: time,
    conditions: ['PodScheduled', 'Initialized', 'ContainersReady', 'Ready'].map(condition),
    containerStatuses: containers.map(({ name, image = '' }) => ({
      name,
      image,
      imageID: '',
      containerID: `simulated://${pod.metadata.uid}/${String(name)}`,
      ready: true,
      started: true,
      restartCount: 0,
      state: { running: { startedAt: time } },
      lastState: {},
    })),
  };
}

export function kubelet({ nodes, address, endsAfter }: KubeletOptions): Controller {
  const taken = new Set<string>();
  let nextNode = 0;
  let nextAddress = FIRST_ADDRESS;
  const freeAddress = (): string => {
    for (;;) {
      nextAddress += 1;
      const text = [24, 16, 8, 0].map((shift) => (nextAddress >>> shift) & 255).join('.');
      if (!text.endsWith('.0') && !text.endsWith('.255') && !taken.has(text)) return text;
    }
  };
  return {
    uses: ['pods', 'nodes'],
    keysOf: function* (source, object, cluster) {
      if (source === 'nodes') {
        // One that is open again may be what a pod waits for.
        for (const pod of cluster.mirrors.pods.all()) if (pod.spec?.nodeName === undefined) yield keyOf(pod);
        return;
      }
      // What runs already, of an earlier process, keeps its address to itself.
      if (typeof object.status?.podIP === 'string') taken.add(object.status.podIP);
      yield keyOf(object);
    },
    reconcile: async (key, cluster, again) => {
      const pod = cluster.mirrors.pods.get(key);
      if (pod === undefined || isFinished(pod)) return;
      const node = pod.spec?.nodeName;
      if (node !== undefined && !nodes.includes(node as string)) return;
      if (isEnding(pod)) {
        // deletionTimestamp says when the time is over; a simulated pod needs less.
        const begun =
          Date.parse(pod.metadata.deletionTimestamp ?? '') - 1000 * (pod.metadata.deletionGracePeriodSeconds ?? 0);
        const left = begun + endsAfter - cluster.now();
        if (left > 0) return again(left);
        if ((pod.metadata.deletionGracePeriodSeconds ?? 0) === 0) return;
        return remove(cluster, 'pods', pod, { gracePeriodSeconds: 0 });
      }
      if (node === undefined) {
        // A pod that waits for another scheduler is left to it.
        if ((pod.spec?.schedulerName ?? SCHEDULER) !== SCHEDULER) return;
        const open = nodes.filter((one) => cluster.mirrors.nodes.get(`/${one}`)?.spec?.unschedulable !== true);
        if (open.length === 0) return;
        const [namespace, name] = splitKey(key);
        const target = { apiVersion: 'v1', kind: 'Node', name: open[nextNode++ % open.length] };
        const { code } = await cluster.client.request('POST', pathOf({ plural: 'pods' }, namespace, name, 'binding'), {
          body: { apiVersion: 'v1', kind: 'Binding', metadata: { name, namespace }, target },
        });
        // The watch tells of the pod's node; a conflict means that somebody else was faster.
        if (code >= 300 && code !== 404 && code !== 409) throw new Error(`binding ${key}: ${code}`);
        return;
      }
      // Only what never ran: a test that makes a pod unready must not be undone.
      if (pod.status?.phase !== 'Pending' && pod.status?.phase !== undefined) return;
      if (pod.status?.podIP !== undefined) return;
      const given = await (address?.(pod) ?? freeAddress());
      taken.add(given);
      await write(cluster, 'pods', 'PATCH', key, {
        subresource: 'status',
        body: { metadata: { uid: pod.metadata.uid }, status: runningStatus(pod, given, timestamp(cluster.now())) },
        contentType: 'application/merge-patch+json',
      });
    },
  };
}
