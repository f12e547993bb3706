/**
 * Where a detector may connect (rule D). Whoever may write a KubervisorService chooses the address, and the detector sits inside
 * the cluster: without these rules it would be a way to every address it can reach.
 *
 * A destination is decided twice: here by what is written, and at the connection by what the name resolved to (`addressProblem`).
 */
import { DNS_LABEL } from '@kubervisor/shared/crd/kubervisor-service';

/** One entry of DETECTOR_ALLOW, `host:port` with `*` for any run of characters. */
export interface AllowPattern {
  host: RegExp;
  /** Undefined: any. */
  port: number | undefined;
  kind: 'name' | 'address' | 'any';
  /** Whether it names an address closely enough to admit a special one (loopback …): `127.0.0.1` and `127.*` do, `*` does not. */
  namesAddress: boolean;
  hasWildcard: boolean;
}

export interface AddressPolicy {
  allow: readonly AllowPattern[];
  /** `cluster.local` unless the cluster was set up otherwise. */
  clusterDomain: string;
}

export interface Destination {
  url: URL;
  /** `service`: a Service of the cluster, whose name must not lead elsewhere by a CNAME; `outside`: admitted by the operator. */
  via: 'service' | 'outside';
}

export type Decision = { destination: Destination } | { problem: string };

export interface Asked {
  /** The namespace of the resource that asks. */
  namespace: string;
  /** Services of which namespaces it may reach without the allow-list. */
  reach: 'ownNamespace' | 'cluster';
  defaultPort: number;
  /** Whether a path may be given: where one may, whoever writes the resource chooses every path of the peer. */
  allowPath: boolean;
}

/** The entries of DETECTOR_ALLOW, or what is wrong with each that is none: `"the entry", what is allowed`. */
export function parseAllowList(entries: readonly string[]): { allow: AllowPattern[] } | { problems: string[] } {
  const read = entries.map((entry) => ({ entry, pattern: parsePattern(entry) }));
  const problems = read.flatMap(({ entry, pattern }) =>
    typeof pattern === 'string' ? [`${JSON.stringify(entry)}, ${pattern}`] : [],
  );
  if (problems.length > 0) return { problems };
  return { allow: read.map(({ pattern }) => pattern).filter((pattern) => typeof pattern !== 'string') };
}

/** What is wrong with it where it is none. */
function parsePattern(entry: string): AllowPattern | string {
  const match = /^(?:\[([0-9a-f:.*]+)\]|([a-z0-9*._-]+)):(\*|\d+)$/i.exec(entry);
  if (match === null) return describeMisfit(entry);
  const [, ipv6, other = '', portText = ''] = match;
  const port = portText === '*' ? undefined : Number(portText);
  if (port !== undefined && (port < 1 || port > 65_535)) return 'the port must be * or from 1 to 65535';
  const written = (ipv6 ?? other).toLowerCase().replace(/\.$/, '');
  const hasWildcard = written.includes('*');
  const host = hasWildcard ? written : canonicalHost(written, ipv6 !== undefined);
  if (host === undefined) return `${written} is no address`;
  // Nobody would be admitted by it, for what is compared with it is written in the one way.
  if (ipv6 === undefined && host !== written) return `write the address as ${host}`;
  const kind = host === '*' ? 'any' : ipv6 !== undefined || /^[\d.*]+$/.test(host) ? 'address' : 'name';
  return {
    host: new RegExp(`^${host.split('*').map(escapeRegExp).join('.*')}$`),
    port,
    kind,
    namesAddress: kind === 'address' && (/^\d{1,3}\./.test(host) || (host.includes(':') && !host.startsWith('*'))),
    hasWildcard,
  };
}

function describeMisfit(entry: string): string {
  if (entry.includes('://')) return 'must be host:port, without a scheme';
  if (entry.includes('/'))
    return 'must be host:port, without a path; a range of addresses is written with *, as 10.0.*:443';
  if (/^[^[\]]*:[^[\]]*:/.test(entry)) return 'must be [IPv6]:port, the address in brackets';
  if (!entry.includes(':') || /\]$/.test(entry)) return 'lacks the port: host:443, or host:* for any';
  return 'must be host:port or [IPv6]:port, * for any run of characters';
}

/** As the URL parser writes it; undefined where it is an address that is none. */
function canonicalHost(host: string, isIpv6: boolean): string | undefined {
  if (isIpv6) return canonicalAddress(host);
  // A label may have an underscore, which no address has.
  if (host.includes('_')) return host;
  return URL.canParse(`http://${host}`) ? new URL(`http://${host}`).hostname : undefined;
}

