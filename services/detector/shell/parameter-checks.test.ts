import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createParameterChecks, type ParameterChecks } from './parameter-checks.ts';

let checks: ParameterChecks;
beforeEach(() => void (checks = createParameterChecks()));
afterEach(() => checks.close());

/** Takes a regular expression longer than anybody waits. */
const ENDLESS = { properties: { text: { type: 'string', pattern: '^(a+)+$' } } };
const HARD = { text: `${'a'.repeat(60)}!` };

describe('parameters against foreign schemas', () => {
  test('what fits, what does not, and what is no schema', async () => {
    const schema = { properties: { limit: { type: 'number' } } };
    const all = [
      checks.check(schema, { limit: 1 }),
      checks.check(schema, { limit: '1' }),
      checks.check({ type: 7 }, {}),
    ];
    expect(await Promise.all(all)).toEqual([
      { problem: undefined },
      { problem: expect.stringContaining('limit') },
      { unchecked: 'is not one that can be used' },
    ]);
  });

  test('D: one that takes for ever is given up, and holds up nobody: the event loop goes on meanwhile', async () => {
    // The thread is there, and warm.
    await checks.check({}, {});
    const begun = performance.now();
    let turns = 0;
    const turning = setInterval(() => (turns += 1), 5);
    const hard = checks.check(ENDLESS, HARD);
    const next = checks.check({}, {});
    expect(await hard).toEqual({ unchecked: 'takes too long to check' });
    clearInterval(turning);
    expect(performance.now() - begun).toBeGreaterThan(400);
    // Of a loop that stood still it would be one or two.
    expect(turns).toBeGreaterThan(10);
    expect(await next).toEqual({ problem: undefined });
  });

  test('where the thread ends in the middle, whoever waits is told, and the next check has another', async () => {
    await checks.check({}, {});
    const hard = checks.check(ENDLESS, HARD);
    await checks.close();
    expect(await hard).toEqual({ unchecked: 'could not be checked' });
    expect(await checks.check({}, {})).toEqual({ problem: undefined });
  });
});
