/** The shape of every main.ts: read the environment, start, stop gracefully. Only here and in main.ts files is `process` touched. */
import { hostname } from 'node:os';
import type * as z from 'zod';
import { ConfigError, readConfig, type LogLevel } from '../config.ts';
import { createLogger, type Logger } from '../logs.ts';
import { createMetrics, type Metrics } from '../metrics.ts';

/** After the first SIGTERM or SIGINT; Kubernetes gives 30 s before it kills. */
export const STOP_LIMIT_MILLISECONDS = 10_000;

export interface MainDependencies {
  log: Logger;
  metrics: Metrics;
  /** Who of the replicas this is: POD_NAME, else the host name. */
  identity: string;
}

/** What `start` hands back: `stop` ends what is under way and frees everything; it is called once. */
export interface Running {
  /** Where its HTTP side listens; logged once it has started. */
  url?: string;
  stop(): Promise<void>;
}

/**
 * Runs a service until a signal. Ends the process:
 * 0 after a graceful stop; 1 on a bad configuration (every problem on stderr), a failed start, a stop that took longer than
 * STOP_LIMIT_MILLISECONDS, an unhandled rejection or uncaught exception (logged as fatal); 128 + signal on a second signal.
 */
export async function runMain<S extends z.ZodObject & z.ZodType<{ LOG_LEVEL: LogLevel }>>(
  service: string,
  schema: S,
  start: (config: z.output<S>, dependencies: MainDependencies) => Promise<Running>,
): Promise<void> {
  const config = readOrExit(service, () => readConfig(schema, process.env));
  const identity = process.env['POD_NAME'] || hostname();
  const log = createLogger(service, config.LOG_LEVEL, identity);
  process.on('uncaughtException', (error) => {
    log.fatal({ err: error }, 'uncaught exception');
    process.exit(1);
  });
  process.on('unhandledRejection', (error) => {
    log.fatal({ err: error }, 'unhandled rejection');
    process.exit(1);
  });

  // Signals are listened to before the start, which may take long (a bus that is away): a stop then waits for it, within the limit.
  let signalled: (() => void) | undefined;
  const stopAsked = new Promise<void>((resolve) => (signalled = resolve));
  let signals = 0;
  const onSignal = (signal: NodeJS.Signals, number: number) => {
    signals += 1;
    if (signals > 1) process.exit(128 + number);
    log.info({ signal }, 'stopping');
    setTimeout(() => {
      log.error({ limitMilliseconds: STOP_LIMIT_MILLISECONDS }, 'stop took too long');
      process.exit(1);
    }, STOP_LIMIT_MILLISECONDS);
    signalled?.();
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);

  try {
    const running = await start(config, { log, metrics: createMetrics(service, process.version), identity });
    log.info({ node: process.version, url: running.url }, 'started');
    await stopAsked;
    await running.stop();
    log.info('stopped');
  } catch (error) {
    if (error instanceof ConfigError) exitOnProblems(service, error);
    log.fatal({ err: error }, signals > 0 ? 'stop failed' : 'start failed');
    process.exit(1);
  }
  process.exit(0);
}

function readOrExit<T>(service: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof ConfigError) exitOnProblems(service, error);
    throw error;
  }
}

function exitOnProblems(service: string, { problems }: ConfigError): never {
  process.stderr.write(
    `${service}: the configuration has ${problems.length} problem(s):\n${problems.map((line) => `  ${line}\n`).join('')}`,
  );
  process.exit(1);
}
