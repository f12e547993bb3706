/** `sources.yaml`: what an operator declares, and everything that is wrong with it. docs/detectors/sources.md is checked against this. */
import * as z from 'zod';

/** Of a request they are ours: two would contradict each other, or the connection. */
const OWN_HEADERS = [
  'accept',
  'connection',
  'content-length',
  'content-type',
  'expect',
  'host',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];

const file = () => z.string({ error: 'must be the path of a file' }).min(1, 'must be the path of a file');
const secretText = (what: string) => z.string({ error: what }).regex(/^[\x20-\x7e]+$/, what);

const basicAuth = z
  .strictObject({
    username: secretText('must be printable ASCII').optional().describe('the user'),
    usernameFile: file().optional().describe('or the file that holds it'),
    passwordFile: file().describe('file that holds the password'),
  })
  .refine(({ username, usernameFile }) => (username === undefined) !== (usernameFile === undefined), {
    error: 'must have exactly one of username and usernameFile',
  })
  .refine(({ username }) => username?.includes(':') !== true, { error: 'must have no colon in username' });

const url = z
  .string({ error: 'must be an http:// or https:// URL' })
  .refine((text) => /^https?:\/\//.test(text) && URL.canParse(text), { error: 'must be an http:// or https:// URL' })
  .refine(
    (text) => {
      if (!URL.canParse(text)) return true;
      const { username, password, search, hash } = new URL(text);
      return username + password + search + hash === '';
    },
    { error: 'must have no user, query or fragment; a user belongs into basicAuth' },
  );

export const sourceSchema = z
  .strictObject({
    name: z
      .string({ error: 'must be a text' })
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'must be letters, digits, dots, dashes, underscores, at most 63')
      .describe('what a resource writes as its `prometheusService`'),
    url: url.describe('where its API is, without `/api/v1`; also an address that `DETECTOR_ALLOW` does not admit'),
    timeoutSeconds: z
      .number({ error: 'must be a number' })
      .gt(0, 'must be more than 0 and at most 60')
      .max(60, 'must be more than 0 and at most 60')
      .optional()
      .describe("longest wait for an answer; a breaker's own time-out may be shorter"),
    concurrency: z
      .int('must be an integer from 1 to 1000')
      .min(1, 'must be an integer from 1 to 1000')
      .max(1000, 'must be an integer from 1 to 1000')
      .default(32)
      .describe('most queries at once, from each detector; the others wait, the namespaces in turn'),
    headers: z
      .record(
        z
          .string()
          .regex(/^[A-Za-z0-9_-]+$/, 'must be the name of a header')
          .refine((name) => !OWN_HEADERS.includes(name.toLowerCase()), { error: 'must not be one that we set' }),
        secretText('must be printable ASCII'),
      )
      .default({})
      .describe('sent with each query, as `X-Scope-OrgID`'),
    bearerTokenFile: file().optional().describe('file that holds the token'),
    basicAuth: basicAuth.optional().describe('`username` or `usernameFile`, and `passwordFile`'),
    caFile: file()
      .optional()
      .describe('PEM: authorities that its certificate must be of, in place of the well-known ones'),
    certFile: file().optional().describe('PEM: our certificate, with those between it and the authority'),
    keyFile: file().optional().describe('PEM: the key of `certFile`, not encrypted'),
  })
  .refine(({ certFile, keyFile }) => (certFile === undefined) === (keyFile === undefined), {
    error: 'must have both of certFile and keyFile, or neither',
  })
  .refine(
    ({ url: to, caFile, certFile }) => !to.startsWith('http://') || (caFile === undefined && certFile === undefined),
    { error: 'must have an https:// URL where it has caFile or certFile' },
  )
  .refine(
    ({ headers, bearerTokenFile, basicAuth: basic }) =>
      [bearerTokenFile, basic, Object.keys(headers).find((name) => name.toLowerCase() === 'authorization')].filter(
        (one) => one !== undefined,
      ).length <= 1,
    { error: 'must have at most one of bearerTokenFile, basicAuth and the header Authorization' },
  );
export type DeclaredSource = z.output<typeof sourceSchema>;

export const sourcesFile = z.strictObject({
  sources: z.array(sourceSchema, { error: 'must be a list of sources' }).max(1000, 'must be at most 1000 sources'),
});

/** Every problem at once: `sources.1.timeoutSeconds (central): 90, must be …`. What may be a secret is not repeated. */
export function readSources(content: unknown): { sources: DeclaredSource[] } | { problems: string[] } {
  const parsed = sourcesFile.safeParse(content ?? {});
  if (!parsed.success) return { problems: parsed.error.issues.map((issue) => describe(issue, content)) };
  const { sources } = parsed.data;
  const twice = sources.filter(({ name }, index) => sources.findIndex((other) => other.name === name) !== index);
  if (twice.length === 0) return { sources };
  return { problems: twice.map(({ name }) => `the name ${name} is given twice`) };
}

function describe(issue: z.core.$ZodIssue, content: unknown): string {
  const path = issue.path.map(String);
  const value = path.reduce<unknown>((at, step) => (isObject(at) ? at[step] : undefined), content);
  const name = path[0] === 'sources' && path.length > 1 ? nameAt(content, path[1]) : undefined;
  const where = `${path.join('.') || 'the file'}${name === undefined ? '' : ` (${name})`}`;
  if (issue.code === 'unrecognized_keys') {
    const known = Object.keys(fieldsAt(path));
    return `${where}: has ${issue.keys.map((key) => JSON.stringify(key)).join(', ')}, allowed are ${known.join(', ')}`;
  }
  // zod keeps what is wrong with the name of a header one level down.
  const message = issue.code === 'invalid_key' ? (issue.issues[0]?.message ?? issue.message) : issue.message;
  if (value === undefined) return `${where}: ${issue.code === 'invalid_type' ? 'not set, ' : ''}${message}`;
  return `${where}: ${shown(path, value)}${message}`;
}

function fieldsAt(path: readonly string[]): object {
  if (path.length === 0) return sourcesFile.shape;
  return path.at(-1) === 'basicAuth' ? basicAuth.shape : sourceSchema.shape;
}

/** Of numbers and paths there is nothing to hide; a URL may hold a password, and a header is one. */
function shown(path: readonly string[], value: unknown): string {
  const field = path.at(-1) ?? '';
  if (path.includes('headers') || field === 'username' || field === 'url') return '';
  if (typeof value === 'object') return '';
  const text = JSON.stringify(value);
  return `${text.length > 100 ? `${text.slice(0, 100)}…` : text}, `;
}

function nameAt(content: unknown, index: string | undefined): string | undefined {
  const list = isObject(content) ? content['sources'] : undefined;
  const one = Array.isArray(list) ? (list[Number(index)] as unknown) : undefined;
  const name = isObject(one) ? one['name'] : undefined;
  return typeof name === 'string' && name.length <= 63 ? name : undefined;
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
