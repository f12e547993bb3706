/** Kubeconfigs for servers that tests start themselves. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';

/** A kubeconfig for a server that asks for no account; undefined: one that names no cluster. */
export function kubeconfigFor(
  server: string | undefined,
  user: object = { token: 'secret-token' },
): { file: string; remove(): void } {
  const cluster = { server, 'insecure-skip-tls-verify': true };
  return writeKubeconfig({
    ...(server !== undefined && { 'current-context': 'c' }),
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
    clusters: [{ name: 'c', cluster: server === undefined ? { server: 'http://unused' } : cluster }],
    users: [{ name: 'u', user }],
  });
}

/** The same account, the server behind another port (a proxy). */
export function kubeconfigThrough(port: number, kubeconfigFile: string): { file: string; remove(): void } {
  const config = parse(readFileSync(kubeconfigFile, 'utf8')) as { clusters: { cluster: { server: string } }[] };
  for (const { cluster } of config.clusters) cluster.server = cluster.server.replace(/:\d+$/, `:${port}`);
  return writeKubeconfig(config);
}

/** The same server, for the account of the token. */
export function kubeconfigWithToken(token: string, kubeconfigFile: string): { file: string; remove(): void } {
  const config = parse(readFileSync(kubeconfigFile, 'utf8')) as { users: { user: object }[] };
  for (const entry of config.users) entry.user = { token };
  return writeKubeconfig(config);
}

function writeKubeconfig(config: object) {
  const folder = mkdtempSync(join(tmpdir(), 'kubervisor-'));
  const file = join(folder, 'kubeconfig');
  writeFileSync(file, stringify(config));
  return { file, remove: () => rmSync(folder, { recursive: true }) };
}
