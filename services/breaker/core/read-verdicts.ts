/** What an answer says of the pods that were asked about, and what in it does not count (V1, V2, V5). */
import type { Outcome, Verdict } from '@kubervisor/shared/detection/contract';
import type { EvaluationResponse } from '@kubervisor/shared/detection/service';
import type { FleetPod } from '@kubervisor/shared/events/work-evaluate';

/** 1 = at the limit: what a verdict without a score counts as. */
export const DEFAULT_SCORE = 1;

export type PodVerdict = Verdict & { uid: string; score: number };

export interface Judgement {
  /** One for every pod that was sent, by uid; none at all where the detector could not answer. */
  verdicts: ReadonlyMap<string, PodVerdict>;
  counts: Record<Outcome, number>;
  /** Verdicts and samples that did not count, by reason. */
  ignored: Record<string, number>;
  error?: NonNullable<EvaluationResponse['error']>;
  warnings: string[];
}

/**
 * `sent`: whom the detector was asked about; `fleet`: the whole of it, which tells a verdict for a pod that is out from one for
 * nobody's pod. An answer with an error breaks nobody, whatever verdicts stand beside it.
 */
export function readVerdicts(
  sent: readonly FleetPod[],
  fleet: readonly FleetPod[],
  answer: EvaluationResponse,
): Judgement {
  const ignored = { ...answer.ignored };
  const { warnings } = answer;
  if (answer.error !== undefined) {
    const counts = { ok: 0, anomalous: 0, inconclusive: 0, error: sent.length };
    return { verdicts: new Map(), counts, ignored, error: answer.error, warnings };
  }

  const ignore = (reason: string) => (ignored[reason] = (ignored[reason] ?? 0) + 1);
  const sentByName = new Map(sent.map((pod) => [pod.name, pod]));
  const fleetByName = new Map(fleet.map((pod) => [pod.name, pod]));
  const verdicts = new Map<string, PodVerdict>();
  for (const verdict of answer.verdicts) {
    const pod = sentByName.get(verdict.pod);
    if (pod === undefined) {
      const known = fleetByName.get(verdict.pod);
      ignore(known === undefined ? 'unknownPod' : known.traffic === 'yes' ? 'notJudged' : 'notInTraffic');
    } else if (verdict.uid !== undefined && verdict.uid !== pod.uid) {
      ignore('otherUid');
    } else {
      const read = { ...verdict, uid: pod.uid, score: verdict.score ?? DEFAULT_SCORE };
      const before = verdicts.get(pod.uid);
      if (before !== undefined) ignore('duplicateVerdict');
      verdicts.set(pod.uid, before === undefined ? read : reconcile(before, read));
    }
  }
  for (const { name, uid } of sent) {
    if (!verdicts.has(uid)) verdicts.set(uid, inconclusive(name, uid, 'the detector gave no verdict'));
  }
  const counts: Record<Outcome, number> = { ok: 0, anomalous: 0, inconclusive: 0, error: 0 };
  for (const { outcome } of verdicts.values()) counts[outcome]++;
  return { verdicts, counts, ignored, warnings };
}

const inconclusive = (pod: string, uid: string, reason: string): PodVerdict => ({
  pod,
  uid,
  outcome: 'inconclusive',
  score: DEFAULT_SCORE,
  reason,
});

/**
 * Two verdicts for one pod. Where they agree that it is bad the worse one is kept, and of equals the one that comes first in the
 * alphabet: the order of an answer never matters (B4). Where they do not agree nobody knows, and what nobody knows breaks nobody.
 */
function reconcile(one: PodVerdict, other: PodVerdict): PodVerdict {
  if (one.outcome !== other.outcome)
    return inconclusive(one.pod, one.uid, 'the detector gave verdicts that contradict');
  if (one.score !== other.score) return one.score > other.score ? one : other;
  return JSON.stringify(one) <= JSON.stringify(other) ? one : other;
}
