/** Starts a real Prometheus on a free loopback port, with its data in a temporary folder. */
import { writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { guardFolder, makeFolder, removeFolder, startChild } from './child.ts';
import { findProgram } from './install.ts';

/** `instance` and the pod's name are labels that the series get; the address is `host:port`, scraped at /metrics. */
export interface ScrapeTarget {
  address: string;
  labels?: Record<string, string>;
}

export interface PrometheusOptions {
  scrapeTargets?: ScrapeTarget[];
  /** The whole configuration, in place of scrapeTargets. */
  configYaml?: string;
  /** 1 if unset. */
  scrapeIntervalSeconds?: number;
  port?: number;
  binary?: string;
}

export interface PrometheusServer {
  url: string;
  port: number;
  pid: number;
  dir: string;
  stop(): Promise<void>;
  /** Takes other targets, or another configuration, in use; resolves when it is. */
  reload(changes: Pick<PrometheusOptions, 'scrapeTargets' | 'configYaml' | 'scrapeIntervalSeconds'>): Promise<void>;
  freeze(): void;
  thaw(): void;
}

/** JSON is YAML. Labels of the target win over those it exposes. */
const configOf = ({ configYaml, scrapeTargets = [], scrapeIntervalSeconds = 1 }: PrometheusOptions): string =>
  configYaml ??
  JSON.stringify({
    global: {
      scrape_interval: `${scrapeIntervalSeconds * 1000}ms`,
      scrape_timeout: `${scrapeIntervalSeconds * 1000}ms`,
    },
    scrape_configs: [
      {
        job_name: 'pods',
        static_configs: scrapeTargets.map(({ address, labels = {} }) => ({ targets: [address], labels })),
      },
    ],
  });

export async function startPrometheus(options: PrometheusOptions = {}): Promise<PrometheusServer> {
  const binary = options.binary ?? findProgram({ name: 'prometheus', variable: 'PROMETHEUS', package: 'prometheus' });
  const dir = makeFolder('prometheus');
  const guarded = guardFolder(dir);
  const file = join(dir, 'prometheus.yml');
  const clean = (): void => {
    guarded.release();
    removeFolder(dir);
  };
  const port = options.port ?? (await freePort());
  const url = `http://127.0.0.1:${port}`;
  writeFileSync(file, configOf(options));
  try {
    const child = await startChild(
      {
        command: binary,
        args: [
          `--config.file=${file}`,
          `--storage.tsdb.path=${join(dir, 'data')}`,
          `--web.listen-address=127.0.0.1:${port}`,
          '--web.enable-lifecycle',
        ],
        ready: [/Server is ready to receive web requests/],
      },
      dir,
    );
    return {
      url,
      port,
      pid: child.pid,
      dir,
      async stop() {
        await child.end();
        clean();
      },
      async reload(changes) {
        writeFileSync(file, configOf({ ...options, ...changes }));
        // Answers when the configuration is in use, or says why it cannot be.
        const answer = await fetch(`${url}/-/reload`, { method: 'POST' });
        if (!answer.ok) throw new Error(`Prometheus did not reload: ${await answer.text()}`);
      },
      freeze: () => child.freeze(),
      thaw: () => child.thaw(),
    };
  } catch (error) {
    clean();
    throw error;
  }
}

/** Prometheus does not say which port it chose itself. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
