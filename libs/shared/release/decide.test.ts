import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { edited, EDITS, readPod } from '../pods/codec.ts';
import type { Pod } from '../pods/pod.ts';
import { bearsMarks, nextPass, releasePod, releaseService, type Pass } from './decide.ts';

const pod = (
  labels: Record<string, string>,
  annotations?: Record<string, string>,
  more: { deletionTimestamp?: string; phase?: string } = {},
): Pod =>
  readPod({
    metadata: {
      name: 'cart-1',
      namespace: 'shop',
      uid: 'u1',
      resourceVersion: '7',
      labels: { app: 'cart', ...labels },
      ...(annotations !== undefined && { annotations }),
      ...(more.deletionTimestamp !== undefined && { deletionTimestamp: more.deletionTimestamp }),
    },
    status: { phase: more.phase ?? 'Running' },
  });
const service = (selector?: Record<string, string>) => ({ uid: 's1', selector });
const KEY = 'kubervisor/traffic';

describe('a Service', () => {
  test('loses our key, guarded by the selector that was read', () => {
    const selector = { app: 'cart', [KEY]: 'yes' };
    expect(releaseService(service(selector))).toEqual({
      do: 'remove',
      operations: [
        { op: 'test', path: '/metadata/uid', value: 's1' },
        { op: 'test', path: '/spec/selector', value: selector },
        { op: 'remove', path: '/spec/selector/kubervisor~1traffic' },
      ],
    });
  });
  test.each([[undefined], [{}], [{ app: 'cart' }]])('without our key (%j) is none of our business', (selector) => {
    expect(releaseService(service(selector))).toEqual({ do: 'nothing' });
  });
  test('with our key alone keeps it: no selector means endpoints that nobody looks after', () => {
    expect(releaseService(service({ [KEY]: 'yes' }))).toEqual({ do: 'leave', reason: 'OnlyKey' });
  });
  test.each(['no', 'pause', 'true'])(
    'that selects %s is somebody’s own: without the key it would lead to all pods',
    (value) => {
      expect(releaseService(service({ app: 'cart', [KEY]: value }))).toEqual({ do: 'leave', reason: 'OtherValue' });
    },
  );
});

const marks = fc.record(
  {
    traffic: fc.constantFrom('yes', 'no', 'pause', 'true', ''),
    name: fc.constantFrom('cart', 'gone'),
    strategy: fc.constant('errors'),
    breakAt: fc.constantFrom('2026-11-23T11:00:00Z', 'MCCIV'),
    retryCount: fc.constantFrom('2', 'many'),
    activatedAt: fc.constant('2026-11-23T10:00:00Z'),
    reason: fc.constant('bad'),
    exempt: fc.constant('true'),
    deletionCost: fc.constantFrom('-1000', '7'),
  },
  { requiredKeys: [] },
);
const anyPod = marks.map(
  ({ traffic, name, strategy, breakAt, retryCount, activatedAt, reason, exempt, deletionCost }) => {
    const present = (values: Record<string, string | undefined>) =>
      Object.fromEntries(Object.entries(values).filter((one): one is [string, string] => one[1] !== undefined));
    return pod(
      present({ [KEY]: traffic, 'kubervisor/name': name, 'kubervisor/strategy': strategy }),
      present({
        'breaker/breakAt': breakAt,
        'breaker/retryCount': retryCount,
        'kubervisor/activatedAt': activatedAt,
        'kubervisor/reason': reason,
        'kubervisor/exempt': exempt,
        'controller.kubernetes.io/pod-deletion-cost': deletionCost,
      }),
    );
  },
);

describe('a pod', () => {
  test('F2: whatever marks it bears, afterwards it is in traffic and bears none; a person’s protection stays', () => {
    fc.assert(
      fc.property(anyPod, (one) => {
        const operations = releasePod(one);
        expect(operations.length > 0).toBe(bearsMarks(one));
        if (!bearsMarks(one)) return;
        const after = edited(one, EDITS.release(one));
        expect(after.labels).toEqual({ app: 'cart', [KEY]: 'yes' });
        expect(releasePod(after)).toEqual([]);
        const {
          'kubervisor/exempt': exempt,
          'controller.kubernetes.io/pod-deletion-cost': cost,
          ...rest
        } = after.annotations;
        expect(rest).toEqual({});
        expect(exempt).toBe(one.annotations['kubervisor/exempt']);
        if (one.annotations['controller.kubernetes.io/pod-deletion-cost'] === '7') expect(cost).toBe('7');
      }),
    );
  });
  test.each([
    ['as its template made it', pod({})],
    ['with the label of its template', pod({ [KEY]: 'yes' })],
    ['that a person protects', pod({ [KEY]: 'yes' }, { 'kubervisor/exempt': 'true' })],
    [
      'with a deletion cost of somebody else',
      pod({ [KEY]: 'yes' }, { 'controller.kubernetes.io/pod-deletion-cost': '-1000' }),
    ],
    [
      'that is ending',
      pod({ [KEY]: 'no', 'kubervisor/name': 'cart' }, {}, { deletionTimestamp: '2026-11-23T10:00:00Z' }),
    ],
    ['that has ended', pod({ [KEY]: 'no', 'kubervisor/name': 'cart' }, {}, { phase: 'Failed' })],
  ])('F2: %s is left alone', (_, one) => {
    expect(releasePod(one)).toEqual([]);
  });
});

describe('how often the pods are looked at', () => {
  const pass = (found: number, settled = found, markedAgain = 0): Pass => ({ found, settled, markedAgain });

  test('until a fresh look finds none, however many appear meanwhile', () => {
    expect(nextPass([])).toEqual({ do: 'look', after: 0 });
    const rollout = Array.from({ length: 50 }, () => pass(3));
    expect(nextPass(rollout)).toEqual({ do: 'look', after: 0 });
    expect(nextPass([...rollout, pass(0)])).toEqual({ do: 'end' });
  });
  test('later where some could not be changed, ever later where none could, and not for ever', () => {
    expect(nextPass([pass(3, 2)])).toEqual({ do: 'look', after: 500 });
    expect(nextPass([pass(3, 0)])).toEqual({ do: 'look', after: 1000 });
    expect(nextPass([pass(3, 0), pass(3, 0)])).toEqual({ do: 'look', after: 2000 });
    const fruitless = Array.from({ length: 5 }, () => pass(3, 0));
    expect(nextPass(fruitless)).toEqual({ do: 'giveUp', because: 'NoProgress' });
    expect(nextPass([...fruitless.slice(1), pass(3, 1), ...fruitless.slice(1)])).toMatchObject({ do: 'look' });
  });
  test('not where somebody marks again what was released', () => {
    expect(nextPass([pass(3), pass(1, 1, 1), pass(1, 1, 1)])).toMatchObject({ do: 'look' });
    expect(nextPass([pass(3), pass(1, 1, 1), pass(1, 1, 1), pass(1, 1, 1)])).toEqual({
      do: 'giveUp',
      because: 'MarkedAgain',
    });
  });
});
