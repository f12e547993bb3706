/**
 * The controller, wired: watches that every replica keeps warm, and what the leader alone does with them (shell/leadership.ts). Losing
 * the lease ends the latter at once.
 */
import { randomBytes } from 'node:crypto';
import { flag, httpSettings, integer, kubernetesSettings, list, name, natsSettings } from '@kubervisor/runtime/config';
import { createHttpServer, listen } from '@kubervisor/runtime/http/server';
import { pause, writingBefore } from '@kubervisor/runtime/kubernetes/api-server';
import { connectKubernetes, kubernetesOn, type Kubernetes } from '@kubervisor/runtime/kubernetes/client';
import { installCrd } from '@kubervisor/runtime/kubernetes/crd';
import { createEventRecorder } from '@kubervisor/runtime/kubernetes/events';
import { electLeader } from '@kubervisor/runtime/kubernetes/lease';
import type { Logger } from '@kubervisor/runtime/logs';
import type { MainDependencies, Running } from '@kubervisor/runtime/main/run-main';
import { connectBus } from '@kubervisor/runtime/nats/bus';
import { natsSettingsOf } from '@kubervisor/runtime/nats/settings';
import { CRD_VERSION_ANNOTATION, crdManifest } from '@kubervisor/shared/crd/manifest';
import { DNS_LABEL } from '@kubervisor/shared/crd/kubervisor-service';
import { LEASE_NAME } from '@kubervisor/shared/installation';
import * as z from 'zod';
import { problemOfCaches } from './core/cache-health.ts';
import { controllerMetrics } from './metrics.ts';
import { watchCluster } from './shell/caches.ts';
import { serveHistory } from './shell/history.ts';
import { lead, type Leadership } from './shell/leadership.ts';

export const controllerConfig = z.object({
  ...httpSettings,
  ...natsSettings,
  ...kubernetesSettings,
  WATCH_NAMESPACES: list('namespaces', DNS_LABEL)
    .optional()
    .describe('namespaces to watch; not set: the whole cluster'),
  LEASE_NAMESPACE: name('a namespace', DNS_LABEL).default('default').describe('namespace of the Lease'),
  LEASE_NAME: name('a name', DNS_LABEL).default(LEASE_NAME).describe('name of the Lease'),
  LEASE_DURATION_SECONDS: integer(3, 3600)
    .default(15)
    .describe('after so long without a renewal another controller leads'),
  INSTALL_CRD: flag().default(true).describe('install and update the CRD at the start'),
  NATS_REPLICAS: integer(1, 5).default(1).describe('replicas of the streams and of the claims'),
});
export type ControllerConfig = z.output<typeof controllerConfig>;

export async function startController(
  config: ControllerConfig,
  { log, metrics: registry, identity }: MainDependencies,
): Promise<Running & { url: string }> {
  const kubernetes = connectKubernetes(
    {
      ...(config.KUBECONFIG !== undefined && { kubeconfigFile: config.KUBECONFIG }),
      userAgent: 'kubervisor-controller',
    },
    log,
  );
  const bus = await connectBus(natsSettingsOf(config, 'controller', identity), log);
  const metrics = registry.declare(controllerMetrics);
  metrics.leader.set(0);
  // There from the start: an increase from nothing to 1 is none to Prometheus.
  for (const kind of ['fact', 'round.evaluate', 'round.activate']) metrics.poison.inc({ kind }, 0);
  const stopping = new AbortController();
  let leadership: Leadership | undefined;
  let elected = false;

  // The lease may come before the first lists are in, and they before the lease: leading begins with the later of the two.
  const leadIfReady = (): void => {
    if (!elected || leadership !== undefined || !caches.synced || stopping.signal.aborted) return;
    leadership = lead({
      kubernetes: asLeader,
      bus,
      caches,
      recorder,
      log,
      metrics,
      isLeader: election.isLeader,
      natsReplicas: config.NATS_REPLICAS,
    });
  };
  const stopLeading = async (): Promise<void> => {
    const ended = leadership;
    leadership = undefined;
    await ended?.stop();
  };

  const crd = config.INSTALL_CRD ? ensureCrd(kubernetes, log, stopping.signal) : Promise.resolve();
  const caches = watchCluster(
    kubernetes,
    config.WATCH_NAMESPACES ?? [],
    {
      pod: (pod, before) => leadership?.podChanged(pod, before),
      namespace: (namespace) => leadership?.namespaceChanged(namespace),
      status: (resource) => leadership?.statusSeen(resource),
    },
    () => leadIfReady(),
  );
  const http = createHttpServer({
    log,
    metrics: registry,
    readiness: () => {
      const nats = bus.status();
      const problem = problemOfCaches(caches.synced, caches.watches(), performance.now());
      return {
        ready: nats.ready && problem === undefined,
        checks: {
          nats: nats.ready ? 'ok' : nats.problem,
          kubernetes: problem ?? 'ok',
          leader: leadership === undefined ? 'another leads, or none' : 'this one leads',
        },
      };
    },
  });
  serveHistory(http, bus);
  const url = await listen(http, config);

  // The age of a moment on the monotonic clock, as a time of day: Prometheus compares it with its own.
  const timeOf = (moment: number): number => (Date.now() - (performance.now() - moment)) / 1000;
  const telling = setInterval(() => {
    for (const [collection, { missed, heardAt }] of Object.entries(caches.watches())) {
      metrics.missedWatchEvents.set({ collection }, missed);
      metrics.watchHeard.set({ collection }, timeOf(heardAt));
    }
  }, 5000);
  const election = electLeader(
    kubernetes,
    {
      namespace: config.LEASE_NAMESPACE,
      name: config.LEASE_NAME,
      identity: `${identity}_${randomBytes(4).toString('hex')}`,
      durationSeconds: config.LEASE_DURATION_SECONDS,
    },
    {
      elected: () => {
        elected = true;
        leadIfReady();
      },
      lost: () => {
        elected = false;
        void stopLeading();
      },
    },
    log,
  );
  // Whatever a leader writes leaves while it leads or never, also what a frozen process finds in its hands when it wakes.
  const asLeader = kubernetesOn(writingBefore(kubernetes.api, election.mandate), log);
  const recorder = createEventRecorder(asLeader, { component: 'kubervisor-controller', instance: identity });
  const forgetReconnects = bus.onReconnect(() => leadership?.connected());

  return {
    url,
    async stop() {
      stopping.abort();
      clearInterval(telling);
      forgetReconnects();
      // No act of a leader may come after the lease was given back; the last Events are its acts too.
      await stopLeading();
      await recorder.stop();
      await election.stop();
      await caches.stop();
      // After the lease was given back: it may take long, and nobody waits for it.
      await crd;
      await http.close();
      await bus.close();
      await kubernetes.close();
    },
  };
}

const CRD_RETRY = 2000;

/** Until it is there, or cannot be had by us. Without it there is nothing to watch, so it is tried again while the API server is away. */
async function ensureCrd(kubernetes: Kubernetes, log: Logger, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const outcome = await installCrd(
      kubernetes,
      crdManifest() as Parameters<typeof installCrd>[1],
      CRD_VERSION_ANNOTATION,
    );
    if (outcome.result === 'forbidden') {
      log.warn({ problem: outcome.message }, 'no right to install the CRD: somebody else must have done it');
      return;
    }
    if (outcome.result !== 'failed') {
      log.info({ result: outcome.result }, 'CRD');
      return;
    }
    log.warn({ problem: outcome.message }, 'CRD could not be installed, trying again');
    await pause(CRD_RETRY, signal);
  }
}
