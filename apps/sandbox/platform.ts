/** What the services need around them: a Kubernetes API, NATS and Prometheus, on loopback, with all files in one temporary folder. */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ControllersOptions } from '@kubervisor/kube-sandbox/controllers/start';
import { startKubeSandbox } from '@kubervisor/kube-sandbox/sandbox';
import { guardFolder, makeFolder, removeFolder } from '@kubervisor/testing/servers/child';
import { startNats } from '@kubervisor/testing/servers/nats';
import { startPrometheus } from '@kubervisor/testing/servers/prometheus';
import type { Cleanup } from './cleanup.ts';
import type { Programs } from './programs.ts';

/** By this name a KubervisorService asks our Prometheus (`prometheusService`): the file of sources names its address. */
export const SOURCE = 'prometheus';

export interface Platform {
  dir: string;
  kubernetesUrl: string;
  /** The text, and where it was written. */
  kubeconfig: string;
  kubeconfigFile: string;
  natsUrl: string;
  prometheusUrl: string;
  /** For DETECTOR_SOURCES. */
  sourcesFile: string;
  /** Tells Prometheus whom to scrape from now on; of the job `shop`. */
  scrape: (targets: { address: string; labels: Record<string, string> }[]) => void;
}

export interface PlatformOptions {
  programs: Programs;
  cleanup: Cleanup;
  signal: AbortSignal;
  /** Told of each thing that is there. */
  say: (line: string) => void;
  /** Where the kubeconfig goes; unset: into the folder. */
  kubeconfigFile?: string | undefined;
  /** The address of a pod that starts, as the kubelet's callback. */
  address?: NonNullable<ControllersOptions['address']>;
}

export async function startPlatform({
  programs,
  cleanup,
  signal,
  say,
  kubeconfigFile,
  address,
}: PlatformOptions): Promise<Platform> {
  const dir = makeFolder('demo');
  const guarded = guardFolder(dir);
  cleanup.add(() => {
    guarded.release();
    removeFolder(dir);
  });

  const kubernetes = await startKubeSandbox({ controllers: address === undefined ? true : { address } });
  cleanup.add(() => kubernetes.stop());
  say(`Kubernetes API  ${kubernetes.url}  (a simulator in this process)`);
  signal.throwIfAborted();

  const nats = await startNats({ binary: programs.natsServer });
  cleanup.add(() => nats.stop());
  say(`NATS            ${nats.url}`);
  signal.throwIfAborted();

  const targets = join(dir, 'targets.json');
  writeFileSync(targets, '[]');
  const second = { scrape_interval: '1s', scrape_timeout: '1s' };
  const shop = { job_name: 'shop', file_sd_configs: [{ files: [targets] }] };
  const prometheus = await startPrometheus({
    binary: programs.prometheus,
    configYaml: JSON.stringify({ global: second, scrape_configs: [shop] }),
  });
  cleanup.add(() => prometheus.stop());
  say(`Prometheus      ${prometheus.url}  (scrapes every second)`);
  signal.throwIfAborted();

  const ownKubeconfig = join(dir, 'kubeconfig');
  const written = kubeconfigFile ?? ownKubeconfig;
  writeFileSync(written, kubernetes.kubeconfig, { mode: 0o600 });
  if (kubeconfigFile !== undefined) cleanup.add(() => removeFolder(kubeconfigFile));
  const sourcesFile = join(dir, 'sources.yaml');
  writeFileSync(sourcesFile, JSON.stringify({ sources: [{ name: SOURCE, url: prometheus.url }] }));
  mkdirSync(join(dir, 'logs'));

  return {
    dir,
    kubernetesUrl: kubernetes.url,
    kubeconfig: kubernetes.kubeconfig,
    kubeconfigFile: written,
    natsUrl: nats.url,
    prometheusUrl: prometheus.url,
    sourcesFile,
    scrape(list) {
      const next = `${targets}.next`;
      writeFileSync(next, JSON.stringify(list.map(({ address: one, labels }) => ({ targets: [one], labels }))));
      // In one step: Prometheus watches the file and must not read half of it.
      renameSync(next, targets);
    },
  };
}
