import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { startDns, type DnsServer } from '@kubervisor/testing/servers/dns';
import { systemNames, type Names } from './names.ts';

let dns: DnsServer;
let names: Names;
beforeEach(async () => {
  dns = await startDns();
  names = systemNames([dns.address]);
});
afterEach(() => dns.close());

describe('D: what the name of a Service resolves to', () => {
  const name = 'judge.shop.svc.cluster.local';

  test('its addresses', async () => {
    dns.records[name] = { addresses: ['10.96.0.7', 'fd12::7'] };
    expect(await names.service(name)).toEqual({ addresses: ['10.96.0.7', 'fd12::7'], alias: false });
  });

  test('a CNAME (ExternalName) is told, and its addresses are not even asked for', async () => {
    dns.records[name] = { cname: 'evil.example', addresses: ['203.0.113.9'] };
    expect(await names.service(name)).toEqual({ addresses: [], alias: true });
    expect(dns.asked).toEqual([`${name} CNAME`]);
  });

  test('one that turns into a CNAME while it is looked up is told too', async () => {
    dns.records[name] = { addresses: ['10.96.0.7'] };
    dns.onQuery = (_name, type) => {
      if (type === 'A') dns.records[name] = { cname: 'evil.example', addresses: ['203.0.113.9'] };
    };
    expect((await names.service(name)).alias).toBe(true);
  });

  test('no such name has no addresses', async () => {
    expect(await names.service(name)).toEqual({ addresses: [], alias: false });
  });

  test('no search domain is tried: only the very name is asked', async () => {
    await names.service(name);
    expect(new Set(dns.asked.map((one) => one.split(' ')[0]))).toEqual(new Set([name]));
  });
});

test('a name of the system resolves as the system does', async () => {
  expect(await names.host('127.0.0.1')).toEqual(['127.0.0.1']);
});
