/** The wiring of the activator: what its rounds are played with. */
import { setTimeout } from 'node:timers/promises';
import * as z from 'zod';
import type { Kubernetes } from '@kubervisor/runtime/kubernetes/client';
import type { MainDependencies, Running } from '@kubervisor/runtime/main/run-main';
import { startWorker, takeWork, workerSettings, type WorkerPorts } from '@kubervisor/runtime/worker/worker';
import { activatorMetrics } from './shell/metrics.ts';
import { activationRound } from './shell/round.ts';

export const activatorConfig = z.object(workerSettings);
export type ActivatorConfig = z.output<typeof activatorConfig>;

export interface ActivatorPorts extends WorkerPorts {
  kubernetes: Pick<Kubernetes, 'listPods' | 'getPod' | 'patchPod' | 'evictPod' | 'deletePod'>;
  /** In place of a timer. */
  wait?: (milliseconds: number) => Promise<void>;
}

/** Takes activations until it is stopped. */
export function createActivator(
  config: Pick<ActivatorConfig, 'CONCURRENCY'>,
  { wait, ...ports }: ActivatorPorts,
): Running {
  const round = activationRound({
    ...ports,
    activatorMetrics: ports.metrics.declare(activatorMetrics),
    wait: wait ?? ((milliseconds) => setTimeout(milliseconds)),
  });
  return takeWork(round, ports, { concurrency: config.CONCURRENCY });
}

export const startActivator = (config: ActivatorConfig, dependencies: MainDependencies) =>
  startWorker('activator', config, dependencies, (ports) => createActivator(config, ports));
