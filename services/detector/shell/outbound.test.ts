import { afterEach, describe, expect, test } from '@jest/globals';
import { MAX_ANSWER_BYTES } from '@kubervisor/shared/detection/contract';
import { parseAllowList } from '../core/address.ts';
import type { Names } from './names.ts';
import { createOutbound, type Outbound } from './outbound.ts';
import { createPeers } from './peers.fixture.ts';

const peers = createPeers();
const { serve, serveTcp } = peers;
const made: Outbound[] = [];
afterEach(async () => {
  for (const one of made.splice(0)) one.close();
  await peers.close();
});

function outbound(names: Partial<Names> = {}, allow: string[] = ['127.0.0.1:*']): Outbound {
  const parsed = parseAllowList(allow);
  if ('problems' in parsed) throw new Error(parsed.problems.join());
  const nowhere = { service: async () => ({ addresses: [], alias: false }), host: async () => [] };
  const one = createOutbound({ ...nowhere, ...names }, parsed.allow);
  made.push(one);
  return one;
}
const get = (url: string, signal = AbortSignal.timeout(5000)) =>
  ({ method: 'GET', url: new URL(url), signal, peer: 'the plug-in' }) as const;

describe('D: the address that a name resolves to', () => {
  test('is the one connected to', async () => {
    const port = await serve((request, response) => response.end(request.headers.host));
    const way = outbound({ service: async () => ({ addresses: ['127.0.0.1'], alias: false }) });
    const answer = await way.send('service', get(`http://judge.shop.svc.cluster.local:${port}/`));
    expect(answer).toEqual({ ok: true, value: { status: 200, text: `judge.shop.svc.cluster.local:${port}` } });
  });

  test.each([
    ['127.0.0.1', 'loopback'],
    ['::ffff:127.0.0.1', 'loopback'],
    ['169.254.169.254', 'link-local'],
    ['fd00:ec2::254', 'metadata'],
  ])('is refused before a connection: %s', async (address, kind) => {
    let connected = false;
    const port = await serveTcp(() => (connected = true));
    const names = { service: async () => ({ addresses: [address], alias: false }), host: async () => [address] };
    for (const via of ['service', 'outside'] as const) {
      const answer = await outbound(names, ['*:*', 'x.example:*']).send(via, get(`http://x.example:${port}/`));
      expect(answer).toEqual({
        ok: false,
        fault: { reason: 'AddressRefused', message: `the plug-in: it is a ${kind} address` },
      });
    }
    expect(connected).toBe(false);
  });

  test('one bad address among good ones refuses the name', async () => {
    const way = outbound({ host: async () => ['10.0.0.1', '169.254.169.254'] }, ['*:*']);
    expect(await way.send('outside', get('http://x.example/'))).toMatchObject({ fault: { reason: 'AddressRefused' } });
  });

  test('a name that resolves to another address the second time gains nothing', async () => {
    const port = await serve((_request, response) => response.end('reached'));
    let looks = 0;
    const way = outbound({ host: async () => (looks++ === 0 ? ['127.0.0.1'] : ['169.254.169.254']) });
    expect(await way.send('outside', get(`http://x.example:${port}/`))).toMatchObject({ ok: true });
    expect(looks).toBe(1);
  });

  test('a CNAME (ExternalName) is outside', async () => {
    const way = outbound({ service: async () => ({ addresses: ['10.0.0.1'], alias: true }) });
    const answer = await way.send('service', get('http://judge.shop.svc.cluster.local/'));
    expect(answer).toMatchObject({ fault: { reason: 'AddressRefused' } });
  });

  test('no address, and DNS that fails, are Unreachable', async () => {
    expect(await outbound().send('outside', get('http://x.example/'))).toEqual({
      ok: false,
      fault: { reason: 'Unreachable', message: 'no connection to the plug-in (ENOTFOUND)' },
    });
    const failing = outbound({ host: () => Promise.reject(Object.assign(new Error('secret'), { code: 'ETIMEOUT' })) });
    expect(await failing.send('outside', get('http://x.example/'))).toMatchObject({
      fault: { message: 'no connection to the plug-in (ETIMEOUT)' },
    });
  });

  test('DNS that never answers ends at the deadline', async () => {
    const way = outbound({ host: () => new Promise(() => undefined) });
    const started = performance.now();
    const answer = await way.send('outside', get('http://x.example/', AbortSignal.timeout(100)));
    expect(answer).toMatchObject({ fault: { reason: 'Timeout' } });
    expect(performance.now() - started).toBeLessThan(2000);
  });
});

describe('V1: hostile peers', () => {
  const ask = (port: number, milliseconds = 5000) =>
    outbound().send('outside', get(`http://127.0.0.1:${port}/`, AbortSignal.timeout(milliseconds)));

  test('a redirect is not followed', async () => {
    let followed = 0;
    const target = await serve((_request, response) => response.end(String(++followed)));
    const port = await serve((_request, response) =>
      response.writeHead(302, { location: `http://127.0.0.1:${target}/` }).end(),
    );
    expect(await ask(port)).toMatchObject({ ok: true, value: { status: 302 } });
    expect(followed).toBe(0);
  });

  test('what is no HTTP is BadAnswer', async () => {
    const port = await serveTcp((socket) => socket.end('SSH-2.0-secret\r\n'));
    expect(await ask(port)).toEqual({
      ok: false,
      fault: { reason: 'BadAnswer', message: 'the answer of the plug-in is no HTTP' },
    });
  });

  test('one that accepts and never answers ends at the deadline', async () => {
    const port = await serveTcp(() => undefined);
    expect(await ask(port, 100)).toMatchObject({ fault: { reason: 'Timeout' } });
  });

  test.each([
    ['headers', ''],
    ['the body', 'HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n'],
  ])('one that sends %s drop by drop ends at the deadline', async (_what, start) => {
    const port = await serveTcp((socket) => {
      socket.write(start);
      const head = 'HTTP/1.1 200 OK\r\n';
      let sent = 0;
      const timer = setInterval(() => socket.write(start === '' ? (head[sent++] ?? 'x') : 'x'), 10);
      socket.on('close', () => clearInterval(timer));
    });
    const started = performance.now();
    expect(await ask(port, 150)).toMatchObject({ fault: { reason: 'Timeout' } });
    expect(performance.now() - started).toBeLessThan(2000);
  });

  test('a body without end is TooLarge, and the connection is closed', async () => {
    let closed: (() => void) | undefined;
    const ended = new Promise<void>((resolve) => (closed = resolve));
    const chunk = Buffer.alloc(1024 * 1024, 0x20);
    const port = await serve((_request, response) => {
      const more = () => {
        while (!response.destroyed && response.write(chunk));
      };
      response.on('drain', more);
      response.on('close', () => closed?.());
      more();
    });
    expect(await ask(port, 20_000)).toEqual({
      ok: false,
      fault: { reason: 'TooLarge', message: `the answer of the plug-in is larger than ${MAX_ANSWER_BYTES} bytes` },
    });
    await ended;
  });

  test('headers without end are TooLarge', async () => {
    const port = await serveTcp((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n');
      socket.write(`x-large: ${'x'.repeat(1024 * 1024)}\r\n\r\n`);
    });
    expect(await ask(port)).toMatchObject({ fault: { reason: 'TooLarge' } });
  });

  test('one that hangs up amid the body is Unreachable', async () => {
    const port = await serveTcp((socket) =>
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf')),
    );
    expect(await ask(port)).toMatchObject({ fault: { reason: 'Unreachable' } });
  });
});
