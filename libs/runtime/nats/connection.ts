/**
 * One connection that never gives up: a server that is away, too old, without JetStream, or that refuses the credentials is a
 * trouble in words, looked at again until it is mended (W7).
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type JetStreamClient, jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import {
  type Authenticator,
  connect,
  createInbox,
  credsAuthenticator,
  errors,
  type NatsConnection,
  type NodeConnectionOptions,
  usernamePasswordAuthenticator,
} from '@nats-io/transport-node';
import type { Logger } from 'pino';
import { messageOf } from './errors.ts';
import { keepTroubles, type Troubles } from './troubles.ts';
import { BARE, bareUrl, connecting, jetStreamAway, notPermitted, patternOf, permissionViolation } from './words.ts';

export interface NatsSettings {
  /** `nats://host:4222`, several divided by commas. */
  url: string;
  /** Shown by the server among its connections. */
  name: string;
  /** Of the subjects on which it hears answers; `_INBOX` unless given. */
  inboxPrefix?: string;
  /** A JWT with its seed. Secrets are files, read at each attempt: what was mended or renewed works without a restart. */
  credsFile?: string;
  user?: string;
  passwordFile?: string;
  caFile?: string;
  /** Certificate and key of this client, where the server asks for one. */
  certFile?: string;
  keyFile?: string;
}

/** A connection in use. A new one after each interruption, so whoever holds on to an old one can tell. */
export interface Session {
  nc: NatsConnection;
  js: JetStreamClient;
  manager: JetStreamManager;
  /** A subject of one's own, on which to hear what was asked for. */
  inbox(): string;
}

export interface Connection {
  /** Undefined while there is none, and when it is being closed. The client would keep messages for later; ours would be stale by then. */
  session(): Session | undefined;
  /** What is wrong, by whomever it was found. */
  readonly troubles: Troubles;
  /** At every connect, the first one too if it comes after connectBus has returned. */
  onConnect(listener: (session: Session) => void): () => void;
  close(): Promise<void>;
}

export const REQUEST_TIMEOUT = 2000;
const RETRY = 500;
const EXAMINE_EVERY = 2000;
/** A reason that was not met again for so long is that of a server which was tried since, and had none. */
const REASON_KEPT = 15_000;
const OLDEST_SERVER = [2, 9, 0] as const;

/** A version that cannot be read is no reason to refuse. */
export function tooOld(version: string): boolean {
  const found = /^(\d+)\.(\d+)\.(\d+)/.exec(version)?.slice(1).map(Number) ?? [];
  for (const [index, wanted] of OLDEST_SERVER.entries()) {
    const part = found[index] ?? wanted;
    if (part !== wanted) return part < wanted;
  }
  return false;
}

function secret(variable: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new Error(`the file of ${variable} cannot be read (${(error as Error).message})`, { cause: error });
  }
}

function authenticators(settings: NatsSettings): Authenticator[] {
  const { credsFile, user, passwordFile } = settings;
  const list: Authenticator[] = [];
  if (credsFile !== undefined)
    list.push((nonce) => {
      const creds = secret('NATS_CREDS', credsFile);
      try {
        return credsAuthenticator(creds)(nonce);
      } catch {
        throw new Error('the file of NATS_CREDS holds no JWT and seed, as "nsc generate creds" writes them');
      }
    });
  if (user !== undefined)
    list.push((nonce) =>
      usernamePasswordAuthenticator(
        user,
        passwordFile === undefined ? undefined : secret('NATS_PASSWORD_FILE', passwordFile).toString('utf8').trim(),
      )(nonce),
    );
  return list;
}

function optionsOf(settings: NatsSettings): NodeConnectionOptions {
  const { caFile, certFile, keyFile } = settings;
  const tls = {
    ...(caFile !== undefined && { caFile }),
    ...(certFile !== undefined && { certFile }),
    ...(keyFile !== undefined && { keyFile }),
  };
  return {
    servers: settings.url.split(',').map((url) => url.trim()),
    name: settings.name,
    ...(settings.inboxPrefix !== undefined && { inboxPrefix: settings.inboxPrefix }),
    authenticator: authenticators(settings),
    ...(Object.keys(tls).length > 0 && { tls }),
    // `run` connects anew. The client would not say why it cannot, and what waits in its buffers would arrive when it is stale: a claim.
    reconnect: false,
    // A server that is frozen says nothing: noticed after two pings without an answer.
    pingInterval: 2000,
    maxPingOut: 2,
    timeout: 5000,
  };
}

const versionOf = ({ nc }: Session): string => nc.info?.version ?? '';

