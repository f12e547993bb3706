/**
 * What each service may say and hear on NATS (design §9): data for the server's configuration, where each has a user of its
 * own. A breaker cannot publish work, nor claim an activation; only the controller makes streams.
 */
import type { FactType } from '@kubervisor/shared/events/facts';
import { CLAIMS_BUCKET, CONSUMERS, STREAMS, type WorkKind } from '@kubervisor/shared/events/subjects';
import { CLAIMS_STREAM } from './claims.ts';
import { inboxOf, NATS_USERS, type NatsUser } from './inbox.ts';

export interface Permissions {
  publish: string[];
  subscribe: string[];
}

const API = '$JS.API';
const ALL_STREAMS = [...Object.values(STREAMS).map(({ name }) => name), CLAIMS_STREAM];
const FOLLOWED = [STREAMS.rounds.name, STREAMS.facts.name, CLAIMS_STREAM];
const answersTo = (user: NatsUser): string[] => [`${inboxOf(user)}.>`];
/** What the audit trail tells of one of us nobody else can have written. */
const FACTS = {
  controller: ['pod-released'],
  evaluate: ['pod-broken'],
  activate: ['pod-activated', 'pod-paused', 'pod-killed'],
} as const satisfies Record<WorkKind | 'controller', FactType[]>;
const factsOf = (who: keyof typeof FACTS): string[] => FACTS[who].map((type) => `kubervisor.fact.${type}.>`);

function worker(user: NatsUser, kind: WorkKind): Permissions {
  const { stream, durable } = CONSUMERS[kind];
  return {
    publish: [
      `${API}.INFO`,
      `${API}.CONSUMER.INFO.${stream}.${durable}`,
      `${API}.CONSUMER.MSG.NEXT.${stream}.${durable}`,
      `$JS.ACK.${stream}.${durable}.>`,
      `$KV.${CLAIMS_BUCKET.name}.*.${kind}`,
      `${API}.STREAM.MSG.GET.${CLAIMS_STREAM}`,
      // Which bucket it is that took the claim.
      `${API}.STREAM.INFO.${CLAIMS_STREAM}`,
      `kubervisor.round.${kind}.>`,
      ...factsOf(kind),
    ],
    subscribe: answersTo(user),
  };
}

export const PERMISSIONS: Record<NatsUser, Permissions> = {
  controller: {
    publish: [
      `${API}.INFO`,
      ...ALL_STREAMS.flatMap((name) => ['INFO', 'CREATE', 'UPDATE'].map((act) => `${API}.STREAM.${act}.${name}`)),
      // Which stream it is that has our subjects.
      `${API}.STREAM.NAMES`,
      ...['INFO', 'DELETE'].map((act) => `${API}.CONSUMER.${act}.${STREAMS.work.name}.*`),
      `${API}.CONSUMER.CREATE.${STREAMS.work.name}.>`,
      // Followers: a consumer without a name each, and the word that it may go on.
      ...FOLLOWED.flatMap((name) => [`${API}.CONSUMER.CREATE.${name}`, `$JS.FC.${name}.>`]),
      'kubervisor.work.>',
      ...factsOf('controller'),
    ],
    subscribe: answersTo('controller'),
  },
  breaker: worker('breaker', 'evaluate'),
  activator: worker('activator', 'activate'),
};

/** The users of these names, for the server's configuration; `password` may be a bcrypt hash or `$VARIABLE`. */
export function authorizationConfig(password: (service: NatsUser) => string): string {
  const users = NATS_USERS.map((user) => ({
    user,
    password: password(user),
    permissions: PERMISSIONS[user],
  }));
  // JSON is valid configuration.
  return `authorization: ${JSON.stringify({ users }, undefined, 2)}\n`;
}
