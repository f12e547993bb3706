/** The sources that an operator names in a file (DETECTOR_SOURCES), so that a resource can ask for one by its name. */
import { readFile } from 'node:fs/promises';
import { ConfigError } from '@kubervisor/runtime/config';
import { parse, YAMLParseError } from 'yaml';
import * as z from 'zod';
import { parseAllowList, type AllowPattern } from '../core/address.ts';
import type { Names } from './names.ts';
import { createOutbound } from './outbound.ts';
import type { Source } from './prometheus.ts';

const source = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'must be letters, digits, dots, dashes, at most 63'),
  url: z.url({ protocol: /^https?$/, error: 'must be an http:// or https:// URL' }),
  /** At most; a breaker's own time-out may be shorter. */
  timeoutSeconds: z.number().gt(0).max(60).optional(),
  headers: z
    .record(z.string().regex(/^[A-Za-z0-9-]+$/), z.string().regex(/^[\x20-\x7e]*$/, 'must be printable ASCII'))
    .default({}),
  /** Read at every request, so that it may be exchanged. */
  bearerTokenFile: z.string().min(1).optional(),
  /** PEM, in place of the well-known authorities. */
  caFile: z.string().min(1).optional(),
});
const sourcesFile = z.strictObject({ sources: z.array(source).max(1000) });

export type Sources = ReadonlyMap<string, Source>;

/** Throws `ConfigError` with every problem of the file. No value of the file is repeated: headers are secrets. */
export async function loadSources(
  file: string | undefined,
  names: Names,
  allow: readonly AllowPattern[],
): Promise<Sources> {
  if (file === undefined) return new Map();
  const declared = await readSources(file);
  const problems = declared
    .filter(({ name }, index) => declared.findIndex((other) => other.name === name) !== index)
    .map(({ name }) => `DETECTOR_SOURCES: ${file}: the name ${name} is given twice`);
  const made = new Map<string, Source>();
  for (const one of declared) {
    const ca = one.caFile === undefined ? undefined : await readFile(one.caFile, 'utf8').catch(() => null);
    if (ca === null) problems.push(`DETECTOR_SOURCES: ${file}: caFile of ${one.name} cannot be read: ${one.caFile}`);
    const url = new URL(one.url);
    if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
      problems.push(`DETECTOR_SOURCES: ${file}: url of ${one.name} must have no user, query or fragment`);
    }
    made.set(one.name, {
      name: one.name,
      destination: { url, via: 'outside' },
      outbound: createOutbound(names, [...allow, ...ownAddress(url)], typeof ca === 'string' ? { ca } : {}),
      headers: async () => ({ ...one.headers, ...(await bearer(one.bearerTokenFile)) }),
      ...(one.timeoutSeconds === undefined ? {} : { timeoutMilliseconds: one.timeoutSeconds * 1000 }),
    });
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return made;
}

async function readSources(file: string): Promise<z.output<typeof source>[]> {
  const problem = (text: string) => new ConfigError([`DETECTOR_SOURCES: ${file}: ${text}`]);
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw problem(`cannot be read (${error.code ?? 'failed'})`);
  });
  let content: unknown;
  try {
    content = parse(text, { prettyErrors: false, logLevel: 'error' });
  } catch (error) {
    throw problem(`is no YAML (${error instanceof YAMLParseError ? error.code : 'failed'})`);
  }
  const parsed = sourcesFile.safeParse(content ?? undefined);
  if (parsed.success) return parsed.data.sources;
  throw new ConfigError(
    parsed.error.issues.map(
      ({ path, message }) => `DETECTOR_SOURCES: ${file}: ${path.join('.') || 'file'}: ${message}`,
    ),
  );
}

/** Who writes an address into the file has admitted it, also a loopback one (a sidecar). */
function ownAddress(url: URL): AllowPattern[] {
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  const parsed = parseAllowList([`${url.hostname}:${port}`]);
  return 'allow' in parsed ? parsed.allow.filter((pattern) => pattern.kind === 'address') : [];
}

async function bearer(file: string | undefined): Promise<Record<string, string>> {
  return file === undefined ? {} : { authorization: `Bearer ${(await readFile(file, 'utf8')).trim()}` };
}
