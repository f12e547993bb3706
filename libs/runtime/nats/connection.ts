/**
 * One connection that never gives up: a server that is away, too old, without JetStream, or that refuses the credentials is a
 * problem in words, looked at again until it is mended (W7).
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type JetStreamClient, jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import {
  type Authenticator,
  connect,
  credsAuthenticator,
  errors,
  type NatsConnection,
  type NodeConnectionOptions,
  usernamePasswordAuthenticator,
} from '@nats-io/transport-node';
import type { Logger } from 'pino';
import { messageOf } from './errors.ts';

export interface NatsSettings {
  /** `nats://host:4222`, several divided by commas. */
  url: string;
  /** Shown by the server among its connections. */
  name: string;
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
}

export interface Connection {
  /** Undefined while there is none, and when it is being closed. The client would keep messages for later; ours would be stale by then. */
  session(): Session | undefined;
  /** Why nothing works now, for /readyz. */
  problem(): string | undefined;
  /** At every connect, the first one too if it comes after connectBus has returned. */
  onConnect(listener: (session: Session) => void): () => void;
  close(): Promise<void>;
}

export const REQUEST_TIMEOUT = 2000;
const RETRY = 500;
const EXAMINE_EVERY = 2000;
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

function authenticators(settings: NatsSettings): Authenticator[] {
  const { credsFile, user, passwordFile } = settings;
  const list: Authenticator[] = [];
  if (credsFile !== undefined) list.push((nonce) => credsAuthenticator(readFileSync(credsFile))(nonce));
  if (user !== undefined)
    list.push((nonce) =>
      usernamePasswordAuthenticator(
        user,
        passwordFile === undefined ? undefined : readFileSync(passwordFile, 'utf8').trim(),
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
    authenticator: authenticators(settings),
    ...(Object.keys(tls).length > 0 && { tls }),
    maxReconnectAttempts: -1,
    // Credentials may be mended at either end.
    ignoreAuthErrorAbort: true,
    reconnectTimeWait: RETRY,
    // A server that is frozen says nothing: noticed after two pings without an answer.
    pingInterval: 2000,
    maxPingOut: 2,
    timeout: 5000,
  };
}

function inWords(error: unknown): string {
  if (error instanceof errors.AuthorizationError || error instanceof errors.UserAuthenticationExpiredError)
    return 'the NATS server refuses the credentials';
  return `cannot connect to NATS: ${messageOf(error)}`;
}

/** What a server that answers lacks, or nothing. */
async function unfitness({ nc, manager }: Session): Promise<string | undefined> {
  const version = nc.info?.version ?? '';
  if (tooOld(version)) return `nats-server ${version} is too old: ${OLDEST_SERVER.join('.')} or newer is needed`;
  try {
    await manager.getAccountInfo();
    return undefined;
  } catch (error) {
    const isOff = error instanceof Error && error.name === 'JetStreamNotEnabled';
    return isOff
      ? 'JetStream is not enabled on the NATS server, or not for this account'
      : `JetStream does not answer: ${messageOf(error)}`;
  }
}

/** Resolves after the first attempt, whichever way it ended; goes on until closed. */
export async function keepConnected(settings: NatsSettings, log: Logger): Promise<Connection> {
  const listeners = new Set<(session: Session) => void>();
  const closing = new AbortController();
  const tried = Promise.withResolvers<void>();
  let session: Session | undefined;
  let away: string | undefined = 'not connected to NATS yet';
  let unfit: string | undefined;
  let told: string | undefined;
  let leaving = false;

  const tell = (): void => {
    const problem = away ?? unfit;
    if (problem === told && told !== undefined) return;
    told = problem;
    if (leaving) return;
    if (problem === undefined) log.info({ version: session?.nc.info?.version }, 'NATS is ready');
    else log.warn({ problem }, 'NATS is not ready');
  };

  async function up(nc: NatsConnection, manager: JetStreamManager): Promise<void> {
    const mine: Session = { nc, js: manager.jetstream(), manager };
    session = mine;
    const found = await unfitness(mine);
    // Lost again meanwhile: whoever comes next tells.
    if (session !== mine) return;
    away = undefined;
    unfit = found;
    tell();
    tried.resolve();
    for (const listener of [...listeners]) listener(mine);
  }
  function down(problem: string): void {
    session = undefined;
    away = problem;
    unfit = undefined;
    tell();
    tried.resolve();
  }

  async function serve(nc: NatsConnection): Promise<void> {
    const manager = await jetstreamManager(nc, { checkAPI: false, timeout: REQUEST_TIMEOUT });
    const examine = setInterval(() => {
      const looked = session;
      if (looked === undefined) return;
      void unfitness(looked).then((found) => {
        if (session !== looked || found === unfit) return;
        unfit = found;
        tell();
      });
    }, EXAMINE_EVERY);
    const states = nc.status();
    let reported: string | undefined;
    void up(nc, manager);
    // Ends when the connection is closed for good: by us, or because the credentials could not be read.
    for await (const state of states) {
      if (state.type === 'reconnect') void up(nc, manager);
      else if (state.type === 'disconnect' && session !== undefined) down('the connection to NATS was lost');
      else if (state.type === 'error' && session === undefined) down(inWords(state.error));
      else if (state.type === 'error' && reported !== messageOf(state.error)) {
        // A permission that is missing is reported at every attempt.
        reported = messageOf(state.error);
        log.warn({ error: reported }, 'NATS reports an error');
      }
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
        down(error === undefined || error === null ? 'the connection to NATS was closed' : inWords(error));
      } catch (error) {
        down(inWords(error));
      }
      await sleep(RETRY, undefined, { signal: closing.signal }).catch(() => undefined);
    }
  }

  const running = run();
  await tried.promise;

  return {
    session: () => session,
    problem: () => away ?? unfit,
    onConnect(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async close() {
      leaving = true;
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
