/** `detector-kit check` as a person runs it. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { readArguments, UsageError } from './arguments.ts';
import { BROKEN, serve, type Plugin, type Served } from './plugins.fixture.ts';
import type { Report } from './shell/check.ts';

let served: Served | undefined;
afterEach(async () => {
  await served?.close();
  served = undefined;
});
const pluginThat = (what: string): Partial<Plugin> => {
  const found = BROKEN.find((one) => one.what === what);
  if (found === undefined) throw new Error(`no plug-in ${what}`);
  return found.plugin();
};

interface End {
  code: number | null;
  stdout: string;
  stderr: string;
}
function run(...words: string[]): Promise<End> {
  const child = spawn(process.execPath, ['--conditions=source', join(import.meta.dirname, 'main.ts'), ...words], {
    env: { PATH: process.env['PATH'] } as NodeJS.ProcessEnv,
  });
  const end = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (end.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (end.stderr += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, ...end }));
  });
}

test('a sound plug-in: a line for each obligation, what it is, and 0', async () => {
  served = await serve();
  const { code, stdout, stderr } = await run('check', served.url, '--parameters', '{"limit": 2}');
  expect(stderr).toBe('');
  expect(stdout).toMatch(/^ {2}ok {5}shape +The answer is/m);
  expect(stdout).toMatch(/sound 1 keeps contract v1: 25 held, 0 broken \(asked with parameters \{"limit":2\}\)\.\n$/);
  expect(stdout).not.toContain('\u001b');
  expect(code).toBe(0);
});

test('a broken one: what holds, what was found, sent and answered, what is to be done, and 1', async () => {
  served = await serve(pluginThat('knows another outcome'));
  const { code, stdout } = await run('check', served.url);
  expect(stdout).toContain(`\
  BROKEN shape                  The answer is { verdicts: [{ pod, uid?, outcome, score?, reason?, observed?, limit? }] } in JSON, with fields as in openapi.json.
           found the answer is not of the agreed shape: verdicts.0.outcome is none of ok, anomalous, inconclusive and error
           sent  POST /v1/verdicts {"apiVersion":"detector.kubervisor.io/v1",`);
  expect(stdout).toContain('           got   200 application/json; charset=utf-8 {"verdicts":[{"pod":"cart-');
  expect(stdout).toContain('           do    Mend the field that is named.');
  expect(stdout).toMatch(/^ {4}– {4}large-fleet +not checked/m);
  expect(stdout).toMatch(/sound 1 does not keep contract v1: .* 1 broken, .* not checked/);
  expect(code).toBe(1);
});

test('--json: the same as one object', async () => {
  served = await serve(pluginThat('has no /healthz'));
  const { code, stdout } = await run('check', served.url, '--json', '--timeout', '10');
  const report = JSON.parse(stdout) as Report;
  expect(report).toMatchObject({ url: `${served.url}/`, ok: false, plugin: { name: 'sound', version: '1' } });
  expect(report.findings.filter(({ result }) => result === 'broken')).toMatchObject([
    { obligation: 'health', level: 'must', sent: 'GET /healthz', received: '404 without content-type' },
  ]);
  expect(code).toBe(1);
});

test('parameters that do not fit are for whoever checks to mend: 2', async () => {
  served = await serve();
  const { code, stdout } = await run('check', served.url, '--parameters', '{"limit": "2"}');
  expect(stdout).toContain("do not fit the plug-in's schema: parameters.limit must be of type number");
  expect(code).toBe(2);
});

test('bad arguments: what is wrong, the help, and 2', async () => {
  const { code, stdout, stderr } = await run('chekc');
  expect(stderr).toMatch(/^there is no command chekc, only check\n\nUsage: npx @kubervisor\/detector-kit check URL/);
  expect([code, stdout]).toEqual([2, '']);
});

describe('arguments', () => {
  const files: Record<string, string> = { 'p.json': '{"limit": 2}', 'bad.json': 'limit: 2' };
  const read = (...words: string[]) =>
    readArguments(words, (file) => {
      const text = files[file];
      if (text === undefined) throw new Error('ENOENT');
      return text;
    });

  test('what is not said has its default', () => {
    expect(read('check', 'http://localhost:1')).toEqual({
      url: 'http://localhost:1/',
      timeoutMilliseconds: 5000,
      json: false,
    });
    expect(read('-h')).toBeUndefined();
  });
  test('parameters come as JSON or from a file', () => {
    expect(read('check', 'http://a', '--parameters', '{"limit": 1}')?.parameters).toEqual({ limit: 1 });
    expect(read('check', 'http://a', '--parameters', 'p.json')?.parameters).toEqual({ limit: 2 });
  });
  test.each([
    [['check'], /needs the URL/],
    [[], /check what/],
    [['check', 'localhost:8080'], /must be a URL with http:/],
    [['check', 'http://me:secret@a'], /must not hold a user/],
    [['check', 'http://a/v1/verdicts'], /leave out \/v1\/verdicts/],
    [['check', 'http://a?x=1'], /query/],
    [['check', 'http://a', 'http://b'], /one URL at a time/],
    [['check', 'http://a', '--timeout', 'soon'], /--timeout soon: must be a number of seconds/],
    [['check', 'http://a', '--parameters', 'none.json'], /neither a JSON object nor a file/],
    [['check', 'http://a', '--parameters', 'bad.json'], /holds no JSON/],
    [['check', 'http://a', '--parameters', '{'], /is no JSON/],
    [['check', 'http://a', '--no-such'], /no-such/],
  ])('%j is refused, and it says what is wrong', (words, message) => {
    expect(() => read(...words)).toThrow(UsageError);
    expect(() => read(...words)).toThrow(message);
  });
});
