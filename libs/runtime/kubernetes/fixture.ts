/** What the tests of this folder share: a cluster, a namespace of its own for each file, pods. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { parse, stringify } from 'yaml';
import { connectKubernetes, type Kubernetes } from './client.ts';
import { PATHS, pathIn } from './resources.ts';
import type { RawPod } from '@kubervisor/shared/pods/pod';
import { readPod } from '@kubervisor/shared/pods/codec';
import type { Pod } from '@kubervisor/shared/pods/pod';

export const silent = pino({ level: 'silent' });

/** A kubeconfig for a server that asks for no account; undefined: one that names no cluster. */
export function kubeconfigFor(server: string | undefined): { file: string; remove(): void } {
  const cluster = { server, 'insecure-skip-tls-verify': true };
  return writeKubeconfig({
    ...(server !== undefined && { 'current-context': 'c' }),
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
    clusters: [{ name: 'c', cluster: server === undefined ? { server: 'http://unused' } : cluster }],
    users: [{ name: 'u', user: { token: 'secret-token' } }],
  });
}

/** The same account, the server behind another port (a proxy). */
export function kubeconfigThrough(port: number, kubeconfigFile: string): { file: string; remove(): void } {
  const config = parse(readFileSync(kubeconfigFile, 'utf8')) as { clusters: { cluster: { server: string } }[] };
  for (const { cluster } of config.clusters) cluster.server = cluster.server.replace(/:\d+$/, `:${port}`);
  return writeKubeconfig(config);
}

function writeKubeconfig(config: object) {
  const folder = mkdtempSync(join(tmpdir(), 'kubervisor-'));
  const file = join(folder, 'kubeconfig');
  writeFileSync(file, stringify(config));
  return { file, remove: () => rmSync(folder, { recursive: true }) };
}

export interface Fixture {
  kubeconfigFile: string;
  kubernetes: Kubernetes;
  namespace: string;
  createPod(name: string, metadata?: object): Promise<Pod>;
  end(): Promise<void>;
}

export async function startFixture(): Promise<Fixture> {
  // eslint-disable-next-line no-restricted-globals
  const kubeconfigFile = process.env.TEST_KUBECONFIG ?? '';
  const kubernetes = connectKubernetes({ kubeconfigFile, userAgent: 'kubervisor-tests' }, silent);
  const namespace = `test-${randomUUID().slice(0, 8)}`;
  await kubernetes.api.request('POST', '/api/v1/namespaces', { body: { metadata: { name: namespace } } });
  return {
    kubeconfigFile,
    kubernetes,
    namespace,
    async createPod(name, metadata = {}) {
      const body = {
        metadata: { name, ...metadata },
        // Never scheduled: so nobody else changes it.
        spec: {
          schedulerName: 'nobody',
          terminationGracePeriodSeconds: 0,
          containers: [{ name: 'main', image: 'registry.example/main' }],
        },
      };
      // A namespace has its ServiceAccount a moment after it was made; without it the API server admits no pod.
      for (;;) {
        try {
          return readPod(await kubernetes.api.request<RawPod>('POST', pathIn(PATHS.pods, namespace), { body }));
        } catch (error) {
          if ((error as { status?: number }).status !== 403) throw error;
        }
      }
    },
    async end() {
      await kubernetes.api.request('DELETE', `/api/v1/namespaces/${namespace}`);
      await kubernetes.close();
    },
  };
}
