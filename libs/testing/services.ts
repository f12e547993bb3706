/**
 * Our four services as processes, with the environment of design §10: what runs is the bundle that a release runs, made afresh once
 * for each run of Jest (else for each process), so that no test ever runs yesterday's code.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, watch, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { basename, join, resolve } from 'node:path';
import { bundle, workersOf } from '../../scripts/bundle.ts';
import { guardFolder, makeFolder, removeFolder, startChild, type Child } from './servers/child.ts';

export const SERVICES = ['controller', 'breaker', 'activator', 'detector'] as const;
export type ServiceName = (typeof SERVICES)[number];

const root = resolve(import.meta.dirname, '../..');
/** Set by jest-run.ts: a folder that all processes of one run of Jest share. */
const RUN_FOLDER = 'KUBERVISOR_TEST_RUN';
let bundles: Promise<string> | undefined;

async function makeBundles(folder: string): Promise<void> {
  const files = SERVICES.map((name) => join(root, 'services', name)).flatMap((service) => [
    [basename(service), join(service, 'main.ts')],
    ...workersOf(service),
  ]);
  await bundle(Object.fromEntries(files) as Record<string, string>, folder, '.mjs');
}

/** dist/ of each service in one folder. */
function bundled(): Promise<string> {
  bundles ??= (async () => {
    const run = process.env[RUN_FOLDER];
    if (run !== undefined) return ofTheRun(run);
    const folder = makeFolder('services');
    guardFolder(folder);
    await makeBundles(folder);
    return folder;
  })();
  return bundles;
}

/** The first of a run's processes that asks makes them, for it takes seconds of CPU; the others wait for it. */
async function ofTheRun(run: string): Promise<string> {
  const file = (name: string): string => join(run, name);
  const made = file('services');
  const failed = file('failed');
  if (first(file('claimed')))
    try {
      await makeBundles(file('building'));
      renameSync(file('building'), made);
    } catch (error) {
      writeFileSync(failed, String(error));
    }
  const watched = watch(run);
  while (!existsSync(made) && !existsSync(failed)) await once(watched, 'change');
  watched.close();
  if (existsSync(failed)) throw new Error(`the services could not be bundled: ${readFileSync(failed, 'utf8')}`);
  return made;
}

