/** What the demo is played on: a Kubernetes API, a Prometheus and the services, wherever they run. Here: on this machine, started by us. */
import type { ControllersOptions } from '@kubervisor/kube-sandbox/controllers/start';
import type { Cleanup } from './cleanup.ts';
import { startPlatform, type Platform } from './platform.ts';
import { findPrograms } from './programs.ts';
import { bundleServices, staleServices, startServices } from './services.ts';

export interface StageOptions {
  cleanup: Cleanup;
  signal: AbortSignal;
  say: (line: string) => void;
  /** The address of a pod that starts, as the kubelet's callback. */
  address: NonNullable<ControllersOptions['address']>;
}

export interface Stage extends Pick<Platform, 'kubeconfig' | 'prometheusUrl' | 'scrape'> {
  /** Resolves when they work. */
  services: () => Promise<Services>;
  /** For a person at the keyboard: the kubeconfig, and the line that tells where all else is to be seen. */
  beside: { kubeconfigFile: string; elsewhere: string };
}

export interface Services {
  /** What they said of trouble, or where they did: what a person needs where the story did not hold. */
  problems: () => string[];
}

export interface Staging {
  /** Where the pods listen, and under which name Prometheus finds them there. */
  pods: { listen: string; host: string };
  set: (options: StageOptions) => Promise<Stage>;
}

/** Everything as processes on loopback, which end with us. */
export const onThisMachine: Staging = {
  pods: { listen: '127.0.0.1', host: '127.0.0.1' },
  async set({ cleanup, signal, say, address }) {
    const programs = findPrograms(say, cleanup);
    await prepareServices(say, signal);
    say('Starting, on loopback alone:');
    const platform = await startPlatform({ programs, cleanup, signal, say: (line) => say(`  ${line}`), address });
    const { kubeconfigFile, prometheusUrl, dir } = platform;
    return {
      ...platform,
      services: () => startServices(platform, cleanup, signal),
      beside: { kubeconfigFile, elsewhere: `Prometheus: ${prometheusUrl}   logs of the services: ${dir}/logs` },
    };
  },
};

async function prepareServices(say: (line: string) => void, signal: AbortSignal): Promise<void> {
  const stale = staleServices();
  if (stale.length === 0) return;
  const began = performance.now();
  say(`Bundling what is new of the services: ${stale.join(', ')} …`);
  await bundleServices(stale, signal);
  say(`  done in ${((performance.now() - began) / 1000).toFixed(1)} s`);
}
