/** What answers each kind of detector. A provider never throws: that it could not answer is a result (V1). */
import {
  continuousValueDeviation,
  discreteValueOutOfList,
  outlier,
  pluginDetector,
  threshold,
  trend,
  type DetectorKind,
} from '@kubervisor/shared/crd/kubervisor-service';
import type { JudgedPod } from '@kubervisor/shared/detection/contract';
import { judgeVerdicts } from '@kubervisor/shared/detection/plugin-answer';
import type { EvaluationRequest } from '@kubervisor/shared/detection/service';
import * as z from 'zod';
import { success, type Judgement, type Result } from './core/answer.ts';
import { judgeDeviation } from './core/continuous-value-deviation.ts';
import { judgeDiscreteValues } from './core/discrete-value-out-of-list.ts';
import { judgeOutliers } from './core/outlier.ts';
import { pluginRequest } from './core/plugin-request.ts';
import { judgePodList } from './core/pod-list.ts';
import type { Sample } from './core/prometheus-answer.ts';
import { judgeThreshold } from './core/threshold.ts';
import { judgeTrends, rangeOf } from './core/trend.ts';
import type { CustomServiceClient } from './shell/custom-service.ts';
import type { PluginClient } from './shell/plugin.ts';
import type { PluginInfo } from './shell/plugin-info.ts';
import type { PrometheusClient } from './shell/prometheus.ts';
import type { Resolver } from './shell/resolver.ts';

export interface Ask<T> {
  request: EvaluationRequest;
  /** The breaker's stanza of this kind. */
  stanza: T;
  /** Ends at the deadline. */
  signal: AbortSignal;
  /** When that is, on the monotonic clock. */
  deadline: number;
}

export interface Answer extends Judgement {
  warnings: string[];
}

export interface Provider<T = unknown> {
  stanza: z.ZodType<T>;
  answer(ask: Ask<T>): Promise<Result<Answer>>;
}

/** As the answer of the service holds them. */
const MAX_WARNINGS = 20;

export interface Clients {
  prometheus: PrometheusClient;
  customService: CustomServiceClient;
  plugin: PluginClient;
  pluginInfo: PluginInfo;
  resolver: Resolver;
}

/** One of each: a kind that is added to the resource does not compile before it has its provider here. */
export function createProviders(clients: Clients): Record<DetectorKind, Provider> {
  const sourceOf = ({ request, stanza }: Ask<Queried>) =>
    clients.resolver.source(stanza.prometheusService, request.service.namespace);

  const ofInstantQuery = <T extends Queried>(
    schema: z.ZodType<T>,
    judge: (stanza: T, samples: readonly Sample[], fleet: readonly JudgedPod[]) => Judgement,
  ): Provider =>
    provider(schema, async (ask) => {
      const source = sourceOf(ask);
      if (!source.ok) return source;
      const vector = await clients.prometheus.query(source.value, ask.stanza.promQL, ask.signal);
      if (!vector.ok) return vector;
      return success(answerOf(judge(ask.stanza, vector.value.samples, ask.request.pods), vector.value));
    });

  return {
    discreteValueOutOfList: ofInstantQuery(
      discreteValueOutOfList.refine(
        ({ goodValues, badValues }) => (goodValues === undefined) !== (badValues === undefined),
        { error: 'exactly one of goodValues and badValues must be given' },
      ),
      judgeDiscreteValues,
    ),
    continuousValueDeviation: ofInstantQuery(continuousValueDeviation, judgeDeviation),
    threshold: ofInstantQuery(
      threshold.refine(({ max, min }) => max !== undefined || min !== undefined, {
        error: 'max or min must be given',
      }),
      judgeThreshold,
    ),
    outlier: ofInstantQuery(outlier, judgeOutliers),
    trend: provider(trend, async (ask) => {
      const source = sourceOf(ask);
      if (!source.ok) return source;
      const { stanza, signal, request } = ask;
      const matrix = await clients.prometheus.queryRange(source.value, stanza.promQL, rangeOf(stanza), signal);
      if (!matrix.ok) return matrix;
      return success(answerOf(judgeTrends(stanza, matrix.value.series, request.pods), matrix.value));
    }),
    customService: provider(z.string(), async ({ request, stanza, signal }) => {
      const { namespace } = request.service;
      const destination = clients.resolver.plugin(stanza, namespace);
      if (!destination.ok) return destination;
      const named = await clients.customService.badPods(destination.value, signal);
      if (!named.ok) return named;
      return { ok: true, value: { ...judgePodList(named.value, namespace, request.pods), warnings: [] } };
    }),
    detector: provider(
      pluginDetector.refine(({ url, service }) => (url === undefined) !== (service === undefined), {
        error: 'exactly one of url and service must be given',
      }),
      async ({ request, stanza, signal, deadline }) => {
        const { namespace } = request.service;
        const destination = clients.resolver.pluginByContract(stanza, namespace);
        if (!destination.ok) return destination;
        const parameters = stanza.parameters ?? {};
        const fit = await clients.pluginInfo.check(destination.value, parameters, deadline, namespace);
        if (!fit.ok) return fit;
        const question = pluginRequest(request, parameters, deadline - performance.now());
        const given = await clients.plugin.verdicts(destination.value, question, signal);
        if (!given.ok) return given;
        return success({ ...judgeVerdicts(given.value, request.pods), warnings: fit.value });
      },
    ),
  };
}

/** What a kind that asks Prometheus has in its stanza. */
interface Queried {
  prometheusService: string;
  promQL: string;
}

/** What a judge found, with what the source said and what of its answer has no single value. */
function answerOf(
  { verdicts, ignored, warnings = [] }: Judgement,
  read: { histograms: number; warnings: readonly string[] },
): Answer {
  return {
    verdicts,
    ignored: { ...ignored, ...(read.histograms > 0 && { nativeHistogram: read.histograms }) },
    warnings: [...warnings, ...read.warnings].slice(0, MAX_WARNINGS),
  };
}

/** The stanza was checked by the schema beside it: that is what makes the wider type safe. */
function provider<T>(stanza: z.ZodType<T>, answer: Provider<T>['answer']): Provider {
  return { stanza, answer: (ask) => answer(ask as Ask<T>) };
}
