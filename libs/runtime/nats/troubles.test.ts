import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { pino } from 'pino';
import { keepTroubles, type Troubles } from './troubles.ts';

let lines: string[];
let troubles: Troubles;

beforeEach(() => {
  jest.useFakeTimers();
  lines = [];
  const write = (line: string): void => {
    const { msg, problem } = JSON.parse(line) as { msg: string; problem?: string };
    lines.push(problem ?? msg);
  };
  troubles = keepTroubles(pino({ level: 'info' }, { write }), () => ({}));
});
afterEach(() => {
  troubles.stop();
  jest.useRealTimers();
});

test('each trouble is told when it comes, and that all are gone once', () => {
  troubles.set('unfit', undefined);
  troubles.set('bind breaker', 'a');
  troubles.set('bind breaker', 'a');
  troubles.set('bind KUBERVISOR_FACTS', 'b');
  expect(troubles.list()).toEqual(['a', 'b']);
  troubles.set('bind breaker', undefined);
  troubles.set('bind KUBERVISOR_FACTS', undefined);
  troubles.set('bind breaker', undefined);
  expect(lines).toEqual(['NATS is ready', 'a', 'b', 'NATS is ready']);
});

test('troubles that alternate for an hour are two lines', () => {
  for (let second = 0; second < 3600; second++) troubles.set('away', second % 2 === 0 ? 'refused' : 'no such host');
  expect(lines).toEqual(['refused', 'no such host']);
});

test('away hides all else, and JetStream that is off what follows from it; a permission that lacks is shown beside it', () => {
  troubles.set('bind breaker', 'missing');
  troubles.met('permission x', 'not permitted');
  troubles.set('unfit', 'off');
  expect(troubles.list()).toEqual(['not permitted', 'off']);
  troubles.set('away', 'away');
  expect(troubles.list()).toEqual(['away']);
});

test('an act that fails and works by turns is one trouble, told once; it is over a while after it last failed', async () => {
  for (let second = 0; second < 20; second++) {
    if (second % 2 === 0) troubles.met('publish x', 'no room');
    else troubles.worked('publish x');
    await jest.advanceTimersByTimeAsync(1000);
  }
  expect(lines).toEqual(['no room']);
  await jest.advanceTimersByTimeAsync(4000);
  expect(lines).toEqual(['no room', 'NATS is ready']);
});

test('an act that is not tried again is forgotten', async () => {
  troubles.met('publish x', 'no room');
  await jest.advanceTimersByTimeAsync(14_000);
  expect(troubles.list()).toEqual(['no room']);
  await jest.advanceTimersByTimeAsync(2000);
  expect(troubles.list()).toEqual([]);
});

test('who leaves logs nothing more, and still has what it had', () => {
  troubles.stop();
  troubles.set('away', 'closed');
  expect({ lines, left: troubles.list() }).toEqual({ lines: [], left: ['closed'] });
});