/** What a server that answers lacks, or nothing. */
async function unfitness(session: Session): Promise<string | undefined> {
  const version = versionOf(session);
  if (tooOld(version))
    return `nats-server ${version} is too old, nothing is done with it: ${OLDEST_SERVER.join('.')} or newer is needed`;
  try {
    await session.manager.getAccountInfo();
    return undefined;
  } catch (error) {
    return jetStreamAway(error);
  }
}

/** Resolves after the first attempt, whichever way it ended; goes on until closed. */
export async function keepConnected(settings: NatsSettings, log: Logger): Promise<Connection> {
  const listeners = new Set<(session: Session) => void>();
  const closing = new AbortController();
  const tried = Promise.withResolvers<void>();
  let session: Session | undefined;
  const troubles = keepTroubles(log, () => ({ version: session?.nc.info?.version }));
  /** Each server of NATS_URL may have one of its own; when it was last met. */
  const reasons = new Map<string, number>();

  async function up(nc: NatsConnection, manager: JetStreamManager): Promise<void> {
    const mine: Session = {
      nc,
      js: manager.jetstream(),
      manager,
      inbox: () => createInbox(settings.inboxPrefix),
    };
    session = mine;
    const found = await unfitness(mine);
    // Lost again meanwhile: whoever comes next tells.
    if (session !== mine) return;
    reasons.clear();
    troubles.clear();
    troubles.set('unfit', found);
    tried.resolve();
    for (const listener of [...listeners]) listener(mine);
  }
  function down(reason?: string): void {
    session = undefined;
    const now = performance.now();
    if (reason !== undefined) reasons.set(reason, now);
    for (const [old, metAt] of reasons) if (now - metAt > REASON_KEPT) reasons.delete(old);
    // That one of several servers is away matters less than why another would not have us.
    const telling = [...reasons.keys()].filter((one) => !one.startsWith(BARE));
    const known = (telling.length > 0 ? telling : [...reasons.keys()]).sort().join('; ');
    troubles.set('away', known || `the connection to NATS at ${bareUrl(settings.url)} was lost, and is tried again`);
    tried.resolve();
  }

  function onError(error: Error): void {
    if (session === undefined) return down(connecting(error, settings.url));
    const violation = permissionViolation(error);
    if (violation === undefined) return log.warn({ error: messageOf(error) }, 'NATS reports an error');
    // Who makes a request is told himself; of what needs no answer this is the only word.
    const isRequest = violation.subject.startsWith('$JS.API.') && !violation.subject.includes('.MSG.NEXT.');
    if (!isRequest) troubles.met(`permission ${patternOf(violation.subject)}`, notPermitted(error));
  }

  async function serve(nc: NatsConnection): Promise<void> {
    const manager = await jetstreamManager(nc, { checkAPI: false, timeout: REQUEST_TIMEOUT });
    const examine = setInterval(() => {
      const looked = session;
      if (looked === undefined) return;
      void unfitness(looked).then((found) => {
        if (session === looked) troubles.set('unfit', found);
      });
    }, EXAMINE_EVERY);
    const states = nc.status();
    void up(nc, manager);
    // Ends when the connection does.
    for await (const state of states) {
      if (state.type === 'disconnect') down();
      else if (state.type === 'error') onError(state.error);
    }
    clearInterval(examine);
  }

  async function run(): Promise<void> {
    while (!closing.signal.aborted) {
      try {
        const nc = await connect(optionsOf(settings));
        const end = (): void => void nc.close();
        closing.signal.addEventListener('abort', end);
        if (closing.signal.aborted) end();
        await serve(nc);
        const error = await nc.closed();
        closing.signal.removeEventListener('abort', end);
        // One that was refused says so; anything else is shown by the next attempt.
        down(error instanceof errors.AuthorizationError ? connecting(error, settings.url) : undefined);
      } catch (error) {
        down(connecting(error, settings.url));
      }
      await sleep(RETRY, undefined, { signal: closing.signal }).catch(() => undefined);
    }
  }

  const running = run();
  await tried.promise;

  return {
    // Nothing is done with a server that may not know what we rely on.
    session: () => (session === undefined || tooOld(versionOf(session)) ? undefined : session),
    troubles,
    onConnect(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async close() {
      troubles.stop();
      const nc = session?.nc;
      // From here on nobody begins anything on it.
      session = undefined;
      // What was published, acks above all, shall arrive; but a frozen server must not hold the process back.
      if (nc !== undefined)
        await Promise.race([nc.drain().catch(() => undefined), sleep(REQUEST_TIMEOUT, undefined, { ref: false })]);
      closing.abort();
      // An attempt to connect cannot be called off; it ends by itself.
      await Promise.race([running, sleep(REQUEST_TIMEOUT, undefined, { ref: false })]);
    },
  };
}
