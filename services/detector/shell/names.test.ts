import { createSocket, type Socket } from 'node:dgram';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { systemNames, type Names } from './names.ts';

/** What the DNS server of the test says: addresses, the target of a CNAME, or nothing (no such name). */
const TYPES = { a: 1, cname: 5 } as const;
let records: Record<string, { a?: string; cname?: string }>;
let asked: string[];
let onAsked: (name: string, type: number) => void;
let socket: Socket;
let names: Names;

const labels = (name: string) =>
  Buffer.concat([
    ...name.split('.').map((label) => Buffer.from([label.length, ...Buffer.from(label)])),
    Buffer.from([0]),
  ]);

function answerTo(query: Buffer): Buffer {
  const parts: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    parts.push(query.subarray(at + 1, at + 1 + length).toString());
    at += 1 + length;
  }
  const type = query.readUInt16BE(at + 1);
  const name = parts.join('.');
  onAsked(name, type);
  asked.push(`${name} ${type}`);
  const record = records[name];
  const value =
    type === TYPES.a && record?.a !== undefined
      ? Buffer.from(record.a.split('.').map(Number))
      : type === TYPES.cname && record?.cname !== undefined
        ? labels(record.cname)
        : undefined;
  const header = Buffer.alloc(12);
  header.writeUInt16BE(query.readUInt16BE(0), 0);
  header.writeUInt16BE(record === undefined ? 0x8183 : 0x8180, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(value === undefined ? 0 : 1, 6);
  const question = query.subarray(12, at + 5);
  if (value === undefined) return Buffer.concat([header, question]);
  const fixed = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 5, value.length >> 8, value.length & 0xff]);
  return Buffer.concat([header, question, fixed, value]);
}

beforeEach(async () => {
  records = {};
  asked = [];
  onAsked = () => undefined;
  socket = createSocket('udp4');
  socket.on('message', (query, from) => socket.send(answerTo(query), from.port, from.address));
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  names = systemNames([`127.0.0.1:${(socket.address() as AddressInfo).port}`]);
});
afterEach(() => new Promise<void>((resolve) => socket.close(() => resolve())));

describe('D: what the name of a Service resolves to', () => {
  const name = 'judge.shop.svc.cluster.local';

  test('its addresses', async () => {
    records[name] = { a: '10.96.0.7' };
    expect(await names.service(name)).toEqual({ addresses: ['10.96.0.7'], alias: false });
  });

  test('a CNAME (ExternalName) is told, and its addresses are not even asked for', async () => {
    records[name] = { cname: 'evil.example', a: '203.0.113.9' };
    expect(await names.service(name)).toEqual({ addresses: [], alias: true });
    expect(asked).toEqual([`${name} 5`]);
  });

  test('one that turns into a CNAME while it is looked up is told too', async () => {
    records[name] = { a: '10.96.0.7' };
    onAsked = (_name, type) => {
      if (type === TYPES.a) records[name] = { cname: 'evil.example', a: '203.0.113.9' };
    };
    expect((await names.service(name)).alias).toBe(true);
  });

  test('no such name has no addresses', async () => {
    expect(await names.service(name)).toEqual({ addresses: [], alias: false });
  });

  test('no search domain is tried: only the very name is asked', async () => {
    await names.service(name);
    expect(new Set(asked.map((one) => one.split(' ')[0]))).toEqual(new Set([name]));
  });
});

test('a name of the system resolves as the system does', async () => {
  expect(await names.host('127.0.0.1')).toEqual(['127.0.0.1']);
});
