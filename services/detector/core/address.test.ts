import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  addressProblem,
  canonicalAddress,
  decideDestination,
  parseAllowList,
  specialAddress,
  type AddressPolicy,
  type Asked,
} from './address.ts';

const policy = (...allow: string[]): AddressPolicy => {
  const parsed = parseAllowList(allow);
  if ('problems' in parsed) throw new Error(parsed.problems.join());
  return { allow: parsed.allow, clusterDomain: 'cluster.local' };
};
const plugin: Asked = { namespace: 'shop', reach: 'ownNamespace', defaultPort: 80, allowPath: true };
const prometheus: Asked = { namespace: 'shop', reach: 'cluster', defaultPort: 9090, allowPath: false };

const decided = (text: string, asked: Asked, ...allow: string[]): string => {
  const decision = decideDestination(text, asked, policy(...allow));
  return 'problem' in decision ? 'refused' : `${decision.destination.via} ${decision.destination.url.href}`;
};

describe('D: a plug-in is a Service of the own namespace', () => {
  test.each([
    ['judge', 'service http://judge.shop.svc.cluster.local/'],
    ['judge:8080', 'service http://judge.shop.svc.cluster.local:8080/'],
    ['judge:8080/bad/pods?fleet=a', 'service http://judge.shop.svc.cluster.local:8080/bad/pods?fleet=a'],
    ['JUDGE.Shop', 'service http://judge.shop.svc.cluster.local/'],
    ['judge.shop.', 'service http://judge.shop.svc.cluster.local/'],
    ['judge.shop.svc', 'service http://judge.shop.svc.cluster.local/'],
    ['judge.shop.svc.cluster.local:80', 'service http://judge.shop.svc.cluster.local/'],
    ['http://judge:81/x', 'service http://judge.shop.svc.cluster.local:81/x'],
    ['https://judge', 'service https://judge.shop.svc.cluster.local/'],
    ['https://judge:8443', 'service https://judge.shop.svc.cluster.local:8443/'],
    // Of another namespace, or no Service at all.
    ['judge.pay', 'refused'],
    ['judge.pay.svc.cluster.local', 'refused'],
    ['judge.shop.svc.cluster.local.evil.example', 'refused'],
    ['a.judge.shop.svc.cluster.local', 'refused'],
    ['judge.svc', 'refused'],
    ['metadata.google.internal', 'refused'],
    ['example.com', 'refused'],
    ['localhost', 'refused'],
    ['localhost:9090', 'refused'],
    ['-judge', 'refused'],
    ['judge_x', 'refused'],
    // Other schemes and other ways to say where.
    ['ftp://judge', 'refused'],
    ['file:///etc/passwd', 'refused'],
    ['gopher://judge:70/x', 'refused'],
    ['javascript:alert(1)', 'refused'],
    ['//judge', 'refused'],
    ['http:////judge', 'refused'],
    ['judge@example.com', 'refused'],
    ['user:pass@judge', 'refused'],
    ['judge#@example.com', 'refused'],
    ['judge\\@example.com', 'refused'],
    ['jud\tge', 'refused'],
    ['judge\r\nHost: x', 'refused'],
    ['ｊｕｄｇｅ', 'refused'],
    ['', 'refused'],
    [' ', 'refused'],
    [':80', 'refused'],
    ['judge:0', 'refused'],
    ['judge:65536', 'refused'],
    ['judge:80:90', 'refused'],
  ])('%j → %s', (text, expected) => expect(decided(text, plugin)).toBe(expected));

  test.each([
    '127.0.0.1',
    '127.1',
    '2130706433',
    '0x7f000001',
    '0177.0.0.1',
    '%31%32%37.0.0.1',
    '0',
    '0.0.0.0',
    '10.0.0.1',
    '10.96.0.1:443',
    '169.254.169.254/latest/meta-data',
    '100.100.100.200',
    '[::1]:9090',
    '[::]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[fe80::1]',
    '[fd00:ec2::254]',
    '[2001:db8::1]',
  ])('an address is never a Service: %s', (text) => {
    expect(decided(text, plugin)).toBe('refused');
    expect(decided(text, prometheus)).toBe('refused');
  });

  test('a namespace that is none cannot lead out of the name', () => {
    expect(decided('judge', { ...plugin, namespace: 'x/y' })).toBe('refused');
    expect(decided('judge', { ...plugin, namespace: 'a.b' })).toBe('refused');
  });

  test('the problem says what was asked and how it would be admitted, in bounds', () => {
    expect(decideDestination('judge.pay:81', plugin, policy())).toEqual({
      problem: 'judge.pay is a Service of namespace pay, not of shop, and DETECTOR_ALLOW does not admit judge.pay:81',
    });
    const long = decideDestination(`ftp://${'x'.repeat(2000)}`, plugin, policy());
    expect('problem' in long && long.problem.length).toBeLessThan(512);
  });
});