/** Decides by what is written: `host[:port][/path]`, with or without `http://` or `https://`. */
export function decideDestination(text: string, asked: Asked, policy: AddressPolicy): Decision {
  const target = readTarget(text, asked.defaultPort);
  if ('problem' in target) return target;
  if (!asked.allowPath && target.path !== '/') return { problem: `only host[:port] is allowed here, without a path` };
  const { host, port } = target;
  const to = (via: Destination['via'], name: string): Decision => ({
    destination: { via, url: new URL(`${target.scheme}://${name}:${port}${target.path}`) },
  });

  if (isAddress(host)) {
    const admitted = policy.allow.some((pattern) => pattern.kind !== 'name' && matches(pattern, host, port));
    const problem = admitted ? addressProblem(host, port, policy.allow) : `${host} is an address`;
    return problem === undefined
      ? to('outside', host.includes(':') ? `[${host}]` : host)
      : refused(problem, host, port);
  }

  // `plugin` alone means a Service of the resource's namespace, whatever `*` an operator wrote: elsewhere it would be looked up in
  // the namespace of the detector.
  const isLabel = !host.includes('.');
  const admitted = policy.allow.some(
    (pattern) => pattern.kind !== 'address' && matches(pattern, host, port) && !(isLabel && pattern.hasWildcard),
  );
  if (admitted) return to('outside', host);

  const service = readService(host, policy.clusterDomain);
  if (service === undefined) return refused(`${host} is not a Service of the cluster`, host, port);
  const namespace = service.namespace ?? asked.namespace;
  if (!DNS_LABEL.test(namespace)) return refused(`${namespace} is not a namespace`, host, port);
  if (asked.reach === 'ownNamespace' && namespace !== asked.namespace) {
    return refused(`${host} is a Service of namespace ${namespace}, not of ${asked.namespace}`, host, port);
  }
  return to('service', `${service.name}.${namespace}.svc.${policy.clusterDomain}`);
}

/** Decides by what the name resolved to: undefined where a connection to it may be made. */
export function addressProblem(address: string, port: number, allow: readonly AllowPattern[]): string | undefined {
  const plain = canonicalAddress(address);
  if (plain === undefined) return 'its name resolves to no address that can be read';
  const kind = specialAddress(plain);
  if (kind === undefined) return undefined;
  if (allow.some((pattern) => pattern.namesAddress && matches(pattern, plain, port))) return undefined;
  return `it is a ${kind} address`;
}

/** What kind of address nobody reaches by default; undefined of an ordinary one, private ones (the cluster's own) among them. */
export function specialAddress(address: string): string | undefined {
  const bytes = addressBytes(address);
  if (bytes === undefined) return 'unreadable';
  return bytes.length === 4 ? specialIpv4(bytes) : specialIpv6(bytes);
}

/** `::ffff:10.0.0.1` is `10.0.0.1`, and IPv6 is written in one way, so that patterns need not know the others. */
export function canonicalAddress(address: string): string | undefined {
  const bytes = addressBytes(address);
  if (bytes === undefined) return undefined;
  if (bytes.length === 4) return bytes.join('.');
  if (isMapped(bytes)) return bytes.slice(12).join('.');
  const bare = address.replace(/%.*$/, '');
  return new URL(`http://[${bare}]`).hostname.slice(1, -1);
}

interface Target {
  scheme: string;
  /** Lower case; addresses canonical, IPv6 without brackets. */
  host: string;
  port: number;
  /** With the query, if there is one. */
  path: string;
}

const MAX_SHOWN = 200;

