/** Starts a real nats-server on a free loopback port, with JetStream in a temporary folder. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Child, guardFolder, makeFolder, removeFolder, startChild } from './child.ts';
import { findProgram } from './install.ts';

export interface NatsOptions {
  /** Free if unset; kept over restarts. */
  port?: number;
  /** Unset: a temporary one, removed by `stop()`. */
  storeDir?: string;
  jetstream?: boolean;
  /** Tells of itself over HTTP (/varz, /jsz). */
  monitored?: boolean;
  /** Else $NATS_SERVER, else on PATH, else installed. */
  binary?: string;
  /** More of the server's configuration, in its own language: `authorization { … }`. */
  config?: string;
}

export interface NatsServer {
  url: string;
  port: number;
  readonly pid: number;
  dir: string;
  /** Where it is `monitored`; after a restart it may be another. */
  readonly monitorUrl: string | undefined;
  stop(): Promise<void>;
  /** SIGKILL; `restart()` brings it back. */
  kill(): Promise<void>;
  /** `wipe`: with empty folders. What is given of `jetstream` and `config` takes the place of what was. */
  restart(options?: { wipe?: boolean; jetstream?: boolean; config?: string }): Promise<void>;
  freeze(): void;
  thaw(): void;
}

export async function startNats(options: NatsOptions = {}): Promise<NatsServer> {
  const binary =
    options.binary ?? findProgram({ name: 'nats-server', variable: 'NATS_SERVER', package: 'nats-server' });
  const dir = makeFolder('nats');
  const guarded = guardFolder(dir);
  const store = options.storeDir ?? join(dir, 'store');
  const { monitored = false } = options;
  let { jetstream = true, config = '' } = options;
  // -1: the server chooses, and says which; so no two tests ever choose the same.
  let port = options.port ?? -1;

  async function start(): Promise<Child> {
    const file = join(dir, 'nats.conf');
    const jetstreamConfig = jetstream ? `jetstream { store_dir: ${JSON.stringify(store)} }` : '';
    const listen = [`listen: "127.0.0.1:${port}"`, ...(monitored ? ['http: "127.0.0.1:-1"'] : [])];
    writeFileSync(file, [...listen, jetstreamConfig, config, ''].join('\n'), { mode: 0o600 });
    mkdirSync(store, { recursive: true });
    const started = await startChild(
      {
        command: binary,
        args: ['--config', file],
        ready: [
          /Listening for client connections on 127\.0\.0\.1:(\d+)/,
          /Server is ready/,
          ...(monitored ? [/Starting http monitor on (127\.0\.0\.1:\d+)/] : []),
        ],
      },
      dir,
    );
    port = Number(started.matches[0]?.[1]);
    return started;
  }

  let child: Child;
  try {
    child = await start();
  } catch (error) {
    guarded.release();
    removeFolder(dir);
    throw error;
  }
  return {
    url: `nats://127.0.0.1:${port}`,
    port,
    get pid() {
      return child.pid;
    },
    dir,
    get monitorUrl() {
      return monitored ? `http://${child.matches[2]?.[1]}` : undefined;
    },
    async stop() {
      await child.end();
      guarded.release();
      removeFolder(dir);
    },
    kill: () => child.end('SIGKILL'),
    async restart(changes = {}) {
      await child.end();
      jetstream = changes.jetstream ?? jetstream;
      config = changes.config ?? config;
      if (changes.wipe === true) removeFolder(store);
      child = await start();
    },
    freeze: () => child.freeze(),
    thaw: () => child.thaw(),
  };
}