describe('D: a Prometheus is any Service of the cluster', () => {
  test.each([
    ['prometheus.monitoring', 'service http://prometheus.monitoring.svc.cluster.local:9090/'],
    ['prometheus.monitoring:80', 'service http://prometheus.monitoring.svc.cluster.local/'],
    ['prometheus.monitoring.svc:9091', 'service http://prometheus.monitoring.svc.cluster.local:9091/'],
    ['prometheus:9090', 'service http://prometheus.shop.svc.cluster.local:9090/'],
    // With a path, whoever writes the resource could post to every path of every Service.
    ['prometheus.monitoring:9090/admin', 'refused'],
    ['prometheus.monitoring?x=', 'refused'],
    ['prometheus.example.com', 'refused'],
  ])('%j → %s', (text, expected) => expect(decided(text, prometheus)).toBe(expected));
});

describe('D: the allow-list', () => {
  test.each<[string[], string, string]>([
    [['127.0.0.1:*'], '127.0.0.1:1234/x', 'outside http://127.0.0.1:1234/x'],
    [['127.0.0.1:*'], '2130706433:1234', 'outside http://127.0.0.1:1234/'],
    [['127.0.0.1:*'], '[::ffff:127.0.0.1]:1234', 'outside http://127.0.0.1:1234/'],
    [['127.0.0.1:1234'], '127.0.0.1:1235', 'refused'],
    [['127.*:*'], '127.9.9.9:1', 'outside http://127.9.9.9:1/'],
    [['[::1]:80'], '[0:0::1]', 'outside http://[::1]/'],
    // A wildcard does not admit what only a name of its own may.
    [['*:*'], '127.0.0.1', 'refused'],
    [['*:*'], '169.254.169.254', 'refused'],
    [['*:*'], '[::1]', 'refused'],
    [['*:*'], '10.1.2.3', 'outside http://10.1.2.3/'],
    [['10.*:9090'], '10.1.2.3:9090', 'outside http://10.1.2.3:9090/'],
    [['10.*:9090'], '10.evil.example:9090', 'refused'],
    [['*.example.com:443'], 'https://a.example.com', 'outside https://a.example.com/'],
    [['*.example.com:443'], 'https://example.com', 'refused'],
    [['*.example.com:443'], 'a.example.com', 'refused'],
    [['*.example.com:443'], 'https://a.example.com.evil.org', 'refused'],
    [['example.com:80'], 'exampleXcom', 'service http://examplexcom.shop.svc.cluster.local/'],
    [['judge.pay:*'], 'judge.pay', 'outside http://judge.pay/'],
    [['localhost:*'], 'localhost:8080', 'outside http://localhost:8080/'],
    // A bare word stays a Service of the resource's namespace, unless it is named as it is.
    [['*:*'], 'judge', 'service http://judge.shop.svc.cluster.local/'],
    [['judge:80'], 'judge', 'outside http://judge/'],
  ])('%j admits %s → %s', (allow, text, expected) => expect(decided(text, plugin, ...allow)).toBe(expected));

  test.each([
    ['', 'lacks the port: host:443, or host:* for any'],
    ['host', 'lacks the port: host:443, or host:* for any'],
    ['[::1]', 'lacks the port: host:443, or host:* for any'],
    ['host:', 'must be host:port or [IPv6]:port, * for any run of characters'],
    ['host:http', 'must be host:port or [IPv6]:port, * for any run of characters'],
    ['me@host:80', 'must be host:port or [IPv6]:port, * for any run of characters'],
    ['host:80-90', 'must be host:port or [IPv6]:port, * for any run of characters'],
    ['host:0', 'the port must be * or from 1 to 65535'],
    ['host:70000', 'the port must be * or from 1 to 65535'],
    ['host:99999999999', 'the port must be * or from 1 to 65535'],
    ['http://host:80', 'must be host:port, without a scheme'],
    ['10.0.0.0/8:443', 'must be host:port, without a path; a range of addresses is written with *, as 10.0.*:443'],
    ['::1:80', 'must be [IPv6]:port, the address in brackets'],
    ['[::1::]:80', '::1:: is no address'],
    ['10.0.0.300:80', '10.0.0.300 is no address'],
    ['2130706433:80', 'write the address as 127.0.0.1'],
    ['0x7f.1:80', 'write the address as 127.0.0.1'],
  ])('an entry that is none is told, and what is allowed: %j %s', (entry, problem) => {
    expect(parseAllowList(['ok:1', entry])).toEqual({ problems: [`${JSON.stringify(entry)}, ${problem}`] });
  });

  test('all of them are told at once', () => {
    expect(parseAllowList(['a', 'b:1', 'c:0'])).toEqual({
      problems: [expect.stringContaining('"a"'), expect.stringContaining('"c:0"')],
    });
  });

  test.each([
    ['[0:0::1]:80', '::1'],
    ['[::FFFF:7f00:1]:80', '127.0.0.1'],
  ])('an address is admitted however it is written in the list: %s', (entry, address) => {
    expect(addressProblem(address, 80, policy(entry).allow)).toBeUndefined();
  });
});

