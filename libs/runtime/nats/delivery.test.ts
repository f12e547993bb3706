import { expect, test } from '@jest/globals';
import { readDelivery } from './delivery.ts';

const delivery = { deliveries: 2, streamSequence: 30, consumerSequence: 4, pending: 5 };

test.each([
  ['servers up to now', '$JS.ACK.KUBERVISOR_WORK.breaker.2.30.4.1700000000000000000.5'],
  ['with a domain', '$JS.ACK.hub.ACCOUNT.KUBERVISOR_WORK.breaker.2.30.4.1700000000000000000.5'],
  ['with a domain and more', '$JS.ACK._.ACCOUNT.KUBERVISOR_WORK.breaker.2.30.4.1700000000000000000.5.random'],
])('a reply subject of %s', (_of, reply) => {
  expect(readDelivery(reply)).toEqual(delivery);
});

test.each([undefined, '', '_INBOX.a.b', '$JS.FC.KUBERVISOR_FACTS.a.b', '$JS.ACK.too.short', '$JS.ACK.a.b.x.y.z.1.2'])(
  '%s is none',
  (reply) => {
    expect(readDelivery(reply)).toBeUndefined();
  },
);
