import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { ConfigError } from '@kubervisor/runtime/config';
import { loadSources, type Sources } from './sources.ts';

const names = { service: async () => ({ addresses: [], alias: false }), host: async () => [] };
let folder: string;
let file: string;
let loaded: Sources[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sources-'));
  file = join(folder, 'sources.yaml');
  loaded = [];
});
afterEach(async () => {
  for (const sources of loaded) for (const source of sources.values()) source.outbound.close();
  await rm(folder, { recursive: true });
});

async function load(yaml: string): Promise<Sources> {
  await writeFile(file, yaml);
  const sources = await loadSources(file, names, []);
  loaded.push(sources);
  return sources;
}
const problemsOf = async (yaml: string) =>
  load(yaml).then(
    () => [],
    (error: ConfigError) => error.problems.map((problem) => problem.replace(`DETECTOR_SOURCES: ${file}: `, '')),
  );

describe('named sources', () => {
  test('there are none without a file', async () => {
    expect((await loadSources(undefined, names, [])).size).toBe(0);
  });

  test('have url, headers, time-out, and a token that is read anew each time', async () => {
    const token = join(folder, 'token');
    await writeFile(token, 'first\n');
    const sources = await load(`
      sources:
        - name: central
          url: https://thanos.example/prefix
          timeoutSeconds: 2.5
          headers: { X-Scope-OrgID: shop }
          bearerTokenFile: ${token}
    `);
    const central = sources.get('central');
    expect(central?.destination).toEqual({ url: new URL('https://thanos.example/prefix'), via: 'outside' });
    expect(central?.timeoutMilliseconds).toBe(2500);
    expect(await central?.headers?.()).toEqual({ 'X-Scope-OrgID': 'shop', authorization: 'Bearer first' });
    await writeFile(token, 'second');
    expect(await central?.headers?.()).toMatchObject({ authorization: 'Bearer second' });
  });

  test('all problems are listed at once, and no value of a header is shown', async () => {
    const problems = await problemsOf(`
      sources:
        - { name: "a b", url: "ftp://x", headers: { X-Key: "s3cret\\nX-Other: 1" } }
        - { name: b, url: "http://b", colour: red, timeoutSeconds: 0 }
    `);
    expect(problems.map((problem) => problem.split(': ')[0])).toEqual([
      'sources.0.name',
      'sources.0.url',
      'sources.0.headers.X-Key',
      'sources.1.timeoutSeconds',
      'sources.1',
    ]);
    expect(problems.join()).not.toContain('s3cret');
  });

  test.each([
    ['is no YAML (BAD_INDENT)', 'sources:\n  - a: 1\n s3cret: ['],
    ['file: ', ''],
    ['sources: ', 'sources: 7'],
    ['the name a is given twice', 'sources: [{name: a, url: "http://x"}, {name: a, url: "http://y"}]'],
    ['url of a must have no user, query or fragment', 'sources: [{name: a, url: "http://me:s3cret@x"}]'],
    ['caFile of a cannot be read: /nowhere', 'sources: [{name: a, url: "http://x", caFile: /nowhere}]'],
  ])('are refused: %s', async (problem, yaml) => {
    const problems = await problemsOf(yaml);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(new RegExp(`^${problem.replace(/[()]/g, '\\$&')}`));
    expect(problems[0]).not.toContain('s3cret');
  });

  test('a file that cannot be read is told', async () => {
    await expect(loadSources('/nowhere.yaml', names, [])).rejects.toThrow(
      'DETECTOR_SOURCES: /nowhere.yaml: cannot be read (ENOENT)',
    );
  });
});
