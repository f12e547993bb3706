import { describe, expect, test } from '@jest/globals';
import { judgePodList, readPodList } from './pod-list.ts';

const fleet = [
  { name: 'cart-1', uid: 'u1' },
  { name: 'cart-2', uid: 'u2' },
];
const outcomes = (named: Parameters<typeof judgePodList>[0]) => {
  const { verdicts, ignored } = judgePodList(named, 'shop', fleet);
  return { outcomes: verdicts.map(({ outcome }) => outcome).join(' '), ignored };
};

describe('a v1.PodList', () => {
  test('is read as Kubernetes writes it', () => {
    const text = JSON.stringify({
      kind: 'PodList',
      apiVersion: 'v1',
      metadata: {},
      items: [{ metadata: { name: 'cart-1', namespace: 'shop', uid: 'u1', labels: {} }, spec: {}, status: {} }],
    });
    expect(readPodList(text)).toEqual({ ok: true, value: [{ name: 'cart-1', namespace: 'shop', uid: 'u1' }] });
  });

  test('is read as Go writes it without a kind: empty texts are not given, no items are null', () => {
    expect(readPodList('{"metadata":{},"items":null}')).toEqual({ ok: true, value: [] });
    expect(readPodList('{"items":[{"metadata":{"name":"cart-1","namespace":"","uid":""}}]}')).toEqual({
      ok: true,
      value: [{ name: 'cart-1' }],
    });
  });

  test.each([
    '',
    'secret',
    'null',
    '[]',
    '{}',
    '{"items":{}}',
    '{"items":"secret"}',
    '{"kind":"Status","items":[]}',
    '{"kind":7,"items":[]}',
    '{"items":[null]}',
    '{"items":["cart-1"]}',
    '{"items":[{}]}',
    '{"items":[{"metadata":{}}]}',
    '{"items":[{"metadata":{"name":""}}]}',
    '{"items":[{"metadata":{"name":7}}]}',
    '{"items":[{"metadata":{"name":"cart-1","uid":7}}]}',
  ])('V1: %j is BadAnswer, and nobody is broken for a part of it', (text) => {
    const read = readPodList(text);
    expect(read).toMatchObject({ ok: false, fault: { reason: 'BadAnswer' } });
    expect(JSON.stringify(read)).not.toContain('secret');
  });
});

describe('V2: whom a v1.PodList names', () => {
  test('pods of the fleet by name are anomalous with score 1, the others are well', () => {
    const { verdicts } = judgePodList([{ name: 'cart-2' }], 'shop', fleet);
    expect(verdicts).toEqual([
      { pod: 'cart-1', uid: 'u1', outcome: 'ok' },
      { pod: 'cart-2', uid: 'u2', outcome: 'anomalous', score: 1, reason: 'named by the plug-in' },
    ]);
  });

  test.each([
    ['otherNamespace', [{ name: 'cart-1', namespace: 'pay' }]],
    ['notAsked', [{ name: 'cart-3' }]],
    ['otherUid', [{ name: 'cart-1', namespace: 'shop', uid: 'u0' }]],
  ])('%s is counted and breaks nobody', (reason, named) => {
    expect(outcomes(named)).toEqual({ outcomes: 'ok ok', ignored: { [reason]: 1 } });
  });

  test('a pod named twice counts once', () => {
    expect(outcomes([{ name: 'cart-1', uid: 'u1' }, { name: 'cart-1' }])).toEqual({
      outcomes: 'anomalous ok',
      ignored: { duplicatePod: 1 },
    });
  });
});
