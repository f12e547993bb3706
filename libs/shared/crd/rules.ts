/**
 * Rules over several fields, each declared once: the CEL goes into the CRD, the function into our own validation. A test holds
 * both against the same table of specs. What one field alone must be stands beside the field, in ./kubervisor-service.ts.
 */
import type * as z from 'zod';
import {
  DETECTOR_KINDS,
  type ActivatorSpec,
  type BreakerSpec,
  type KubervisorServiceSpec,
  type confirm,
  type discreteValueOutOfList,
  type pluginDetector,
  type threshold,
} from './kubervisor-service.ts';

export interface Rule {
  /** Where the value that is judged stands; `[]` is every item of a list. */
  readonly at: readonly string[];
  /** The fields of the value that the rule looks at: it is not asked while one of them is malformed. */
  readonly reads: readonly string[];
  /** What the API server checks. Undefined: the list type `map` checks it there. */
  readonly cel?: string;
  readonly message: string;
  /** Only ever called with a value whose `reads` are well-formed and defaulted. */
  readonly holds: (value: never) => boolean;
}

type Discrete = z.infer<typeof discreteValueOutOfList>;
type Threshold = z.infer<typeof threshold>;
type Plugin = z.infer<typeof pluginDetector>;
type Confirm = z.infer<typeof confirm>;

const filled = (list: readonly unknown[] | undefined): boolean => list !== undefined && list.length > 0;
const MAX_NAME = 63;

export const RULES: readonly Rule[] = [
  {
    at: ['metadata'],
    reads: ['name'],
    // At the root, for the API server shows rules only the name of the metadata, and only there.
    cel: `self.metadata.name.size() <= ${MAX_NAME}`,
    message: `metadata.name must have at most ${MAX_NAME} characters: it becomes the value of a label`,
    holds: (metadata: { name?: string }) => (metadata.name ?? '').length <= MAX_NAME,
  },
  {
    at: ['spec.breakers'],
    reads: [],
    message: 'the names of the breakers must be unique',
    holds: (breakers: KubervisorServiceSpec['breakers']) => {
      const names = breakers.map((breaker) => breaker?.name).filter((name) => name !== undefined);
      return new Set(names).size === names.length;
    },
  },
  {
    at: ['spec.breakers[]'],
    reads: [],
    cel: `[${DETECTOR_KINDS.map((kind) => `has(self.${kind})`).join(', ')}].filter(given, given).size() == 1`,
    message: `exactly one detector is needed: ${DETECTOR_KINDS.join(', ')}`,
    holds: (breaker: BreakerSpec) => DETECTOR_KINDS.filter((kind) => breaker[kind] !== undefined).length === 1,
  },
  {
    at: ['spec.breakers[].discreteValueOutOfList'],
    reads: ['goodValues', 'badValues'],
    cel: '(has(self.goodValues) && self.goodValues.size() > 0) != (has(self.badValues) && self.badValues.size() > 0)',
    message: 'either goodValues or badValues is needed, not both',
    holds: (detector: Discrete) => filled(detector.goodValues) !== filled(detector.badValues),
  },
  {
    at: ['spec.breakers[].threshold'],
    reads: ['max', 'min'],
    cel: 'has(self.max) || has(self.min)',
    message: 'max or min is needed',
    holds: (detector: Threshold) => detector.max !== undefined || detector.min !== undefined,
  },
  {
    at: ['spec.breakers[].threshold'],
    reads: ['max', 'min'],
    cel: '!has(self.max) || !has(self.min) || self.min <= self.max',
    message: 'min must not be larger than max',
    holds: ({ max, min }: Threshold) => max === undefined || min === undefined || min <= max,
  },
  {
    at: ['spec.breakers[].detector'],
    reads: [],
    cel: 'has(self.url) != has(self.service)',
    message: 'either url or service is needed, not both',
    holds: (detector: Plugin) => (detector.url !== undefined) !== (detector.service !== undefined),
  },
  {
    at: ['spec.breakers[].confirm'],
    reads: ['anomalous', 'of'],
    cel: 'self.anomalous <= self.of',
    message: 'anomalous must not be larger than of',
    holds: (confirm: Confirm) => confirm.anomalous <= confirm.of,
  },
  {
    at: ['spec.defaultActivator.maxConcurrentActivations', 'spec.breakers[].activator.maxConcurrentActivations'],
    reads: [],
    cel: "type(self) == int ? self >= 1 && self <= 10000 : self.matches('^(100|[1-9][0-9]?)%$')",
    message: 'must be a count from 1 to 10000 or a percentage from "1%" to "100%"',
    holds: (limit: NonNullable<ActivatorSpec['maxConcurrentActivations']>) =>
      typeof limit === 'number' ? limit >= 1 && limit <= 10_000 : /^(100|[1-9][0-9]?)%$/.test(limit),
  },
];
