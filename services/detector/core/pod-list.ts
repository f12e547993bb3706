/** The legacy plug-in (`customService`): it answers a `v1.PodList` of the bad pods, and everybody else of the fleet is well. */
import type { JudgedPod, Verdict } from '@kubervisor/shared/detection/contract';
import { parseForeign } from '@kubervisor/shared/detection/foreign-json';
import { count, failure, success, type Ignored, type Judgement, type Result } from './answer.ts';

export interface NamedPod {
  name: string;
  namespace?: string;
  uid?: string;
}

/** `items: null` is an empty list: so Go writes a list without entries. `kind` may be missing, as in what Go writes by default. */
export function readPodList(text: string): Result<NamedPod[]> {
  const bad = failure('BadAnswer', 'the answer of the plug-in is not a v1.PodList');
  const parsed = parseForeign(text);
  if ('problem' in parsed) return failure('BadAnswer', `the answer of the plug-in ${parsed.problem}`);
  const list = parsed.json;
  if (!isObject(list) || !('items' in list)) return bad;
  if (!['PodList', 'List', undefined].includes(list['kind'] as string | undefined)) return bad;
  const items = list['items'] ?? [];
  if (!Array.isArray(items)) return bad;
  const pods: NamedPod[] = [];
  for (const item of items as unknown[]) {
    const metadata = isObject(item) ? item['metadata'] : undefined;
    if (!isObject(metadata)) return bad;
    const { name, namespace, uid } = metadata;
    if (typeof name !== 'string' || name === '' || !isOptionalText(namespace) || !isOptionalText(uid)) return bad;
    pods.push({ name, ...(namespace ? { namespace } : {}), ...(uid ? { uid } : {}) });
  }
  return success(pods);
}

/**
 * V2: a pod counts by name and, where given, namespace and uid. Ignored: `otherNamespace`, `notAsked` (unknown, out of traffic, or too young
 * to be judged), `otherUid`, `duplicatePod`.
 */
export function judgePodList(named: readonly NamedPod[], namespace: string, fleet: readonly JudgedPod[]): Judgement {
  const ignored: Ignored = {};
  const byName = new Map(fleet.map((pod) => [pod.name, pod]));
  const bad = new Set<JudgedPod>();
  for (const one of named) {
    const pod = byName.get(one.name);
    if (one.namespace !== undefined && one.namespace !== namespace) count(ignored, 'otherNamespace');
    else if (pod === undefined) count(ignored, 'notAsked');
    else if (one.uid !== undefined && one.uid !== pod.uid) count(ignored, 'otherUid');
    else if (bad.has(pod)) count(ignored, 'duplicatePod');
    else bad.add(pod);
  }
  const verdicts = fleet.map((pod): Verdict =>
    bad.has(pod)
      ? { pod: pod.name, uid: pod.uid, outcome: 'anomalous', score: 1, reason: 'named by the plug-in' }
      : { pod: pod.name, uid: pod.uid, outcome: 'ok' },
  );
  return { verdicts, ignored };
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isOptionalText = (value: unknown): value is string | undefined =>
  value === undefined || typeof value === 'string';
