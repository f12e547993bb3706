/** A plug-in by contract v1 from the one function that its author writes. */
import { httpSettings } from '@kubervisor/runtime/config';
import { createHttpServer, HttpError, listen, parseBody } from '@kubervisor/runtime/http/server';
import { createLogger } from '@kubervisor/runtime/logs';
import { runMain } from '@kubervisor/runtime/main/run-main';
import { createMetrics } from '@kubervisor/runtime/metrics';
import {
  detectorInfo,
  verdictRequest,
  verdictResponse,
  type JudgedPod,
  type Verdict,
} from '@kubervisor/shared/detection/contract';
import { detectorOpenApi } from '@kubervisor/shared/detection/openapi';
import { judgeVerdicts } from '@kubervisor/shared/detection/plugin-answer';
import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import { pluginMetrics } from './metrics.ts';

/** What `evaluate` is asked. */
export interface Question<Parameters> {
  /** Ready, in traffic, past their grace period; at least the name and the uid of each. */
  pods: readonly JudgedPod[];
  /** Of the resource, by the schema of the definition: with its defaults. */
  parameters: Parameters;
  service: { namespace: string; name: string };
  breaker: string;
  /** For logs. */
  evaluationId: string;
  /** Ends when nobody waits any more: hand it to whatever takes time. */
  signal: AbortSignal;
}

export interface DetectorDefinition<Schema extends z.ZodObject> {
  /** At most 128 characters. */
  name: string;
  /** Yours, at most 64 characters. */
  version: string;
  /** What a resource may write below `parameters`; it is answered as JSON Schema, and Kubervisor checks resources against it. */
  parameters: Schema;
  /**
   * A verdict a pod. A pod that is left out is `inconclusive`, and so is one with several; pods that were not asked about do not count.
   * What it throws makes the evaluation an error, which breaks nobody.
   */
  evaluate(question: Question<z.output<Schema>>): readonly Verdict[] | Promise<readonly Verdict[]>;
}

/** The Fastify app: `inject` it in tests, add routes of your own, `listen` and `close` it, or have all that done by `run`. */
export interface Detector extends FastifyInstance {
  /** Listens where HTTP_HOST and HTTP_PORT say (0.0.0.0:8080), logs JSON lines from LOG_LEVEL on, ends gracefully on SIGTERM and SIGINT. */
  run(): Promise<void>;
}

/** Throws where name, version or schema are none that the contract allows. */
export function defineDetector<Schema extends z.ZodObject>(definition: DetectorDefinition<Schema>): Detector {
  const { name, version, parameters, evaluate } = definition;
  const info = detectorInfo.parse({
    name,
    version,
    // `input`: what has a default may be left out of the resource.
    parameters: z.toJSONSchema(parameters, { target: 'draft-2020-12', io: 'input' }),
  });
  const log = createLogger(name, 'silent');
  const metrics = createMetrics(name);
  const counters = metrics.declare(pluginMetrics);
  let listening = false;
  const app = createHttpServer({
    log,
    metrics,
    readiness: () => ({ ready: listening, checks: { http: listening ? 'ok' : 'not listening' } }),
  });
  app.addHook('onListen', async () => void (listening = true));
  app.addHook('preClose', async () => void (listening = false));
  app.get('/v1/info', async () => info);
  app.get('/openapi.json', async () => detectorOpenApi(info));
  app.post('/v1/verdicts', async ({ body }): Promise<{ verdicts: Verdict[] }> => {
    try {
      const verdicts = await answer(body);
      counters.evaluations.inc({ result: 'answered' });
      return { verdicts };
    } catch (error) {
      counters.evaluations.inc({ result: error instanceof HttpError ? error.code : 'Internal' });
      throw error;
    }
  });

  async function answer(body: unknown): Promise<Verdict[]> {
    const { timeoutMilliseconds, apiVersion: _theOnlyOne, ...request } = parseBody(verdictRequest, body);
    const question = { ...request, parameters: readParameters(parameters, request.parameters) };
    const given = await withinDeadline(timeoutMilliseconds, async (signal) => evaluate({ ...question, signal }));
    const { verdicts, ignored } = judgeVerdicts(readGiven(given), question.pods);
    for (const [outcome, some] of Map.groupBy(verdicts, (one) => one.outcome))
      counters.verdicts.inc({ outcome }, some.length);
    for (const [reason, times] of Object.entries(ignored)) counters.ignored.inc({ reason }, times);
    return verdicts;
  }

  async function run(): Promise<void> {
    await runMain(name, z.object(httpSettings), async (config) => {
      log.level = config.LOG_LEVEL;
      return { url: await listen(app, config), stop: () => app.close() };
    });
  }
  return Object.assign(app, { run });
}

function readParameters<Schema extends z.ZodObject>(schema: Schema, given: unknown): z.output<Schema> {
  const read = schema.safeParse(given);
  if (read.success) return read.data;
  const problems = read.error.issues.map(({ path, message }) => `${['parameters', ...path].join('.')}: ${message}`);
  throw new HttpError(400, 'InvalidParameters', problems.slice(0, 10).join('; '));
}

/** What `evaluate` answered is checked here, where its author can be told; Kubervisor would only see an answer that is none. */
function readGiven(given: unknown): Verdict[] {
  const read = verdictResponse.safeParse({ verdicts: given });
  if (read.success) return read.data.verdicts;
  const problems = read.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new HttpError(500, 'BadVerdicts', `evaluate answered ${problems.slice(0, 10).join('; ')}`);
}

/** Before whoever asked stops waiting, so that the error still arrives and says why. */
const HEAD_START = { share: 0.1, maxMilliseconds: 50 };

async function withinDeadline<T>(timeoutMilliseconds: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const given = timeoutMilliseconds - Math.min(HEAD_START.maxMilliseconds, timeoutMilliseconds * HEAD_START.share);
  const ending = new AbortController();
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const error = new HttpError(504, 'DeadlineExceeded', `no verdicts within ${Math.floor(given)} ms`);
    // Before the signal: what `evaluate` throws because of it must not be the answer.
    reject(error);
    ending.abort(error);
  }, given);
  try {
    return await Promise.race([work(ending.signal), late]);
  } finally {
    clearTimeout(timer);
  }
}
