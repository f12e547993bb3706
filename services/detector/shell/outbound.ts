/**
 * The only way out of the detector. What a name resolved to is checked where the connection is made, and that very address is
 * connected to: a name that resolves to something else a moment later gains nothing (rule D).
 */
import { isIPv6, type LookupFunction } from 'node:net';
import { BodyTooLarge, errorCode, exchange, type Exchange } from '@kubervisor/runtime/http/exchange';
import { MAX_ANSWER_BYTES } from '@kubervisor/shared/detection/contract';
import { Agent, buildConnector, errors } from 'undici';
import { addressProblem, type AllowPattern, type Destination } from '../core/address.ts';
import { failure, success, type Result } from '../core/answer.ts';
import type { Names } from './names.ts';

const CONNECT_TIMEOUT_MILLISECONDS = 5000;
/** To one host and port at once, unless told. */
export const CONNECTIONS = 32;

export interface Request {
  method: 'GET' | 'POST';
  url: URL;
  headers?: Record<string, string>;
  body?: string;
  /** The deadline, body included. */
  signal: AbortSignal;
  /** How messages call the other end: `Prometheus`, `the plug-in`. */
  peer: string;
  /** On a connection beside the others, so that it does not wait for one that they hold. */
  apart?: boolean;
}

export interface Outbound {
  /** Any status is a success here; what the peer sent never comes into a fault's message. */
  send(via: Destination['via'], request: Request): Promise<Result<Exchange>>;
  /** Breaks off what is under way. */
  close(): void;
}

class AddressRefused extends Error {
  override readonly name = 'AddressRefused';
}

/** PEM. `ca`: the authorities that the other end's certificate must be of, in place of the well-known ones; `cert` and `key`: ours. */
export interface Tls {
  ca?: string;
  cert?: string;
  key?: string;
}

export interface OutboundSettings {
  /** Connections to one host and port at once. Whoever finds none free waits, at most until its deadline. */
  connections?: number;
  /** Asked at each request. Once it answers other than before, no connection of before is used again. */
  tls?: () => Tls;
}

export function createOutbound(
  names: Names,
  allow: readonly AllowPattern[],
  { connections = CONNECTIONS, tls = () => ({}) }: OutboundSettings = {},
): Outbound {
  const resolve = {
    async service(name: string) {
      const { addresses, alias } = await names.service(name);
      if (alias) throw new AddressRefused('the Service is a name for something else (ExternalName), which is outside');
      return addresses;
    },
    outside: (name: string) => names.host(name),
  };

  const lookup =
    (via: Destination['via'], port: number): LookupFunction =>
    (hostname, options, callback) => {
      resolve[via](hostname).then(
        (addresses) => {
          const problem = addresses.map((address) => addressProblem(address, port, allow)).find((one) => one);
          if (problem !== undefined) return callback(new AddressRefused(problem), '');
          const found = addresses.map((address) => ({ address, family: isIPv6(address) ? 6 : 4 }));
          const [first] = found;
          if (first === undefined) return callback(Object.assign(new Error(), { code: 'ENOTFOUND' }), '');
          if (options.all) return callback(null, found);
          return callback(null, first.address, first.family);
        },
        (error: Error) => callback(error, ''),
      );
    };

  const agentFor = (via: Destination['via'], identity: Tls, most: number) =>
    new Agent({
      connections: most,
      keepAliveTimeout: 10_000,
      // The caller's signal is the one deadline.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: (options, callback) => {
        const port = Number(options.port || (options.protocol === 'https:' ? 443 : 80));
        const connector = buildConnector({
          ...identity,
          allowH2: false,
          timeout: CONNECT_TIMEOUT_MILLISECONDS,
          lookup: lookup(via, port),
        });
        connector(options, callback);
      },
    });
  const agentsFor = (identity: Tls) => ({
    service: agentFor('service', identity, connections),
    outside: agentFor('outside', identity, connections),
    serviceApart: agentFor('service', identity, 1),
    outsideApart: agentFor('outside', identity, 1),
  });
  let identity = tls();
  let agents = agentsFor(identity);

  /** Those of the present identity. What is under way on the former connections still ends there. */
  function current(): typeof agents {
    const next = tls();
    if (next.ca === identity.ca && next.cert === identity.cert && next.key === identity.key) return agents;
    for (const agent of Object.values(agents)) void agent.close();
    identity = next;
    agents = agentsFor(identity);
    return agents;
  }

  return {
    async send(via, { url, peer, apart = false, ...call }) {
      try {
        const dispatcher = current()[apart ? (`${via}Apart` as const) : via];
        return success(await exchange(url, { ...call, dispatcher, maxBytes: MAX_ANSWER_BYTES }));
      } catch (error) {
        if (call.signal.aborted) return failure('Timeout', `${peer} did not answer in time`);
        if (error instanceof AddressRefused) return failure('AddressRefused', `${peer}: ${error.message}`);
        if (error instanceof BodyTooLarge) {
          return failure('TooLarge', `the answer of ${peer} is larger than ${MAX_ANSWER_BYTES} bytes`);
        }
        const code = errorCode(error);
        if (code === 'UND_ERR_HEADERS_OVERFLOW') return failure('TooLarge', `the headers of ${peer} are too large`);
        if (error instanceof errors.HTTPParserError) return failure('BadAnswer', `the answer of ${peer} is no HTTP`);
        return failure('Unreachable', `no connection to ${peer} (${code})`);
      }
    },
    close() {
      // Not awaited: undici also waits there for connections that are still being made.
      for (const agent of Object.values(agents)) void agent.destroy();
    },
  };
}
