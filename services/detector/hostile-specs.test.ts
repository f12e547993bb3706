/**
 * D: whoever may write a KubervisorService chooses where the detector goes. Each hostile spec comes in by the front door, as the stanza of a
 * breaker, and the names in it are resolved by a DNS server whose answers are the test's.
 */
import { createServer, type RequestListener } from 'node:http';
import { promises as dns } from 'node:dns';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { readConfig } from '@kubervisor/runtime/config';
import { createLogger } from '@kubervisor/runtime/logs';
import { createMetrics } from '@kubervisor/runtime/metrics';
import type { DetectorKind } from '@kubervisor/shared/crd/kubervisor-service';
import { evaluationResponse, type EvaluationResponse } from '@kubervisor/shared/detection/service';
import { startDns, type DnsServer } from '@kubervisor/testing/servers/dns';
import { createDetectorService, detectorConfig, type DetectorService } from './service.ts';
import { systemNames, type Names } from './shell/names.ts';
import { createPeers } from './shell/peers.fixture.ts';

const SERVICE = 'judge.shop.svc.cluster.local';
/** What a hostile peer says wherever it can; and what must never be seen of it. */
const SECRET = 'eyJhbGciOi-s3cret';

let zone: DnsServer;
let names: Names;
let service: DetectorService | undefined;
let lines: string[];
/** A peer on loopback, which nobody may reach unless the operator admits it. */
let port: number;
let connections: number;
let listener: RequestListener;
const peers = createPeers();
const { serve, serveTcp } = peers;

beforeEach(async () => {
  zone = await startDns();
  const resolver = new dns.Resolver();
  resolver.setServers([zone.address]);
  names = {
    service: systemNames([zone.address]).service,
    host: async (name) => {
      const found = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
      return found.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
    },
  };
  connections = 0;
  listener = (_request, response) => response.end('{"items":[]}');
  const peer = createServer((request, response) => listener(request, response));
  peer.on('connection', () => (connections += 1));
  port = await peers.listenOn(peer);
  lines = [];
});
afterEach(async () => {
  await service?.stop();
  service = undefined;
  await peers.close();
  await zone.close();
});

async function start(allow = ''): Promise<DetectorService> {
  service = await createDetectorService(readConfig(detectorConfig, { DETECTOR_ALLOW: allow }), {
    log: createLogger('detector', 'trace', 'detector-1', { write: (line) => void lines.push(line) }),
    metrics: createMetrics('detector'),
    names,
  });
  return service;
}

async function post(kind: DetectorKind, detector: unknown, timeoutMilliseconds = 5000) {
  const { server } = service ?? (await start());
  const payload = {
    apiVersion: 'detector.kubervisor.io/v1',
    evaluationId: 'round-1',
    timeoutMilliseconds,
    service: { namespace: 'shop', name: 'cart' },
    breaker: 'errors',
    pods: [{ name: 'cart-1', uid: 'u1' }],
    kind,
    detector,
  };
  return server.inject({ method: 'POST', url: '/v1/verdicts', payload });
}
async function ask(kind: DetectorKind, detector: unknown, timeoutMilliseconds?: number): Promise<EvaluationResponse> {
  const answer = await post(kind, detector, timeoutMilliseconds);
  expect(answer.statusCode).toBe(200);
  return evaluationResponse.parse(answer.json());
}

const QUERY = { promQL: 'up', podNamekey: 'pod' };
/** Every way in which a breaker says where to go. */
const WAYS = {
  customService: (at: string) => ['customService', at],
  detector: (at: string) => ['detector', { url: at.includes('://') ? at : `http://${at}` }],
  discreteValueOutOfList: (prometheusService: string) => [
    'discreteValueOutOfList',
    { ...QUERY, prometheusService, key: 'code', badValues: ['500'] },
  ],
  continuousValueDeviation: (prometheusService: string) => [
    'continuousValueDeviation',
    { ...QUERY, prometheusService },
  ],
  threshold: (prometheusService: string) => ['threshold', { ...QUERY, prometheusService, max: 1 }],
  outlier: (prometheusService: string) => ['outlier', { ...QUERY, prometheusService }],
  trend: (prometheusService: string) => ['trend', { ...QUERY, prometheusService, window: 60, maxPerMinute: 1 }],
} satisfies Record<DetectorKind, (at: string) => [DetectorKind, unknown]>;
const EVERY_WAY = Object.values(WAYS) as ((at: string) => [DetectorKind, unknown])[];
const OWN_NAMESPACE = [WAYS.customService, WAYS.detector] as ((at: string) => [DetectorKind, unknown])[];

