/**
 * What can be said before any call to Kubernetes, on the data of the message alone: whom to ask about, and, once the verdicts are
 * in, who is a candidate. It may only narrow: whoever is nominated is looked at again on a fresh list (B5, decide-breaks.ts).
 */
import type { ResolvedBreaker, ResolvedSpec } from '@kubervisor/shared/crd/resolve';
import type { EvaluationResponse } from '@kubervisor/shared/detection/service';
import type { Withheld } from '@kubervisor/shared/events/common';
import type { FleetPod, WorkEvaluate } from '@kubervisor/shared/events/work-evaluate';
import type { Observation } from '@kubervisor/shared/pods/codec';
import { enforcementOf } from '@kubervisor/shared/policy/return';
import { TRANSITIONS } from '@kubervisor/shared/reasons';
import { isConfirmed } from './confirm.ts';
import type { Clocks } from './grace.ts';
import { judgeable } from './judgeable.ts';
import { panicOf } from './panic.ts';
import { readVerdicts, type Judgement, type PodVerdict } from './read-verdicts.ts';
import { fleetAsSimulated } from './simulation.ts';

/** What a round is to do for one due breaker. */
export interface Inquiry {
  breaker: ResolvedBreaker;
  /** False: it decides and reports on the fleet as simulated, and touches nothing (A6). */
  enforced: boolean;
  /** The fleet as this breaker sees it. */
  fleet: FleetPod[];
  /** Whom its detector is asked about; where it is nobody, nobody is asked. */
  sent: FleetPod[];
}

/** A pod that a breaker wants out, confirmed. */
export interface Nomination {
  breaker: string;
  pod: string;
  uid: string;
  observation: Observation & { score: number };
}

export interface Evaluation extends Inquiry {
  judgement: Judgement;
  nominations: Nomination[];
  withheld: Withheld[];
  /** P, on the data of the message: what the bad pods share. */
  panic?: string;
}

/** One inquiry for every due breaker that is neither gone from the spec nor disabled, in the order of the spec. */
export function inquiries(
  { due, fleet, simulated, active }: Pick<WorkEvaluate, 'due' | 'fleet' | 'simulated' | 'active'>,
  resolved: ResolvedSpec,
  clocks: Clocks,
): Inquiry[] {
  const believed = fleetAsSimulated(fleet, simulated);
  return resolved.breakers.flatMap((breaker) => {
    const enforcement = enforcementOf(breaker.mode, active);
    if (!due.includes(breaker.name) || enforcement === 'off') return [];
    const enforced = enforcement === 'enforced';
    const seen = enforced ? fleet : believed;
    return [{ breaker, enforced, fleet: seen, sent: judgeable(seen, breaker, clocks) }];
  });
}

/** V1–V3, V5 and P. `history`: of this breaker, by uid. */
export function nominate(
  inquiry: Inquiry,
  answer: EvaluationResponse,
  history: Readonly<Record<string, string>> = {},
): Evaluation {
  const { breaker, enforced, fleet, sent } = inquiry;
  const judgement = readVerdicts(sent, fleet, answer);
  const members = fleet.map(({ uid, traffic, revision, node, zone }) => ({
    uid,
    out: traffic === 'no',
    revision,
    node,
    zone,
  }));
  const panic = panicOf(members, (uid) => judgement.verdicts.get(uid)?.outcome, breaker.panicThreshold);
  const exempt = new Set(fleet.filter((pod) => pod.exempt === true).map(({ uid }) => uid));

  const nominations: Nomination[] = [];
  const withheld: Withheld[] = [];
  for (const verdict of judgement.verdicts.values()) {
    if (verdict.outcome !== 'anomalous') continue;
    const { pod, uid } = verdict;
    const withhold = (reason: Withheld['reason'], message?: string) =>
      withheld.push({ pod, uid, breaker: breaker.name, reason, enforced, ...(message !== undefined && { message }) });
    if (exempt.has(uid)) withhold('Exempt');
    else if (!isConfirmed(history[uid] ?? '', breaker.confirm)) withhold('NotConfirmed');
    else if (panic !== undefined) withhold('FleetAnomalous', panic);
    else nominations.push({ breaker: breaker.name, pod, uid, observation: observationOf(verdict) });
  }
  return { ...inquiry, judgement, nominations, withheld, ...(panic !== undefined && { panic }) };
}

const observationOf = ({ reason, score, observed, limit }: PodVerdict): Nomination['observation'] => ({
  reason: reason ?? TRANSITIONS.Anomalous,
  score,
  ...(observed !== undefined && { observed }),
  ...(limit !== undefined && { limit }),
});
