import { expect, test } from '@jest/globals';
import { resourceChange } from './changes.ts';
import { readResource } from './resource.ts';

const condition = (type: string, status: string, reason: string) => ({
  type,
  status,
  reason,
  message: '',
  lastTransitionTime: '2026-03-01T12:00:00.000Z',
});
const cart = (status: object | undefined) =>
  readResource({
    namespace: 'shop',
    name: 'cart',
    uid: 'uid',
    generation: 1,
    resourceVersion: '1',
    createdAt: 0,
    spec: { service: 'cart', breakers: [{ name: 'slow', customService: 'judge' }] },
    status,
  });
const well = cart({
  conditions: [
    condition('Ready', 'True', 'Reconciled'),
    condition('Active', 'True', 'SelectorActivated'),
    condition('Degraded', 'False', 'Healthy'),
  ],
  available: 4,
  floor: 2,
});

test('a resource that no controller has looked at is not called healthy', () => {
  expect(resourceChange(undefined, cart(undefined))).toBe(
    'mode enforce, ? in traffic, floor none, no status yet: is the controller running?',
  );
  expect(resourceChange(cart(undefined), well)).toBe('active, 4 in traffic, floor 2, healthy');
});

test('the same again is no change', () => {
  expect(resourceChange(well, well)).toBeUndefined();
  expect(resourceChange(well, undefined)).toBe('deleted');
});
