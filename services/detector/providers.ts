/** What answers each kind of detector. A provider never throws: that it could not answer is a result (V1). */
import { discreteValueOutOfList } from '@kubervisor/shared/crd/kubervisor-service';
import type { DetectorKind } from '@kubervisor/shared/crd/kubervisor-service';
import type { EvaluationRequest } from '@kubervisor/shared/detection/service';
import * as z from 'zod';
import { failure, type Judgement, type Result } from './core/answer.ts';
import { judgeDiscreteValues } from './core/discrete-value-out-of-list.ts';
import { judgePodList } from './core/pod-list.ts';
import type { CustomServiceClient } from './shell/custom-service.ts';
import type { PrometheusClient } from './shell/prometheus.ts';
import type { Resolver } from './shell/resolver.ts';

export interface Ask<T> {
  request: EvaluationRequest;
  /** The breaker's stanza of this kind. */
  stanza: T;
  /** The deadline. */
  signal: AbortSignal;
}

export interface Answer extends Judgement {
  warnings: string[];
}

export interface Provider<T = unknown> {
  stanza: z.ZodType<T>;
  answer(ask: Ask<T>): Promise<Result<Answer>>;
}

export interface Clients {
  prometheus: PrometheusClient;
  customService: CustomServiceClient;
  resolver: Resolver;
}

/** One of each: a kind that is added to the resource does not compile before it has its provider here. */
export function createProviders(clients: Clients): Record<DetectorKind, Provider> {
  return {
    discreteValueOutOfList: provider(
      discreteValueOutOfList.refine(
        ({ goodValues, badValues }) => (goodValues === undefined) !== (badValues === undefined),
        { error: 'exactly one of goodValues and badValues must be given' },
      ),
      async ({ request, stanza, signal }) => {
        const source = clients.resolver.source(stanza.prometheusService, request.service.namespace);
        if (!source.ok) return source;
        const vector = await clients.prometheus.query(source.value, stanza.promQL, signal);
        if (!vector.ok) return vector;
        const { samples, histograms, warnings } = vector.value;
        const { verdicts, ignored } = judgeDiscreteValues(stanza, samples, request.pods);
        if (histograms > 0) ignored['nativeHistogram'] = histograms;
        return { ok: true, value: { verdicts, ignored, warnings } };
      },
    ),
    customService: provider(z.string(), async ({ request, stanza, signal }) => {
      const { namespace } = request.service;
      const destination = clients.resolver.plugin(stanza, namespace);
      if (!destination.ok) return destination;
      const named = await clients.customService.badPods(destination.value, signal);
      if (!named.ok) return named;
      return { ok: true, value: { ...judgePodList(named.value, namespace, request.pods), warnings: [] } };
    }),
    continuousValueDeviation: notBuilt('continuousValueDeviation'),
    threshold: notBuilt('threshold'),
    outlier: notBuilt('outlier'),
    trend: notBuilt('trend'),
    detector: notBuilt('detector'),
  };
}

/** The stanza was checked by the schema beside it: that is what makes the wider type safe. */
function provider<T>(stanza: z.ZodType<T>, answer: Provider<T>['answer']): Provider {
  return { stanza, answer: (ask) => answer(ask as Ask<T>) };
}

function notBuilt(kind: DetectorKind): Provider {
  return {
    stanza: z.unknown(),
    answer: async () => failure('NotSupported', `this version of the detector does not answer ${kind}`),
  };
}
