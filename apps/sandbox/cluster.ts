/** `npm run sandbox`: the cluster, NATS and Prometheus alone, for services that are started by hand. */
import type { Cleanup } from './cleanup.ts';
import { startPlatform, type Platform } from './platform.ts';
import { findPrograms } from './programs.ts';
import { environmentOf, SERVICES, type Service } from './services.ts';

/** Where the lines to paste let each service listen. */
const PORTS: Record<Service, number> = { detector: 8081, controller: 8082, breaker: 8083, activator: 8084 };

/** What a person pastes, a terminal each. */
export function linesToPaste(platform: Pick<Platform, 'kubeconfigFile' | 'natsUrl' | 'sourcesFile'>): string[] {
  const detectorUrl = `http://127.0.0.1:${PORTS.detector}`;
  return SERVICES.map((service) => {
    const environment = {
      ...environmentOf(service, platform, detectorUrl),
      POD_NAME: `${service}-0`,
      HTTP_HOST: '127.0.0.1',
      HTTP_PORT: String(PORTS[service]),
    };
    const assignments = Object.entries(environment).map(([name, value]) => `${name}=${quoted(value)}`);
    return `${assignments.join(' ')} npm start -w services/${service}`;
  });
}

const quoted = (value: string): string =>
  /^[\w@%+=:,./-]+$/.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`;

export async function runCluster({
  cleanup,
  signal,
  say,
  kubeconfigFile,
}: {
  cleanup: Cleanup;
  signal: AbortSignal;
  say: (line: string) => void;
  /** Unset: in a temporary folder. */
  kubeconfigFile: string | undefined;
}): Promise<void> {
  const programs = findPrograms(say, cleanup);
  say('Starting, on loopback alone:');
  const platform = await startPlatform({ programs, cleanup, signal, kubeconfigFile, say: (line) => say(`  ${line}`) });
  say(`\nkubectl:\n  export KUBECONFIG=${quoted(platform.kubeconfigFile)}\n  kubectl get nodes`);
  say(`\nThe services, a terminal each (after npm run build):`);
  for (const line of linesToPaste(platform)) say(`  ${line}`);
  say(`\nThen, with the controller running (it installs the CRD):`);
  say(`  kubectl apply -f examples/minimal.yaml`);
  say(`\nA prometheusService of "prometheus" asks the Prometheus above. Ctrl-C ends all of it.`);
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
