/**
 * Carries a round out, with the claim: list, decide, patch, and again where a place became free (B5, W4). What does not enforce
 * is decided last, on the fleet as simulated, and touches nothing (A6).
 */
import type { WorkEvaluate } from '@kubervisor/shared/events/work-evaluate';
import { EDITS, guardedPatch, marksOf, writeReason, writeTime } from '@kubervisor/shared/pods/codec';
import { selectorString } from '@kubervisor/shared/pods/fleet';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { PATCH_TIMEOUT } from '@kubervisor/shared/policy/claim';
import type { WithheldReason } from '@kubervisor/shared/reasons';
import type { Kubernetes, PatchResult } from '@kubervisor/runtime/kubernetes/client';
import { concurrently, PATCHES_AT_ONCE } from '@kubervisor/runtime/worker/concurrently';
import { problemOf } from '@kubervisor/runtime/worker/problem';
import type { Acted, ClaimedContext, RoundPorts } from '@kubervisor/runtime/worker/round';
import { tellPodFact } from '@kubervisor/runtime/worker/tell-pod-fact';
import { decideBreaks, type Break, type BreakDecision } from '../core/decide-breaks.ts';
import { brokenPod, NOTHING_DONE, type RoundResult } from '../core/report.ts';
import { podsAsSimulated } from '../core/simulation.ts';
import type { Gathered } from './gather.ts';
import type { BreakerMetrics } from './metrics.ts';

export interface BreakPorts extends Pick<RoundPorts, 'bus' | 'source' | 'now' | 'monotonic'> {
  kubernetes: Pick<Kubernetes, 'listPods' | 'patchPod'>;
  breakerMetrics: BreakerMetrics;
  wait(milliseconds: number): Promise<void>;
}

/** A patch that was sent, or that came too late to be sent. */
interface Attempt {
  decided: Break;
  /** Milliseconds since 1970, as written to the pod. */
  at: number;
  result: PatchResult;
  /** On the monotonic clock. */
  startedAt: number;
}

const isUncertain = ({ result }: Attempt): boolean => result.result === 'failed' && result.uncertain === true;
const mayHaveLeft = (attempt: Attempt): boolean => attempt.result.result === 'patched' || isUncertain(attempt);

