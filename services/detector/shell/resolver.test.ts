import { expect, test } from '@jest/globals';
import type { Outbound } from './outbound.ts';
import { createResolver, type PluginDetector } from './resolver.ts';

const resolver = createResolver(
  { allow: [], clusterDomain: 'cluster.local' },
  new Map(),
  undefined as never as Outbound,
);
const service = (fields: object): Partial<PluginDetector> => ({
  service: { name: 'judge', scheme: 'http', ...fields },
});

test.each<[Partial<PluginDetector>, string]>([
  [service({}), 'http://judge.shop.svc.cluster.local/'],
  [service({ port: 8080 }), 'http://judge.shop.svc.cluster.local:8080/'],
  [service({ scheme: 'https' }), 'https://judge.shop.svc.cluster.local/'],
  [service({ scheme: 'https', port: 80, path: '/fleet' }), 'https://judge.shop.svc.cluster.local:80/fleet'],
  [{ url: 'https://judge.shop:8443/fleet/' }, 'https://judge.shop.svc.cluster.local:8443/fleet/'],
  [{ url: 'http://judge' }, 'http://judge.shop.svc.cluster.local/'],
])('D: the plug-in %j of namespace shop is at %s', (stanza, url) => {
  const found = resolver.pluginByContract({ timeoutSeconds: 5, ...stanza }, 'shop');
  expect(found).toMatchObject({ ok: true, value: { via: 'service' } });
  expect(found.ok && found.value.url.href).toBe(url);
});

test.each<[Partial<PluginDetector>]>([
  [{ url: 'http://judge.pay' }],
  [{ url: 'http://localhost:8080' }],
  [{ url: 'http://10.0.0.7' }],
  [{ url: 'http://0x7f000001' }],
  [{ url: 'https://judge.example.com' }],
  [service({ name: 'localhost' })],
  [service({ name: '2130706433' })],
])('D: the plug-in %j is refused', (stanza) => {
  expect(resolver.pluginByContract({ timeoutSeconds: 5, ...stanza }, 'shop')).toMatchObject({
    ok: false,
    fault: { reason: 'AddressRefused' },
  });
});
