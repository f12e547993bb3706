import { describe, expect, test } from '@jest/globals';
import * as z from 'zod';
import { ConfigError, flag, httpSettings, integer, list, natsSettings, oneOf, readConfig, url } from './config.ts';

const problemsOf = (shape: z.ZodRawShape, env: Record<string, string>): readonly string[] => {
  try {
    readConfig(z.object(shape), env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
};

describe('configuration', () => {
  test('takes defaults, and an empty value counts as not set', () => {
    expect(readConfig(z.object(httpSettings), { HTTP_PORT: '', LOG_LEVEL: ' debug ' })).toEqual({
      HTTP_PORT: 8080,
      HTTP_HOST: '0.0.0.0',
      LOG_LEVEL: 'debug',
    });
  });

  test('lists all problems at once, each with the variable, the value and what is allowed', () => {
    expect(problemsOf({ ...httpSettings, ...natsSettings }, { HTTP_PORT: '70000', LOG_LEVEL: 'loud' })).toEqual([
      'HTTP_PORT: "70000", must be an integer from 0 to 65535',
      'LOG_LEVEL: "loud", must be one of trace, debug, info, warn, error, fatal, silent',
      'NATS_URL: not set, must be URLs with nats:// or tls:// or ws:// or wss://',
    ]);
  });

  test('shows no password of a URL and no secret', () => {
    const shape = { NATS_URL: url(['nats']), TOKEN: integer(1, 9).meta({ secret: true }) };
    const text = problemsOf(shape, { NATS_URL: 'http://me:hunter2@bus', TOKEN: 'hunter2' }).join('\n');
    expect(text).toContain('NATS_URL: "http://***@bus"');
    expect(text).toContain('TOKEN: the value given (not shown)');
    expect(text).not.toContain('hunter2');
  });

  test('shows of a long value only the beginning', () => {
    expect(problemsOf({ PORT: integer(1, 9) }, { PORT: 'x'.repeat(10_000) })[0]?.length).toBeLessThan(200);
  });

  test.each([
    [integer(-1, 5), '-1', -1],
    [integer(0, 5), '0x1', undefined],
    [integer(0, 5), '1e0', undefined],
    [integer(0, 5), '1.5', undefined],
    [flag(), 'true', true],
    [flag(), 'false', false],
    [flag(), 'yes', undefined],
    [oneOf(['a', 'b']), 'b', 'b'],
    [oneOf(['a', 'b']), 'c', undefined],
    [list('names', /^[a-z]+$/), 'shop, cart,', ['shop', 'cart']],
    [list('names', /^[a-z]+$/), 'shop;cart', undefined],
    [url(['nats'], true), 'nats://a:4222,nats://b:4222', 'nats://a:4222,nats://b:4222'],
    [url(['nats'], true), 'nats://a:4222,http://b', undefined],
    [url(['http', 'https']), 'detector:8080', undefined],
    [url(['http', 'https']), 'http://detector:8080', 'http://detector:8080'],
  ])('reads %# %s', (schema, text, expected) => {
    if (expected === undefined) expect(problemsOf({ VALUE: schema }, { VALUE: text })).toHaveLength(1);
    else expect(readConfig(z.object({ VALUE: schema }), { VALUE: text })).toEqual({ VALUE: expected });
  });

  test('leaves variables alone that the schema does not name', () => {
    expect(readConfig(z.object({}), { HOME: '/root' })).toEqual({});
  });
});
