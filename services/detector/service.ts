/** The wiring: environment → clients → providers → `POST /v1/verdicts`. */
import { filePath, ConfigError, httpSettings, list } from '@kubervisor/runtime/config';
import { createHttpServer, HttpError, listen, parseBody } from '@kubervisor/runtime/http/server';
import type { Logger } from '@kubervisor/runtime/logs';
import type { MainDependencies, Running } from '@kubervisor/runtime/main/run-main';
import type { Metrics } from '@kubervisor/runtime/metrics';
import { detectorOpenApi } from '@kubervisor/shared/detection/openapi';
import {
  evaluationRequest,
  type EvaluationRequest,
  type EvaluationResponse,
} from '@kubervisor/shared/detection/service';
import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import { parseAllowList } from './core/address.ts';
import { faultResponse } from './core/answer.ts';
import { detectorMetrics } from './metrics.ts';
import { createProviders } from './providers.ts';
import { createCustomServiceClient } from './shell/custom-service.ts';
import { systemNames, type Names } from './shell/names.ts';
import { createOutbound } from './shell/outbound.ts';
import { createJudging } from './shell/judging.ts';
import { createPluginClient } from './shell/plugin.ts';
import { createPluginInfo } from './shell/plugin-info.ts';
import { createPrometheusClient } from './shell/prometheus.ts';
import { createResolver } from './shell/resolver.ts';
import { createSideThread } from './shell/side-thread.ts';
import { createSourceStates } from './shell/source-states.ts';
import { loadSources } from './shell/sources.ts';

export const detectorConfig = z.object({
  ...httpSettings,
  DETECTOR_ALLOW: list('host:port patterns', /^\S+$/)
    .default([])
    .describe('where detectors may connect beside Services: host:port, comma-separated, * for any run of characters'),
  DETECTOR_SOURCES: filePath().optional().describe('YAML file of named sources'),
  CLUSTER_DOMAIN: z
    .string()
    .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/, 'must be a DNS domain in lower case')
    .default('cluster.local')
    .describe('DNS domain of the cluster'),
});
export type DetectorConfig = z.output<typeof detectorConfig>;

export interface DetectorService {
  server: FastifyInstance;
  stop(): Promise<void>;
}

const FILES_LOOK_MILLISECONDS = 10_000;

/** Does not listen yet. Throws `ConfigError` for a bad allow-list or file of sources. */
export async function createDetectorService(
  config: DetectorConfig,
  { log, metrics, names = systemNames() }: { log: Logger; metrics: Metrics; names?: Names },
): Promise<DetectorService> {
  const parsed = parseAllowList(config.DETECTOR_ALLOW);
  if ('problems' in parsed) throw new ConfigError(parsed.problems.map((problem) => `DETECTOR_ALLOW: ${problem}`));
  const counters = metrics.declare(detectorMetrics);
  const states = createSourceStates(log, (source, state, count) => counters.sources.set({ source, state }, count));
  const sources = await loadSources(config.DETECTOR_SOURCES, names, parsed.allow, states.files);
  const outbound = createOutbound(names, parsed.allow);
  const thread = createSideThread();
  const asked = (source: string) => (seconds: number, result: string) =>
    counters.sourceRequests.observe({ source, result }, seconds);
  const providers = createProviders({
    prometheus: createPrometheusClient({
      shared: () => counters.sharedQueries.inc(),
      asked: asked('prometheus'),
      turned: states.turned,
    }),
    customService: createCustomServiceClient(outbound, asked('customService')),
    plugin: createPluginClient(outbound, asked('detector')),
    pluginInfo: createPluginInfo(outbound, thread, () => performance.now()),
    resolver: createResolver({ allow: parsed.allow, clusterDomain: config.CLUSTER_DOMAIN }, sources, outbound),
    judge: createJudging(thread),
  });

  async function evaluate(request: EvaluationRequest): Promise<EvaluationResponse> {
    const { kind, pods } = request;
    const stanza = providers[kind].stanza.safeParse(request.detector);
    if (!stanza.success) {
      const problems = stanza.error.issues.map(({ path, message }) => `${[kind, ...path].join('.')}: ${message}`);
      throw new HttpError(400, 'InvalidRequest', problems.slice(0, 10).join('; '));
    }
    // Nobody to judge: the source need not be troubled.
    if (pods.length === 0) return { verdicts: [], ignored: {}, warnings: [] };
    const signal = AbortSignal.timeout(request.timeoutMilliseconds);
    const deadline = performance.now() + request.timeoutMilliseconds;
    const result = await providers[kind].answer({ request, stanza: stanza.data, signal, deadline });
    if (!result.ok) return faultResponse(result.fault);
    return result.value;
  }

  function report(request: EvaluationRequest, response: EvaluationResponse, seconds: number): void {
    const { kind, service, breaker, evaluationId } = request;
    const { error, ignored, verdicts, warnings } = response;
    counters.evaluations.inc({ kind, result: error?.reason ?? 'answered' });
    counters.duration.observe({ kind }, seconds);
    for (const [outcome, given] of Map.groupBy(verdicts, (one) => one.outcome)) {
      counters.verdicts.inc({ kind, outcome }, given.length);
    }
    for (const [reason, times] of Object.entries(ignored)) counters.ignored.inc({ kind, reason }, times);
    const fields = { namespace: service.namespace, service: service.name, breaker, round: evaluationId, kind };
    if (error === undefined)
      log.debug({ ...fields, pods: verdicts.length, ignored, warnings: warnings.length }, 'judged');
    else log.warn({ ...fields, reason: error.reason, problem: error.message }, 'could not judge');
  }

  let listening = false;
  const server = createHttpServer({
    log,
    metrics,
    readiness: () => ({
      ready: listening,
      checks: { http: listening ? 'ok' : 'not listening', ...states.checks() },
    }),
  });
  server.addHook('onListen', async () => void (listening = true));
  server.addHook('preClose', async () => void (listening = false));
  server.get('/openapi.json', async () => detectorOpenApi());
  server.post('/v1/verdicts', async (httpRequest): Promise<EvaluationResponse> => {
    const started = performance.now();
    const request = parseBody(evaluationRequest, httpRequest.body);
    const response = await evaluate(request);
    report(request, response, (performance.now() - started) / 1000);
    return response;
  });

  // Also where nobody asks: an operator who exchanges a file wants to see whether it can be used.
  const looks = setInterval(() => {
    for (const source of sources.values()) void source.credentials();
  }, FILES_LOOK_MILLISECONDS).unref();

  return {
    server,
    async stop() {
      clearInterval(looks);
      await server.close();
      await thread.close();
      for (const one of [outbound, ...[...sources.values()].map((source) => source.outbound)]) one.close();
    },
  };
}

/** Listens. Throws `ConfigError`, and what `listen` throws where the port is taken. */
export async function startDetector(config: DetectorConfig, { log, metrics }: MainDependencies): Promise<Running> {
  const service = await createDetectorService(config, { log, metrics });
  const url = await listen(service.server, config);
  return { ...service, url };
}
