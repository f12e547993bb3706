import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { validateResource } from '@kubervisor/shared/crd/validate';
import { parse } from 'yaml';
import { readSources, sourceSchema } from './sources-file.ts';

const one = (fields: object) => ({ sources: [{ name: 'central', url: 'https://thanos.example', ...fields }] });
const problemsOf = (content: unknown) => {
  const read = readSources(content);
  return 'problems' in read ? read.problems : [];
};

describe('sources.yaml', () => {
  test('the least is a name and a url', () => {
    expect(readSources(one({}))).toEqual({
      sources: [{ name: 'central', url: 'https://thanos.example', concurrency: 32, headers: {} }],
    });
  });

  test.each<[string, object]>([
    ['.url (central): must be an http:// or https:// URL', { url: 'ftp://x' }],
    ['.url (central): must be an http:// or https:// URL', { url: 'thanos:9090' }],
    [
      '.url (central): must have no user, query or fragment; a user belongs into basicAuth',
      { url: 'http://me:s3cret@x' },
    ],
    [
      '.url (central): must have no user, query or fragment; a user belongs into basicAuth',
      { url: 'http://x/?token=s3cret' },
    ],
    [
      '.name (not a name): "not a name", must be letters, digits, dots, dashes, underscores, at most 63',
      { name: 'not a name' },
    ],
    ['.timeoutSeconds (central): 0, must be more than 0 and at most 60', { timeoutSeconds: 0 }],
    ['.timeoutSeconds (central): "5", must be a number', { timeoutSeconds: '5' }],
    ['.concurrency (central): 0, must be an integer from 1 to 1000', { concurrency: 0 }],
    ['.concurrency (central): 1.5, must be an integer from 1 to 1000', { concurrency: 1.5 }],
    ['.headers.X-Key (central): must be printable ASCII', { headers: { 'X-Key': 's3cret\ns3cret' } }],
    ['.headers.X-Key (central): must be printable ASCII', { headers: { 'X-Key': 7 } }],
    ['.headers.Host (central): must not be one that we set', { headers: { Host: 's3cret' } }],
    ['.headers.a b (central): must be the name of a header', { headers: { 'a b': 's3cret' } }],
    ['.bearerTokenFile (central): "", must be the path of a file', { bearerTokenFile: '' }],
    ['.basicAuth.passwordFile (central): not set, must be the path of a file', { basicAuth: { username: 'me' } }],
    ['.basicAuth (central): must have exactly one of username and usernameFile', { basicAuth: { passwordFile: 'p' } }],
    ['.basicAuth (central): must have no colon in username', { basicAuth: { username: 'a:b', passwordFile: 'p' } }],
    [
      '.basicAuth (central): has "password", allowed are username, usernameFile, passwordFile',
      { basicAuth: { username: 'me', password: 's3cret', passwordFile: 'p' } },
    ],
    ['(central): must have both of certFile and keyFile, or neither', { certFile: 'c' }],
    ['(central): must have an https:// URL where it has caFile or certFile', { url: 'http://x', caFile: 'c' }],
    [
      '(central): must have at most one of bearerTokenFile, basicAuth and the header Authorization',
      { bearerTokenFile: 't', headers: { authorization: 's3cret' } },
    ],
    [
      '(central): must have at most one of bearerTokenFile, basicAuth and the header Authorization',
      { bearerTokenFile: 't', basicAuth: { username: 'me', passwordFile: 'p' } },
    ],
    [
      '(central): has "token", allowed are name, url, timeoutSeconds, concurrency, headers, bearerTokenFile, basicAuth, caFile, certFile, keyFile',
      { token: 's3cret' },
    ],
  ])('is refused: %s', (problem, fields) => {
    const problems = problemsOf(one(fields));
    expect(problems).toEqual([`sources.0${problem.startsWith('.') ? '' : ' '}${problem}`]);
    expect(problems.join()).not.toContain('s3cret');
  });

  test.each<[string, unknown]>([
    ['sources: not set, must be a list of sources', undefined],
    ['sources: not set, must be a list of sources', null],
    ['sources: not set, must be a list of sources', {}],
    ['sources: 7, must be a list of sources', { sources: 7 }],
    ['the file: has "source", allowed are sources', { sources: [], source: 1 }],
    ['the name central is given twice', { sources: [...one({}).sources, ...one({}).sources] }],
  ])('is refused: %s', (problem, content) => expect(problemsOf(content)).toEqual([problem]));

  test('tells everything that is wrong at once', () => {
    expect(
      problemsOf({
        sources: [
          { name: '', url: 'x', headers: { 'X-Key': '\n' } },
          { name: 'b', url: 'http://b', timeoutSeconds: 61, concurency: 3 },
        ],
      }).map((problem) => problem.split(':')[0]),
    ).toEqual([
      'sources.0.name ()',
      'sources.0.url ()',
      'sources.0.headers.X-Key ()',
      'sources.1.timeoutSeconds (b)',
      'sources.1 (b)',
    ]);
  });
});

describe('docs/detectors/sources.md', () => {
  const page = readFileSync(new URL('../../../docs/detectors/sources.md', import.meta.url), 'utf8');
  const blocks = [...page.matchAll(/```yaml\n(.*?)```/gs)].map(([, text = '']) => text);
  const rows = page.split('\n').map((line) => line.replace(/ +/g, ' '));

  test('begins with an example of ten lines', () => {
    expect(page.split('\n').findIndex((line) => line.startsWith('```'))).toBeLessThan(5);
    expect(blocks[0]?.trimEnd().split('\n').length).toBeLessThanOrEqual(10);
  });

  test('has only examples that are accepted: of sources, and of a resource that names one', () => {
    const examples = blocks.map((text) => parse(text) as { breakers?: unknown });
    for (const example of examples) {
      if (example.breakers === undefined) expect(problemsOf(example)).toEqual([]);
      else {
        const spec = { service: 'cart', breakers: example.breakers };
        expect(validateResource({ metadata: { name: 'cart' }, spec })).not.toHaveProperty('problems');
      }
    }
    expect(examples.length).toBeGreaterThanOrEqual(4);
  });

  test('tells every field, with its default and what it means', () => {
    const fields = Object.entries(sourceSchema.shape).map(([name, schema]) => {
      const unset: { success: boolean; data?: unknown } = schema.safeParse(undefined);
      const byDefault = !unset.success ? 'required' : unset.data === undefined ? '' : JSON.stringify(unset.data);
      const shown = byDefault === '' || byDefault === 'required' ? byDefault : `\`${byDefault}\``;
      return `| \`${name}\` | ${shown} | ${schema.description ?? ''} |`.replace(/ +/g, ' ');
    });
    const from = rows.findIndex((row) => row.startsWith('| field |'));
    expect(rows.slice(from + 2, rows.indexOf('', from))).toEqual(fields);
  });
});
