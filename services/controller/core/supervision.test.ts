import { describe, expect, test } from '@jest/globals';
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
});
