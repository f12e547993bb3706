import { describe, expect, test } from '@jest/globals';
import { createLogger, describeError } from './logs.ts';

function logged(write: (log: ReturnType<typeof createLogger>) => void, level = 'info'): Record<string, unknown>[] {
  const lines: string[] = [];
  write(createLogger('breaker', level, 'breaker-1', { write: (line) => void lines.push(line) }));
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('logs', () => {
  test('are JSON lines with component and instance, values as fields', () => {
    const [line] = logged((log) => log.warn({ namespace: 'shop', pod: 'cart-1' }, 'pod withheld'));
    expect(line).toMatchObject({
      level: 'warn',
      component: 'breaker',
      instance: 'breaker-1',
      namespace: 'shop',
      pod: 'cart-1',
      msg: 'pod withheld',
    });
    expect(Date.parse(line?.['time'] as string)).not.toBeNaN();
  });

  test('hold nothing under the level', () => {
    expect(logged((log) => log.info('x'), 'warn')).toEqual([]);
  });

  test('of an error hold no headers, no body and no second line', () => {
    const error = Object.assign(new Error('HTTP-Code: 403\nHeaders: {"authorization":"Bearer s3cret"}'), {
      code: 403,
      body: 's3cret',
      headers: { authorization: 's3cret' },
    });
    const [line] = logged((log) => log.error({ err: error }, 'patch failed'));
    expect(line?.['err']).toMatchObject({ type: 'Error', message: 'HTTP-Code: 403', code: 403 });
    expect(JSON.stringify(line)).not.toContain('s3cret');
    expect((line?.['err'] as { stack: string }).stack).toMatch(/^ {4}at /);
  });

  test('of an error show the causes, and do not follow a circle of them for ever', () => {
    const inner = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
    expect(describeError(new TypeError('fetch failed', { cause: inner }))).toMatchObject({
      type: 'TypeError',
      cause: { message: 'connect ECONNREFUSED', code: 'ECONNREFUSED' },
    });
    const circle = new Error('round');
    circle.cause = circle;
    expect(JSON.stringify(describeError(circle)).length).toBeLessThan(20_000);
  });

  test('take whatever was thrown', () => {
    expect(describeError('text')).toEqual({ type: 'string', message: 'text' });
    expect(describeError(undefined)).toEqual({ type: 'undefined', message: 'undefined' });
  });
});
