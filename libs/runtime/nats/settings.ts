import { readFileSync } from 'node:fs';
import type * as z from 'zod';
import { ConfigError, type natsSettings } from '../config.ts';
import type { NatsSettings } from './connection.ts';
import { inboxOf, type NatsUser } from './inbox.ts';

type Environment = z.output<z.ZodObject<typeof natsSettings>>;

const FILES = ['NATS_CREDS', 'NATS_CA', 'NATS_CERT', 'NATS_KEY', 'NATS_PASSWORD_FILE'] as const;
/** The former says nothing without the latter. */
const BELONG_TOGETHER = [
  ['NATS_PASSWORD_FILE', 'NATS_USER'],
  ['NATS_CERT', 'NATS_KEY'],
  ['NATS_KEY', 'NATS_CERT'],
] as const;

/** A Secret is mounted before a process starts, so a file that is missing then is a wrong path; one that goes later is waited for. */
function problemsOf(config: Environment): string[] {
  const unreadable = FILES.flatMap((variable) => {
    const file = config[variable];
    if (file === undefined) return [];
    try {
      readFileSync(file);
      return [];
    } catch (error) {
      const why = (error as NodeJS.ErrnoException).code ?? String(error);
      return [`${variable}: ${JSON.stringify(file)}, must be a file that can be read (${why})`];
    }
  });
  const alone = BELONG_TOGETHER.filter(([one, other]) => config[one] !== undefined && config[other] === undefined);
  return [...unreadable, ...alone.map(([one, other]) => `${other}: not set, must be where ${one} is`)];
}

/**
 * The checked environment of a service as `connectBus` takes it; `identity`: who of its replicas it is. Throws a ConfigError with
 * every file that cannot be read.
 */
export function natsSettingsOf(config: Environment, service: NatsUser, identity: string): NatsSettings {
  const problems = problemsOf(config);
  if (problems.length > 0) throw new ConfigError(problems);
  return {
    url: config.NATS_URL,
    name: `${service}/${identity}`,
    inboxPrefix: inboxOf(service),
    ...(config.NATS_CREDS !== undefined && { credsFile: config.NATS_CREDS }),
    ...(config.NATS_CA !== undefined && { caFile: config.NATS_CA }),
    ...(config.NATS_CERT !== undefined && { certFile: config.NATS_CERT }),
    ...(config.NATS_KEY !== undefined && { keyFile: config.NATS_KEY }),
    ...(config.NATS_USER !== undefined && { user: config.NATS_USER }),
    ...(config.NATS_PASSWORD_FILE !== undefined && { passwordFile: config.NATS_PASSWORD_FILE }),
  };
}
