/**
 * Leader election by a Lease, as client-go does it. Clocks of two machines are never compared: a candidate counts from its own
 * sight of the last change of the record, the leader from before it sent the renewal that succeeded. The leader stops at two
 * thirds of the lease, the others take over after the whole of it; so there is a gap between two leaders, never an overlap.
 */
import { ApiError, pause, type Deadline } from './api-server.ts';
import type { Kubernetes } from './client.ts';
import { pathIn, type RawObject } from './resources.ts';

export interface LeaseSettings {
  namespace: string;
  /** Name of the Lease. */
  name: string;
  /** Unique to this process, also among restarts of one pod; begins with the pod's name. */
  identity: string;
  /** After so long without a renewal another takes over. Default 15. */
  durationSeconds?: number;
}

export interface LeaseListeners {
  /** The signal is aborted at the moment the lease is lost or given back. */
  elected(signal: AbortSignal): void;
  lost(): void;
}

export interface Election {
  /** True by the clock, not by a flag: a process that was frozen knows at its first question that its time is over. */
  isLeader(): boolean;
  /** Until when what is done as the leader may still leave. It moves with each renewal; over, where this one does not lead. */
  readonly mandate: Deadline;
  /** Stops leading first, then gives the lease back, so that another need not wait for its end. */
  stop(): Promise<void>;
}

export interface LeaseObject extends RawObject {
  spec?: {
    holderIdentity?: string;
    leaseDurationSeconds?: number;
    acquireTime?: string;
    renewTime?: string;
    leaseTransitions?: number;
  };
}

export const LEASES = '/apis/coordination.k8s.io/v1/leases';

/** All in milliseconds. */
export function leaseTimes(durationSeconds: number) {
  const duration = durationSeconds * 1000;
  return {
    duration,
    /** Without a renewal for so long the leader stops. */
    renewDeadline: (duration * 2) / 3,
    renewPeriod: duration / 7.5,
    /** Others look this often. What a renewal is seen late comes on top of the lease before they may take over: hence well under a second. */
    observePeriod: Math.min(duration / 20, 500),
    /** One request; two must fit before the leader has to stop. */
    requestTimeout: Math.floor(Math.min(5_000, duration / 3)),
  };
}

