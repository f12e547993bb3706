/** The sources that an operator names in a file (DETECTOR_SOURCES), so that a resource can ask for one by its name. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { ConfigError } from '@kubervisor/runtime/config';
import { parse, YAMLParseError } from 'yaml';
import { parseAllowList, type AllowPattern } from '../core/address.ts';
import { failure, success } from '../core/answer.ts';
import { readSources, type DeclaredSource } from '../core/sources-file.ts';
import type { Names } from './names.ts';
import { createOutbound, type Tls } from './outbound.ts';
import type { Source } from './prometheus.ts';

/** A source whose files are read anew before each query: whoever exchanges one need not restart us. */
export interface NamedSource extends Source {
  name: string;
  credentials: NonNullable<Source['credentials']>;
}
export type Sources = ReadonlyMap<string, NamedSource>;

/** Of one source: what is wrong with its files, undefined where nothing is (any more). Told when it changes. */
export type OnFiles = (name: string, problem: string | undefined) => void;

/** Throws `ConfigError` with every problem of the file. What is wrong with a file that it names is told to `onFiles`, and stays that source's. */
export async function loadSources(
  file: string | undefined,
  names: Names,
  allow: readonly AllowPattern[],
  onFiles: OnFiles,
): Promise<Sources> {
  if (file === undefined) return new Map();
  const read = readSources(await readYaml(file));
  if ('problems' in read)
    throw new ConfigError(read.problems.map((problem) => `DETECTOR_SOURCES: ${file}: ${problem}`));
  const made = read.sources.map((one) => createSource(one, dirname(file), names, allow, onFiles));
  await Promise.all(made.map((source) => source.credentials()));
  return new Map(made.map((source) => [source.name, source]));
}

async function readYaml(file: string): Promise<unknown> {
  const problem = (text: string) => new ConfigError([`DETECTOR_SOURCES: ${file}: ${text}`]);
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw problem(`cannot be read (${error.code ?? 'failed'})`);
  });
  try {
    return parse(text, { prettyErrors: false, logLevel: 'error' });
  } catch (error) {
    throw problem(`is no YAML (${error instanceof YAMLParseError ? error.code : 'failed'})`);
  }
}

function createSource(
  declared: DeclaredSource,
  folder: string,
  names: Names,
  allow: readonly AllowPattern[],
  onFiles: OnFiles,
): NamedSource {
  const { name, timeoutSeconds, concurrency } = declared;
  const url = new URL(declared.url);
  let tls: Tls = {};
  // Told in any case the first time.
  let known: string | undefined = '';
  return {
    name,
    destination: { url, via: 'outside' },
    outbound: createOutbound(names, [...allow, ...ownAddress(url)], { connections: concurrency, tls: () => tls }),
    concurrency,
    ...(timeoutSeconds === undefined ? {} : { timeoutMilliseconds: timeoutSeconds * 1000 }),
    async credentials() {
      const read = await readFiles(declared, folder);
      const problem = 'problem' in read ? read.problem : undefined;
      if (problem !== known) onFiles(name, (known = problem));
      if ('problem' in read) return failure('Unreachable', `the source ${name} was not asked: ${read.problem}`);
      tls = read.tls;
      return success({ ...declared.headers, ...read.headers });
    },
  };
}

/** Who writes an address into the file has admitted it, also a loopback one (a sidecar). */
function ownAddress(url: URL): AllowPattern[] {
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  const parsed = parseAllowList([`${url.hostname}:${port}`]);
  return 'allow' in parsed ? parsed.allow.filter((pattern) => pattern.kind === 'address') : [];
}

type FilesRead = { tls: Tls; headers: Record<string, string> } | { problem: string };

/** What is wrong is told by the field, never by the path or the content: it comes into the status of resources. */
async function readFiles(source: DeclaredSource, folder: string): Promise<FilesRead> {
  const { bearerTokenFile, basicAuth, caFile, certFile, keyFile } = source;
  const problems: string[] = [];
  const read = async (field: string, path: string | undefined, check: (text: string) => boolean, what: string) => {
    if (path === undefined) return undefined;
    try {
      const text = await readFile(resolve(folder, path), 'utf8');
      if (check(text)) return text;
      problems.push(`${field} holds no ${what}`);
    } catch (error) {
      problems.push(`${field} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'failed'})`);
    }
    return undefined;
  };
  const line = (text: string) => /^[\x20-\x7e]+$/.test(text.trim());
  const [token, user, password, ca, cert, key] = await Promise.all([
    read('bearerTokenFile', bearerTokenFile, (text) => /^[\x21-\x7e]+$/.test(text.trim()), 'token'),
    read('basicAuth.usernameFile', basicAuth?.usernameFile, (text) => line(text) && !text.includes(':'), 'user name'),
    read('basicAuth.passwordFile', basicAuth?.passwordFile, line, 'password'),
    read('caFile', caFile, isCertificate, 'certificate in PEM'),
    read('certFile', certFile, isCertificate, 'certificate in PEM'),
    read('keyFile', keyFile, isKey, 'key in PEM without a passphrase'),
  ]);
  if (cert !== undefined && key !== undefined && !new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) {
    problems.push('keyFile is not the key of certFile');
  }
  if (problems.length > 0) return { problem: problems.toSorted().join(', ') };
  return {
    tls: {
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
    },
    headers: {
      ...(token !== undefined && { authorization: `Bearer ${token.trim()}` }),
      ...(password !== undefined && {
        authorization: `Basic ${base64(`${basicAuth?.username ?? user?.trim() ?? ''}:${password.trim()}`)}`,
      }),
    },
  };
}

const base64 = (text: string) => Buffer.from(text).toString('base64');
const isCertificate = (pem: string) => succeeds(() => new X509Certificate(pem));
const isKey = (pem: string) => succeeds(() => createPrivateKey(pem));

function succeeds(attempt: () => unknown): boolean {
  try {
    attempt();
    return true;
  } catch {
    return false;
  }
}