/** Refused by the schema of the resource, or by rule D: either way before anything is resolved or connected to. */
async function refused([kind, stanza]: [DetectorKind, unknown]): Promise<void> {
  const answer = await post(kind, stanza);
  const what = `${kind} ${JSON.stringify(stanza)}`;
  if (answer.statusCode === 400) {
    expect(answer.json<{ error: { message: string } }>().error.message).toContain(kind);
  } else {
    const { error, verdicts } = evaluationResponse.parse(answer.json());
    expect({ what, verdicts, reason: error?.reason }).toEqual({
      what,
      verdicts: [],
      reason: expect.stringMatching(/^(AddressRefused|UnknownSource)$/),
    });
  }
}
const nothingSeen = () => {
  expect(zone.asked).toEqual([]);
  expect(connections).toBe(0);
};

/** Each is a way to write an address of this machine, its link, or its cloud. */
const ADDRESSES = {
  loopback: ['127.0.0.1', '127.1', '127.0.1', '127.255.255.254', 'localhost', 'LOCALHOST', 'localhost.'],
  'loopback as a number': ['2130706433', '0x7f000001', '0x7f.1', '017700000001', '0177.0.0.1', '0x7F.0x0.0x0.0x1'],
  'loopback, percent-encoded': ['%31%32%37.0.0.1', '127%2e0%2e0%2e1', '%6c%6f%63alhost'],
  'loopback in other digits': ['１２７.０.０.１', '①②⑦.⓪.⓪.①', '127。0。0。1', 'ｌｏｃａｌｈｏｓｔ'],
  unspecified: ['0', '0.0.0.0', '00000000', '0x0', '[::]', '[0:0:0:0:0:0:0:0]'],
  'loopback by IPv6': ['[::1]', '[0:0:0:0:0:0:0:1]', '[0000::0001]', '::1'],
  'IPv4 in IPv6: mapped': ['[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[0:0:0:0:0:ffff:7f00:0001]'],
  'IPv4 in IPv6: compatible, translated': ['[::127.0.0.1]', '[::7f00:1]', '[::ffff:0:127.0.0.1]'],
  'IPv4 in IPv6: NAT64, 6to4': [
    '[64:ff9b::127.0.0.1]',
    '[64:ff9b::a9fe:a9fe]',
    '[64:ff9b:1::7f00:1]',
    '[2002:7f00:1::]',
  ],
  'a zone': ['[fe80::1%eth0]', '[fe80::1%25eth0]', '[::1%lo]', '[::1%25lo]'],
  'link-local': [
    '169.254.169.254',
    '169.254.0.1',
    '2852039166',
    '0xa9fea9fe',
    '0251.0376.0251.0376',
    '[fe80::1]',
    '[febf::1]',
  ],
  metadata: [
    '100.100.100.200',
    '168.63.129.16',
    '192.0.0.192',
    '100.96.0.96',
    '[fd00:ec2::254]',
    '[fd00:ec2::23]',
    '[fd20:ce::254]',
    '[fd00:42::42]',
    '[fd00:c1::a9fe:a9fe]',
    '[fd00:a9fe:a9fe::1]',
    '[fd00:100::100:200]',
  ],
  'multicast, broadcast, reserved': ['224.0.0.1', '255.255.255.255', '240.0.0.1', '[ff02::1]', '[fec0::1]'],
} as const;
/** Names under which clouds answer a machine about itself; without a dot they are lawful names of Services. */
const METADATA_NAMES = ['metadata', 'instance-data', 'metadata.google.internal', 'instance-data.ec2.internal'];

