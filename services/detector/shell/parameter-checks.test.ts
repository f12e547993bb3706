import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createParameterChecks, type ParameterChecks } from './parameter-checks.ts';

let checks: ParameterChecks;
beforeEach(() => void (checks = createParameterChecks()));
afterEach(() => checks.close());

/** Takes a regular expression longer than anybody waits. */
const ENDLESS = { properties: { text: { type: 'string', pattern: '^(a+)+$' } } };
const HARD = { text: `${'a'.repeat(60)}!` };
/** Its errors need more memory than the thread may have: the thread ends. */
const BOMB = { properties: { x: { contains: { anyOf: Array.from({ length: 300 }, () => ({ type: 'string' })) } } } };
const FOR_BOMB = { x: Array.from({ length: 200_000 }, () => 1) };

describe('parameters against foreign schemas', () => {
  test('what fits, what does not, and what is no schema', async () => {
    const schema = { properties: { limit: { type: 'number' } } };
    const all = [
      checks.check('shop', schema, { limit: 1 }),
      checks.check('shop', schema, { limit: '1' }),
      checks.check('shop', { type: 7 }, {}),
    ];
    expect(await Promise.all(all)).toEqual([
      { problem: undefined },
      { problem: expect.stringContaining('limit') },
      { unchecked: 'is not one that can be used' },
    ]);
  });

  test('D: one that takes for ever is given up, and holds up nobody: the event loop goes on meanwhile', async () => {
    // The thread is there, and warm.
    await checks.check('shop', {}, {});
    const begun = performance.now();
    let turns = 0;
    const turning = setInterval(() => (turns += 1), 5);
    const hard = checks.check('shop', ENDLESS, HARD);
    const next = checks.check('shop', {}, {});
    expect(await hard).toEqual({ unchecked: 'takes too long to check' });
    clearInterval(turning);
    expect(performance.now() - begun).toBeGreaterThan(400);
    // Of a loop that stood still it would be one or two.
    expect(turns).toBeGreaterThan(10);
    expect(await next).toEqual({ problem: undefined });
  });

  test('where the thread ends in the middle, whoever waits is told, and the next check has another', async () => {
    await checks.check('shop', {}, {});
    const hard = checks.check('shop', ENDLESS, HARD);
    await checks.close();
    expect(await hard).toEqual({ unchecked: 'could not be checked' });
    expect(await checks.check('shop', {}, {})).toEqual({ problem: undefined });
  });

  test('D: the schemas of one namespace that take for ever hold up another one by two of them, not by all', async () => {
    await checks.check('shop', {}, {});
    const answered: string[] = [];
    const hostile = Array.from({ length: 5 }, async (_, index) => {
      await checks.check('mallory', ENDLESS, { ...HARD, index });
      answered.push('mallory');
    });
    await checks.check('shop', {}, {});
    // The one under way, and the one whose turn it is.
    expect(answered.length).toBeLessThanOrEqual(2);
    await Promise.all(hostile);
  });

  test('D: what one namespace may have waiting is bounded, so that it fills nobody’s memory', async () => {
    const many = Array.from({ length: 200 }, (_, index) => checks.check('mallory', {}, { index }));
    const honest = checks.check('shop', {}, {});
    const refused = (await Promise.all(many)).filter((one) => 'unchecked' in one);
    expect(refused.length).toBeGreaterThan(50);
    expect(refused[0]).toEqual({ unchecked: 'waits for too many others of the namespace' });
    expect(await honest).toEqual({ problem: undefined });
  });

  test('D: one that ends the thread (memory) is told, and those behind it are checked all the same', async () => {
    await checks.check('shop', {}, {});
    const bomb = checks.check('mallory', BOMB, FOR_BOMB);
    const next = checks.check('shop', {}, {});
    // On a slow machine its time is over before its memory is.
    expect(await bomb).toEqual({
      unchecked: expect.stringMatching(/^(could not be checked|takes too long to check)$/),
    });
    expect(await next).toEqual({ problem: undefined });
  });

  test.each([1000, 5000, 20_000, 60_000])(
    'D: one that is nested %d deep ends neither the thread nor us',
    async (depth) => {
      const deep = JSON.parse(`${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`) as Record<string, unknown>;
      expect(await checks.check('mallory', deep, {})).toBeDefined();
      expect(await checks.check('mallory', {}, deep)).toBeDefined();
      expect(await checks.check('shop', {}, {})).toEqual({ problem: undefined });
    },
  );
});
