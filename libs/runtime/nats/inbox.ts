/** Who of us has a user of his own on NATS. */
export const NATS_USERS = ['controller', 'breaker', 'activator'] as const;
export type NatsUser = (typeof NATS_USERS)[number];

/**
 * Where a service hears what it asked for. Each has its own, so that none can hear what another was answered; within the client's usual
 * `_INBOX.>`, so that on a NATS of somebody's own the usual permission suffices.
 */
export const inboxOf = (user: NatsUser): string => `_INBOX.${user}`;