describe('D: an address that is written', () => {
  test.each(Object.entries(ADDRESSES))(
    '%s: refused from every kind of detector, with port or path',
    async (_what, texts) => {
      for (const text of texts) {
        for (const way of EVERY_WAY) {
          for (const at of [text, `${text}:${port}`, `http://${text}:${port}`, `https://${text}/latest/meta-data`]) {
            await refused(way(at));
          }
        }
      }
      nothingSeen();
    },
  );

  test('names of metadata services lead to a Service of the own namespace or nowhere', async () => {
    for (const name of METADATA_NAMES) for (const way of EVERY_WAY) await post(...way(`${name}:${port}`));
    expect(new Set(zone.asked.map((one) => one.split(' ')[0]))).toEqual(
      new Set(['metadata.shop.svc.cluster.local', 'instance-data.shop.svc.cluster.local']),
    );
    expect(connections).toBe(0);
  });

  test('the same forms of loopback do reach it where DETECTOR_ALLOW names it: each of them is an address', async () => {
    await start('127.0.0.1:*');
    for (const text of ['127.0.0.1', '127.1', ...ADDRESSES['loopback as a number'], '[::ffff:7f00:1]']) {
      expect(await ask('customService', `${text}:${port}`)).toMatchObject({ verdicts: [{ outcome: 'ok' }] });
    }
  });

  test('DETECTOR_ALLOW for everything, *:*, admits none of them', async () => {
    await start('*:*,*.localhost:*');
    for (const text of Object.values(ADDRESSES).flat()) {
      for (const way of OWN_NAMESPACE) {
        const answer = await post(...way(`${text}:${port}`));
        if (answer.statusCode === 200) expect(answer.json()).toMatchObject({ verdicts: [], error: {} });
      }
    }
    expect(connections).toBe(0);
  });
});

describe('D: what else is written', () => {
  test.each<[string, string[]]>([
    [
      'a user',
      ['me@judge', 'me:pass@judge', 'judge@127.0.0.1', '127.0.0.1@judge', 'http://judge:80@127.0.0.1/', 'judge%40x@y'],
    ],
    [
      'another scheme',
      [
        'file:///etc/passwd',
        'ftp://judge',
        'gopher://judge',
        'data:text/html,x',
        'unix:/var/run/docker.sock',
        'ws://judge',
        'HTTPS+unix://judge',
        'javascript:alert(1)',
        '//judge',
        'http:/\\judge',
      ],
    ],
    [
      'what parsers read in several ways',
      [
        'judge\\@127.0.0.1',
        'judge#@127.0.0.1',
        'judge\t.pay',
        'judge\r\nx: y',
        'judge\u0000',
        'jud ge',
        ' judge',
        'judge?@127.0.0.1/../#',
        'judge:/x',
        'judge:',
      ],
    ],
    [
      'another namespace',
      [
        'judge.pay',
        'judge.pay.svc',
        'judge.pay.svc.cluster.local',
        'kubernetes.default',
        'kubernetes.default.svc:443',
        'JUDGE.PAY',
        'judge.pay.',
        'judge%2epay',
      ],
    ],
    [
      'what is no Service',
      [
        'example.com',
        'judge.shop.svc.cluster.local.evil.example',
        'a.judge.shop.svc.cluster.local',
        'judge.shop.pod.cluster.local',
        '10-0-0-1.shop.pod.cluster.local',
        'judge..shop',
        '.judge',
        'judge.svc.cluster.local',
      ],
    ],
    ['a port that is none', ['judge:0', 'judge:65536', 'judge:-1', 'judge:80:80', 'judge:0x50', 'judge:８０']],
  ])('%s: refused, and nothing is asked', async (_what, texts) => {
    for (const text of texts) for (const way of OWN_NAMESPACE) await refused(way(text));
    nothingSeen();
  });

  test('a Service by its parts: another namespace or an address cannot stand in its name, nor a host in its path', async () => {
    for (const fields of [
      { name: 'judge.pay' },
      { name: 'localhost' },
      { name: '127.0.0.1' },
      { name: '2130706433' },
      { name: '0x7f000001' },
      { name: 'me@judge' },
      { name: 'judge', path: '@127.0.0.1/' },
      { name: 'judge', scheme: 'file' },
      { name: 'judge', port: 0 },
    ]) {
      await refused(['detector', { service: { port, ...fields } }]);
    }
    nothingSeen();
  });

  test('a Prometheus has no path, no query and no user; a bare word is a source of the operator or nothing', async () => {
    for (const text of [
      'prometheus.monitoring/admin',
      'prometheus.monitoring?x=y',
      'me@prometheus.monitoring',
      'judge',
    ]) {
      for (const way of EVERY_WAY.filter((one) => !OWN_NAMESPACE.includes(one))) await refused(way(text));
    }
    nothingSeen();
  });
});