/** Whether this process made the folder, which only one does. */
function first(folder: string): boolean {
  try {
    mkdirSync(folder);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Changes what runs from now on, in this process alone: for who must show that a fault in our code would be found. */
export async function mutateService(service: ServiceName, edit: (code: string) => string): Promise<void> {
  const file = join(await bundled(), `${service}.mjs`);
  const code = readFileSync(file, 'utf8');
  const edited = edit(code);
  if (edited === code) throw new Error(`the code of the ${service} has not what was to be changed in it`);
  writeFileSync(file, edited);
}

export interface ServiceProcess {
  readonly service: ServiceName;
  /** POD_NAME. */
  readonly name: string;
  readonly pid: number;
  /** Of /healthz, /readyz and /metrics. */
  readonly url: string;
  /** Every line it logged, parsed; none where somebody else takes them. */
  readonly log: Record<string, unknown>[];
  /** SIGTERM, and waits. */
  stop(): Promise<void>;
  /** SIGKILL unless told, and waits. */
  kill(signal?: 'SIGKILL' | 'SIGTERM'): Promise<void>;
  /** After a kill: the same again, as Kubernetes would. */
  restart(): Promise<void>;
  freeze(): void;
  thaw(): void;
  metrics(): Promise<string>;
}

/** Node 24 is a dependency of the workspace; the machine's may be older. */
const node = (): string => {
  const own = join(root, 'node_modules/.bin/node');
  return existsSync(own) ? own : process.execPath;
};

export async function startService(
  service: ServiceName,
  name: string,
  env: Record<string, string>,
  /** Takes the lines of its log, which then are not kept: those of an hour are many. */
  onLine?: (line: string) => void,
): Promise<ServiceProcess> {
  const file = join(await bundled(), `${service}.mjs`);
  const folder = makeFolder(service);
  const guarded = guardFolder(folder);
  const log: Record<string, unknown>[] = [];
  let child: Child;
  let port = '0';
  const start = async (): Promise<void> => {
    child = await startChild(
      {
        command: node(),
        args: [file],
        ready: [/"url":"http:\/\/[^":]+:(\d+)","msg":"started"/],
        env: {
          PATH: process.env['PATH'],
          HTTP_HOST: '127.0.0.1',
          HTTP_PORT: port,
          POD_NAME: name,
          LOG_LEVEL: 'debug',
          // Stack traces with our lines. It costs some 100 MB a process: what measures memory unsets it.
          NODE_OPTIONS: '--enable-source-maps',
          ...env,
        },
        onLine: (line) => {
          if (onLine !== undefined) return onLine(line);
          try {
            log.push(JSON.parse(line) as Record<string, unknown>);
          } catch {
            log.push({ text: line });
          }
        },
      },
      folder,
    );
    // A restart is found where its predecessor was, as behind a Kubernetes Service.
    port = child.matches[0]?.[1] ?? '0';
  };
  try {
    await start();
  } catch (error) {
    guarded.release();
    removeFolder(folder);
    throw error;
  }
  const url = `http://127.0.0.1:${port}`;
  return {
    service,
    name,
    url,
    log,
    get pid() {
      return child.pid;
    },
    async stop() {
      await child.end();
      guarded.release();
      removeFolder(folder);
    },
    kill: (signal = 'SIGKILL') => child.end(signal),
    restart: start,
    freeze: () => child.freeze(),
    thaw: () => child.thaw(),
    metrics: async () => (await fetch(`${url}/metrics`)).text(),
  };
}

export interface ServicesOptions {
  namespaces: readonly string[];
  /** Processes of each; one unless told. */
  counts?: Partial<Readonly<Record<ServiceName, number>>>;
  /** In place of our own detector service, which is then not started. */
  detectorUrl?: string;
  /** In place of the cluster's, for the three that talk to Kubernetes. */
  kubeconfig?: string;
  /** NODE_OPTIONS; none unless told. */
  nodeOptions?: string;
}

export interface Services {
  readonly processes: readonly ServiceProcess[];
  stop(): Promise<void>;
}

/** The services, configured as a release is (but for the port, and who may be asked). Of two controllers the first leads. */
export async function startServices(
  { cluster, nats }: { cluster: { kubeconfig: string }; nats: { url: string } },
  { namespaces, counts = {}, detectorUrl, kubeconfig = cluster.kubeconfig, nodeOptions = '' }: ServicesOptions,
): Promise<Services> {
  const processes: ServiceProcess[] = [];
  const common = { LOG_LEVEL: 'info', NODE_OPTIONS: nodeOptions };
  const connected = { ...common, KUBECONFIG: kubeconfig, NATS_URL: nats.url };
  const start = async (service: ServiceName, envOf: (index: number) => Record<string, string>): Promise<void> => {
    for (let index = 0; index < (counts[service] ?? 1); index++)
      processes.push(await startService(service, `${service}-${index}`, envOf(index)));
  };
  const stop = async (): Promise<void> => {
    await Promise.all(processes.map((process) => process.stop()));
  };
  try {
    if (detectorUrl === undefined) await start('detector', () => ({ ...common, DETECTOR_ALLOW: '127.0.0.1:*' }));
    const detectors = detectorUrl === undefined ? processes.map(({ url }) => url) : [detectorUrl];
    await start('controller', () => ({
      ...connected,
      WATCH_NAMESPACES: namespaces.join(','),
      LEASE_NAMESPACE: namespaces[0] ?? 'default',
    }));
    // Breakers are spread over the detectors, as a Service of Kubernetes would.
    await start('breaker', (index) => ({ ...connected, DETECTOR_URL: detectors[index % detectors.length] ?? '' }));
    await start('activator', () => connected);
  } catch (error) {
    await stop();
    throw error;
  }
  processes.sort((one, other) => SERVICES.indexOf(one.service) - SERVICES.indexOf(other.service));
  return { processes, stop };
}
