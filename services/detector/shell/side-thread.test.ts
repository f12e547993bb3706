import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Answered } from '../core/judge-answer.ts';
import { createJudging, SMALL_LENGTH } from './judging.ts';
import { createSideThread, type SideThread } from './side-thread.ts';

let thread: SideThread;
beforeAll(() => void (thread = createSideThread()));
afterAll(() => thread.close());

describe('parameters against foreign schemas', () => {
  const asText = (schema: string) => `{"name":"judge","version":"1","parameters":${schema}}`;
  const checkText = async (namespace: string, schema: string, parameters: string) => {
    const asked = await thread.ask('parameters', namespace, { info: asText(schema), parameters }, schema.length);
    return 'answer' in asked ? asked.answer : asked.refused;
  };
  const check = (namespace: string, schema: object, parameters: object) =>
    checkText(namespace, JSON.stringify(schema), JSON.stringify(parameters));

  /** Takes a regular expression longer than anybody waits. */
  const ENDLESS = { properties: { text: { type: 'string', pattern: '^(a+)+$' } } };
  const HARD = { text: `${'a'.repeat(60)}!` };
  /** Its errors need more memory than the thread may have: the thread ends. */
  const BOMB = {
    properties: { x: { contains: { anyOf: Array.from({ length: 600 }, () => ({ type: 'string' })) } } },
  };
  const FOR_BOMB = { x: Array.from({ length: 200_000 }, () => 1) };

  test('what fits, what does not, what is no schema, and what is not what a plug-in says of itself', async () => {
    const schema = { properties: { limit: { type: 'number' } } };
    const all = [
      check('shop', schema, { limit: 1 }),
      check('shop', schema, { limit: '1' }),
      check('shop', { type: 7 }, {}),
      checkText('shop', '7', '{}'),
      checkText('shop', '{', '{}'),
    ];
    expect(await Promise.all(all)).toEqual([
      { problem: undefined },
      { problem: expect.stringContaining('limit') },
      { unchecked: 'is not one that can be used' },
      'noInfo',
      'noInfo',
    ]);
  });

  test('D: one that takes for ever is given up, and holds up nobody: the event loop goes on meanwhile', async () => {
    // The thread is there, and warm.
    await check('shop', {}, {});
    const begun = performance.now();
    let turns = 0;
    const turning = setInterval(() => (turns += 1), 5);
    const hard = check('shop', ENDLESS, HARD);
    const next = check('shop', {}, {});
    expect(await hard).toEqual({ unchecked: 'takes too long to check' });
    clearInterval(turning);
    expect(performance.now() - begun).toBeGreaterThan(400);
    // Of a loop that stood still it would be one or two.
    expect(turns).toBeGreaterThan(10);
    expect(await next).toEqual({ problem: undefined });
  });

  test('where the thread ends in the middle, whoever waits is told, and the next question has another', async () => {
    await check('shop', {}, {});
    const hard = check('shop', ENDLESS, HARD);
    const waiting = check('shop', {}, {});
    await thread.close();
    expect(await Promise.all([hard, waiting])).toEqual(['dismissed', 'dismissed']);
    expect(await check('shop', {}, {})).toEqual({ problem: undefined });
  });

  test('D: the schemas of one namespace that take for ever hold up another one by two of them, not by all', async () => {
    await check('shop', {}, {});
    const answered: string[] = [];
    const hostile = Array.from({ length: 5 }, async (_, index) => {
      await check('mallory', ENDLESS, { ...HARD, index });
      answered.push('mallory');
    });
    await check('shop', {}, {});
    // The one under way, and the one whose turn it is.
    expect(answered.length).toBeLessThanOrEqual(2);
    await Promise.all(hostile);
  });

  test('D: what one namespace may have waiting is bounded', async () => {
    const many = Array.from({ length: 200 }, (_, index) => check('mallory', {}, { index }));
    const honest = check('shop', {}, {});
    const refused = (await Promise.all(many)).filter((one) => one === 'crowded');
    expect(refused.length).toBeGreaterThan(50);
    expect(await honest).toEqual({ problem: undefined });
  });

  test('D: one that ends the thread (memory) is told, and those behind it are checked all the same', async () => {
    await check('shop', {}, {});
    const bomb = check('mallory', BOMB, FOR_BOMB);
    const next = check('shop', {}, {});
    // On a slow machine its time is over before its memory is.
    expect([{ unchecked: 'takes too long to check' }, 'dismissed']).toContainEqual(await bomb);
    expect(await next).toEqual({ problem: undefined });
  });

  test.each([1000, 5000, 20_000, 60_000])(
    'D: one that is nested %d deep ends neither the thread nor us',
    async (depth) => {
      const deep = `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
      expect(await checkText('mallory', deep, '{}')).toBeDefined();
      expect(await checkText('mallory', '{}', deep)).toBeDefined();
      expect(await check('shop', {}, {})).toEqual({ problem: undefined });
    },
  );
});

describe('answers', () => {
  const endless = () => new AbortController().signal;
  const ofPlugin = (namespace: string, text: string): Answered => ({
    kind: 'detector',
    namespace,
    pods: [{ name: 'cart-1', uid: 'u1', ip: '10.1.2.3' }],
    status: 200,
    text,
  });
  const verdicts = JSON.stringify({ verdicts: [{ pod: 'cart-1', outcome: 'ok' }] });
  const LARGE = verdicts + ' '.repeat(SMALL_LENGTH);

  test('a large one is judged as a small one is', async () => {
    const judge = createJudging(thread);
    const small = await judge(ofPlugin('shop', verdicts), endless());
    expect(small).toEqual({
      ok: true,
      value: { verdicts: [{ pod: 'cart-1', uid: 'u1', outcome: 'ok' }], ignored: {}, warnings: [] },
    });
    expect(await judge(ofPlugin('shop', LARGE), endless())).toEqual(small);
  });

  /** As many as may come by size or by number, each of a shape that costs more than what an honest one holds. */
  const MOST = 8 * 1024 * 1024;
  const list = (one: string | ((n: number) => string), many: number) =>
    `{"verdicts":[${Array.from({ length: many }, (_, n) => (typeof one === 'string' ? one : one(n))).join(',')}]}`;
  const HOSTILE: [what: string, text: string, problem: string][] = [
    ['nothing but brackets', '['.repeat(MOST / 2) + ']'.repeat(MOST / 2), 'is nested deeper than 100'],
    ['brackets that never close', '['.repeat(MOST), 'is nested deeper than 100'],
    ['brackets behind a text', `{"a":"${'\\"'.repeat(100_000)}","b":${'['.repeat(MOST / 2)}`, 'is nested deeper'],
    ['too many empty objects', list('{}', MOST / 3 - 10), 'holds more than 1250000 values'],
    ['as many empty objects as may be', list('{}', 624_000), 'verdicts is too long'],
    ['as many names as may be', list((n) => `{"${n.toString(36)}":1}`, 416_000), 'verdicts is too long'],
    [
      'as many names of one object as may be',
      `{${Array.from({ length: 624_000 }, (_, n) => `"${n.toString(36)}":1`).join(',')}}`,
      'verdicts is missing',
    ],
  ];

  test.each(HOSTILE)('D: %s, up to 8 MiB: BadAnswer, and the thread lives', async (_what, text, problem) => {
    expect(text.length).toBeLessThanOrEqual(MOST);
    const judge = createJudging(thread);
    expect(await judge(ofPlugin('mallory', text), endless())).toEqual({
      ok: false,
      fault: { reason: 'BadAnswer', message: expect.stringContaining(problem) },
    });
  });

  test('D: a large one holds up nobody: what is small is judged at once, though it came later', async () => {
    const [, text] = HOSTILE[4]!;
    const judge = createJudging(thread);
    const order: string[] = [];
    const large = judge(ofPlugin('mallory', text), endless()).then(() => order.push('large'));
    await judge(ofPlugin('shop', verdicts), endless()).then(() => order.push('small'));
    await large;
    expect(order).toEqual(['small', 'large']);
  });

  test('D: one namespace’s large ones hold up another’s by two of them, not by all', async () => {
    const [, text] = HOSTILE[4]!;
    const judge = createJudging(thread);
    let judged = 0;
    const hostile = Array.from({ length: 5 }, async () => {
      await judge(ofPlugin('mallory', text), endless());
      judged += 1;
    });
    expect(await judge(ofPlugin('shop', LARGE), endless())).toMatchObject({ ok: true });
    expect(judged).toBeLessThanOrEqual(2);
    await Promise.all(hostile);
  });

  test('V1: the deadline ends the wait for it, also of one that is under way', async () => {
    const judge = createJudging(thread);
    const deadline = new AbortController();
    const two = ['under way', 'waiting'].map(() => judge(ofPlugin('shop', LARGE), deadline.signal));
    deadline.abort();
    const late = {
      ok: false,
      fault: {
        reason: 'Timeout',
        message: 'the answer of the plug-in was not judged: it is a large one, and could not be read in time',
      },
    };
    expect(await Promise.all(two)).toEqual([late, late]);
    expect(await judge(ofPlugin('shop', LARGE), endless())).toMatchObject({ ok: true });
  });

  test('D: what waits is bounded in sum, and whoever has most of it gives way', async () => {
    const judge = createJudging(thread);
    const text = verdicts + ' '.repeat(MOST - verdicts.length);
    const hostile = Array.from({ length: 12 }, () => judge(ofPlugin('mallory', text), endless()));
    const honest = judge(ofPlugin('shop', text), endless());
    const refused = (await Promise.all(hostile)).filter((one) => !one.ok);
    // One under way, seven and the other's in 64 MiB.
    expect(refused).toHaveLength(4);
    expect(refused[0]).toEqual({
      ok: false,
      fault: {
        reason: 'Timeout',
        message: 'the answer of the plug-in was not judged: it is a large one, and too many of them wait to be read',
      },
    });
    expect(await honest).toMatchObject({ ok: true });
  });
});