/** What a name of the own namespace may resolve to, by a hostile owner of its endpoints or a poisoned DNS. */
const RESOLVED: [kind: string, address: string][] = [
  ['loopback', '127.0.0.1'],
  ['loopback', '127.8.8.8'],
  ['unspecified', '0.0.0.0'],
  ['link-local', '169.254.169.254'],
  ['link-local', '169.254.170.2'],
  ['metadata', '100.100.100.200'],
  ['metadata', '168.63.129.16'],
  ['metadata', '192.0.0.192'],
  ['metadata', '100.96.0.96'],
  ['loopback', '::1'],
  ['unspecified', '::'],
  ['loopback', '::ffff:127.0.0.1'],
  ['loopback', '::127.0.0.1'],
  ['loopback', '::ffff:0:127.0.0.1'],
  ['link-local', '64:ff9b::169.254.169.254'],
  ['link-local', '64:ff9b:1::169.254.169.254'],
  ['loopback', '2002:7f00:1::'],
  ['link-local', 'fe80::1'],
  ['link-local', 'fec0::1'],
  ['metadata', 'fd00:ec2::254'],
  ['metadata', 'fd00:ec2::23'],
  ['metadata', 'fd20:ce::254'],
  ['metadata', 'fd00:42::42'],
  ['metadata', 'fd00:c1::a9fe:a9fe'],
  ['metadata', 'fd00:a9fe:a9fe::1'],
  ['metadata', 'fd00:100::100:200'],
  ['multicast', 'ff02::1'],
  ['multicast', '224.0.0.1'],
  ['reserved', '255.255.255.255'],
];

describe('D: what a name resolves to', () => {
  test.each(RESOLVED)('%s (%s): refused before a connection, from every kind of detector', async (kind, address) => {
    zone.records[SERVICE] = { addresses: [address] };
    for (const way of EVERY_WAY) {
      const { error } = await ask(...way(`judge.shop:${port}`));
      expect(error).toEqual({ reason: 'AddressRefused', message: expect.stringContaining(`it is a ${kind} address`) });
      // What a name resolves to inside the cluster is not for everybody who may write a resource.
      expect(error?.message).not.toContain(address);
    }
    expect(zone.asked).toContain(`${SERVICE} A`);
    expect(connections).toBe(0);
  });

  test('one bad address among good ones refuses the name', async () => {
    zone.records[SERVICE] = { addresses: ['10.1.2.3', '::1'] };
    expect((await ask('customService', `judge:${port}`)).error?.reason).toBe('AddressRefused');
  });

  test('a name that the operator admits by a wildcard leads to no special address either', async () => {
    await start('*.example.com:*,*:*');
    zone.records['judge.example.com'] = { addresses: ['127.0.0.1'] };
    expect((await ask('customService', `judge.example.com:${port}`)).error?.reason).toBe('AddressRefused');
    expect(connections).toBe(0);
  });

  test('a CNAME (ExternalName) is outside, whatever it leads to', async () => {
    zone.records[SERVICE] = { cname: 'judge.example.com', addresses: ['10.1.2.3'] };
    for (const way of EVERY_WAY) {
      const { error } = await ask(...way('judge.shop'));
      expect(error).toEqual({ reason: 'AddressRefused', message: expect.stringContaining('ExternalName') });
    }
  });

  test('the address that was checked is the one connected to: what the name resolves to a moment later gains nothing', async () => {
    await start('127.0.0.1:*');
    const looks = () => zone.asked.filter((one) => one === `${SERVICE} A`).length;
    // Good when it is looked up, bad ever after.
    zone.records[SERVICE] = { addresses: ['127.0.0.1'] };
    let before = ['127.0.0.1'];
    zone.onQuery = (_name, type) => {
      if (type !== 'A') return;
      zone.records[SERVICE] = { addresses: before };
      before = ['169.254.169.254'];
    };
    listener = (_request, response) => response.setHeader('connection', 'close').end('{"items":[]}');
    expect(await ask('customService', `judge:${port}`)).toMatchObject({ verdicts: [{ outcome: 'ok' }] });
    expect([looks(), connections]).toEqual([1, 1]);
    // The next connection is another one: looked up and checked anew.
    expect((await ask('customService', `judge:${port}`)).error?.reason).toBe('AddressRefused');
    expect([looks(), connections]).toEqual([2, 1]);
  });

  test('DNS that never answers ends at the deadline', async () => {
    names = { ...names, service: () => new Promise(() => undefined) };
    expect((await ask('customService', 'judge', 100)).error?.reason).toBe('Timeout');
  });
});