function readTarget(text: string, defaultPort: number): Target | { problem: string } {
  const shown = JSON.stringify(text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text);
  const bad = (why: string) => ({ problem: `${shown}: ${why}` });
  // What the URL parser would drop or take for a separator: credentials, tabs, backslashes.
  if (/[^\x21-\x7e]|[\\@#]/.test(text))
    return bad('only host[:port][/path] in plain ASCII is allowed, without user and fragment');
  const [, given, rest = text] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/i.exec(text) ?? [];
  const scheme = given?.toLowerCase() ?? 'http';
  if (scheme !== 'http' && scheme !== 'https') return bad('only http and https are allowed');
  const authority = rest.split(/[/?]/, 1)[0] ?? '';
  if (!/^[a-z0-9[]/i.test(authority) || authority.endsWith(':') || !URL.canParse(`${scheme}://${rest}`))
    return bad('must be host[:port][/path]');
  // The URL parser turns every way to write an address (decimal, octal, hexadecimal, percent-encoded) into the one.
  const url = new URL(`${scheme}://${rest}`);
  // It also drops a port that is its scheme's own, which need not be our default.
  const port = Number(
    /:(\d+)$/.exec(authority)?.[1] ?? (given === undefined ? defaultPort : scheme === 'https' ? 443 : defaultPort),
  );
  if (port < 1 || port > 65_535) return bad('the port must be from 1 to 65535');
  const name = url.hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
  const host = isAddress(name) ? canonicalAddress(name) : name;
  if (host === undefined || host === '') return bad('must be host[:port][/path]');
  return { scheme, host, port, path: url.pathname + url.search };
}

function refused(why: string, host: string, port: number): { problem: string } {
  const shown = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  return { problem: `${why}, and DETECTOR_ALLOW does not admit ${shown}`.slice(0, 512) };
}

function matches(pattern: AllowPattern, host: string, port: number): boolean {
  return pattern.host.test(host) && (pattern.port === undefined || pattern.port === port);
}

/** `name`, `name.namespace`, `name.namespace.svc` or that with the cluster's domain. `localhost` is never a Service. */
function readService(host: string, clusterDomain: string): { name: string; namespace?: string } | undefined {
  const suffix = `.svc.${clusterDomain}`;
  const short = host.endsWith(suffix) ? host.slice(0, -suffix.length) : host.replace(/\.svc$/, '');
  const [name, namespace, ...more] = short.split('.');
  if (name === undefined || more.length > 0 || !DNS_LABEL.test(name) || host === 'localhost') return undefined;
  if (namespace === undefined) return short === host ? { name } : undefined;
  return DNS_LABEL.test(namespace) ? { name, namespace } : undefined;
}

function isAddress(host: string): boolean {
  return host.includes(':') || /^\d+\.\d+\.\d+\.\d+$/.test(host);
}

/** 4 or 16 bytes; a zone (`%eth0`) does not count. */
function addressBytes(address: string): number[] | undefined {
  const bare = address.replace(/%.*$/, '');
  if (!bare.includes(':')) {
    const parts = bare.split('.');
    const fits = parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255);
    return fits ? parts.map(Number) : undefined;
  }
  if (!URL.canParse(`http://[${bare}]`)) return undefined;
  const [head = '', tail] = new URL(`http://[${bare}]`).hostname.slice(1, -1).split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':').map((group) => parseInt(group, 16)));
  const [before, after] = [groups(head), groups(tail ?? '')];
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => 0);
  return [...before, ...zeros, ...after].flatMap((group) => [group >> 8, group & 0xff]);
}

const startsWith = (bytes: readonly number[], prefix: readonly number[]) =>
  prefix.every((byte, index) => bytes[index] === byte);
const isMapped = (bytes: readonly number[]) => startsWith(bytes, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);

/** Where clouds answer a machine about itself, credentials among it, at addresses that are not link-local. */
const METADATA_IPV4 = ['100.100.100.200', '100.96.0.96', '168.63.129.16', '192.0.0.192'];
const METADATA_IPV6 = [
  'fd00:ec2::23',
  'fd00:ec2::254',
  'fd20:ce::254',
  'fd00:42::42',
  'fd00:c1::a9fe:a9fe',
  'fd00:a9fe:a9fe::1',
  'fd00:100::100:200',
];

function specialIpv4(bytes: readonly number[]): string | undefined {
  const [a = 0, b = 0] = bytes;
  if (a === 127) return 'loopback';
  if (a === 0) return 'unspecified';
  if (a === 169 && b === 254) return 'link-local';
  if (METADATA_IPV4.includes(bytes.join('.'))) return 'metadata';
  if (a >= 224 && a <= 239) return 'multicast';
  if (a >= 240) return 'reserved';
  return undefined;
}

function specialIpv6(bytes: readonly number[]): string | undefined {
  if (bytes.every((byte) => byte === 0)) return 'unspecified';
  if (bytes.slice(0, 15).every((byte) => byte === 0) && bytes[15] === 1) return 'loopback';
  // fe80::/10, and fec0::/10, which was site-local.
  if (bytes[0] === 0xfe && (bytes[1] ?? 0) >= 0x80) return 'link-local';
  if (bytes[0] === 0xff) return 'multicast';
  if (METADATA_IPV6.some((one) => startsWith(bytes, addressBytes(one) ?? []))) return 'metadata';
  const embedded = embeddedIpv4(bytes);
  return embedded === undefined ? undefined : specialIpv4(embedded);
}

/** The IPv4 address that a gateway would reach for this IPv6 one: mapped, translated, compatible, NAT64, 6to4. */
function embeddedIpv4(bytes: readonly number[]): readonly number[] | undefined {
  if (isMapped(bytes) || startsWith(bytes, TRANSLATED) || startsWith(bytes, ZEROS)) return bytes.slice(12);
  if (startsWith(bytes, NAT64)) return bytes.slice(12);
  if (startsWith(bytes, [0x20, 0x02])) return bytes.slice(2, 6);
  return undefined;
}
const ZEROS = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const TRANSLATED = [0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0];
const NAT64 = [0x00, 0x64, 0xff, 0x9b];

const escapeRegExp = (text: string) => text.replace(/[.*+?^${}()|[\]\\-]/g, '\\$&');
