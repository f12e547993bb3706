import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { edited, guardedPatch, marksOf } from '@kubervisor/shared/pods/codec';
import { selects } from '@kubervisor/shared/pods/fleet';
import type { Pod } from '@kubervisor/shared/pods/pod';
import { ACTIVATED, NOW, pod, resource, service, services, spec } from './fixtures.ts';
import { decideMembership, type NamespaceView } from './membership.ts';
import { superviseNamespace, type Resource, type ServiceView, type Supervised } from './supervision.ts';

const view = (resources: Resource[], list: ServiceView[]): NamespaceView => ({
  supervised: superviseNamespace(resources, services(...list)),
  activatedSelectors: list.flatMap(({ name, selector }) =>
    selector?.['kubervisor/traffic'] === 'yes'
      ? [{ service: name, uid: `uid-${name}`, selector: { app: selector['app'] ?? '' } }]
      : [],
  ),
});
const supervised = view([resource('cart')], [service('cart', ACTIVATED)]);
const decide = (one: Pod, where = supervised) => decideMembership(one, where, NOW);
const after = (one: Pod, where = supervised) => {
  const change = decide(one, where);
  return change === undefined ? undefined : edited(one, change.edit);
};
const ours = { 'kubervisor/name': 'cart' };
const out = { ...ours, 'kubervisor/traffic': 'no', 'kubervisor/strategy': 'errors' };

describe('F1: adoption', () => {
  test('a matching pod gets our name, and yes where there is no traffic label', () => {
    expect(after(pod('a'))?.labels).toMatchObject({ ...ours, 'kubervisor/traffic': 'yes' });
    expect(decide(pod('a'))?.templateWithoutLabel).toBe(true);
  });
  test('a traffic label that is there is never overwritten', () => {
    for (const traffic of ['yes', 'no', 'pause']) {
      const adopted = after(pod('a', { labels: { 'kubervisor/traffic': traffic } }));
      expect(adopted?.labels).toMatchObject({ ...ours, 'kubervisor/traffic': traffic });
    }
  });
  test('a value that is not ours (an unquoted yes came as "true") is none', () => {
    expect(after(pod('a', { labels: { ...ours, 'kubervisor/traffic': 'true' } }))?.labels['kubervisor/traffic']).toBe(
      'yes',
    );
  });
  test.each(['enforce', 'dryRun', 'disabled'])('it adopts in mode %s', (mode) => {
    const where = view([resource('cart', { spec: spec({ mode }) })], [service('cart', ACTIVATED)]);
    expect(after(pod('a'), where)?.labels['kubervisor/name']).toBe('cart');
  });
  test('it adopts where the Service is not activated', () => {
    expect(after(pod('a'), view([resource('cart')], [service('cart', { app: 'cart' })]))?.labels).toMatchObject(ours);
  });
  test('a Service that holds the key though nobody supervises it: its pods get yes', () => {
    const change = decide(pod('a'), view([], [service('cart', ACTIVATED)]));
    expect(change?.withoutSupervisor).toEqual({ name: 'cart', uid: 'uid-cart' });
    expect(edited(pod('a'), change!.edit).labels).toEqual({ app: 'cart', 'kubervisor/traffic': 'yes' });
  });
  test('a pod without an owner has no template that could lack the label', () => {
    expect(decide(pod('a', { owned: false }))?.templateWithoutLabel).toBeUndefined();
  });
  test('A7: an empty name is that of nobody: the pod is adopted, and one that is out is not lost', () => {
    const empty = { 'kubervisor/name': '', 'kubervisor/strategy': '', 'kubervisor/traffic': 'no' };
    expect(after(pod('a', { labels: empty }))?.labels).toMatchObject({ ...ours, 'kubervisor/traffic': 'no' });
    expect(decide(pod('a', { labels: empty }), view([], []))).toMatchObject({ reason: 'Orphaned' });
    expect(decide(pod('a', { labels: empty }), view([], []))?.confirmMissing).toBeUndefined();
  });
  test('of several that match the oldest adopts, whatever labels their selectors share', () => {
    const labels = fc.constantFrom('a', 'b', 'c');
    const selector = fc.dictionary(labels, labels, { minKeys: 1, maxKeys: 3 });
    fc.assert(
      fc.property(fc.array(selector, { maxLength: 8 }), selector, (selectors, podLabels) => {
        const where = view(
          selectors.map((_, n) => resource(`r${n}`, { createdAt: n, spec: spec({ service: `s${n}` }) })),
          selectors.map((one, n) => service(`s${n}`, one)),
        );
        const one = { ...pod('a'), labels: podLabels };
        const oldest = selectors.findIndex((wanted) => selects(wanted, podLabels));
        expect(decide(one, where)?.resource?.resource.name).toBe(oldest < 0 ? undefined : `r${oldest}`);
      }),
    );
  });
  test('in a namespace of hundreds a pod is not held against the selectors of all', () => {
    const names = Array.from({ length: 300 }, (_, n) => `s${n}`);
    const resources = names.map((name) => resource(name, { spec: spec({ service: name }) }));
    const where = view(
      resources,
      names.map((name) => service(name, { tier: 'web', app: name })),
    );
    let looks = 0;
    const counted = [...where.supervised].map(([name, { selector, ...rest }]): [string, Supervised] => [
      name,
      {
        ...rest,
        get selector() {
          looks += 1;
          return selector!;
        },
      },
    ]);
    const counting = { ...where, supervised: new Map(counted) };
    const decideFor = (name: string) => decide(pod('a', { labels: { app: name, tier: 'web' } }), counting);
    // The first pod has all of them looked at once.
    decideFor('s0');
    looks = 0;
    expect(decideFor('s299')?.resource?.resource.name).toBe('s299');
    expect(looks).toBeLessThan(5);
  });
  test('a pod of no Service of ours is none of our business', () => {
    expect(decide(pod('a', { labels: { app: 'other' } }))).toBeUndefined();
  });
  test('what was adopted is left alone from then on', () => {
    expect(decide(after(pod('a'))!)).toBeUndefined();
  });
});