describe('D: a redirect', () => {
  const targets = () => [
    `http://127.0.0.1:${port}/`,
    `//127.0.0.1:${port}/`,
    '/elsewhere',
    'http://169.254.169.254/latest/meta-data',
    'http://[fd00:ec2::254]/',
    `http://2130706433:${port}/`,
    `http://me:pass@127.0.0.1:${port}/`,
    'file:///etc/passwd',
    `http://${SERVICE}/`,
  ];

  test.each([300, 301, 302, 303, 307, 308])(
    '%d: followed to none of these, from no kind of detector',
    async (status) => {
      const asked: string[] = [];
      let location = '';
      const at = await serve((request, response) => {
        asked.push(request.url ?? '');
        response.writeHead(status, { location, refresh: `0; url=${location}` }).end();
      });
      for (location of targets()) {
        // Anew each time: a source that fails so often is given a rest.
        await service?.stop();
        await start('127.0.0.1:*');
        for (const way of EVERY_WAY) {
          const { error } = await ask(...way(`127.0.0.1:${at}`));
          expect(error?.reason).toBe('BadStatus');
          expect(error?.message).not.toContain(location);
        }
      }
      expect(new Set(asked)).toEqual(
        new Set(['/', '/v1/info', '/v1/verdicts', '/api/v1/query', '/api/v1/query_range']),
      );
      expect(connections).toBe(0);
      expect(zone.asked).toEqual([]);
    },
  );
});

describe('V1: nothing that a peer sends is seen in an answer, a log line or a metric', () => {
  const json =
    (value: unknown): RequestListener =>
    (_request, response) =>
      void response.end(JSON.stringify(value));
  const everywhere = { 'x-secret': SECRET, 'set-cookie': SECRET, server: SECRET, 'www-authenticate': SECRET };

  test.each<[string, RequestListener]>([
    ['the body', (_request, response) => response.end(SECRET)],
    ['the body of a refusal', (_request, response) => response.writeHead(403, everywhere).end(SECRET)],
    ['headers', (_request, response) => response.writeHead(200, everywhere).end('[]')],
    ['the words beside the status', (_request, response) => response.writeHead(500, SECRET).end()],
    ['the type of the content', (_request, response) => response.writeHead(200, { 'content-type': SECRET }).end('1')],
    ['JSON keys', json({ [SECRET]: { [SECRET]: 1 }, verdicts: [{ [SECRET]: SECRET }], items: [{ [SECRET]: SECRET }] })],
    ['JSON values', json({ kind: SECRET, status: SECRET, verdicts: SECRET, items: SECRET, message: SECRET })],
    ['an error of Prometheus', json({ status: 'error', errorType: SECRET, error: SECRET })],
    ['the type of its result', json({ status: 'success', data: { resultType: SECRET, result: [] } })],
    [
      'a sample',
      json({ status: 'success', data: { resultType: 'vector', result: [{ metric: {}, value: [0, SECRET] }] } }),
    ],
    [
      'names of pods and labels',
      json({
        status: 'success',
        data: {
          resultType: 'vector',
          result: [{ metric: { pod: SECRET, [SECRET]: SECRET, code: SECRET }, value: [0, '9'] }],
        },
        items: [{ metadata: { name: SECRET, namespace: SECRET } }],
        verdicts: [{ pod: SECRET, uid: SECRET, outcome: 'anomalous', reason: SECRET }],
        name: SECRET,
        version: SECRET,
        parameters: { description: SECRET },
      }),
    ],
    ['an outcome', json({ verdicts: [{ pod: 'cart-1', outcome: SECRET }] })],
    [
      'a trailer',
      (_request, response) => {
        response.writeHead(200, { trailer: 'x-secret' });
        response.addTrailers({ 'x-secret': SECRET });
        response.end('1');
      },
    ],
    [
      'an encoding nobody asked for',
      (_request, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(SECRET)),
    ],
  ])('in %s', async (_where, answer) => {
    await start('127.0.0.1:*');
    listener = answer;
    for (const way of EVERY_WAY) {
      const said = await ask(...way(`127.0.0.1:${port}`));
      expect(said.verdicts.filter(({ outcome }) => outcome === 'anomalous')).toEqual([]);
      expect(JSON.stringify(said)).not.toContain('s3cret');
    }
    expect(lines.join('')).not.toContain('s3cret');
    expect((await service?.server.inject('/metrics'))?.body).not.toContain('s3cret');
  });

  test.each([
    ['what is no HTTP', `SSH-2.0-${SECRET}\r\n`],
    ['a status line that is none', `HTTP/1.1 ${SECRET}\r\n\r\n`],
    ['a header that is none', `HTTP/1.1 200 OK\r\n${SECRET}\r\n\r\n`],
    ['a length that is none', `HTTP/1.1 200 OK\r\ncontent-length: ${SECRET}\r\n\r\n`],
    ['a chunk that is none', `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${SECRET}\r\n`],
    [
      'another protocol',
      `HTTP/1.1 101 Switching Protocols\r\nupgrade: ${SECRET}\r\nconnection: upgrade\r\n\r\n${SECRET}`,
    ],
  ])('in %s', async (_what, bytes) => {
    await start('127.0.0.1:*');
    const at = await serveTcp((socket) => socket.once('data', () => socket.end(bytes)));
    for (const way of EVERY_WAY) {
      const said = await ask(...way(`127.0.0.1:${at}`));
      expect(said).toMatchObject({ verdicts: [], error: {} });
      expect(JSON.stringify(said)).not.toContain('s3cret');
    }
    expect(lines.join('')).not.toContain('s3cret');
  });
});

