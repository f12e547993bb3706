/** A worker: a consumer of one kind of work, and the HTTP side that every service has. */
import type * as z from 'zod';
import { httpSettings, integer, kubernetesSettings, natsSettings } from '../config.ts';
import { createHttpServer, listen } from '../http/server.ts';
import { connectKubernetes, type Kubernetes } from '../kubernetes/client.ts';
import type { MainDependencies, Running } from '../main/run-main.ts';
import { connectBus, type Bus } from '../nats/bus.ts';
import { natsSettingsOf } from '../nats/settings.ts';
import { roundMetrics } from './metrics.ts';
import { roundHandler, type RoundPorts, type RoundShape, type WorkData } from './round.ts';

/** What every worker is configured by; spread into its schema. */
export const workerSettings = {
  ...httpSettings,
  ...natsSettings,
  ...kubernetesSettings,
  CONCURRENCY: integer(1, 1000).default(16).describe('rounds at once in this process'),
};
export type WorkerConfig = z.output<z.ZodObject<typeof workerSettings>>;

/** What a round is played with; in tests, what stands for it. */
export interface WorkerPorts extends Omit<RoundPorts, 'metrics' | 'bus'> {
  bus: Pick<Bus, 'publish' | 'consume'> & { claims: Pick<Bus['claims'], 'claim'> };
  metrics: MainDependencies['metrics'];
}

/** Takes work until it is stopped; a stop waits for the rounds under way. */
export function takeWork<Work extends WorkData, Fact, Gathered, Done>(
  shape: RoundShape<Work, Fact, Gathered, Done>,
  ports: WorkerPorts,
  { concurrency }: { concurrency: number },
): Running {
  const handle = roundHandler(shape, { ...ports, metrics: ports.metrics.declare(roundMetrics) });
  return ports.bus.consume(shape.kind, handle, { concurrency });
}

/**
 * The whole of a worker's process but its rounds: connections to NATS and Kubernetes, HTTP, and a graceful end in the order work,
 * HTTP, connections. It starts also while NATS is away, and says so on /readyz.
 */
export async function startWorker(
  service: 'breaker' | 'activator',
  config: WorkerConfig,
  { log, metrics, identity }: MainDependencies,
  work: (ports: WorkerPorts & { kubernetes: Kubernetes }) => Running,
): Promise<Running & { url: string }> {
  const kubernetes = connectKubernetes(
    {
      ...(config.KUBECONFIG !== undefined && { kubeconfigFile: config.KUBECONFIG }),
      userAgent: `kubervisor-${service}`,
    },
    log,
  );
  const bus = await connectBus(natsSettingsOf(config, service, identity), log);
  const readiness = () => {
    const status = bus.status();
    return { ready: status.ready, checks: { nats: status.ready ? 'ok' : status.problem } };
  };
  const http = createHttpServer({ log, metrics, readiness });
  const url = await listen(http, config);
  const source = `/kubervisor/${service}/${identity}`;
  const clocks = { now: () => Date.now(), monotonic: () => performance.now() };
  const working = work({ bus, kubernetes, log, metrics, source, ...clocks });
  return {
    url,
    async stop() {
      await working.stop();
      await http.close();
      await bus.close();
      await kubernetes.close();
    },
  };
}
