/**
 * A Kubernetes API for a test, the best that is at hand: the cluster that TEST_KUBECONFIG names; else a control plane of one's own
 * from KUBEBUILDER_ASSETS; else the embedded simulator. In each of them pods come to run, without containers where
 * there are no nodes.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createApiClient, pathOf, type ApiClient } from '@kubervisor/kube-sandbox/client';
import { installNode as writeNode, SIMULATED } from '@kubervisor/kube-sandbox/controllers/kubelet';
import {
  startControllers,
  type ControllersOptions,
  type RunningControllers,
} from '@kubervisor/kube-sandbox/controllers/start';
import { startKubeSandbox, type KubeSandbox, type SandboxOptions } from '@kubervisor/kube-sandbox/sandbox';
import { CRD_VALIDATORS } from '@kubervisor/shared/crd/validate';
import { guardFolder, makeFolder, removeFolder } from '../servers/child.ts';
import { startControlPlane, type ControlPlane } from './control-plane.ts';

export interface ClusterOptions {
  /** False: pods stay Pending where no node runs them (and in the simulator nothing follows them). Default true. */
  runPods?: boolean;
  /** Passed on to the part that plays the kubelets. */
  kubelet?: Pick<ControllersOptions, 'address' | 'endsAfter' | 'nodes'>;
  /** Of the simulator only. */
  sandbox?: Omit<SandboxOptions, 'controllers'>;
  /** Else chosen by the environment. */
  source?: 'given' | 'assets' | 'sandbox';
}

export interface TestCluster {
  /** Path of a kubeconfig with all rights. */
  kubeconfig: string;
  kind: 'sandbox' | 'real';
  client: ApiClient;
  /** Only where the simulator serves: its faults and its state. */
  readonly sandbox: KubeSandbox | undefined;
  /** Only of a control plane that was started here. */
  controlPlane?: ControlPlane;
  /** Of an API server that is the test's own: it goes away without a word, and comes back with what it held. */
  outage?: { begin(): Promise<void>; end(): Promise<void> };
  /**
   * Who answers in the place of a pod (at `address`, of a Service) what is asked through the API server's proxy. Absent of a cluster that
   * was given: its API server reaches no process of ours.
   */
  answersFor?(pod: { namespace: string; service: string; address: string; port: number }, url: string): void;
  /** Makes a namespace of a new name that is ready for pods; `length`: of the name, in characters. */
  namespace(length?: number): Promise<string>;
  /** A Ready node of a new name, for pods that a test binds itself. */
  installNode(): Promise<string>;
  stop(): Promise<void>;
}

type Base = Pick<TestCluster, 'kubeconfig' | 'kind' | 'controlPlane' | 'outage' | 'answersFor'> & {
  readonly sandbox?: KubeSandbox;
  /** Ends what was started for it. */
  end: () => Promise<void>;
};

function sourceOf(): NonNullable<ClusterOptions['source']> {
  if ((process.env.TEST_KUBECONFIG ?? '') !== '') return 'given';
  return (process.env.KUBEBUILDER_ASSETS ?? '') !== '' ? 'assets' : 'sandbox';
}

async function startSandbox({ sandbox: options = {}, kubelet = {}, runPods = true }: ClusterOptions): Promise<Base> {
  const folder = makeFolder('sandbox');
  const guarded = guardFolder(folder);
  const answering = new Map<string, URL>();
  const start = (more: SandboxOptions) =>
    startKubeSandbox({
      validators: CRD_VALIDATORS,
      serviceProxy: ({ namespace, name }) => answering.get(`${namespace}/${name}`),
      ...options,
      controllers: runPods && kubelet,
      ...more,
    });
  let sandbox = await start({});
  const kubeconfig = join(folder, 'kubeconfig');
  writeFileSync(kubeconfig, sandbox.kubeconfig);
  return {
    kubeconfig,
    kind: 'sandbox',
    get sandbox() {
      return sandbox;
    },
    answersFor: ({ namespace, service }, url) => void answering.set(`${namespace}/${service}`, new URL(url)),
    outage: {
      begin: () => sandbox.stop(),
      end: async () => void (sandbox = await start({ port: sandbox.port, state: sandbox.state })),
    },
    end: async () => {
      await sandbox.stop();
      guarded.release();
      removeFolder(folder);
    },
  };
}

