import { expect, test } from '@jest/globals';
import { readProtocol } from './nats-tap.ts';

const message = (line: string, headers: string, payload: string): string => {
  const sizes = headers === '' ? `${payload.length}` : `${headers.length} ${headers.length + payload.length}`;
  return `${line} ${sizes}\r\n${headers}${payload}\r\n`;
};
const wire =
  'CONNECT {"verbose":false}\r\nPING\r\n' +
  message('HPUB $KV.kubervisor-claims.u1.evaluate _INBOX.a.1', 'NATS/1.0\r\nNats-Expected: 0\r\n\r\n', 'r-1') +
  message('PUB elsewhere', '', 'PUB $KV.kubervisor-claims.u9.evaluate 3\r\nno!') +
  message('MSG _INBOX.a.1 7', '', '{"seq":12}') +
  message('HMSG _INBOX.a.2 7 reply', 'NATS/1.0 503\r\n\r\n', '');

test('publications and deliveries are read, however the bytes are cut, and what looks like one within another is not', () => {
  for (const size of [1, 2, 3, 7, 50, 10_000]) {
    const found: string[] = [];
    const read = readProtocol(['$KV.kubervisor-claims.', '_INBOX.'], ({ subject, reply, payload }) =>
      found.push([subject, reply, payload].join(' ')),
    );
    const bytes = Buffer.from(wire);
    for (let at = 0; at < bytes.length; at += size) read(bytes.subarray(at, at + size));
    expect(found).toEqual([
      '$KV.kubervisor-claims.u1.evaluate _INBOX.a.1 r-1',
      '_INBOX.a.1  {"seq":12}',
      '_INBOX.a.2 reply ',
    ]);
  }
});