export async function breakPods(
  work: WorkEvaluate,
  { evaluations, judgedAt }: Gathered,
  ports: BreakPorts,
  context: ClaimedContext,
): Promise<Acted<RoundResult>> {
  // B5: nobody to break, nothing to ask Kubernetes.
  if (evaluations.every(({ nominations }) => nominations.length === 0)) return { done: NOTHING_DONE, errors: [] };

  const { kubernetes, now, monotonic, breakerMetrics } = ports;
  const { log, deadline } = context;
  const { resource, selector, others, simulated } = work;
  const common = { name: resource.name, selector, others };
  const enforcing = evaluations.filter(({ enforced }) => enforced);
  const telling: Promise<void>[] = [];
  const errors: string[] = [];
  const list = () => kubernetes.listPods(resource.namespace, selectorString(selector));

  const tell = (broken: RoundResult['breaks'][number]) => {
    breakerMetrics.breaks.inc({ enforced: String(broken.enforced) });
    log.info({ ...broken }, broken.enforced ? 'pod broken' : 'pod would have been broken');
    const { pod, uid, breaker, enforced, at, retryCount, score, observed, limit, reason } = broken;
    const figures = {
      score,
      ...(observed !== undefined && { observed }),
      ...(limit !== undefined && { limit }),
    };
    const message = writeReason({ reason, score, observed, limit });
    telling.push(
      tellPodFact(
        ports,
        'pod-broken',
        {
          ...{ pod, uid, resource, enforced, actor: 'breaker', round: work.round, breaker, reason: 'Anomalous' },
          ...{ message, at, retryCount, ...figures },
        },
        context,
      ),
    );
  };

  const patch = async (decided: Break, at: number): Promise<Attempt> => {
    const startedAt = monotonic();
    const attempt = (result: PatchResult): Attempt => ({ decided, at, result, startedAt });
    // W3: the client looks at the deadline once more, immediately before the request leaves.
    if (startedAt >= deadline.at) return attempt({ result: 'deadline' });
    const { pod } = decided;
    try {
      const operations = guardedPatch(pod, EDITS.break(pod, { ...decided, at }));
      return attempt(await kubernetes.patchPod(pod, operations, deadline));
    } catch (error) {
      return attempt({ result: 'failed', message: problemOf(error), uncertain: true });
    }
  };

  let pods: Pod[];
  try {
    pods = await list();
  } catch (error) {
    log.error({ err: error }, 'pods could not be listed');
    return { done: NOTHING_DONE, failed: true, errors: [`list of pods: ${problemOf(error)}`] };
  }

  const attempts: Attempt[] = [];
  const settled = () => attempts.map((attempt) => ({ uid: attempt.decided.pod.uid, left: mayHaveLeft(attempt) }));
  const first = { at: now(), decision: undefined as BreakDecision | undefined };
  let decision: BreakDecision;
  for (;;) {
    const at = now();
    decision = decideBreaks({ ...common, now: at, evaluations: enforcing, pods, settled: settled() });
    first.decision ??= decision;
    const made = await concurrently(decision.breaks, PATCHES_AT_ONCE, async (decided) => {
      const attempt = await patch(decided, at);
      if (attempt.result.result === 'patched') {
        breakerMetrics.reaction.observe(Math.max(0, monotonic() - judgedAt) / 1000);
        tell(brokenPod(decided, at));
      }
      return attempt;
    });
    attempts.push(...made);
    const placeFree = made.some((attempt) => !mayHaveLeft(attempt) && attempt.result.result !== 'deadline');
    const wanted = decision.withheld.some(({ reason }) => reason === 'FloorReached');
    if (!placeFree || !wanted || monotonic() >= deadline.at) break;
    // A pod that changed or is gone may itself be one available less; only a fresh list says how many places there are.
    try {
      pods = await list();
    } catch (error) {
      errors.push(`list of pods, for the places that became free: ${problemOf(error)}`);
      break;
    }
  }

  await resolveUncertain();

  const result: RoundResult = {
    breaks: attempts
      .filter(({ result }) => result.result === 'patched')
      .map(({ decided, at }) => brokenPod(decided, at)),
    withheld: [...attempts.flatMap(withheldOf), ...decision.withheld],
    budgets: first.decision.budgets,
    panics: { ...first.decision.panics, ...decision.panics },
  };
  const believed = decideSimulated();
  for (const { breaker, pod, uid, reason, message } of result.withheld)
    log.debug({ breaker, pod, uid, reason, message }, 'pod withheld');
  await Promise.all(telling);
  return {
    done: {
      breaks: [...result.breaks, ...believed.breaks],
      withheld: [...result.withheld, ...believed.withheld],
      budgets: { ...result.budgets, ...believed.budgets },
      panics: { ...result.panics, ...believed.panics },
    },
    errors,
  };

  /**
   * The fact of this round lets the next one begin; so it waits until a patch without an answer has either taken effect or never
   * will, and then looks which it was.
   */
  async function resolveUncertain(): Promise<void> {
    const uncertain = attempts.filter(isUncertain);
    if (uncertain.length === 0) return;
    const over = Math.max(...uncertain.map(({ startedAt }) => startedAt)) + PATCH_TIMEOUT;
    if (over > monotonic()) await ports.wait(over - monotonic());
    try {
      pods = await list();
    } catch (error) {
      errors.push(`list of pods, for the patches without an answer: ${problemOf(error)}`);
      return;
    }
    const byUid = new Map(pods.map((pod) => [pod.uid, pod]));
    for (const attempt of uncertain) {
      const pod = byUid.get(attempt.decided.pod.uid);
      if (pod === undefined || !isOurBreak(pod, attempt)) continue;
      attempt.result = { result: 'patched', pod };
      tell(brokenPod(attempt.decided, attempt.at));
    }
  }

  function withheldOf({ decided, result }: Attempt): RoundResult['withheld'] {
    const withhold = (reason: WithheldReason, message?: string): RoundResult['withheld'] => [
      {
        ...{ pod: decided.pod.name, uid: decided.pod.uid, breaker: decided.breaker, reason, enforced: true },
        ...(message !== undefined && { message }),
      },
    ];
    switch (result.result) {
      case 'patched':
        return [];
      case 'changed':
        return withhold('Changed');
      case 'gone':
        return withhold('Gone');
      case 'deadline':
        return withhold('Deadline');
      case 'failed':
        log.warn(
          { breaker: decided.breaker, pod: decided.pod.name, uid: decided.pod.uid, problem: result.message },
          'pod could not be patched',
        );
        errors.push(`patch of ${decided.pod.name}: ${result.message}`);
        return withhold('PatchFailed', result.message.slice(0, 1024));
    }
  }

  function decideSimulated(): RoundResult {
    const evaluationsOnly = evaluations.filter(({ enforced }) => !enforced);
    const at = now();
    const { breaks, ...rest } = decideBreaks({
      ...common,
      now: at,
      evaluations: evaluationsOnly,
      pods: podsAsSimulated(pods, {
        simulated,
        breaks: attempts.filter(mayHaveLeft).map(({ decided }) => decided),
        at,
      }),
    });
    const broken = breaks.map((one) => brokenPod(one, at));
    broken.forEach(tell);
    return { ...rest, breaks: broken };
  }
}

/** The pod bears exactly what the attempt wrote: it took effect, though no answer came. */
function isOurBreak(pod: Pod, { decided, at }: Attempt): boolean {
  const { traffic, strategy, breakAt } = marksOf(pod);
  return (
    traffic === 'no' && strategy === decided.breaker && breakAt !== undefined && writeTime(breakAt) === writeTime(at)
  );
}
