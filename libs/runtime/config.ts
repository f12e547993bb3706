/**
 * Configuration is environment (design §10): every variable is declared once with zod, with its default and a description, and
 * checked before anything starts. All problems are listed at once. An empty value counts as not set.
 */
import * as z from 'zod';

export type Environment = Readonly<Record<string, string | undefined>>;

/** What is wrong with the configuration, a line a problem: `VARIABLE: the bad value, what is allowed`. Never holds a secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`configuration: ${problems.join('; ')}`);
    this.problems = problems;
  }
}

/** The checked settings. Variables that the schema does not name are left alone. Throws `ConfigError`. */
export function readConfig<S extends z.ZodObject>(schema: S, env: Environment): z.output<S> {
  const given = Object.fromEntries(
    Object.keys(schema.shape).flatMap((name) => {
      const value = env[name]?.trim();
      return value === undefined || value === '' ? [] : [[name, value]];
    }),
  );
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  throw new ConfigError(
    parsed.error.issues.map((issue) => {
      const name = String(issue.path[0] ?? 'configuration');
      const value = given[name];
      if (value === undefined) return `${name}: not set, ${issue.message}`;
      return `${name}: ${isSecret(schema.shape[name]) ? 'the value given (not shown)' : shown(value)}, ${issue.message}`;
    }),
  );
}

const MAX_SHOWN = 100;

/** A value as an error may show it: bounded, without the user and password that a URL may hold. */
function shown(value: string): string {
  const bare = value.replace(/\/\/[^/@\s]*@/g, '//***@');
  return JSON.stringify(bare.length > MAX_SHOWN ? `${bare.slice(0, MAX_SHOWN)}…` : bare);
}

function isSecret(setting: unknown): boolean {
  return setting instanceof z.ZodType && setting.meta()?.['secret'] === true;
}

/** A text that `accepts` takes; `allowed` completes the sentence "VARIABLE: value, …". */
function setting<T>(allowed: string, read: (text: string) => T | undefined) {
  return z
    .string({ error: `must be ${allowed}` })
    .refine((text) => read(text) !== undefined, { error: `must be ${allowed}` })
    .transform((text) => read(text) as T);
}

export const integer = (min: number, max: number) =>
  setting(`an integer from ${min} to ${max}`, (text) => {
    const value = Number(text);
    return /^-?\d{1,15}$/.test(text) && value >= min && value <= max ? value : undefined;
  });

export const flag = () =>
  setting('true or false', (text) => (text === 'true' ? true : text === 'false' ? false : undefined));

export const oneOf = <const T extends readonly string[]>(values: T) =>
  setting<T[number]>(`one of ${values.join(', ')}`, (text) => values.find((value) => value === text));

/** Comma-separated; blanks around an entry do not count. */
export const list = (allowed: string, entry: RegExp) =>
  setting(`a comma-separated list of ${allowed}`, (text) => {
    const entries = text
      .split(',')
      .map((one) => one.trim())
      .filter((one) => one !== '');
    return entries.every((one) => entry.test(one)) ? entries : undefined;
  });

/** A text of a pattern; `allowed` names it: `a namespace`. */
export const name = (allowed: string, pattern: RegExp) =>
  setting(`${allowed} (${pattern.source})`, (text) => (pattern.test(text) ? text : undefined));

/** One URL, or, with `many`, a comma-separated list of them (as NATS takes a cluster's). Kept as text. */
export const url = (protocols: readonly string[], many = false) =>
  setting(`${many ? 'URLs' : 'a URL'} with ${protocols.map((name) => `${name}://`).join(' or ')}`, (text) => {
    const fits = (one: string) =>
      URL.canParse(one) && protocols.includes(new URL(one).protocol.slice(0, -1)) && new URL(one).hostname !== '';
    return (many ? text.split(',') : [text]).every((one) => fits(one.trim())) ? text : undefined;
  });

export const filePath = () => setting('the path of a file', (text) => (text.includes('\0') ? undefined : text));

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** What every service has; spread into its schema: `z.object({ ...httpSettings, … })`. */
export const httpSettings = {
  HTTP_PORT: integer(0, 65_535).default(8080).describe('port of /healthz, /readyz, /metrics and the API; 0 = any free'),
  HTTP_HOST: setting('a host name or an address', (text) => (/^[\w.:-]+$/.test(text) ? text : undefined))
    .default('0.0.0.0')
    .describe('address to listen on'),
  LOG_LEVEL: oneOf(LOG_LEVELS).default('info').describe('least level that is logged'),
};

export const natsSettings = {
  NATS_URL: url(['nats', 'tls', 'ws', 'wss'], true).describe(
    'server of the bus; several, comma-separated, of a cluster',
  ),
  NATS_CREDS: filePath().optional().describe('file with JWT and seed'),
  NATS_CA: filePath().optional().describe('file with the authority that signed the server certificate'),
  NATS_CERT: filePath().optional().describe('file with the client certificate'),
  NATS_KEY: filePath().optional().describe('file with the key of the client certificate'),
  NATS_USER: setting('a user name', (text) => text)
    .optional()
    .describe('user name'),
  NATS_PASSWORD_FILE: filePath().optional().describe('file with the password of NATS_USER'),
};

export const kubernetesSettings = {
  KUBECONFIG: filePath().optional().describe('kubeconfig file; not set: the account of the pod'),
};
