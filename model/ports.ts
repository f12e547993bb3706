/** What a process of ours is given in place of the world: the same ports as in its main.ts. */
import type { Logger } from '@kubervisor/runtime/logs';
import type { Metrics } from '@kubervisor/runtime/metrics';
import { kubernetesOn } from '@kubervisor/runtime/kubernetes/client';
import type { Span } from './allowed.ts';
import { NAMESPACE, type Cluster } from './cluster.ts';
import type { Process } from './event-loop.ts';
import type { Trace } from './network.ts';
import { Leases } from './leases.ts';
import type { Manifests } from './manifests.ts';
import type { Nats } from './nats.ts';

export function createPorts(
  process: Process,
  {
    nats,
    cluster,
    trace,
    manifests,
    leases,
    fault,
    known,
  }: {
    nats: Nats;
    cluster: Cluster;
    trace: Trace;
    manifests?: Manifests;
    leases?: Leases;
    /** Told of an error that no fault of the world explains. */
    fault: (what: string) => void;
    /** Of a controller: when stood what it decides on now. */
    known?: () => Span;
  },
) {
  const write = (fields: unknown, message = ''): void => trace(process.name, () => `${message} ${shown(fields)}`);
  const error = (fields: { err?: unknown }, message: string): void => {
    write(fields, message);
    if (fields.err instanceof TypeError || fields.err instanceof RangeError || fields.err instanceof ReferenceError)
      fault(`${process.name}: ${message}: ${fields.err.stack}`);
  };
  const child = (): unknown => ({ trace() {}, debug: write, info: write, warn: error, error, fatal: error, child });
  const log = child() as Logger;
  const others = (method: string, path: string, body: unknown): unknown => {
    if (leases !== undefined && Leases.has(path)) return leases.serve(method, path, body);
    const name = path.slice(path.lastIndexOf('/') + 1);
    const found = manifests?.resource(name);
    manifests?.lookedFor(process.name, name);
    return found && { metadata: { name: found.name, namespace: NAMESPACE, uid: found.uid }, spec: found.spec };
  };
  return {
    log,
    bus: nats.connect(process, known),
    kubernetes: kubernetesOn(cluster.connect(process, others, known), log),
    metrics: NO_METRICS,
    source: `/kubervisor/${process.name}`,
    now: () => Date.now(),
    monotonic: () => performance.now(),
    wait: (milliseconds: number) => new Promise<void>((resolve) => void setTimeout(resolve, milliseconds)),
  };
}

const shown = (fields: unknown): string =>
  JSON.stringify(fields, (_key, value: unknown) => (value instanceof Error ? String(value) : value))?.slice(0, 300) ??
  '';

/** Nothing is measured. */
const NO_METRIC = { inc() {}, dec() {}, set() {}, observe() {}, remove() {}, reset() {} };
export const NO_METRICS = {
  registry: undefined,
  declare: (definitions: object) => Object.fromEntries(Object.keys(definitions).map((key) => [key, NO_METRIC])),
} as unknown as Metrics;
