/** The four services as processes of their own, from their bundles. */
import { execFile } from 'node:child_process';
import { createWriteStream, existsSync, globSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { startChild } from '@kubervisor/testing/servers/child';
import type { Cleanup } from './cleanup.ts';
import type { Platform } from './platform.ts';
import type { Services } from './stage.ts';

export const SERVICES = ['detector', 'controller', 'breaker', 'activator'] as const;
export type Service = (typeof SERVICES)[number];

const ROOT = resolve(import.meta.dirname, '../..');
const bundleOf = (service: Service): string => join(ROOT, 'services', service, 'dist/main.js');

/** The environment of design §10 that makes a service work on this platform. `detectorUrl`: only of a breaker. */
export function environmentOf(
  service: Service,
  platform: Pick<Platform, 'kubeconfigFile' | 'natsUrl' | 'sourcesFile'>,
  detectorUrl: string,
): Record<string, string> {
  const bus = { NATS_URL: platform.natsUrl };
  const cluster = { KUBECONFIG: platform.kubeconfigFile };
  switch (service) {
    case 'detector':
      return { DETECTOR_SOURCES: platform.sourcesFile };
    case 'controller':
      return { ...cluster, ...bus, LEASE_DURATION_SECONDS: '5' };
    case 'breaker':
      return { ...cluster, ...bus, DETECTOR_URL: detectorUrl };
    case 'activator':
      return { ...cluster, ...bus };
  }
}

/** The services whose bundle is missing, or older than what it is made of. */
export function staleServices(): Service[] {
  const newest = (patterns: string[]): number =>
    Math.max(
      0,
      ...patterns
        .flatMap((pattern) => globSync(pattern, { cwd: ROOT, exclude: ['**/node_modules/**', '**/dist/**'] }))
        .filter((file) => !/\.(test|fixture)\.ts$/.test(file))
        .map((file) => statSync(join(ROOT, file)).mtimeMs),
    );
  const libraries = newest(['libs/shared/**/*.ts', 'libs/runtime/**/*.ts', 'scripts/bundle.ts']);
  return SERVICES.filter((service) => {
    const bundle = bundleOf(service);
    if (!existsSync(bundle)) return true;
    return statSync(bundle).mtimeMs < Math.max(libraries, newest([`services/${service}/**/*.ts`]));
  });
}

export async function bundleServices(services: readonly Service[], signal: AbortSignal): Promise<void> {
  if (services.length === 0) return;
  const folders = services.map((service) => `services/${service}`);
  try {
    const script = ['--conditions=source', 'scripts/bundle.ts', ...folders];
    await promisify(execFile)(process.execPath, script, { cwd: ROOT, signal });
  } catch (error) {
    signal.throwIfAborted();
    const { stderr = '' } = error as { stderr?: string };
    throw new Error(`the services could not be bundled; try: npm run build\n${stderr.slice(0, 2000)}`, {
      cause: error,
    });
  }
}

/** How many of each. Two controllers, of which one leads; two breakers, which share the work. */
export const REPLICAS: Record<Service, number> = { detector: 1, controller: 2, breaker: 2, activator: 1 };

const KEPT_PROBLEMS = 20;

export async function startServices(platform: Platform, cleanup: Cleanup, signal: AbortSignal): Promise<Services> {
  const problems: string[] = [];
  const note = (line: string): void => {
    if (!/"level":"(warn|error|fatal)"/.test(line) && line.startsWith('{')) return;
    problems.push(line);
    if (problems.length > KEPT_PROBLEMS) problems.shift();
  };
  const ending: (() => Promise<void>)[] = [];
  // At once, not one after the other: each takes a moment to finish what is under way.
  cleanup.add(() => Promise.all(ending.map((end) => end())));

  const start = async (service: Service, name: string, detectorUrl: string): Promise<string> => {
    const log = createWriteStream(join(platform.dir, 'logs', `${name}.log`));
    const child = await startChild(
      {
        command: process.execPath,
        args: [bundleOf(service)],
        env: {
          PATH: process.env.PATH,
          POD_NAME: name,
          HTTP_HOST: '127.0.0.1',
          HTTP_PORT: '0',
          ...environmentOf(service, platform, detectorUrl),
        },
        // Every service says where it listens, then that it has started.
        ready: [/"url":"(http:\/\/[^"]+)"/, /"msg":"started"/],
        onLine(line) {
          log.write(`${line}\n`);
          note(line);
        },
      },
      platform.dir,
    );
    ending.push(async () => {
      await child.end();
      log.end();
    });
    return child.matches[0]?.[1] ?? '';
  };

  const detectorUrl = await start('detector', 'detector-0', '');
  signal.throwIfAborted();
  await Promise.all(
    SERVICES.filter((service) => service !== 'detector').flatMap((service) =>
      Array.from({ length: REPLICAS[service] }, (_, index) => start(service, `${service}-${index}`, detectorUrl)),
    ),
  );
  signal.throwIfAborted();
  return { problems: () => (problems.length === 0 ? [] : [`The services' last warnings:`, ...problems]) };
}
