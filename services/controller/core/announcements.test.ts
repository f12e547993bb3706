import { describe, expect, test } from '@jest/globals';
import { FACTS, type FactType, type PodFact } from '@kubervisor/shared/events/facts';
import { announce } from './announcements.ts';

const fact: PodFact = {
  pod: 'cart-1',
  uid: 'u',
  resource: { namespace: 'shop', name: 'cart', uid: 'r', generation: 1 },
  enforced: true,
  actor: 'breaker',
  breaker: 'errors',
  reason: 'Anomalous',
  message: '62 % bad, tolerated 50 %',
  at: '2026-11-23T12:00:00.000Z',
};

describe('Kubernetes Events', () => {
  test.each(Object.keys(FACTS) as FactType[])(
    '%s is told on the resource and on the pod, with breaker, reason and detail',
    (type) => {
      const announcements = announce(type, fact);
      expect(announcements.map(({ on }) => on)).toEqual(['resource', 'pod']);
      for (const { message } of announcements)
        expect(message).toMatch(/by errors \(Anomalous\): 62 % bad, tolerated 50 %/);
      expect(announcements[0]?.message).toContain('cart-1');
    },
  );
  test('A6: a dry run is told on the resource alone, as what would be', () => {
    const [only, ...rest] = announce('pod-broken', { ...fact, enforced: false });
    expect(rest).toEqual([]);
    expect(only).toMatchObject({
      on: 'resource',
      message: expect.stringMatching(/^Dry run: pod cart-1 would be taken out/),
    });
  });
});
