import { describe, expect, test } from '@jest/globals';
import { createTurns, type Place, type TurnsSettings } from './turns.ts';

/** Who was given a place, in order; each name is a namespace, a dash and anything. */
function setUp(settings: Partial<TurnsSettings> = {}) {
  const given: string[] = [];
  const turns = createTurns({ places: 1, mostWaiting: 100, ...settings, onIdle: () => given.push('nobody') });
  const refused: string[] = [];
  const places = new Map<string, Place>();
  const ask = async (name: string, signal?: AbortSignal, weight?: number): Promise<void> => {
    const place = await turns.take(name.split('-')[0] ?? '', signal, weight);
    if ('refused' in place) return void refused.push(`${name} ${place.refused}`);
    given.push(name);
    places.set(name, place);
  };
  const settled = () => new Promise<void>((resolve) => setImmediate(resolve));
  const leave = (name: string) => {
    places.get(name)?.leave();
    return settled();
  };
  return { turns, given, refused, ask, leave, settled };
}

describe('places that namespaces share', () => {
  test('of those that wait the namespaces are served in turn, each in the order in which it came', async () => {
    const { given, ask, leave, settled } = setUp();
    for (const name of ['a-1', 'a-2', 'a-3', 'b-1', 'b-2', 'c-1']) void ask(name);
    await settled();
    for (let n = 0; n < given.length; n++) await leave(given[n] ?? '');
    expect(given).toEqual(['a-1', 'a-2', 'b-1', 'c-1', 'a-3', 'b-2', 'nobody']);
  });

  test.each([
    [1, 1],
    [2, 1],
    [3, 2],
    [4, 2],
    [32, 16],
  ])('of %d places one namespace takes at most %d', async (places, most) => {
    const { given, ask, settled } = setUp({ places });
    for (let n = 0; n < 100; n++) void ask(`a-${n}`);
    await settled();
    expect(given).toHaveLength(most);
  });

  test('whoever comes anew finds a place, however many others keep all that they may', async () => {
    const { given, ask, settled } = setUp({ places: 32 });
    const names = Array.from({ length: 6 }, (_, n) => String.fromCharCode(97 + n));
    for (const name of names) {
      for (let n = 0; n < 100; n++) void ask(`${name}-${n}`);
      await settled();
    }
    expect(new Set(given.map((one) => one[0]))).toEqual(new Set(names));
  });

  test('a place that is left is given to whoever may have it now', async () => {
    const { given, ask, leave, settled } = setUp({ places: 2 });
    for (const name of ['a-1', 'b-1', 'a-2', 'b-2']) void ask(name);
    await settled();
    await leave('b-1');
    // `a` holds one of two already.
    expect(given).toEqual(['a-1', 'b-1', 'b-2']);
    await leave('a-1');
    expect(given).toEqual(['a-1', 'b-1', 'b-2', 'a-2']);
  });

  test('whose signal ends waits no more, and takes no place', async () => {
    const { given, refused, ask, leave, settled } = setUp();
    const impatient = new AbortController();
    void ask('a-1');
    void ask('a-2', impatient.signal);
    void ask('a-3');
    await settled();
    impatient.abort();
    await settled();
    await ask('a-4', impatient.signal);
    await leave('a-1');
    expect({ given, refused }).toEqual({ given: ['a-1', 'a-3'], refused: ['a-2 late', 'a-4 late'] });
  });

  test('so many of a namespace may wait, those beyond them are refused; the others may as before', async () => {
    const { refused, ask, settled } = setUp({ mostWaiting: 2 });
    for (const name of ['a-1', 'a-2', 'a-3', 'a-4', 'b-1']) void ask(name);
    await settled();
    expect(refused).toEqual(['a-4 crowded']);
  });

  test('so much may wait of all together: the namespace that weighs most gives way with what came last', async () => {
    const { refused, ask, settled } = setUp({ mostWeight: 10 });
    void ask('a-1', undefined, 100);
    for (const name of ['a-2', 'a-3']) void ask(name, undefined, 4);
    void ask('b-1', undefined, 2);
    void ask('b-2', undefined, 2);
    await settled();
    expect(refused).toEqual(['a-3 crowded']);
  });

  test('those that are dismissed get no place any more; whoever comes later does', async () => {
    const { turns, given, refused, ask, leave, settled } = setUp();
    void ask('a-1');
    void ask('a-2');
    await settled();
    turns.dismiss();
    void ask('a-3');
    await leave('a-1');
    expect({ given, refused }).toEqual({ given: ['a-1', 'a-3'], refused: ['a-2 dismissed'] });
  });
});
