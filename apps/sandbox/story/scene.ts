/** What can be seen at one moment: read off the Kubernetes API, Prometheus and the shoppers. The story and the screen know nothing else. */
import type { KubervisorServiceStatus } from '@kubervisor/shared/crd/status';
import { marksOf, readPod, readReason } from '@kubervisor/shared/pods/codec';
import type { Traffic } from '@kubervisor/shared/pods/keys';
import type { RawPod } from '@kubervisor/shared/pods/pod';
import { FAULT, WINDOW_SECONDS } from '../shop/manifests.ts';

export interface PodScene {
  name: string;
  ready: boolean;
  /** Undefined: the label is missing. */
  traffic: Traffic | undefined;
  /** Whether the EndpointSlice holds it, as ready: only then do shoppers reach it. */
  inSlice: boolean;
  /** The code that its fault answers with; undefined: it is well. */
  fault: number | undefined;
  /** Why it was taken out. */
  reason: string | undefined;
  /** Seconds until its activator acts; undefined: it is not out, or status does not say so yet. */
  backIn: number | undefined;
  /** Came back so recently that it is not judged yet. */
  onProbation: boolean;
  /** Of Prometheus, over the last WINDOW_SECONDS; undefined: no figures. */
  requestsPerSecond: number | undefined;
  badPercent: number | undefined;
}

export interface Scene {
  /** Since the demo began. */
  seconds: number;
  /** By name. */
  pods: PodScene[];
  /** Of the resource's status. */
  available: number | undefined;
  floor: number | undefined;
  /** How the breaker's last evaluation ended. */
  result: string | undefined;
  /** The condition Degraded where it is True. */
  degraded: { reason: string; message: string } | undefined;
  shoppers: { requestsPerSecond: number; badPercent: number };
}

export interface RawScene {
  pods: readonly RawPod[];
  endpointSlices: readonly {
    endpoints?: { conditions?: { ready?: boolean }; targetRef?: { name?: string } }[];
  }[];
  status: KubervisorServiceStatus | undefined;
  /** Of QUERY. */
  samples: readonly { metric: Record<string, string>; value: [number, string] }[];
  shoppers: Scene['shoppers'];
  seconds: number;
  /** Milliseconds since 1970. */
  now: number;
}

export const isGoodCode = (code: string): boolean => code === '200' || code === '404';

export function readScene(raw: RawScene): Scene {
  const { status, now } = raw;
  const inSlice = endpointNames(raw.endpointSlices);
  const degraded = status?.conditions?.find(({ type }) => type === 'Degraded');
  return {
    seconds: raw.seconds,
    pods: raw.pods
      .map((rawPod) => {
        const pod = readPod(rawPod);
        const marks = marksOf(pod);
        const fault = rawPod.metadata?.annotations?.[FAULT];
        const shown = status?.pods?.find(({ uid }) => uid === pod.uid);
        const own = raw.samples.filter(({ metric }) => metric['pod'] === pod.name);
        const amount = (some: typeof own) => some.reduce((sum, { value }) => sum + Number(value[1]), 0);
        const total = amount(own);
        return {
          name: pod.name,
          ready: pod.ready && !pod.terminating,
          traffic: marks.traffic,
          inSlice: inSlice.has(pod.name),
          fault: fault === undefined ? undefined : Number(fault) || 500,
          reason: marks.reason === undefined ? undefined : readReason(marks.reason).reason,
          backIn:
            marks.traffic === 'no' && shown?.nextActionTime !== undefined
              ? Math.max(0, (Date.parse(shown.nextActionTime) - now) / 1000)
              : undefined,
          onProbation:
            marks.traffic === 'yes' &&
            marks.activatedAt !== undefined &&
            now - marks.activatedAt < 1000 * WINDOW_SECONDS,
          requestsPerSecond: own.length === 0 ? undefined : total / WINDOW_SECONDS,
          badPercent:
            total === 0
              ? undefined
              : (100 * amount(own.filter(({ metric }) => !isGoodCode(metric['code'] ?? '')))) / total,
        };
      })
      .sort((one, other) => (one.name < other.name ? -1 : 1)),
    available: status?.available,
    floor: status?.floor,
    result: status?.breakers?.[0]?.result,
    degraded:
      degraded?.status === 'True'
        ? { reason: degraded.reason, message: degraded.message ?? degraded.reason }
        : undefined,
    shoppers: raw.shoppers,
  };
}

/** The pods that a Service's traffic goes to. */
export const endpointNames = (slices: RawScene['endpointSlices']): Set<string> =>
  new Set(
    slices
      .flatMap(({ endpoints = [] }) => endpoints)
      .filter(({ conditions }) => conditions?.ready !== false)
      .map(({ targetRef }) => targetRef?.name ?? ''),
  );
