import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { selects } from '@kubervisor/shared/pods/fleet';
import { ACTIVATED, resource, service, services, spec } from './fixtures.ts';
import { othersOf, superviseNamespace } from './supervision.ts';

describe('Fleet: which Service a resource answers for', () => {
  test('an activated Service and a valid spec of mode enforce: it enforces', () => {
    const found = superviseNamespace([resource('cart')], services(service('cart', ACTIVATED))).get('cart')!;
    expect(found).toMatchObject({ active: true, enforcing: true, selector: { app: 'cart' } });
    expect(found.problem).toBeUndefined();
  });

  test('without our key in the selector it is not active and enforces nothing', () => {
    const found = superviseNamespace([resource('cart')], services(service('cart', { app: 'cart' }))).get('cart')!;
    expect(found).toMatchObject({ active: false, enforcing: false });
  });

  test.each([
    ['no selector (ExternalName, manual endpoints)', undefined],
    ['an empty selector', {}],
    ['our key alone', { 'kubervisor/traffic': 'yes' }],
  ])('%s selects nobody: ServiceWithoutSelector', (_, selector) => {
    const found = superviseNamespace([resource('cart')], services(service('cart', selector))).get('cart')!;
    expect(found.problem?.reason).toBe('ServiceWithoutSelector');
    expect(found.selector).toBeUndefined();
  });

  test('a Service that is not there: ServiceNotFound', () => {
    expect(superviseNamespace([resource('cart')], services()).get('cart')?.problem?.reason).toBe('ServiceNotFound');
  });

  test('a spec that slipped through: InvalidSpec with the path', () => {
    const bad = resource('cart', {
      spec: spec({ breakers: [{ name: 'errors', customService: 'judge', tolerance: 3, minPodsAvailableRatio: 120 }] }),
    });
    const found = superviseNamespace([bad], services(service('cart', ACTIVATED))).get('cart')!;
    expect(found.problem).toMatchObject({ reason: 'InvalidSpec' });
    expect(found.problem?.message).toContain('spec.breakers[0].minPodsAvailableRatio');
    expect(found.enforcing).toBe(false);
  });
});

describe('F5: two resources on one Service', () => {
  const both = (older: number, younger: number) => [
    resource('b', { createdAt: older }),
    resource('a', { createdAt: younger }),
  ];

  test('the older has it, whatever order they come in', () => {
    for (const list of [both(1, 2), both(1, 2).reverse()]) {
      const found = superviseNamespace(list, services(service('cart', ACTIVATED)));
      expect(found.get('b')?.enforcing).toBe(true);
      expect(found.get('a')).toMatchObject({ enforcing: false, problem: { reason: 'Conflict' } });
      expect(found.get('a')?.selector).toBeUndefined();
    }
  });

  test('of two of one age the smaller uid has it', () => {
    const found = superviseNamespace(both(1, 1), services(service('cart', ACTIVATED)));
    expect(found.get('a')?.problem).toBeUndefined();
    expect(found.get('b')?.problem?.reason).toBe('Conflict');
  });

  test('the others are those that enforce and are active, not oneself', () => {
    const found = superviseNamespace(
      [
        resource('cart'),
        resource('web', { spec: spec({ service: 'web' }) }),
        resource('dry', { spec: spec({ service: 'dry', mode: 'dryRun' }) }),
        resource('off', { spec: spec({ service: 'off' }) }),
      ],
      services(
        service('cart', ACTIVATED),
        service('web', { tier: 'web', 'kubervisor/traffic': 'yes' }),
        service('dry', { a: 'b', 'kubervisor/traffic': 'yes' }),
        service('off', { a: 'b' }),
      ),
    );
    expect(othersOf(found.get('cart')!, found)).toEqual([{ name: 'web', selector: { tier: 'web' } }]);
  });

  test('F5: whom no pod of this one can match, for it asks for another value of the same label, is not among them', () => {
    const selectors: Record<string, Record<string, string>> = {
      cart: { app: 'cart', tier: 'web' },
      checkout: { app: 'checkout', tier: 'web' },
      web: { tier: 'web' },
      sameApp: { app: 'cart', zone: 'a' },
      elsewhere: { constructor: 'x' },
    };
    const names = Object.keys(selectors);
    const found = superviseNamespace(
      names.map((name) => resource(name, { spec: spec({ service: name.toLowerCase() }) })),
      services(
        ...names.map((name) => service(name.toLowerCase(), { ...selectors[name], 'kubervisor/traffic': 'yes' })),
      ),
    );
    const othersFor = (name: string) => othersOf(found.get(name)!, found).map((other) => other.name);
    expect(othersFor('cart').sort()).toEqual(['elsewhere', 'sameApp', 'web']);
    expect(othersFor('elsewhere').sort()).toEqual(['cart', 'checkout', 'sameApp', 'web']);
  });

  test('F5: whatever the selectors, of those that match a pod of this one none is left out', () => {
    const labels = fc.constantFrom('a', 'b', 'c');
    const selector = fc.dictionary(labels, labels, { minKeys: 1, maxKeys: 3 });
    fc.assert(
      fc.property(fc.array(selector, { minLength: 1, maxLength: 6 }), selector, (selectors, podLabels) => {
        const found = superviseNamespace(
          selectors.map((_, n) => resource(`r${n}`, { spec: spec({ service: `s${n}` }) })),
          services(...selectors.map((one, n) => service(`s${n}`, { ...one, 'kubervisor/traffic': 'yes' }))),
        );
        fc.pre(selects(selectors[0]!, podLabels));
        const matching = selectors.flatMap((one, n) => (n > 0 && selects(one, podLabels) ? [`r${n}`] : []));
        expect(othersOf(found.get('r0')!, found).map(({ name }) => name)).toEqual(expect.arrayContaining(matching));
      }),
    );
  });
});
