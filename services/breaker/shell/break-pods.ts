/**
 * Carries a round out, with the claim: list, decide, patch, and again where a place became free (B5, W4). What does not enforce
 * is decided last, on the fleet as simulated, and touches nothing (A6).
 */
import type { WorkEvaluate } from '@kubervisor/shared/events/work-evaluate';
import type { Pod } from '@kubervisor/shared/pods/pod';
import type { Kubernetes } from '@kubervisor/runtime/kubernetes/client';
import { isUncertain, settledAt } from '@kubervisor/runtime/worker/attempt';
import { concurrently, PATCHES_AT_ONCE } from '@kubervisor/runtime/worker/concurrently';
import { listPods } from '@kubervisor/runtime/worker/list-pods';
import type { Acted, ClaimedContext, RoundPorts } from '@kubervisor/runtime/worker/round';
import { decideBreaks, type BreakDecision } from '../core/decide-breaks.ts';
import { clocksOf } from '../core/grace.ts';
import { brokenPod, NOTHING_DONE, type RoundResult } from '../core/report.ts';
import { podsAsSimulated } from '../core/simulation.ts';
import { attemptBreak, bearsBreakOf, mayHaveLeft, withheldOf, type Attempt } from './attempt.ts';
import type { Gathered } from './gather.ts';
import type { BreakerMetrics } from './metrics.ts';
import { tellBreak } from './tell-break.ts';

export interface BreakPorts extends Pick<RoundPorts, 'bus' | 'source' | 'now' | 'monotonic'> {
  kubernetes: Pick<Kubernetes, 'listPods' | 'patchPod'>;
  breakerMetrics: BreakerMetrics;
  /** Resolves after so many milliseconds. */
  wait(milliseconds: number): Promise<void>;
}

export async function breakPods(
  work: WorkEvaluate,
  { evaluations, judgedAt }: Gathered,
  ports: BreakPorts,
  context: ClaimedContext,
): Promise<Acted<RoundResult>> {
  // B5: nobody to break, nothing to ask of Kubernetes.
  if (evaluations.every(({ nominations }) => nominations.length === 0)) return { done: NOTHING_DONE, errors: [] };

  const { kubernetes, monotonic, breakerMetrics } = ports;
  const { log, deadline, now } = context;
  const { resource, selector, others, simulated } = work;
  const errors: string[] = [];
  const telling: Promise<void>[] = [];
  const attempts: Attempt[] = [];
  let pods: Pod[] = [];

  const enforced = await enforce();
  if (enforced === undefined) return { done: NOTHING_DONE, failed: true, errors };
  const believed = simulate();
  await Promise.all(telling);
  return {
    done: {
      breaks: [...enforced.breaks, ...believed.breaks],
      withheld: [...enforced.withheld, ...believed.withheld],
      budgets: { ...enforced.budgets, ...believed.budgets },
      panics: { ...enforced.panics, ...believed.panics },
    },
    errors,
  };

  /** Undefined: nobody could be listed, so nothing was decided. */
  async function enforce(): Promise<RoundResult | undefined> {
    if (!(await list('the decision'))) return undefined;
    const first = await decideAndPatch();
    let last = first;
    while (last.placesFree && monotonic() < deadline.at) {
      // A pod that changed or is gone may itself be one available less: only a fresh list says how many places there are.
      if (!(await list('the places that became free'))) break;
      last = await decideAndPatch();
    }
    await resolveUncertain();
    return {
      breaks: attempts
        .filter(({ result }) => result.result === 'patched')
        .map(({ decided, at }) => brokenPod(decided, at)),
      withheld: [...attempts.map(withheldOf).filter((one) => one !== undefined), ...last.decision.withheld],
      budgets: first.decision.budgets,
      panics: { ...first.decision.panics, ...last.decision.panics },
    };
  }

  async function list(purpose: string): Promise<boolean> {
    const found = await listPods(work, purpose, kubernetes, context, errors);
    if (found !== undefined) pods = found;
    return found !== undefined;
  }

  function decide(enforcing: boolean, fleet: readonly Pod[], at: number): BreakDecision {
    return decideBreaks({
      now: at,
      clocks: clocksOf(at, ports.now()),
      name: resource.name,
      selector,
      others,
      evaluations: evaluations.filter((evaluation) => evaluation.enforced === enforcing),
      pods: fleet,
      // A dry run has tried nothing, and sees what was broken in the fleet itself.
      settled: enforcing ? attempts.map((one) => ({ uid: one.decided.pod.uid, left: mayHaveLeft(one) })) : [],
    });
  }

  async function decideAndPatch(): Promise<{ decision: BreakDecision; placesFree: boolean }> {
    const at = now();
    const decision = decide(true, pods, at);
    const made = await concurrently(decision.breaks, PATCHES_AT_ONCE, async (decided) => {
      const attempt = await attemptBreak(decided, at, deadline, ports);
      const { result } = attempt;
      if (result.result === 'patched') {
        breakerMetrics.reaction.observe(Math.max(0, monotonic() - judgedAt) / 1000);
        tell(attempt);
      } else if (result.result === 'failed') {
        const { breaker, pod } = decided;
        log.warn({ breaker, pod: pod.name, uid: pod.uid, problem: result.message }, 'pod could not be patched');
        errors.push(`patch of ${pod.name}: ${result.message}`);
      }
      return attempt;
    });
    attempts.push(...made);
    const wanted = decision.withheld.some(({ reason }) => reason === 'FloorReached');
    return { decision, placesFree: wanted && made.some((attempt) => !mayHaveLeft(attempt)) };
  }

  /**
   * The fact of this round lets the next one begin. So it waits until a patch without an answer has either taken effect or never
   * will, and then looks which it was.
   */
  async function resolveUncertain(): Promise<void> {
    const uncertain = attempts.filter(isUncertain);
    if (uncertain.length === 0) return;
    await ports.wait(Math.max(0, settledAt(uncertain, deadline) - monotonic()));
    if (!(await list('the patches without an answer'))) return;
    const byUid = new Map(pods.map((pod) => [pod.uid, pod]));
    for (const attempt of uncertain) {
      const pod = byUid.get(attempt.decided.pod.uid);
      if (pod === undefined || !bearsBreakOf(pod, attempt)) continue;
      attempt.result = { result: 'patched', pod };
      tell(attempt);
    }
  }

  function simulate(): RoundResult {
    const at = now();
    const breaks = attempts.filter(mayHaveLeft).map(({ decided }) => decided);
    const { breaks: believed, ...rest } = decide(false, podsAsSimulated(pods, { simulated, breaks, at }), at);
    const broken = believed.map((one) => brokenPod(one, at));
    telling.push(...broken.map((one) => tellBreak(one, work, ports, context)));
    return { ...rest, breaks: broken };
  }

  function tell({ decided, at }: Attempt): void {
    telling.push(tellBreak(brokenPod(decided, at), work, ports, context));
  }
}