describe('F2: release', () => {
  const marks = {
    'breaker/breakAt': '2026-11-23T11:00:00Z',
    'breaker/retryCount': '2',
    'kubervisor/activatedAt': '2026-11-23T10:30:00Z',
    'kubervisor/reason': 'bad',
    'controller.kubernetes.io/pod-deletion-cost': '-1000',
  };
  test('a pod whose resource is gone loses every mark, after two looks at the API', () => {
    const one = pod('a', { labels: out, annotations: marks });
    const change = decide(one, view([], []));
    expect(change).toMatchObject({ reason: 'Orphaned', confirmMissing: 'cart' });
    expect(edited(one, change!.edit)).toMatchObject({
      labels: { app: 'cart', 'kubervisor/traffic': 'yes' },
      annotations: {},
    });
  });
  test('the deletion cost of a person stays', () => {
    const one = pod('a', { labels: out, annotations: { 'controller.kubernetes.io/pod-deletion-cost': '50' } });
    expect(after(one, view([], []))?.annotations).toEqual({ 'controller.kubernetes.io/pod-deletion-cost': '50' });
  });
  test('a pod that does not match any more', () => {
    const one = pod('a', { labels: { ...out, app: 'moved' } });
    expect(decide(one)?.reason).toBe('NoLongerSelected');
    expect(after(one)?.labels).toEqual({ app: 'moved', 'kubervisor/traffic': 'yes' });
  });
  test('the pods of a resource that lost its Service to an older one, or whose Service is gone', () => {
    expect(decide(pod('a', { labels: out }), view([resource('cart')], []))?.reason).toBe('NoLongerSelected');
    const lost = view(
      [resource('cart', { createdAt: 5 }), resource('older', { createdAt: 1 })],
      [service('cart', ACTIVATED)],
    );
    expect(decide(pod('a', { labels: out }), lost)?.reason).toBe('NoLongerSelected');
  });
  test.each(['no', 'pause'])('a %s without an owner is released, whoever set it', (traffic) => {
    const one = pod('a', { labels: { app: 'nobody', 'kubervisor/traffic': traffic } });
    expect(after(one)?.labels).toEqual({ app: 'nobody', 'kubervisor/traffic': 'yes' });
  });
  test('ending and finished pods are left alone', () => {
    expect(decide(pod('a', { labels: out, terminating: true }), view([], []))).toBeUndefined();
    expect(decide(pod('a', { labels: out, phase: 'Succeeded' }), view([], []))).toBeUndefined();
    expect(decide(pod('a', { labels: out, phase: 'Failed' }), view([], []))).toBeUndefined();
  });
  test('a released pod that another resource selects is adopted next', () => {
    const where = view([resource('other', { spec: spec({ service: 'other' }) })], [service('other', ACTIVATED)]);
    const released = after(pod('a', { labels: out }), where)!;
    expect(after(released, where)?.labels['kubervisor/name']).toBe('other');
  });
});

