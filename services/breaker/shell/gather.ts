/** Asks the detectors of all due breakers at once. Nothing here is decided, and nothing outside is changed. */
import { DETECTOR_API_VERSION, type JudgedPod } from '@kubervisor/shared/detection/contract';
import type { EvaluationRequest, EvaluationResponse } from '@kubervisor/shared/detection/service';
import { resolveSpec, type ResolvedSpec } from '@kubervisor/shared/crd/resolve';
import type { FleetPod, WorkEvaluate } from '@kubervisor/shared/events/work-evaluate';
import type { RoundContext } from '@kubervisor/runtime/worker/round';
import { clocksOf } from '../core/grace.ts';
import { inquiries, nominate, type Evaluation, type Inquiry } from '../core/nominate.ts';

/** As `askDetector` of libs/runtime, with the address filled in: it never throws, an error is an answer. */
export type AskDetector = (request: EvaluationRequest, timeoutMilliseconds: number) => Promise<EvaluationResponse>;

export interface Gathered {
  evaluations: Evaluation[];
  /** When the last verdict was in, on the monotonic clock: reaction times count from here. */
  judgedAt: number;
}

/** What the detector is given less than the breaker waits, so that its own answer to a time-out still arrives. */
const HEAD_START_MILLISECONDS = 200;

const NOBODY_TO_JUDGE: EvaluationResponse = { verdicts: [], ignored: {}, warnings: [] };

export async function gather(
  work: WorkEvaluate,
  ports: { ask: AskDetector; now(): number; monotonic(): number },
  context: Pick<RoundContext, 'now'>,
): Promise<Gathered> {
  const asked = inquiries(work, resolveSpec(work.spec), clocksOf(ports.now(), context.now()));
  const evaluations = await Promise.all(
    asked.map(async (inquiry) => {
      const timeout = 1000 * inquiry.breaker.timeoutSeconds;
      const answer =
        inquiry.sent.length === 0 ? NOBODY_TO_JUDGE : await ports.ask(requestOf(work, inquiry, timeout), timeout);
      return nominate(inquiry, answer, work.history[inquiry.breaker.name]);
    }),
  );
  return { evaluations, judgedAt: ports.monotonic() };
}

/** W3: milliseconds; 0 where no due breaker has a detector to ask. */
export function longestTimeout({ spec, due }: Pick<WorkEvaluate, 'spec' | 'due'>): number {
  const resolved: ResolvedSpec = resolveSpec(spec);
  const timeouts = resolved.breakers.filter(({ name }) => due.includes(name)).map((breaker) => breaker.timeoutSeconds);
  return 1000 * Math.max(0, ...timeouts);
}

function requestOf({ round, resource, spec }: WorkEvaluate, { breaker, sent }: Inquiry, timeout: number) {
  const { kind, detector } = breaker;
  const parameters = typeof detector === 'object' && 'parameters' in detector ? (detector.parameters ?? {}) : {};
  return {
    apiVersion: DETECTOR_API_VERSION,
    evaluationId: `${round}/${breaker.name}`,
    timeoutMilliseconds: Math.round(timeout - Math.min(HEAD_START_MILLISECONDS, timeout / 5)),
    service: { namespace: resource.namespace, name: spec.service },
    breaker: breaker.name,
    parameters,
    pods: sent.map(judgedPod),
    kind,
    detector,
  } satisfies EvaluationRequest;
}

const judgedPod = ({ name, uid, ip, node, revision, readySince }: FleetPod): JudgedPod => ({
  name,
  uid,
  ...(ip !== undefined && { ip }),
  ...(node !== undefined && { node }),
  ...(revision !== undefined && { revision }),
  ...(readySince !== undefined && { readySince }),
});
