import { describe, expect, test } from '@jest/globals';
import type { Asked } from '@kubervisor/testing/kubernetes/counting-proxy';
import { purposeOf, summaryOf } from './requests.ts';

const get = (url: string): Asked => ({ who: 'kubervisor-controller', method: 'GET', url });

describe('what a request is for', () => {
  test.each([
    ['/api/v1/namespaces/shop/pods?watch=true&resourceVersion=7', 'watch'],
    ['/apis/coordination.k8s.io/v1/namespaces/shop/leases/kubervisor', 'lease'],
    ['/api/v1/namespaces/shop/pods?limit=500', 'other'],
    ['/api/v1/namespaces/shop/pods?watch=false', 'other'],
    ['/apis/kubervisor.k8s.io/v1alpha1/namespaces/shop/kubervisorservices/cart/status', 'other'],
    ['/api/v1/namespaces/coordination.k8s.io/pods', 'other'],
  ])('%s: %s', (url, purpose) => expect(purposeOf(get(url))).toBe(purpose));
});

test('the summary counts equal requests together, whatever their query, the most frequent first', () => {
  expect(
    summaryOf([
      get('/a?limit=1'),
      get('/b'),
      get('/b?limit=2'),
      { who: 'kubervisor-breaker', method: 'PATCH', url: '/b' },
    ]),
  ).toEqual([
    '2 × kubervisor-controller GET /b',
    '1 × kubervisor-controller GET /a',
    '1 × kubervisor-breaker PATCH /b',
  ]);
});
