/** From what a resource writes to where it leads (rule D). */
import type { pluginDetector } from '@kubervisor/shared/crd/kubervisor-service';
import type * as z from 'zod';
import { decideDestination, type AddressPolicy, type Asked, type Destination } from '../core/address.ts';
import { failure, success, type Result } from '../core/answer.ts';
import type { Outbound } from './outbound.ts';
import type { Source } from './prometheus.ts';
import type { Sources } from './sources.ts';

const PROMETHEUS_PORT = 9090;

export type PluginDetector = z.infer<typeof pluginDetector>;

export interface Resolver {
  /** `prometheusService`: a named source, or `name.namespace[:port]`. */
  source(text: string, namespace: string): Result<Source>;
  /** `customService`: `host[:port][/path]`. */
  plugin(text: string, namespace: string): Result<Destination>;
  /** `detector`: where its `/v1/verdicts` lies. */
  pluginByContract(stanza: PluginDetector, namespace: string): Result<Destination>;
}

export function createResolver(policy: AddressPolicy, sources: Sources, outbound: Outbound): Resolver {
  const decide = (text: string, asked: Asked): Result<Destination> => {
    const decision = decideDestination(text, asked, policy);
    return 'problem' in decision ? failure('AddressRefused', decision.problem) : success(decision.destination);
  };
  const plugin: Resolver['plugin'] = (text, namespace) =>
    decide(text, { namespace, reach: 'ownNamespace', defaultPort: 80, allowPath: true });
  return {
    source(text, namespace) {
      const named = sources.get(text);
      if (named !== undefined) return success(named);
      const decided = decide(text, { namespace, reach: 'cluster', defaultPort: PROMETHEUS_PORT, allowPath: false });
      if (!decided.ok) return decided;
      // A bare word is the name of a source, unless the operator admits it as a host.
      if (/^[\w-]+$/.test(text) && decided.value.via === 'service') {
        return failure('UnknownSource', `no source is named ${text}; a Service is written name.namespace[:port]`);
      }
      return success({ destination: decided.value, outbound });
    },
    plugin,
    pluginByContract: ({ url, service }, namespace) => plugin(url ?? addressOf(service), namespace),
  };
}

/** Exactly one of `url` and `service` is given: the stanza was checked. */
function addressOf(service: PluginDetector['service']): string {
  if (service === undefined) return '';
  const { scheme, name, port, path = '/' } = service;
  return `${scheme}://${name}${port === undefined ? '' : `:${port}`}${path}`;
}