async function startBase(options: ClusterOptions): Promise<Base> {
  switch (options.source ?? sourceOf()) {
    case 'given':
      return { kubeconfig: process.env.TEST_KUBECONFIG ?? '', kind: 'real', end: () => Promise.resolve() };
    case 'assets': {
      const controlPlane = await startControlPlane(process.env.KUBEBUILDER_ASSETS ?? '');
      return {
        kubeconfig: controlPlane.kubeconfig,
        kind: 'real',
        controlPlane,
        answersFor: ({ address, port }, url) => controlPlane.lead(`${address}:${port}`, Number(new URL(url).port)),
        outage: { begin: () => controlPlane.killApiServer(), end: () => controlPlane.restartApiServer() },
        end: () => controlPlane.stop(),
      };
    }
    case 'sandbox':
      return startSandbox(options);
  }
}

/** The parts that nobody else plays in a real cluster. */
async function missingParts(client: ApiClient): Promise<ControllersOptions['parts']> {
  const nodes = await client.call('GET', pathOf({ plural: 'nodes' }), { query: { labelSelector: `!${SIMULATED}` } });
  if ((nodes.items ?? []).length > 0) return [];
  // Only a kube-controller-manager makes this account.
  const account = await client.request('GET', pathOf({ plural: 'serviceaccounts' }, 'default', 'default'));
  return account.code === 200 ? ['kubelet'] : ['kubelet', 'workloads', 'endpointSlices', 'disruption'];
}

const shortId = () => randomUUID().slice(0, 8);

export async function startCluster(options: ClusterOptions = {}): Promise<TestCluster> {
  const base = await startBase(options);
  const text = readFileSync(base.kubeconfig, 'utf8');
  const client = createApiClient(text, { userAgent: 'kubervisor-tests' });
  const { runPods = true } = options;
  const namespaces: string[] = [];
  const nodes: string[] = [];
  let controllers: RunningControllers | undefined;

  async function tidy(): Promise<void> {
    // A cluster that was given goes on: what was made in it is taken away. Pods of our nodes nobody would end otherwise; those of
    // others end with their namespace, and to wait for thousands of them takes more than a minute.
    if (base.kind !== 'real' || base.controlPlane !== undefined) return;
    for (const name of namespaces) {
      if (nodes.length > 0)
        await client.request('DELETE', pathOf({ plural: 'pods' }, name), { body: { gracePeriodSeconds: 0 } });
      await client.request('DELETE', pathOf({ plural: 'namespaces' }, undefined, name));
    }
    for (const name of nodes) await client.request('DELETE', pathOf({ plural: 'nodes' }, undefined, name));
  }
  const stop = async () => {
    await tidy();
    await controllers?.stop();
    await client.close();
    await base.end();
  };
  try {
    if (base.kind === 'real' && runPods) {
      const parts =
        base.controlPlane?.hasControllerManager === true ? (['kubelet'] as const) : await missingParts(client);
      if (parts !== undefined && parts.length > 0) {
        const names = options.kubelet?.nodes ?? [`simulated-${shortId()}`];
        nodes.push(...names);
        controllers = startControllers({ kubeconfig: text, ...options.kubelet, parts, nodes: names });
        await controllers.ready;
      }
    }
  } catch (error) {
    await stop();
    throw error;
  }
  const { kubeconfig, kind, controlPlane, outage, answersFor } = base;
  return {
    kubeconfig,
    kind,
    ...(controlPlane !== undefined && { controlPlane }),
    ...(outage !== undefined && { outage }),
    ...(answersFor !== undefined && { answersFor }),
    // Another one after each outage.
    get sandbox() {
      return base.sandbox;
    },
    client,
    namespace: async (length = 0) => {
      const name = `test-${shortId()}`.padEnd(length, 'x');
      await client.call('POST', pathOf({ plural: 'namespaces' }), {
        body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name } },
      });
      namespaces.push(name);
      // Without it the API server admits no pod; it comes later, or never where no controller makes it.
      await client.request('POST', pathOf({ plural: 'serviceaccounts' }, name), {
        body: { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } },
      });
      return name;
    },
    installNode: async () => {
      const name = `test-node-${shortId()}`;
      nodes.push(name);
      await writeNode({ client, now: Date.now }, name);
      return name;
    },
    stop,
  };
}