describe('F4: what does not enforce holds nobody out', () => {
  const one = pod('a', {
    labels: out,
    annotations: { 'breaker/breakAt': '2026-11-23T11:00:00Z', 'breaker/retryCount': '2' },
  });

  test.each(['dryRun', 'disabled'])('mode %s: the pod comes back', (mode) => {
    const where = view([resource('cart', { spec: spec({ mode }) })], [service('cart', ACTIVATED)]);
    expect(decide(one, where)?.reason).toBe('NotEnforced');
    expect(marksOf(after(one, where)!)).toMatchObject({ traffic: 'yes', name: 'cart', activatedAt: NOW });
  });
  test('the selector lost the key', () => {
    expect(decide(one, view([resource('cart')], [service('cart', { app: 'cart' })]))?.reason).toBe('NotEnforced');
  });
  test('its own breaker left enforce; another breaker does not matter', () => {
    const breakers = (mine: string, other: string) =>
      spec({
        breakers: [
          { name: 'errors', customService: 'judge', mode: mine },
          { name: 'slow', customService: 'judge', mode: other },
        ],
      });
    const where = (mine: string, other: string) =>
      view([resource('cart', { spec: breakers(mine, other) })], [service('cart', ACTIVATED)]);
    expect(decide(one, where('dryRun', 'enforce'))?.reason).toBe('NotEnforced');
    expect(decide(one, where('enforce', 'disabled'))).toBeUndefined();
  });
  test('a removed breaker’s pods stay with the default activator', () => {
    expect(decide(pod('a', { labels: { ...out, 'kubervisor/strategy': 'removed' } }))).toBeUndefined();
  });
  test('a spec that is invalid enforces nothing', () => {
    const where = view([resource('cart', { spec: { service: 'cart', breakers: [] } })], [service('cart', ACTIVATED)]);
    expect(after(one, where)?.labels['kubervisor/traffic']).toBe('yes');
  });
  test('pause stays: only a person ends it', () => {
    const where = view([resource('cart', { spec: spec({ mode: 'disabled' }) })], [service('cart', ACTIVATED)]);
    expect(decide(pod('a', { labels: { ...out, 'kubervisor/traffic': 'pause' } }), where)).toBeUndefined();
  });
  test('while it enforces, a broken pod stays out', () => {
    expect(decide(one)).toBeUndefined();
  });
});

describe('every change is settled by itself', () => {
  test('the edit of a decision leads to a pod that asks for no more, or for a later step, but never for the same again', () => {
    const wheres = [
      supervised,
      view([], []),
      view([resource('cart', { spec: spec({ mode: 'dryRun' }) })], [service('cart', ACTIVATED)]),
      view([], [service('cart', ACTIVATED)]),
    ];
    for (const where of wheres)
      for (const name of [undefined, 'cart', 'gone'])
        for (const traffic of [undefined, 'yes', 'no', 'pause', 'maybe'])
          for (const app of ['cart', 'moved']) {
            let current = pod('a', {
              labels: {
                app,
                ...(name && { 'kubervisor/name': name }),
                ...(traffic && { 'kubervisor/traffic': traffic }),
              },
            });
            let steps = 0;
            for (let change = decide(current, where); change !== undefined; change = decide(current, where)) {
              expect(guardedPatch(current, change.edit)).not.toEqual([]);
              current = edited(current, change.edit);
              expect((steps += 1)).toBeLessThan(4);
            }
          }
  });
});
