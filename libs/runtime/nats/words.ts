/** What a library's or the server's error means here, and what is to be done about it: sentences for /readyz and the log. */
import { JetStreamApiError } from '@nats-io/jetstream';
import { errors } from '@nats-io/transport-node';
import { messageOf } from './errors.ts';
import { inboxOf, NATS_USERS } from './inbox.ts';

/** NATS_URL as it may be shown: it may hold a user and a password. */
export const bareUrl = (url: string): string => url.replace(/\/\/[^/@\s,]*@/g, '//***@');

const chain = function* (error: unknown): Generator<Error> {
  for (let at = error; at instanceof Error; at = at.cause) yield at;
};
type PermissionViolation = InstanceType<typeof errors.PermissionViolationError>;

export function permissionViolation(error: unknown): PermissionViolation | undefined {
  for (const one of chain(error)) if (one instanceof errors.PermissionViolationError) return one;
  return undefined;
}
function apiError(error: unknown): JetStreamApiError | undefined {
  for (const one of chain(error)) if (one instanceof JetStreamApiError) return one;
  return undefined;
}
/** Nobody listens there: no stream, no JetStream. The client calls the former JetStreamNotEnabled too. */
export const nobodyAnswers = (error: unknown): boolean =>
  [...chain(error)].some(({ name }) => name === 'JetStreamNotEnabled' || name === 'NoRespondersError');

/** How a reason begins that names nothing to mend but that the server is not there. */
export const BARE = 'cannot connect to';
const CERTIFICATE = /certificate|CERT_|unable to verify|altnames/i;

/** Why a connection did not come about. */
export function connecting(error: unknown, url: string): string {
  const at = bareUrl(url);
  if (error instanceof errors.AuthorizationError || error instanceof errors.UserAuthenticationExpiredError)
    return `the NATS server refuses the credentials (${messageOf(error)}): those of NATS_USER and NATS_PASSWORD_FILE, or of NATS_CREDS, must be known to it`;
  const message = messageOf(error);
  if (message === "server does not support 'tls'")
    return `NATS_CA, NATS_CERT or NATS_KEY asks for TLS, which the NATS server at ${at} does not offer: configure tls there, or unset them`;
  if (CERTIFICATE.test(message) && !message.includes('ENOENT'))
    return `no TLS connection to NATS at ${at} (${message.split(';')[0]}): NATS_CA must name the authority of the server's certificate, NATS_CERT and NATS_KEY a certificate that the server accepts`;
  if (message.includes('ENOTFOUND') || message.includes('EAI_AGAIN'))
    return `the host of NATS_URL ${at} is not known to DNS (${message}): is the name right, is its Service there?`;
  return `${BARE} NATS at ${at}: ${message}`;
}

const ACCOUNT_WITHOUT_JETSTREAM = 10039;

/** Why JetStream is of no use. */
export function jetStreamAway(error: unknown): string {
  if (permissionViolation(error) !== undefined) return notPermitted(error);
  if (apiError(error)?.code === ACCOUNT_WITHOUT_JETSTREAM)
    return 'JetStream is not enabled for our account on the NATS server: "jetstream: enabled" in the account\'s configuration';
  if (nobodyAnswers(error))
    return 'JetStream is not enabled on the NATS server: start it with "-js", or "jetstream {}" in its configuration; after a full disk it switches JetStream off until it is restarted';
  return `JetStream on the NATS server does not answer (${messageOf(error)}): the server stands still, is overloaded, or its cluster has no majority`;
}

const INBOXES = NATS_USERS.map(inboxOf);

/** Subjects hold names; what is told must be one thing for all of them. */
export function patternOf(subject: string): string {
  const parts = subject.split('.');
  if (parts[0] === 'kubervisor') return `${parts.slice(0, parts[1] === 'fact' ? 2 : 3).join('.')}.>`;
  if (parts[0] === '$KV') return `${parts[0]}.${parts[1]}.*.${parts.at(-1)}`;
  if (parts[0] === '$JS' && parts[1] === 'ACK') return `${parts.slice(0, 4).join('.')}.>`;
  if (parts[0] === '$JS' && parts[1] === 'FC') return `${parts.slice(0, 3).join('.')}.>`;
  if (parts[0] === '_INBOX') return `${INBOXES.find((prefix) => subject.startsWith(`${prefix}.`)) ?? '_INBOX'}.>`;
  // The name of a consumer that lives as long as its reader.
  if (subject.startsWith('$JS.API.CONSUMER.CREATE.')) return parts.slice(0, 5).join('.');
  return subject;
}

export function notPermitted(error: unknown): string {
  const violation = permissionViolation(error);
  const act = violation?.operation === 'subscription' ? 'subscribe to' : 'publish to';
  return `the NATS server does not permit our user to ${act} "${patternOf(violation?.subject ?? '')}": add it to the user's permissions`;
}

/** Server codes for: no memory, no disk, a limit reached. */
const NO_ROOM = [10023, 10028, 10047, 10077, 10076];
export const ROOM =
  "free its disk, or raise max_memory_store and max_file_store of the NATS server, or the account's limits";

export const isNoRoom = (error: unknown): boolean => NO_ROOM.includes(apiError(error)?.code ?? 0);

/** Why a message was not stored. */
export function notStored(subject: string, error: unknown): string {
  const pattern = patternOf(subject);
  if (permissionViolation(error) !== undefined) return notPermitted(error);
  if (nobodyAnswers(error)) return missing(`no stream on NATS takes "${pattern}"`);
  if (isNoRoom(error)) return `NATS has no room for "${pattern}" (${messageOf(error)}): ${ROOM}`;
  return `NATS does not store "${pattern}": ${messageOf(error)}`;
}

/** Why a stream cannot be read, or work not be taken. */
export function notBound(what: string, error: unknown): string {
  if (permissionViolation(error) !== undefined) return notPermitted(error);
  const name = error instanceof Error ? error.name : '';
  if (name === 'StreamNotFoundError' || name === 'ConsumerNotFoundError' || nobodyAnswers(error))
    return missing(`${what} is missing on NATS`);
  if (isNoRoom(error)) return `NATS has no room for a reader of ${what} (${messageOf(error)}): ${ROOM}`;
  return `${what} on NATS cannot be read: ${messageOf(error)}`;
}

const missing = (what: string): string =>
  `${what}: the leading controller makes it within 10 s; if not, look whether one runs and what its /readyz says`;
