import { describe, expect, test } from '@jest/globals';
import { createSharedFlights } from './shared-flights.ts';

function setUp() {
  const starts: { answer: (value: string) => void; signal: AbortSignal }[] = [];
  let shared = 0;
  const flights = createSharedFlights<string>(() => (shared += 1));
  const start = (signal: AbortSignal) =>
    new Promise<string>((answer) => {
      starts.push({ answer, signal });
    });
  return { starts, flights, start, shared: () => shared };
}
const endless = () => new AbortController().signal;

describe('identical questions under way', () => {
  test('are asked once, and all get the answer', async () => {
    const { starts, flights, start, shared } = setUp();
    const answers = [1, 2, 3].map(() => flights.join('up', start, endless()));
    expect(starts).toHaveLength(1);
    starts[0]?.answer('yes');
    expect(await Promise.all(answers)).toEqual(['yes', 'yes', 'yes']);
    expect(shared()).toBe(2);
  });

  test('that were answered are not called off: that costs an exception each, a thousand times a second', async () => {
    const { starts, flights, start } = setUp();
    const answer = flights.join('up', start, endless());
    starts[0]?.answer('yes');
    await answer;
    expect(starts[0]?.signal.aborted).toBe(false);
  });

  test('are asked anew once answered, and others are not mixed up with them', async () => {
    const { starts, flights, start } = setUp();
    const first = flights.join('up', start, endless());
    const other = flights.join('down', start, endless());
    starts[0]?.answer('one');
    starts[1]?.answer('two');
    expect([await first, await other]).toEqual(['one', 'two']);
    void flights.join('up', start, endless());
    expect(starts).toHaveLength(3);
  });

  test('end for each at its own deadline; the others go on waiting', async () => {
    const { starts, flights, start } = setUp();
    const impatient = new AbortController();
    const one = flights.join('up', start, impatient.signal);
    const other = flights.join('up', start, endless());
    impatient.abort();
    expect(await one).toBeUndefined();
    expect(starts[0]?.signal.aborted).toBe(false);
    starts[0]?.answer('late');
    expect(await other).toBe('late');
  });

  test('are given up when the last has gone, and the next one asks anew', async () => {
    const { starts, flights, start } = setUp();
    const controllers = [new AbortController(), new AbortController()];
    const both = controllers.map(({ signal }) => flights.join('up', start, signal));
    for (const controller of controllers) controller.abort();
    expect(await Promise.all(both)).toEqual([undefined, undefined]);
    expect(starts[0]?.signal.aborted).toBe(true);
    const next = flights.join('up', start, endless());
    starts[0]?.answer('too late');
    starts[1]?.answer('fresh');
    expect(await next).toBe('fresh');
  });

  test('are not asked where the deadline is over already', async () => {
    const { starts, flights, start } = setUp();
    expect(await flights.join('up', start, AbortSignal.abort())).toBeUndefined();
    expect(starts).toHaveLength(0);
  });
});
