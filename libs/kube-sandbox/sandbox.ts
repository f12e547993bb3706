/**
 * The simulator of a Kubernetes cluster: an API server on loopback, and what makes it living (see ./controllers). It is a means for
 * tests and the demo, not a product.
 */
import type { AddressInfo } from 'node:net';
import { Api } from './api.ts';
import { startControllers, type ControllersOptions } from './controllers/start.ts';
import { VERSION_INFO } from './discovery.ts';
import { Faults } from './faults.ts';
import type { Validator } from './kinds.ts';
import { createApiServer, type ServerOptions } from './server.ts';
import { KubeState } from './store.ts';

export interface SandboxOptions {
  /** 0 (default) takes a free one. */
  port?: number;
  /** Where it listens; loopback unless told. It knows no accounts: whoever reaches it may do everything. */
  host?: string;
  /** What an earlier sandbox held, so that a "restart" keeps its data. */
  state?: KubeState;
  /** Rules of custom resources by `<plural>.<group>`, instead of the CEL rules of their definitions. */
  validators?: Readonly<Record<string, Validator>>;
  /** The controller side; false leaves every pod Pending and every EndpointSlice unwritten. Default: all of it. */
  controllers?: boolean | Omit<ControllersOptions, 'kubeconfig'>;
  /** Milliseconds between bookmarks of a watch that asked for them; 60,000. */
  bookmarkInterval?: number;
  serviceProxy?: ServerOptions['serviceProxy'];
  /** Milliseconds since 1970. */
  now?: () => number;
  log?: (line: string) => void;
}

export interface KubeSandbox {
  readonly url: string;
  readonly port: number;
  /** YAML for KUBECONFIG; the caller writes it where it is wanted. */
  readonly kubeconfig: string;
  readonly faults: Faults;
  readonly state: KubeState;
  /** Closes the listener and every connection; the state stays and can be given to the next sandbox. */
  stop: () => Promise<void>;
}

/** Some clients take plain HTTP only where they are told that nothing is to be verified. */
export const kubeconfigOf = (url: string): string => `apiVersion: v1
kind: Config
clusters: [{name: kubervisor-sandbox, cluster: {server: "${url}", insecure-skip-tls-verify: true}}]
users: [{name: kubervisor-sandbox, user: {}}]
contexts: [{name: kubervisor-sandbox, context: {cluster: kubervisor-sandbox, user: kubervisor-sandbox}}]
current-context: kubervisor-sandbox
`;

export async function startKubeSandbox(options: SandboxOptions = {}): Promise<KubeSandbox> {
  const {
    port = 0,
    host = '127.0.0.1',
    state = new KubeState(),
    validators = {},
    controllers = true,
    log,
    now,
  } = options;
  const faults = new Faults();
  const api = new Api({ state, validators, ...(now !== undefined && { now }) });
  const server = createApiServer({
    api,
    faults,
    ...(options.bookmarkInterval !== undefined && { bookmarkInterval: options.bookmarkInterval }),
    ...(options.serviceProxy !== undefined && { serviceProxy: options.serviceProxy }),
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const address = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${address.port}`;
  const kubeconfig = kubeconfigOf(url);
  log?.(
    `kubervisor-sandbox: a simulator of Kubernetes (${String(VERSION_INFO.gitVersion)}), not a cluster, listens on ${url}`,
  );
  const running =
    controllers === false ? undefined : startControllers({ kubeconfig, ...(controllers === true ? {} : controllers) });
  await running?.ready;
  return {
    url,
    port: address.port,
    kubeconfig,
    faults,
    state,
    stop: async () => {
      await running?.stop();
      api.close();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}
