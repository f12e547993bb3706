/** The conformance check, on plug-ins that each break one obligation. */
import { afterEach, describe, expect, test } from '@jest/globals';
import { OBLIGATION_NAMES, OBLIGATIONS, type ObligationName } from './core/obligations.ts';
import { BROKEN, ODD, serve, type Plugin, type Served } from './plugins.fixture.ts';
import { check, type CheckOptions, type Finding, type Report } from './shell/check.ts';

let served: Served | undefined;
afterEach(async () => {
  await served?.close();
  served = undefined;
});
async function checked(plugin: Partial<Plugin> = {}, options: CheckOptions = {}): Promise<Report> {
  served = await serve(plugin);
  return check(served.url, options);
}
const named = ({ findings }: Report, result: Finding['result']): ObligationName[] =>
  findings.filter((one) => one.result === result).map(({ obligation }) => obligation);

test('a plug-in that owes nothing: every obligation is checked and holds', async () => {
  const report = await checked();
  expect(report).toMatchObject({ ok: true, plugin: { name: 'sound', version: '1' }, parameters: {} });
  expect(report).not.toHaveProperty('incomplete');
  expect(named(report, 'held')).toEqual(OBLIGATION_NAMES);
});

describe('a plug-in that breaks one obligation: that one is told, with what was sent, what came back and what is to be done', () => {
  test.each(BROKEN)('one that $what breaks $breaks', async ({ breaks, plugin, isLate }) => {
    const report = await checked(plugin(), isLate ? { timeoutMilliseconds: 200 } : {});
    expect(report.ok).toBe(false);
    expect(named(report, 'broken')).toEqual([breaks]);
    const finding = report.findings.find(({ obligation }) => obligation === breaks);
    expect(finding).toEqual({
      obligation: breaks,
      level: 'must',
      says: OBLIGATIONS[breaks].says,
      todo: OBLIGATIONS[breaks].todo,
      result: 'broken',
      problem: expect.stringMatching(/./),
      sent: expect.stringMatching(/^(GET|POST) \//),
      received: expect.stringMatching(/./),
    });
  });

  test.each(ODD)('one that $what is told that $breaks should be otherwise, and keeps the contract', async (odd) => {
    const report = await checked(odd.plugin());
    expect(named(report, 'broken')).toEqual([odd.breaks]);
    expect(report.ok).toBe(true);
  });

  test('every obligation is broken by one of them, so none is checked in vain', async () => {
    const broken = new Set([...BROKEN, ...ODD].map(({ breaks }) => breaks));
    expect([...broken, 'reachable'].toSorted()).toEqual(OBLIGATION_NAMES.toSorted());
  });
});

test('where nobody listens only that is told', async () => {
  const { url, close } = await serve();
  await close();
  const report = await check(url);
  expect(named(report, 'broken')).toEqual(['reachable']);
  expect(named(report, 'held')).toEqual([]);
  expect(report.findings[0]?.problem).toBe('there is no connection (ECONNREFUSED)');
});

test.each<[string, string, ObligationName, string]>([
  ['gives NaN as score', 'JSON has no NaN', 'shape', 'JSON has no NaN'],
  [
    'knows another outcome',
    'the field',
    'shape',
    'verdicts.0.outcome is none of ok, anomalous, inconclusive and error',
  ],
  ['answers nothing', 'that it is empty', 'shape', 'it is empty'],
  ['begins with a byte order mark', 'which character', 'shape', 'it begins with a byte order mark'],
  ['compresses unasked', 'that it is compressed', 'shape', 'it is compressed'],
  ['judges a stranger', 'whom', 'asked-pods', 'verdicts.0 ("stranger") is about a pod that was not asked about'],
  ['judges a pod twice', 'which', 'one-verdict', 'verdicts.3 ("cart-7d9f8c6b5-00000") is about a pod that has one'],
  ['says text/plain', 'the type', 'content-type', 'the content-type is text/plain'],
])('of one that %s it says %s', async (what, _says, obligation, words) => {
  const plugin = BROKEN.find((one) => one.what === what)?.plugin() ?? {};
  const report = await checked(plugin);
  expect(report.findings.find((one) => one.obligation === obligation)?.problem).toContain(words);
});

describe('parameters', () => {
  const withSchema = (parameters: object): Partial<Plugin> => ({
    info: () => ({
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'sound', version: '1', parameters }),
    }),
  });
  const required = { type: 'object', required: ['limit'] };

  test.each<[string, object, object]>([
    ['none where it needs none', { type: 'object' }, {}],
    ['its example', { ...required, examples: [{ limit: 3 }] }, { limit: 3 }],
    ['its defaults', { ...required, properties: { limit: { default: 4 } } }, { limit: 4 }],
    ['the first value that it allows', { ...required, properties: { limit: { enum: [5, 6] } } }, { limit: 5 }],
  ])('it is asked with %s', async (_what, schema, parameters) => {
    expect((await checked(withSchema(schema))).parameters).toEqual(parameters);
  });

  test('or with those that are given', async () => {
    expect((await checked(withSchema(required), { parameters: { limit: 7 } })).parameters).toEqual({ limit: 7 });
  });

  test.each<[object | undefined, string]>([
    [
      undefined,
      'the plug-in needs parameters (parameters.limit is missing): give some that it takes with --parameters',
    ],
    [{ more: 1 }, "the parameters given do not fit the plug-in's schema: parameters.limit is missing"],
  ])('with %j it cannot be asked: not the plug-in’s fault, and not ok', async (parameters, incomplete) => {
    const options = parameters === undefined ? {} : { parameters: parameters as Record<string, unknown> };
    const report = await checked(withSchema(required), options);
    expect(report).toMatchObject({ ok: false, incomplete });
    expect(named(report, 'broken')).toEqual([]);
    expect(named(report, 'unchecked')).toContain('shape');
  });
});
