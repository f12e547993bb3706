/** A DNS server on loopback whose records are the test's: what a name resolves to, and what it resolves to the next time. */
import { createSocket } from 'node:dgram';
import { isIPv6, type AddressInfo } from 'node:net';

/** Addresses of both families, or the name that a CNAME leads to. A name without a record does not exist. */
export interface DnsRecord {
  addresses?: readonly string[];
  cname?: string;
}

export type DnsType = 'A' | 'AAAA' | 'CNAME';

export interface DnsServer {
  /** `127.0.0.1:port` */
  readonly address: string;
  /** May be changed at any time, also from within `onQuery`. */
  records: Record<string, DnsRecord>;
  /** What was asked, in order: `name TYPE`. */
  readonly asked: string[];
  /** Before each answer. */
  onQuery: (name: string, type: DnsType) => void;
  close(): Promise<void>;
}

const TYPES = new Map<number, DnsType>([
  [1, 'A'],
  [28, 'AAAA'],
  [5, 'CNAME'],
]);

export async function startDns(): Promise<DnsServer> {
  const socket = createSocket('udp4');
  socket.on('message', (query, from) => socket.send(answerTo(query), from.port, from.address));
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const server: DnsServer = {
    address: `127.0.0.1:${(socket.address() as AddressInfo).port}`,
    records: {},
    asked: [],
    onQuery: () => undefined,
    close: () => new Promise<void>((resolve) => socket.close(() => resolve())),
  };

  function answerTo(query: Buffer): Buffer {
    const { name, type, question } = readQuestion(query);
    if (type !== undefined) {
      server.onQuery(name, type);
      server.asked.push(`${name} ${type}`);
    }
    const record = server.records[name];
    const values = record === undefined || type === undefined ? [] : valuesOf(record, type);
    const header = Buffer.alloc(12);
    header.writeUInt16BE(query.readUInt16BE(0), 0);
    header.writeUInt16BE(record === undefined ? 0x8183 : 0x8180, 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(values.length, 6);
    const code = question.readUInt16BE(question.length - 4);
    const answers = values.map((value) =>
      Buffer.concat([
        Buffer.from([0xc0, 12, 0, code, 0, 1, 0, 0, 0, 0, value.length >> 8, value.length & 0xff]),
        value,
      ]),
    );
    return Buffer.concat([header, question, ...answers]);
  }
  return server;
}

function readQuestion(query: Buffer): { name: string; type: DnsType | undefined; question: Buffer } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.subarray(at + 1, at + 1 + length).toString());
    at += 1 + length;
  }
  return { name: labels.join('.'), type: TYPES.get(query.readUInt16BE(at + 1)), question: query.subarray(12, at + 5) };
}

function valuesOf({ addresses = [], cname }: DnsRecord, type: DnsType): Buffer[] {
  if (type === 'CNAME') return cname === undefined ? [] : [nameBytes(cname)];
  return addresses.filter((address) => isIPv6(address) === (type === 'AAAA')).map(addressBytes);
}

const nameBytes = (name: string): Buffer =>
  Buffer.concat([
    ...name.split('.').map((label) => Buffer.from([label.length, ...Buffer.from(label)])),
    Buffer.from([0]),
  ]);

function addressBytes(address: string): Buffer {
  if (!isIPv6(address)) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const groups = (text = ''): number[] => (text === '' ? [] : text.split(':').map((group) => parseInt(group, 16)));
  const [before, after] = [groups(head), groups(tail)];
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => 0);
  return Buffer.from([...before, ...zeros, ...after].flatMap((group) => [group >> 8, group & 0xff]));
}
