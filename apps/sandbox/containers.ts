/**
 * The stage of docker-compose.yml: Prometheus, NATS and the services are containers of their own, found by their names. Ours holds the
 * Kubernetes API and the shop. Nobody waits for anybody else but us, who wait for all of them: the story's limits are for what the
 * services do, not for how long a machine takes to start them.
 */
import { createServer } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { startKubeSandbox } from '@kubervisor/kube-sandbox/sandbox';
import type { Cleanup } from './cleanup.ts';
import { SERVICES } from './services.ts';
import type { Stage, Staging } from './stage.ts';

/** As docker-compose.yml calls us, and where it expects what. */
export const HOST = 'demo';
export const KUBERNETES_PORT = 16443;
export const TARGETS_PORT = 8080;
const PROMETHEUS_URL = 'http://prometheus:9090';
const KUBECONFIG_FILE = 'deploy/compose/kubeconfig.yaml';

/** Of whom an answer of 200 says that it works. */
const AWAITED: readonly { name: string; url: string }[] = [
  { name: 'prometheus', url: `${PROMETHEUS_URL}/-/ready` },
  ...SERVICES.map((service) => ({ name: service, url: `http://${service}:8080/readyz` })),
];
const ASK_EVERY_MS = 500;
const ANSWER_LIMIT_MS = 2000;
/** Who waits longer wants to know what for. */
const PATIENCE_MS = 30_000;

export const amongContainers: Staging = {
  pods: { listen: '0.0.0.0', host: HOST },
  async set({ cleanup, signal, say, address }): Promise<Stage> {
    const kubernetes = await startKubeSandbox({
      host: '0.0.0.0',
      port: KUBERNETES_PORT,
      controllers: { address },
    });
    cleanup.add(() => kubernetes.stop());
    say(`Kubernetes API  ${KUBECONFIG_FILE}  (a simulator in this process)`);
    return {
      kubeconfig: kubernetes.kubeconfig,
      prometheusUrl: PROMETHEUS_URL,
      scrape: await serveTargets(cleanup),
      async services() {
        await allAnswer(say, signal);
        return {
          problems: () => [
            `What the services say:  docker compose logs ${SERVICES.join(' ')}`,
            `All of it anew:         docker compose restart ${HOST}`,
          ],
        };
      },
      beside: {
        kubeconfigFile: KUBECONFIG_FILE,
        elsewhere:
          'Prometheus: docker compose port prometheus 9090   logs of the services: docker compose logs breaker',
      },
    };
  },
};

/** Prometheus asks us every second whom to scrape (`http_sd_configs`). */
async function serveTargets(cleanup: Cleanup): Promise<Stage['scrape']> {
  let targets = '[]';
  const server = createServer((_request, response) => {
    response.setHeader('Content-Type', 'application/json');
    response.end(targets);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(TARGETS_PORT, '0.0.0.0', resolve);
  });
  cleanup.add(() => {
    server.close();
    server.closeAllConnections();
  });
  return (list) => {
    targets = JSON.stringify(list.map(({ address, labels }) => ({ targets: [address], labels })));
  };
}

async function allAnswer(say: (line: string) => void, signal: AbortSignal): Promise<void> {
  let said = '';
  let impatientAt = performance.now() + PATIENCE_MS;
  for (;;) {
    const answers = await Promise.all(AWAITED.map(async ({ name, url }) => ((await answers200(url)) ? [] : [name])));
    const missing = answers.flat();
    if (missing.length === 0) return;
    const line = `Waiting for ${missing.join(', ')}`;
    if (line !== said) say(line);
    said = line;
    if (performance.now() > impatientAt) {
      say(`  what holds them up:  docker compose logs ${missing.join(' ')}`);
      impatientAt = Infinity;
    }
    await delay(ASK_EVERY_MS, undefined, { signal });
  }
}

const answers200 = (url: string): Promise<boolean> =>
  fetch(url, { signal: AbortSignal.timeout(ANSWER_LIMIT_MS) }).then(
    async (answer) => {
      await answer.body?.cancel();
      return answer.status === 200;
    },
    () => false,
  );
