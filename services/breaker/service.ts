/** The wiring of the breaker: what its rounds are played with. */
import { setTimeout } from 'node:timers/promises';
import * as z from 'zod';
import { url } from '@kubervisor/runtime/config';
import { askDetector } from '@kubervisor/runtime/http/detector-client';
import type { Kubernetes } from '@kubervisor/runtime/kubernetes/client';
import type { MainDependencies, Running } from '@kubervisor/runtime/main/run-main';
import { startWorker, takeWork, workerSettings, type WorkerPorts } from '@kubervisor/runtime/worker/worker';
import type { AskDetector } from './shell/gather.ts';
import { breakerMetrics } from './shell/metrics.ts';
import { evaluationRound } from './shell/round.ts';

export const breakerConfig = z.object({
  ...workerSettings,
  DETECTOR_URL: url(['http', 'https']).describe('the detector service'),
});
export type BreakerConfig = z.output<typeof breakerConfig>;

export interface BreakerPorts extends WorkerPorts {
  kubernetes: Pick<Kubernetes, 'listPods' | 'patchPod'>;
  /** In place of the detector service at DETECTOR_URL. */
  ask?: AskDetector;
  /** In place of a timer. */
  wait?: (milliseconds: number) => Promise<void>;
}

/** Takes evaluations until it is stopped. */
export function createBreaker(
  config: Pick<BreakerConfig, 'DETECTOR_URL' | 'CONCURRENCY'>,
  { ask, wait, ...ports }: BreakerPorts,
): Running {
  const round = evaluationRound({
    ...ports,
    breakerMetrics: ports.metrics.declare(breakerMetrics),
    ask: ask ?? ((request, timeout) => askDetector(config.DETECTOR_URL, request, timeout)),
    wait: wait ?? ((milliseconds) => setTimeout(milliseconds)),
  });
  return takeWork(round, ports, { concurrency: config.CONCURRENCY });
}

export const startBreaker = (config: BreakerConfig, dependencies: MainDependencies) =>
  startWorker('breaker', config, dependencies, (ports) => createBreaker(config, ports));
