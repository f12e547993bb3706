/** Subjects, streams, consumers and the bucket of claims, as data: what exists on NATS is written here and nowhere else (design §6). */
import type { FactType } from './facts.ts';

/** Kubernetes names hold dots but no underscores; subjects are divided by dots. */
const token = (name: string): string => name.replaceAll('.', '_');

export type WorkKind = 'evaluate' | 'activate';

interface Named {
  namespace: string;
  name: string;
}
export const workSubject = (kind: WorkKind, { namespace, name }: Named): string =>
  `kubervisor.work.${kind}.${token(namespace)}.${token(name)}`;
export const roundSubject = (kind: WorkKind, { namespace, name }: Named): string =>
  `kubervisor.round.${kind}.${token(namespace)}.${token(name)}`;
/** `*`: of all types. */
export const factSubject = (type: FactType | '*', { namespace, name }: Named): string =>
  `kubervisor.fact.${type}.${token(namespace)}.${token(name)}`;
export const claimKey = (uid: string, kind: WorkKind): string => `${uid}.${kind}`;

export interface StreamDeclaration {
  name: string;
  subjects: string[];
  retention: 'workqueue' | 'limits';
  storage: 'file' | 'memory';
  maxMessagesPerSubject?: number;
  maxAgeSeconds: number;
  maxBytes?: number;
  duplicateWindowSeconds: number;
}

export const STREAMS = {
  work: {
    name: 'KUBERVISOR_WORK',
    subjects: ['kubervisor.work.>'],
    retention: 'workqueue',
    storage: 'memory',
    maxMessagesPerSubject: 1,
    maxAgeSeconds: 30,
    duplicateWindowSeconds: 30,
  },
  rounds: {
    name: 'KUBERVISOR_ROUNDS',
    subjects: ['kubervisor.round.>'],
    retention: 'limits',
    storage: 'memory',
    maxMessagesPerSubject: 1,
    maxAgeSeconds: 3600,
    duplicateWindowSeconds: 120,
  },
  facts: {
    name: 'KUBERVISOR_FACTS',
    subjects: ['kubervisor.fact.>'],
    retention: 'limits',
    storage: 'file',
    maxAgeSeconds: 7 * 86_400,
    maxBytes: 256 * 1024 * 1024,
    duplicateWindowSeconds: 120,
  },
} as const satisfies Record<string, StreamDeclaration>;

export const CLAIMS_BUCKET = {
  name: 'kubervisor-claims',
  ttlSeconds: 2 * 86_400,
  storage: 'file',
  history: 1,
} as const;

/** The shared pull consumers of the workers: one a kind of work. Longer than a message may live, so NATS never delivers twice on its own (W5). */
export const CONSUMERS = {
  evaluate: { stream: STREAMS.work.name, durable: 'breaker', filter: 'kubervisor.work.evaluate.>', ackWaitSeconds: 60 },
  activate: {
    stream: STREAMS.work.name,
    durable: 'activator',
    filter: 'kubervisor.work.activate.>',
    ackWaitSeconds: 60,
  },
} as const satisfies Record<WorkKind, { stream: string; durable: string; filter: string; ackWaitSeconds: number }>;

/** A payload above this is sent gzipped, with the header `Content-Encoding: gzip`; a server takes 1 MiB. */
export const COMPRESS_ABOVE_BYTES = 64 * 1024;
export const MAX_PAYLOAD_BYTES = 1024 * 1024;