describe('D: what a name resolved to', () => {
  test.each([
    ['10.1.2.3', undefined],
    ['192.168.1.1', undefined],
    ['fd12::1', undefined],
    ['2001:db8::1', undefined],
    ['127.0.0.1', 'loopback'],
    ['127.255.255.254', 'loopback'],
    ['0.0.0.0', 'unspecified'],
    ['0.1.2.3', 'unspecified'],
    ['169.254.0.1', 'link-local'],
    ['169.254.169.254', 'link-local'],
    ['100.100.100.200', 'metadata'],
    ['168.63.129.16', 'metadata'],
    ['192.0.0.192', 'metadata'],
    ['224.0.0.1', 'multicast'],
    ['255.255.255.255', 'reserved'],
    ['::1', 'loopback'],
    ['::', 'unspecified'],
    ['fe80::1', 'link-local'],
    ['fe80::1%eth0', 'link-local'],
    ['febf::1', 'link-local'],
    ['ff02::1', 'multicast'],
    ['fd00:ec2::254', 'metadata'],
    ['::ffff:127.0.0.1', 'loopback'],
    ['::127.0.0.1', 'loopback'],
    ['::ffff:10.0.0.1', undefined],
    ['64:ff9b::169.254.169.254', 'link-local'],
    ['2002:7f00:1::', 'loopback'],
    ['no address', 'unreadable'],
    ['1.2.3', 'unreadable'],
    ['1.2.3.999', 'unreadable'],
  ])('%s is %s', (address, kind) => expect(specialAddress(address)).toBe(kind));

  test('a special one needs a pattern that names it, with its port', () => {
    const { allow } = policy('localhost:*', '*:*', '*.example.com:80');
    expect(addressProblem('127.0.0.1', 80, allow)).toBe('it is a loopback address');
    expect(addressProblem('10.0.0.1', 80, allow)).toBeUndefined();
    expect(addressProblem('127.0.0.1', 80, policy('127.0.0.1:80').allow)).toBeUndefined();
    expect(addressProblem('::ffff:7f00:1', 80, policy('127.0.0.1:80').allow)).toBeUndefined();
    expect(addressProblem('127.0.0.1', 81, policy('127.0.0.1:80').allow)).toBeDefined();
  });

  test('an IPv4 address in IPv6 clothes is judged as what it is, however written', () => {
    fc.assert(
      fc.property(fc.ipV4(), (v4) => {
        const [a = 0, b = 0, c = 0, d = 0] = v4.split('.').map(Number);
        const hex = `::ffff:${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
        expect(canonicalAddress(hex)).toBe(v4);
        expect(specialAddress(hex)).toBe(specialAddress(v4));
        expect(specialAddress(`64:ff9b::${v4}`)).toBe(specialAddress(v4));
      }),
    );
  });
});

test('D: no text whatever leads out of the own namespace without an allow-list', () => {
  const pieces = fc.constantFrom(
    ...[
      'http://',
      'https://',
      'ftp://',
      '//',
      'judge',
      '.shop',
      '.pay',
      '.svc',
      '.cluster.local',
      'localhost',
      '127.0.0.1',
    ],
    ...['[::1]', ':80', ':', '/', '?', '#', '@', '\\', '%2e', '%00', '0x7f', '..', '.', 'é', '\n', ' '],
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(pieces, { maxLength: 8 }).map((some) => some.join('')),
      ),
      (text) => {
        const decision = decideDestination(text, plugin, policy());
        if ('problem' in decision) return;
        const { url, via } = decision.destination;
        expect(via).toBe('service');
        expect(url.hostname).toMatch(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?\.shop\.svc\.cluster\.local$/);
        expect(url.protocol).toMatch(/^https?:$/);
        expect(url.username + url.password + url.hash).toBe('');
      },
    ),
    { numRuns: 2000 },
  );
});