describe('V1: an answer is bounded', () => {
  /** Each goes on for ever, a few bytes at a time. */
  test.each<[string, (sent: number) => string]>([
    ['its headers', (sent) => (sent === 0 ? 'HTTP/1.1 200 OK\r\n' : `x-${sent}: y\r\n`)],
    ['one header', (sent) => (sent === 0 ? 'HTTP/1.1 200 OK\r\nx: ' : 'y')],
    ['its body', (sent) => (sent === 0 ? 'HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n[' : ' ')],
    [
      'chunks of its body',
      (sent) => (sent === 0 ? 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n' : '1\r\n \r\n'),
    ],
    ['the size of a chunk', (sent) => (sent === 0 ? 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n' : '0')],
    ['interim answers', () => 'HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n'],
    ['continues', () => 'HTTP/1.1 100 Continue\r\n\r\n'],
    ['nothing at all', () => ''],
  ])('in time: a peer that drips %s ends at the deadline, its connection with it', async (_what, drop) => {
    await start('127.0.0.1:*');
    let closed = 0;
    let opened = 0;
    const at = await serveTcp((socket) => {
      opened += 1;
      let sent = 0;
      socket.resume();
      const drip = setInterval(() => socket.write(drop(sent++)), 10);
      socket.on('close', () => {
        closed += 1;
        clearInterval(drip);
      });
    });
    const started = performance.now();
    const answers = await Promise.all(EVERY_WAY.map((way) => ask(...way(`127.0.0.1:${at}`), 300)));
    // Far beyond the deadline and far within "for ever".
    expect(performance.now() - started).toBeLessThan(10_000);
    for (const { error, verdicts } of answers) {
      expect(verdicts).toEqual([]);
      expect(error?.reason).toMatch(/^(Timeout|TooLarge|BadAnswer|Unreachable)$/);
    }
    while (closed < opened) await new Promise(setImmediate);
  });

  test('in size, also of what is packed: it is never unpacked', async () => {
    await start('127.0.0.1:*');
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024, 0x20));
    listener = (_request, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb);
    for (const way of EVERY_WAY) {
      expect((await ask(...way(`127.0.0.1:${port}`))).error?.reason).toBe('BadAnswer');
    }
  });

  const BRACKETS = 4 * 1024 * 1024;
  test.each([
    ['in depth: eight million brackets', '['.repeat(BRACKETS) + ']'.repeat(BRACKETS)],
    ['in number: a million empty objects', `[${'{},'.repeat(1_000_000)}{}]`],
    ['in names: hundreds of thousands', `[${Array.from({ length: 500_000 }, (_, n) => `{"${n}":1}`).join(',')}]`],
  ])('%s are BadAnswer, and the service lives', async (_what, text) => {
    await start('127.0.0.1:*');
    listener = (_request, response) => response.end(text);
    // Judged in a thread that has to start first.
    const all = EVERY_WAY.map((way) => ask(...way(`127.0.0.1:${port}`), 25_000));
    for (const answer of await Promise.all(all)) expect(answer.error?.reason).toBe('BadAnswer');
    expect((await service?.server.inject('/healthz'))?.statusCode).toBe(200);
  });
});
