/** The spec with everything that depends on other fields computed: what decisions work with. */
import { longestRange } from '../policy/durations.ts';
import {
  activator as activatorSchema,
  DETECTOR_KINDS,
  type ActivatorSpec,
  type BreakerSpec,
  type DetectorKind,
  type KubervisorServiceSpec,
  type Mode,
} from './kubervisor-service.ts';

export interface ResolvedActivator extends ActivatorSpec {
  /** Seconds; never less than one period, so that a resource which only names a long period keeps it. */
  maxPeriod: number;
  retryDecayPeriod: number;
  /** Seconds of probation after `activatedAt`: gracePeriod + m × evaluationPeriod of the breaker. */
  probation: number;
}

export interface ResolvedBreaker {
  name: string;
  /** The stricter of the spec's and the breaker's. */
  mode: Mode;
  evaluationPeriod: number;
  minPodsAvailableCount: number;
  minPodsAvailableRatio?: number | undefined;
  kind: DetectorKind;
  /** The value of the field named by `kind`, with the factor of an outlier and without empty lists of values. */
  detector: NonNullable<BreakerSpec[DetectorKind]>;
  /** At most the evaluationPeriod, never under 1 s (W1). */
  timeoutSeconds: number;
  confirm: { anomalous: number; of: number };
  gracePeriod: number;
  /** How far the query looks back, in seconds; a shorter gracePeriod is a warning in status. */
  lookBack: number;
  panicThreshold: number;
  activator: ResolvedActivator;
}

export interface ResolvedSpec {
  service: string;
  mode: Mode;
  breakers: ResolvedBreaker[];
  defaultActivator: ResolvedActivator;
}

const STRICTNESS: Record<Mode, number> = { enforce: 0, dryRun: 1, disabled: 2 };
const stricter = (one: Mode, other: Mode): Mode => (STRICTNESS[one] >= STRICTNESS[other] ? one : other);

/** What a detector is given where its stanza names no time-out of its own. */
const DEFAULT_TIMEOUT_SECONDS = 5;

function resolveActivator(
  given: ActivatorSpec,
  judged: { gracePeriod: number; confirmOf: number; evaluationPeriod: number },
): ResolvedActivator {
  const probation = judged.gracePeriod + judged.confirmOf * judged.evaluationPeriod;
  return {
    ...given,
    maxPeriod: Math.max(given.maxPeriod, given.period),
    probation,
    retryDecayPeriod: given.retryDecayPeriod ?? Math.max(10 * given.period, 3 * probation),
  };
}

/** Of an outlier, by method, where its stanza names none. */
export const OUTLIER_FACTOR = { mad: 3.5, iqr: 1.5 } as const;

function resolveDetector(breaker: BreakerSpec, kind: DetectorKind): NonNullable<BreakerSpec[DetectorKind]> {
  const { outlier, discreteValueOutOfList } = breaker;
  if (outlier !== undefined) return { ...outlier, factor: outlier.factor ?? OUTLIER_FACTOR[outlier.method] };
  if (discreteValueOutOfList !== undefined) {
    const { goodValues, badValues, ...rest } = discreteValueOutOfList;
    // One of the two lists is filled; an empty one beside it was written by tools that cannot leave it out.
    return goodValues !== undefined && goodValues.length > 0 ? { ...rest, goodValues } : { ...rest, badValues };
  }
  return breaker[kind] as NonNullable<BreakerSpec[DetectorKind]>;
}

export function detectorKindOf(breaker: Pick<BreakerSpec, DetectorKind>): DetectorKind | undefined {
  return DETECTOR_KINDS.find((kind) => breaker[kind] !== undefined);
}

/** Of a spec that `validate` passed. */
export function resolveSpec(spec: KubervisorServiceSpec): ResolvedSpec {
  const defaultActivator = spec.defaultActivator ?? activatorSchema.parse({});
  const breakers = spec.breakers.map((breaker): ResolvedBreaker => {
    const kind = detectorKindOf(breaker);
    if (kind === undefined) throw new Error(`breaker ${breaker.name} has no detector: validate the spec first`);
    const detector = resolveDetector(breaker, kind);
    const lookBack =
      typeof detector === 'string'
        ? 0
        : Math.max(
            'promQL' in detector ? longestRange(detector.promQL) : 0,
            'window' in detector ? detector.window : 0,
          );
    const confirm = breaker.confirm ?? { anomalous: 1, of: 1 };
    const gracePeriod = breaker.gracePeriod ?? Math.max(2 * breaker.evaluationPeriod, lookBack);
    const wanted =
      typeof detector === 'object' && 'timeoutSeconds' in detector ? detector.timeoutSeconds : DEFAULT_TIMEOUT_SECONDS;
    return {
      name: breaker.name,
      mode: stricter(spec.mode, breaker.mode ?? spec.mode),
      evaluationPeriod: breaker.evaluationPeriod,
      minPodsAvailableCount: breaker.minPodsAvailableCount,
      minPodsAvailableRatio: breaker.minPodsAvailableRatio,
      kind,
      detector,
      timeoutSeconds: Math.max(1, Math.min(wanted, breaker.evaluationPeriod)),
      confirm,
      gracePeriod,
      lookBack,
      panicThreshold: breaker.panicThreshold,
      activator: resolveActivator(breaker.activator ?? defaultActivator, {
        gracePeriod,
        confirmOf: confirm.of,
        evaluationPeriod: breaker.evaluationPeriod,
      }),
    };
  });
  // The default activator takes pods whose breaker was removed: it judges as the most patient of the breakers that are left.
  const patient = breakers.reduce((one, other) => (other.activator.probation > one.activator.probation ? other : one));
  return {
    service: spec.service,
    mode: spec.mode,
    breakers,
    defaultActivator: resolveActivator(defaultActivator, {
      gracePeriod: patient.gracePeriod,
      confirmOf: patient.confirm.of,
      evaluationPeriod: patient.evaluationPeriod,
    }),
  };
}
