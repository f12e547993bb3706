/**
 * Starts a real control plane from a folder of programs (the envtest convention KUBEBUILDER_ASSETS): etcd, kube-apiserver with RBAC
 * and, where it is there, kube-controller-manager. All on loopback, all of it gone with `stop()` or with this process.
 */
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createApiClient } from '@kubervisor/kube-sandbox/client';
import { guardFolder, makeFolder, removeFolder, startChild, type Child } from '../servers/child.ts';
import { startEgress } from './egress.ts';

export interface ControlPlane {
  /** Path of an administrator's kubeconfig. */
  kubeconfig: string;
  /** Whether workloads, EndpointSlices and disruption budgets are looked after. */
  hasControllerManager: boolean;
  readonly processes: { etcd: Child; apiServer: Child; controllerManager?: Child };
  /** Whom its proxy reaches at the address of a pod (`10.1.2.3:8080`): this port of the loopback. */
  lead(address: string, port: number): void;
  /** SIGKILL of kube-apiserver; what it knew is in etcd. */
  killApiServer(): Promise<void>;
  /** After a kill: the same again, on its port; resolves when it is ready. */
  restartApiServer(): Promise<void>;
  /** Takes etcd's past away, as the API server does every few minutes: who goes on from there is told 410. */
  compact(): Promise<void>;
  /** SIGKILL of etcd; its files stay. */
  killEtcd(): Promise<void>;
  /** After a kill: the same again, on its port and its files. The API server finds it by itself. */
  restartEtcd(): Promise<void>;
  stop(): Promise<void>;
}

const READY_WITHIN_MS = 30_000;

/** Ports that are free now, all different. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, () => {
      const server = createServer();
      return new Promise<typeof server>((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

const flags = (values: Record<string, string | number | boolean>): string[] =>
  Object.entries(values).map(([name, value]) => `--${name}=${value}`);

const kubeconfigOf = (port: number, certificate: string, token: string): string => `apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "https://127.0.0.1:${port}", certificate-authority-data: ${Buffer.from(certificate).toString('base64')}}}]
users: [{name: admin, user: {token: ${token}}}]
contexts: [{name: test, context: {cluster: test, user: admin}}]
current-context: test
`;

async function awaitReady(kubeconfig: string): Promise<void> {
  const client = createApiClient(kubeconfig);
  try {
    for (const end = performance.now() + READY_WITHIN_MS; ; await delay(50)) {
      const answer = await client.request('GET', '/readyz').catch(() => undefined);
      if (answer?.code === 200) return;
      if (performance.now() > end) throw new Error(`kube-apiserver was not ready in ${READY_WITHIN_MS} ms`);
    }
  } finally {
    await client.close();
  }
}

/** @param assets the folder of the programs */
export async function startControlPlane(assets: string): Promise<ControlPlane> {
  const program = (name: string) => join(assets, name);
  for (const name of ['etcd', 'kube-apiserver'])
    if (!existsSync(program(name))) throw new Error(`KUBEBUILDER_ASSETS=${assets} holds no ${name}`);
  const folder = makeFolder('control-plane');
  const guarded = guardFolder(folder);
  const started: Child[] = [];
  const egress = await startEgress(folder);
  const stop = async () => {
    // The API server takes a minute to end when asked politely; nothing here is worth that.
    for (const child of started.reverse()) await child.end('SIGKILL');
    await egress.close();
    guarded.release();
    removeFolder(folder);
  };
  const start = async (name: string, ready: RegExp, values: Record<string, string | number | boolean>) => {
    const child = await startChild(
      { command: program(name), args: flags(values), ready: [ready], timeoutMilliseconds: READY_WITHIN_MS },
      folder,
    );
    started.push(child);
    return child;
  };
  try {
    const [clientPort = 0, peerPort = 0, apiPort = 0, managerPort = 0] = await freePorts(4);
    const token = randomUUID();
    const keys = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    });
    const keyFile = join(folder, 'service-accounts.key');
    const tokenFile = join(folder, 'tokens.csv');
    writeFileSync(keyFile, keys.privateKey, { mode: 0o600 });
    writeFileSync(tokenFile, `${token},admin,admin,system:masters\n`, { mode: 0o600 });

    const startEtcd = () =>
      start('etcd', /ready to serve client requests/, {
        'data-dir': join(folder, 'etcd'),
        'listen-client-urls': `http://127.0.0.1:${clientPort}`,
        'advertise-client-urls': `http://127.0.0.1:${clientPort}`,
        'listen-peer-urls': `http://127.0.0.1:${peerPort}`,
        'initial-advertise-peer-urls': `http://127.0.0.1:${peerPort}`,
        'initial-cluster': `default=http://127.0.0.1:${peerPort}`,
        'unsafe-no-fsync': true,
      });
    let etcd = await startEtcd();
    const certificates = join(folder, 'certificates');
    const startApiServer = () =>
      start('kube-apiserver', /Serving securely/, {
        'etcd-servers': `http://127.0.0.1:${clientPort}`,
        'bind-address': '127.0.0.1',
        'secure-port': apiPort,
        // It signs a certificate for itself.
        'cert-dir': certificates,
        'endpoint-reconciler-type': 'none',
        'egress-selector-config-file': egress.configFile,
        'authorization-mode': 'RBAC',
        'token-auth-file': tokenFile,
        'service-cluster-ip-range': '10.96.0.0/16',
        'service-account-issuer': 'https://kubernetes.default.svc.cluster.local',
        'service-account-key-file': keyFile,
        'service-account-signing-key-file': keyFile,
      });
    let apiServer = await startApiServer();
    const config = kubeconfigOf(apiPort, readFileSync(join(certificates, 'apiserver.crt'), 'utf8'), token);
    const kubeconfig = join(folder, 'kubeconfig');
    writeFileSync(kubeconfig, config, { mode: 0o600 });
    await awaitReady(config);

    const hasControllerManager = existsSync(program('kube-controller-manager'));
    const controllerManager = hasControllerManager
      ? await start('kube-controller-manager', /Serving securely/, {
          kubeconfig,
          'authentication-kubeconfig': kubeconfig,
          'authorization-kubeconfig': kubeconfig,
          'service-account-private-key-file': keyFile,
          'use-service-account-credentials': true,
          'leader-elect': false,
          'bind-address': '127.0.0.1',
          'secure-port': managerPort,
          'cert-dir': certificates,
          'kube-api-qps': 500,
          'kube-api-burst': 1000,
        })
      : undefined;
    return {
      kubeconfig,
      hasControllerManager,
      get processes() {
        return { etcd, apiServer, ...(controllerManager !== undefined && { controllerManager }) };
      },
      lead: egress.lead,
      killApiServer: () => apiServer.end('SIGKILL'),
      async restartApiServer() {
        apiServer = await startApiServer();
        await awaitReady(config);
      },
      killEtcd: () => etcd.end('SIGKILL'),
      async restartEtcd() {
        etcd = await startEtcd();
      },
      async compact() {
        const ask = async (what: string, body: object): Promise<{ header: { revision: string } }> => {
          const url = `http://127.0.0.1:${clientPort}/v3/kv/${what}`;
          const answer = await fetch(url, { method: 'POST', body: JSON.stringify(body) });
          if (!answer.ok) throw new Error(`etcd: ${what}: ${await answer.text()}`);
          return (await answer.json()) as { header: { revision: string } };
        };
        const { header } = await ask('range', { key: Buffer.from('/').toString('base64'), limit: 1 });
        await ask('compaction', { revision: header.revision, physical: true });
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
