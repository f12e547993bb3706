import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { ConfigError } from '@kubervisor/runtime/config';
import { createAuthority } from '@kubervisor/testing/servers/certificates';
import { loadSources, type Sources } from './sources.ts';

const names = { service: async () => ({ addresses: [], alias: false }), host: async () => [] };
let folder: string;
let file: string;
let loaded: Sources[];
let told: [name: string, problem: string | undefined][];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sources-'));
  file = join(folder, 'sources.yaml');
  loaded = [];
  told = [];
});
afterEach(async () => {
  for (const sources of loaded) for (const source of sources.values()) source.outbound.close();
  await rm(folder, { recursive: true });
});

const put = (name: string, content: string) => writeFile(join(folder, name), content);
async function load(yaml: string): Promise<Sources> {
  await writeFile(file, yaml);
  const sources = await loadSources(file, names, [], (...one) => void told.push(one));
  loaded.push(sources);
  return sources;
}
const problemsOf = async (yaml: string) =>
  load(yaml).then(
    () => [],
    (error: ConfigError) => error.problems.map((problem) => problem.replace(`DETECTOR_SOURCES: ${file}: `, '')),
  );
/** One source with these fields, and what its credentials come to each time they are asked for. */
async function credentialsOf(fields: object) {
  const sources = await load(
    JSON.stringify({ sources: [{ name: 'central', url: 'https://thanos.example', ...fields }] }),
  );
  const source = sources.get('central');
  return async () => {
    const result = await source?.credentials();
    return result?.ok === true ? result.value : result?.fault.message;
  };
}

describe('named sources', () => {
  test('there are none without a file', async () => {
    expect((await loadSources(undefined, names, [], () => undefined)).size).toBe(0);
  });

  test('have url, headers and time-out', async () => {
    const sources = await load(`
      sources:
        - name: central
          url: https://thanos.example/prefix
          timeoutSeconds: 2.5
          headers: { X-Scope-OrgID: shop }
    `);
    const central = sources.get('central');
    expect(central?.destination).toEqual({ url: new URL('https://thanos.example/prefix'), via: 'outside' });
    expect(central?.timeoutMilliseconds).toBe(2500);
    expect(await central?.credentials()).toEqual({ ok: true, value: { 'X-Scope-OrgID': 'shop' } });
  });

  test('all problems are listed at once', async () => {
    expect(await problemsOf('sources: [{name: a}, {name: b, url: "http://x", timeoutSeconds: 90}]')).toEqual([
      'sources.0.url (a): not set, must be an http:// or https:// URL',
      'sources.1.timeoutSeconds (b): 90, must be more than 0 and at most 60',
    ]);
  });

  test.each([
    ['is no YAML (BAD_INDENT)', 'sources:\n  - a: 1\n s3cret: ['],
    ['sources: not set, must be a list of sources', ''],
  ])('a file that is none is told, without its content: %s', async (problem, yaml) => {
    expect(await problemsOf(yaml)).toEqual([problem]);
  });

  test('a file that cannot be read is told', async () => {
    await expect(loadSources('/nowhere.yaml', names, [], () => undefined)).rejects.toThrow(
      'DETECTOR_SOURCES: /nowhere.yaml: cannot be read (ENOENT)',
    );
  });
});

describe('the files that a source names', () => {
  test('lie beside sources.yaml unless their path is absolute, and are read anew each time', async () => {
    await put('token', 'first\n');
    const credentials = await credentialsOf({ bearerTokenFile: 'token' });
    expect(await credentials()).toEqual({ authorization: 'Bearer first' });
    await put('token', 'second');
    expect(await credentials()).toEqual({ authorization: 'Bearer second' });
    const absolute = await credentialsOf({ bearerTokenFile: join(folder, 'token') });
    expect(await absolute()).toEqual({ authorization: 'Bearer second' });
  });

  test('basic auth: the user from the file or the declaration, the password from its file', async () => {
    await put('password', 'pa:ss word\n');
    await put('username', 'shop\n');
    const encoded = `Basic ${Buffer.from('shop:pa:ss word').toString('base64')}`;
    for (const user of [{ username: 'shop' }, { usernameFile: 'username' }]) {
      const credentials = await credentialsOf({ basicAuth: { ...user, passwordFile: 'password' } });
      expect(await credentials()).toEqual({ authorization: encoded });
    }
  });

  test('that is missing: the source alone cannot be asked, and it is told when that changes; neither path nor content is', async () => {
    await put('token', 's3cret');
    const credentials = await credentialsOf({ bearerTokenFile: 'token' });
    await rm(join(folder, 'token'));
    const message = 'the source central was not asked: bearerTokenFile cannot be read (ENOENT)';
    expect([await credentials(), await credentials()]).toEqual([message, message]);
    await put('token', 's3cret');
    expect(await credentials()).toEqual({ authorization: 'Bearer s3cret' });
    expect(told).toEqual([
      ['central', undefined],
      ['central', 'bearerTokenFile cannot be read (ENOENT)'],
      ['central', undefined],
    ]);
  });

  test('everything that is wrong with them is told at once', async () => {
    const [one, other] = [createAuthority(), createAuthority()];
    const { cert } = one.issue('kubervisor');
    const { key } = other.issue('kubervisor');
    await Promise.all([put('ca', 's3cret'), put('cert', cert), put('key', key), put('token', 's3cret\ns3cret')]);
    const credentials = await credentialsOf({
      bearerTokenFile: 'token',
      caFile: 'ca',
      certFile: 'cert',
      keyFile: 'key',
    });
    expect(await credentials()).toBe(
      'the source central was not asked: bearerTokenFile holds no token, caFile holds no certificate in PEM, keyFile is not the key of certFile',
    );
    await Promise.all([put('key', 's3cret'), put('cert', ''), put('token', ' \n')]);
    expect(await credentials()).toBe(
      'the source central was not asked: bearerTokenFile holds no token, caFile holds no certificate in PEM, certFile holds no certificate in PEM, keyFile holds no key in PEM without a passphrase',
    );
  });
});