/** `now`: monotonic milliseconds. */
export function electLeader(
  { api, log: parent }: Pick<Kubernetes, 'api' | 'log'>,
  { namespace, name, identity, durationSeconds = 15 }: LeaseSettings,
  on: LeaseListeners,
  log = parent,
  now: () => number = () => performance.now(),
): Election {
  const times = leaseTimes(durationSeconds);
  const path = pathIn(LEASES, namespace, name);
  const stopping = new AbortController();

  /** The Lease as it is, as far as is known; undefined: there is none. */
  let seen: LeaseObject | undefined;
  /**
   * The last record that was seen, and when it was first seen. Where the Lease was deleted since, by hand, whoever held it may not know
   * yet: so it is respected as if it stood.
   */
  let lastRecord: LeaseObject['spec'];
  let changedAt = 0;
  /** Set while leading. `renewedAt` is taken before the request, for the lease runs from then. */
  let term: { end: AbortController; renewedAt: number; timer: NodeJS.Timeout } | undefined;
  let problem = '';

  const observe = (lease: LeaseObject) => {
    if (JSON.stringify(lease.spec) !== JSON.stringify(lastRecord)) changedAt = now();
    seen = lease;
    lastRecord = lease.spec;
  };

  const lose = (why: string) => {
    if (term === undefined) return;
    const { end, timer } = term;
    term = undefined;
    clearTimeout(timer);
    log.warn({ lease: name, why }, 'leading no more');
    end.abort();
    call(() => on.lost());
  };
  const call = (handler: () => void) => {
    try {
      handler();
    } catch (error) {
      log.error({ err: error }, 'a listener of the election threw');
    }
  };
  const isLeader = (): boolean => {
    if (term !== undefined && now() - term.renewedAt >= times.renewDeadline) lose('not renewed in time');
    return term !== undefined;
  };
  const armTimer = (renewedAt: number) =>
    setTimeout(
      () => {
        if (isLeader() && term !== undefined) term.timer = armTimer(term.renewedAt);
      },
      Math.max(1, renewedAt + times.renewDeadline - now()),
    );

  const record = (transitions: number): LeaseObject['spec'] => {
    const time = microTime(new Date());
    return {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(durationSeconds),
      acquireTime: seen?.spec?.holderIdentity === identity ? (seen.spec.acquireTime ?? time) : time,
      renewTime: time,
      leaseTransitions: transitions,
    };
  };

  /** Writes our name onto the Lease as it was last seen; another's write in between is a conflict (409). */
  async function write() {
    const sentAt = now();
    const options = { timeout: times.requestTimeout };
    const transitions = seen?.spec?.leaseTransitions ?? 0;
    if (seen === undefined) {
      const body = {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { namespace, name },
        spec: record(0),
      };
      observe(await api.request<LeaseObject>('POST', pathIn(LEASES, namespace), { body, ...options }));
    } else {
      const body = { ...seen, spec: record(seen.spec?.holderIdentity === identity ? transitions : transitions + 1) };
      observe(await api.request<LeaseObject>('PUT', path, { body, ...options }));
    }
    if (now() - sentAt >= times.renewDeadline) return lose('the renewal took too long');
    if (stopping.signal.aborted) return;
    if (term !== undefined) {
      // A term that ran out while its renewal was under way has ended, though nobody may have asked yet.
      if (!isLeader()) return;
      term.renewedAt = sentAt;
      return;
    }
    const end = new AbortController();
    term = { end, renewedAt: sentAt, timer: armTimer(sentAt) };
    log.info({ lease: name, identity }, 'elected');
    call(() => on.elected(end.signal));
  }

  async function look() {
    const lease = await api.find<LeaseObject>(path, { timeout: times.requestTimeout });
    if (lease === undefined) seen = undefined;
    else observe(lease);
    // One that was deleted is made anew by its holder.
    if (seen !== undefined && seen.spec?.holderIdentity !== identity) lose('another holds the lease');
  }

  /** Until when the record that was last seen is to be respected. */
  const expiresAt = (): number => {
    const { holderIdentity = '', leaseDurationSeconds = durationSeconds } = lastRecord ?? {};
    return holderIdentity === '' || holderIdentity === identity ? 0 : changedAt + leaseDurationSeconds * 1000;
  };

  async function run() {
    let lookFirst = true;
    let conflicted = false;
    while (!stopping.signal.aborted) {
      let wait = times.renewPeriod;
      try {
        if (!isLeader() || lookFirst) await look();
        lookFirst = false;
        if (stopping.signal.aborted) return;
        if (isLeader() || now() >= expiresAt()) await write();
        else wait = Math.min(times.observePeriod, Math.max(1, expiresAt() - now()));
        problem = '';
        conflicted = false;
      } catch (error) {
        if (stopping.signal.aborted) return;
        // Whether that write was made is not known, or somebody else's was: the next try begins with a look.
        lookFirst = true;
        const { status, message } = error instanceof ApiError ? error : { status: 0, message: String(error) };
        // A conflict is cleared up by a look, at once; one that comes again is a server that says so to everything.
        wait = status === 409 && !conflicted ? 1 : times.renewPeriod / 2;
        conflicted = status === 409;
        if (status !== 409 && message !== problem)
          log.warn({ lease: name, message }, 'lease could not be read or written');
        if (status !== 409) problem = message;
      }
      await pause(wait, stopping.signal);
    }
  }
  const running = run();

  return {
    isLeader,
    mandate: {
      get at() {
        return term === undefined ? -Infinity : term.renewedAt + times.renewDeadline;
      },
    },
    async stop() {
      if (stopping.signal.aborted) return void (await running);
      stopping.abort();
      lose('stopping');
      await running;
      if (seen?.spec?.holderIdentity !== identity) return;
      const spec = { ...seen.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: microTime(new Date()) };
      try {
        await api.request('PUT', path, { body: { ...seen, spec }, timeout: times.requestTimeout });
      } catch (error) {
        log.info({ lease: name, message: (error as Error).message }, 'lease could not be given back: it runs out');
      }
    },
  };
}

/** The API takes these times with six digits only. */
const microTime = (time: Date): string => time.toISOString().replace('Z', '000Z');
