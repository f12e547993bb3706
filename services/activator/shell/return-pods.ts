/**
 * Carries a round out, with the claim: list, decide, act, and again where a place became free (B5, W4). What does not enforce is
 * told and touches nothing (A6).
 */
import { resolveSpec } from '@kubervisor/shared/crd/resolve';
import type { ReturnedPod } from '@kubervisor/shared/events/activation-completed';
import type { Withheld } from '@kubervisor/shared/events/common';
import type { WorkActivate } from '@kubervisor/shared/events/work-activate';
import type { Pod } from '@kubervisor/shared/pods/pod';
import type { Kubernetes } from '@kubervisor/runtime/kubernetes/client';
import { isUncertain, settledAt } from '@kubervisor/runtime/worker/attempt';
import { concurrently, PATCHES_AT_ONCE } from '@kubervisor/runtime/worker/concurrently';
import { listPods } from '@kubervisor/runtime/worker/list-pods';
import type { Acted, ClaimedContext, RoundPorts } from '@kubervisor/runtime/worker/round';
import { decideActivations, type ActivationDecision } from '../core/decide-activations.ts';
import { returnedPod, stepsOf, withheldPod, type Step } from '../core/report.ts';
import { attemptStep, heldBy, isDone, leavesPlace, tookEffect, type Attempt } from './attempt.ts';
import type { ActivatorMetrics } from './metrics.ts';
import { tellReturn } from './tell-return.ts';

/** What a round came to: of breakers that enforce and of those that do not. */
export interface RoundResult {
  actions: ReturnedPod[];
  withheld: Withheld[];
}

export const NOTHING_DONE: RoundResult = { actions: [], withheld: [] };

export interface ReturnPorts extends Pick<RoundPorts, 'bus' | 'source' | 'now' | 'monotonic'> {
  kubernetes: Pick<Kubernetes, 'listPods' | 'getPod' | 'patchPod' | 'evictPod' | 'deletePod'>;
  activatorMetrics: ActivatorMetrics;
  /** Resolves after so many milliseconds. */
  wait(milliseconds: number): Promise<void>;
}

export async function returnPods(
  work: WorkActivate,
  ports: ReturnPorts,
  context: ClaimedContext,
): Promise<Acted<RoundResult>> {
  const { kubernetes, monotonic } = ports;
  const { log, deadline, now } = context;
  const resolved = resolveSpec(work.spec);
  const errors: string[] = [];
  const telling: Promise<void>[] = [];
  const attempts: Attempt[] = [];
  let pods: Pod[] = [];

  if (!(await list('the decision'))) return { done: NOTHING_DONE, failed: true, errors };
  const believedAt = now();
  const first = decide(believedAt);
  let last = first;
  let placesFree = await act(first);
  while (placesFree && monotonic() < deadline.at) {
    // What changed or is gone may itself change who may act: only a fresh list says.
    if (!(await list('the places that became free'))) break;
    last = decide(now());
    placesFree = await act(last);
  }
  await resolveUncertain();

  const believed = stepsOf(first).filter(({ planned }) => !planned.enforced);
  for (const step of believed) tell(step, believedAt);
  await Promise.all(telling);
  const held = [
    ...attempts.map(heldBy).filter((one) => one !== undefined),
    ...last.withheld.filter(({ enforced }) => enforced),
    ...first.withheld.filter(({ enforced }) => !enforced),
  ];
  if (attempts.some((attempt) => isDone(attempt) && attempt.step.planned.reason === 'FloorRestored'))
    ports.activatorMetrics.floorRepairs.inc();
  return {
    done: {
      actions: [
        ...attempts.filter(isDone).map(({ step, at }) => returnedPod(step, at)),
        ...believed.map((step) => returnedPod(step, believedAt)),
      ],
      withheld: held.map(withheldPod),
    },
    errors,
  };

  async function list(purpose: string): Promise<boolean> {
    const found = await listPods(work, purpose, kubernetes, context, errors);
    if (found !== undefined) pods = found;
    return found !== undefined;
  }

  function decide(at: number): ActivationDecision {
    const settled = attempts.map(({ step }) => step.planned.pod.uid);
    return decideActivations({ ...work, now: at, resolved, pods, settled });
  }

  /** Whether a place became free that another pod may take. */
  async function act(decision: ActivationDecision): Promise<boolean> {
    const steps = stepsOf(decision).filter(({ planned }) => planned.enforced);
    const at = now();
    const made = await concurrently(steps, PATCHES_AT_ONCE, async (step) => {
      const attempt = await attemptStep(step, at, deadline, ports);
      if (isDone(attempt)) tell(step, at);
      else if (attempt.result.result === 'failed') {
        const { breaker, pod } = step.planned;
        const problem = attempt.result.message;
        log.warn({ breaker, pod: pod.name, uid: pod.uid, action: step.action, problem }, 'pod could not be acted on');
        errors.push(`${pod.name} could not be ${step.action}: ${problem}`);
      }
      return attempt;
    });
    attempts.push(...made);
    // What is not known to have failed holds its place, a kill above all: there is one at a time (A5).
    return made.some(leavesPlace) && !made.some(isUncertain);
  }

  /**
   * The fact of this round lets the next one begin; so it waits until a request without an answer has either taken effect or never
   * will, and then looks which it was.
   */
  async function resolveUncertain(): Promise<void> {
    const uncertain = attempts.filter(isUncertain);
    if (uncertain.length === 0) return;
    const over = settledAt(uncertain, deadline);
    if (over > monotonic()) await ports.wait(over - monotonic());
    if (!(await list('what got no answer'))) return;
    const byUid = new Map(pods.map((pod) => [pod.uid, pod]));
    for (const attempt of uncertain) {
      const { step, at } = attempt;
      const found = byUid.get(step.planned.pod.uid);
      if (!tookEffect(attempt, found)) continue;
      attempt.result =
        step.action === 'killed' ? { result: 'killed' } : { result: 'patched', pod: found ?? step.planned.pod };
      tell(step, at);
    }
  }

  function tell(step: Step, at: number): void {
    telling.push(tellReturn(returnedPod(step, at), step.planned.message, work, ports, context));
  }
}
