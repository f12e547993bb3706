/** What answers each kind of detector. A provider never throws: that it could not answer is a result (V1). */
import type { Exchange } from '@kubervisor/runtime/http/exchange';
import {
  continuousValueDeviation,
  discreteValueOutOfList,
  outlier,
  pluginDetector,
  threshold,
  trend,
  type DetectorKind,
} from '@kubervisor/shared/crd/kubervisor-service';
import type { EvaluationRequest } from '@kubervisor/shared/detection/service';
import * as z from 'zod';
import { success, type Answer, type Result } from './core/answer.ts';
import { pluginRequest } from './core/plugin-request.ts';
import { rangeOf } from './core/trend.ts';
import type { CustomServiceClient } from './shell/custom-service.ts';
import type { Judging } from './shell/judging.ts';
import type { PluginClient } from './shell/plugin.ts';
import type { PluginInfo } from './shell/plugin-info.ts';
import type { PrometheusClient, Range } from './shell/prometheus.ts';
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

export interface Provider<T = unknown> {
  stanza: z.ZodType<T>;
  answer(ask: Ask<T>): Promise<Result<Answer>>;
}

export interface Clients {
  prometheus: PrometheusClient;
  customService: CustomServiceClient;
  plugin: PluginClient;
  pluginInfo: PluginInfo;
  resolver: Resolver;
  judge: Judging;
}

/** One of each: a kind that is added to the resource does not compile before it has its provider here. */
export function createProviders(clients: Clients): Record<DetectorKind, Provider> {
  const judgeFor =
    ({ request: { kind, pods, service }, signal }: Ask<unknown>, stanza?: Queried) =>
    ({ status, text }: Exchange) =>
      clients.judge({ kind, stanza, namespace: service.namespace, pods, status, text }, signal);

  const ofQuery = <T extends Queried>(schema: z.ZodType<T>, rangeOfStanza?: (stanza: T) => Range): Provider =>
    provider(schema, async (ask) => {
      const { request, stanza, signal } = ask;
      const { namespace } = request.service;
      const source = clients.resolver.source(stanza.prometheusService, namespace);
      if (!source.ok) return source;
      const range = rangeOfStanza?.(stanza);
      const query = { source: source.value, namespace, promQL: stanza.promQL, signal, ...(range && { range }) };
      return clients.prometheus.query(query, judgeFor(ask, stanza));
    });

  return {
    discreteValueOutOfList: ofQuery(
      discreteValueOutOfList.refine(
        ({ goodValues, badValues }) => (goodValues === undefined) !== (badValues === undefined),
        { error: 'exactly one of goodValues and badValues must be given' },
      ),
    ),
    continuousValueDeviation: ofQuery(continuousValueDeviation),
    threshold: ofQuery(
      threshold.refine(({ max, min }) => max !== undefined || min !== undefined, {
        error: 'max or min must be given',
      }),
    ),
    outlier: ofQuery(outlier),
    trend: ofQuery(trend, rangeOf),
    customService: provider(z.string(), async (ask) => {
      const { request, stanza, signal } = ask;
      const destination = clients.resolver.plugin(stanza, request.service.namespace);
      if (!destination.ok) return destination;
      return clients.customService.badPods(destination.value, signal, judgeFor(ask));
    }),
    detector: provider(
      pluginDetector.refine(({ url, service }) => (url === undefined) !== (service === undefined), {
        error: 'exactly one of url and service must be given',
      }),
      async (ask) => {
        const { request, stanza, signal, deadline } = ask;
        const { namespace } = request.service;
        const destination = clients.resolver.pluginByContract(stanza, namespace);
        if (!destination.ok) return destination;
        const parameters = stanza.parameters ?? {};
        const fit = await clients.pluginInfo.check(destination.value, parameters, deadline, namespace);
        if (!fit.ok) return fit;
        const question = pluginRequest(request, parameters, deadline - performance.now());
        const answer = await clients.plugin.verdicts(destination.value, question, signal, judgeFor(ask));
        return answer.ok ? success({ ...answer.value, warnings: fit.value }) : answer;
      },
    ),
  };
}

/** What a kind that asks Prometheus has in its stanza. */
interface Queried {
  prometheusService: string;
  promQL: string;
}

/** The stanza was checked by the schema beside it: that is what makes the wider type safe. */
function provider<T>(stanza: z.ZodType<T>, answer: Provider<T>['answer']): Provider {
  return { stanza, answer: (ask) => answer(ask as Ask<T>) };
}
