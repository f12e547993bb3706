import { expect, test } from '@jest/globals';
import { createFairFlights, type Outcome } from './fair-flights.ts';
import { createTurns } from './turns.ts';

function setUp(places: number) {
  const turns = createTurns({ places, mostWaiting: 2 });
  const starts: { key: string; answer(value: string): void; signal: AbortSignal }[] = [];
  const flights = createFairFlights<string>(() => undefined);
  const join = (namespace: string, key: string, signal = new AbortController().signal): Promise<Outcome<string>> =>
    flights.join({
      namespace,
      key,
      turns,
      start: (until) => new Promise((answer) => starts.push({ key, answer, signal: until })),
      signal,
    });
  const settled = () => new Promise<void>((resolve) => setImmediate(resolve));
  return { starts, join, settled };
}

test('what several namespaces ask at once is asked once, from a place of each', async () => {
  const { starts, join, settled } = setUp(4);
  const all = [join('shop', 'up'), join('shop', 'up'), join('pay', 'up')];
  await settled();
  expect(starts).toHaveLength(1);
  starts[0]?.answer('yes');
  expect(await Promise.all(all)).toEqual([{ landed: 'yes' }, { landed: 'yes' }, { landed: 'yes' }]);
});

test('those of one namespace that are alike wait for one place together, and hold one', async () => {
  const { starts, join, settled } = setUp(1);
  const all = [join('shop', 'slow'), ...Array.from({ length: 5 }, () => join('shop', 'up')), join('shop', 'down')];
  await settled();
  expect(starts.map(({ key }) => key)).toEqual(['slow']);
  starts[0]?.answer('at last');
  await settled();
  starts[1]?.answer('yes');
  await settled();
  starts[2]?.answer('no');
  expect((await Promise.all(all)).map((one) => 'landed' in one && one.landed)).toEqual([
    'at last',
    'yes',
    'yes',
    'yes',
    'yes',
    'yes',
    'no',
  ]);
});

test('whose signal ends learns where it stood; the others go on, and a place is free once nobody is there', async () => {
  const { starts, join, settled } = setUp(1);
  const [first, second] = [new AbortController(), new AbortController()];
  const flying = join('shop', 'slow', first.signal);
  const waiting = join('shop', 'up', second.signal);
  const patient = join('shop', 'up');
  await settled();
  second.abort();
  expect(await waiting).toEqual({ ended: 'waiting' });
  first.abort();
  expect(await flying).toEqual({ ended: 'underWay' });
  await settled();
  expect(starts.map(({ key, signal }) => [key, signal.aborted])).toEqual([
    ['slow', true],
    ['up', false],
  ]);
  starts[1]?.answer('yes');
  expect(await patient).toEqual({ landed: 'yes' });
});

test('too many of a namespace are told at once', async () => {
  const { join } = setUp(1);
  for (const key of ['a', 'b', 'c']) void join('shop', key);
  expect(await join('shop', 'd')).toEqual({ ended: 'crowded' });
});
