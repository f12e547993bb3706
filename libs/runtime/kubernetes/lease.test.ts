import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { ApiError, type ApiServer } from './api-server.ts';
import { createLogger } from '../logs.ts';
import { electLeader, type Election } from './lease.ts';

const silent = createLogger('test', 'silent');

type Spec = { holderIdentity?: string; renewTime?: string; leaseTransitions?: number };
type Stored = { metadata: { resourceVersion: string }; spec: Spec };

/** One Lease on an API server that may be away, slow, or lose its answers. */
function fakeLease() {
  const lease = {
    stored: undefined as Stored | undefined,
    version: 0,
    away: false,
    /** Writes take effect and the answer is lost. */
    deaf: false,
    /** The answer to every write. */
    refuses: undefined as ApiError | undefined,
    /** Milliseconds before anything is answered. */
    slow: 0,
    requests: 0,
  };
  const put = (spec: Spec): Stored =>
    (lease.stored = { metadata: { resourceVersion: String(++lease.version) }, spec: { ...spec } });
  const api = {
    async request(method: string, _path: string, { body }: { body: Stored }) {
      lease.requests++;
      await Promise.resolve();
      if (lease.slow > 0) await new Promise((resolve) => setTimeout(resolve, lease.slow));
      if (lease.away) throw new ApiError(0, 'ECONNREFUSED', 'no answer');
      if (lease.refuses !== undefined) throw lease.refuses;
      if (method === 'POST' && lease.stored !== undefined) throw new ApiError(409, 'AlreadyExists', 'exists');
      if (method === 'PUT' && body.metadata.resourceVersion !== lease.stored?.metadata.resourceVersion)
        throw new ApiError(409, 'Conflict', 'conflict');
      const written = put(body.spec);
      if (lease.deaf) throw new ApiError(0, 'Timeout', 'no answer');
      return structuredClone(written);
    },
    async find() {
      lease.requests++;
      await Promise.resolve();
      if (lease.slow > 0) await new Promise((resolve) => setTimeout(resolve, lease.slow));
      if (lease.away) throw new ApiError(0, 'ECONNREFUSED', 'no answer');
      return structuredClone(lease.stored);
    },
  } as unknown as ApiServer;
  return Object.assign(lease, { api, put });
}

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());
const pass = (seconds: number) => jest.advanceTimersByTimeAsync(seconds * 1000);

function candidate(lease: ReturnType<typeof fakeLease>, identity: string, durationSeconds = 15) {
  const clock = { jump: 0 };
  let dead = false;
  /** Nothing that the dead ask for arrives. */
  const api = new Proxy(lease.api, {
    get: (target, name) =>
      dead ? () => Promise.reject(new ApiError(0, 'Timeout', 'no answer')) : Reflect.get(target, name),
  });
  const seen = { elected: 0, lost: 0, signal: undefined as AbortSignal | undefined };
  const election: Election = electLeader(
    { api, log: silent },
    { namespace: 'n', name: 'l', identity, durationSeconds },
    {
      elected: (signal) => ((seen.elected += 1), (seen.signal = signal)),
      lost: () => void (seen.lost += 1),
    },
    silent,
    () => performance.now() + clock.jump,
  );
  return { seen, election, clock, leads: () => election.isLeader(), die: () => void (dead = true) };
}

describe('Leader', () => {
  test('the first one takes the lease, keeps it by renewing, and the other only looks', async () => {
    const lease = fakeLease();
    const a = candidate(lease, 'a');
    await pass(0);
    const b = candidate(lease, 'b');
    await pass(120);
    expect([a.leads(), b.leads()]).toEqual([true, false]);
    expect([a.seen.elected, a.seen.lost]).toEqual([1, 0]);
    expect(lease.stored?.spec).toMatchObject({ holderIdentity: 'a', leaseTransitions: 0 });
    await Promise.all([a.election.stop(), b.election.stop()]);
  });

  test('of many that start at once exactly one leads', async () => {
    const lease = fakeLease();
    const all = ['a', 'b', 'c', 'd', 'e'].map((name) => candidate(lease, name));
    await pass(1);
    expect(all.filter(({ leads }) => leads())).toHaveLength(1);
    await Promise.all(all.map(({ election }) => election.stop()));
  });

  test('one that dies is followed within the lease and one second', async () => {
    const lease = fakeLease();
    // A leader that never renews: the record stays as it is from now on.
    lease.put({ holderIdentity: 'dead', renewTime: '2020-01-01T00:00:00.000000Z' });
    lease.stored = { ...(lease.stored as Stored), spec: { ...lease.stored?.spec, leaseDurationSeconds: 15 } as Spec };
    const b = candidate(lease, 'b');
    await pass(14.9);
    expect(b.leads()).toBe(false);
    await pass(1.1);
    expect(b.leads()).toBe(true);
    expect(lease.stored.spec.leaseTransitions).toBe(1);
    await b.election.stop();
  });

  test('one that cannot renew stops before the lease runs out, and comes back by itself', async () => {
    const lease = fakeLease();
    const a = candidate(lease, 'a');
    await pass(3);
    lease.away = true;
    await pass(9.9 - 3);
    const { signal } = a.seen;
    expect(signal?.aborted).toBe(false);
    await pass(5.1);
    expect(signal?.aborted).toBe(true);
    expect([a.leads(), a.seen.lost]).toEqual([false, 1]);
    lease.away = false;
    await pass(2);
    expect([a.leads(), a.seen.elected]).toEqual([true, 2]);
    await a.election.stop();
  });

  test('one that is cut off has stopped before another starts', async () => {
    const lease = fakeLease();
    const a = candidate(lease, 'a');
    await pass(1);
    const b = candidate(lease, 'b');
    await pass(1);
    const request = lease.api.request;
    // Only a is cut off.
    jest
      .spyOn(lease.api, 'request')
      .mockImplementation(((method: string, path: string, options: { body: Stored }) =>
        options.body.spec.holderIdentity === 'a'
          ? Promise.reject(new ApiError(0, 'Timeout', 'no answer'))
          : request(method, path, options)) as typeof request);
    let together = 0;
    let none = 0;
    for (let tenth = 0; tenth < 300; tenth++) {
      await pass(0.1);
      if (a.leads() && b.leads()) together++;
      if (!a.leads() && !b.leads()) none++;
    }
    expect(together).toBe(0);
    expect(none).toBeGreaterThan(0);
    expect([a.leads(), b.leads()]).toEqual([false, true]);
    await Promise.all([a.election.stop(), b.election.stop()]);
  });

  test('one that was frozen knows at its first question that its time is over', async () => {
    const lease = fakeLease();
    const a = candidate(lease, 'a');
    await pass(1);
    expect(a.leads()).toBe(true);
    // Frozen: the clock goes on, no timer of ours fires.
    a.clock.jump = 11_000;
    expect(a.leads()).toBe(false);
    expect([a.seen.signal?.aborted, a.seen.lost]).toEqual([true, 1]);
    await a.election.stop();
  });

  test('a frozen candidate looks again before it takes over', async () => {
    const lease = fakeLease();
    const a = candidate(lease, 'a');
    await pass(1);
    const b = candidate(lease, 'b');
    await pass(1);
    // The other renewed meanwhile.
    lease.put({ ...lease.stored?.spec, renewTime: 'a minute later' });
    b.clock.jump = 60_000;
    await pass(3);
    expect([a.leads(), b.leads()]).toEqual([true, false]);
    await Promise.all([a.election.stop(), b.election.stop()]);
  });

  test('the wall clock does not matter', async () => {
    const lease = fakeLease();
    const a = candidate(lease, 'a');
    await pass(1);
    const b = candidate(lease, 'b');
    await pass(5);
    for (const hours of [-48, 48]) {
      jest.setSystemTime(Date.now() + hours * 3_600_000);
      await pass(5);
      expect([a.leads(), b.leads()]).toEqual([true, false]);
    }
    await Promise.all([a.election.stop(), b.election.stop()]);
  });

  test('a renewal whose answer was lost does not confuse it', async () => {
    const lease = fakeLease();
    const a = candidate(lease, 'a');
    await pass(1);
    lease.deaf = true;
    await pass(3);
    lease.deaf = false;
    await pass(30);
    expect([a.leads(), a.seen.lost]).toEqual([true, 0]);
    await a.election.stop();
  });

  test.each([3, 15, 60, 3600])('one that dies is followed within the lease of %i s and one second', async (seconds) => {
    const lease = fakeLease();
    const a = candidate(lease, 'a', seconds);
    await pass(1);
    const b = candidate(lease, 'b', seconds);
    // Until just after a renewal.
    const { version } = lease;
    while (lease.version === version) await pass(0.01);
    a.die();
    await pass(seconds - 0.1);
    expect(b.leads()).toBe(false);
    await pass(1.1);
    expect(b.leads()).toBe(true);
    await Promise.all([a.election.stop(), b.election.stop()]);
  });

  test('a lease that was deleted by hand does not make two leaders: the one has it back, the other waits as if it stood', async () => {
    const lease = fakeLease();
    const a = candidate(lease, 'a');
    await pass(1);
    const b = candidate(lease, 'b');
    await pass(1);
    lease.stored = undefined;
    for (let tenth = 0; tenth < 50; tenth++) {
      await pass(0.1);
      expect([a.leads(), b.leads()]).toEqual([true, false]);
    }
    expect(lease.stored).toMatchObject({ spec: { holderIdentity: 'a' } });
    // And where the leader is dead, it is followed all the same.
    a.die();
    await pass(1);
    lease.stored = undefined;
    await pass(16);
    expect(b.leads()).toBe(true);
    await Promise.all([a.election.stop(), b.election.stop()]);
  });

  test('the mandate: what it sends may leave until it has to stop; it moves with each renewal, and is over with the lease', async () => {
    const lease = fakeLease();
    const a = candidate(lease, 'a');
    const { mandate } = a.election;
    expect(mandate.at).toBe(-Infinity);
    await pass(1);
    const first = mandate.at;
    expect(first - performance.now()).toBeGreaterThan(8_000);
    await pass(4);
    expect(mandate.at).toBeGreaterThan(first + 1_900);
    lease.put({ holderIdentity: 'thief', renewTime: 'now' });
    await pass(2.1);
    expect(mandate.at).toBe(-Infinity);
    await a.election.stop();
  });

  test.each([409, 429, 500])(
    'renewals that are answered with %i for less than the lease do not end it',
    async (status) => {
      const lease = fakeLease();
      const a = candidate(lease, 'a');
      await pass(1);
      const b = candidate(lease, 'b');
      await pass(1);
      lease.refuses = new ApiError(status, 'Refused', 'refused', 30);
      const { requests } = lease;
      await pass(6);
      // Neither given up nor asked without a pause.
      expect(lease.requests - requests).toBeLessThan(40);
      lease.refuses = undefined;
      await pass(30);
      expect([a.leads(), a.seen.lost, b.seen.elected]).toEqual([true, 0, 0]);
      await Promise.all([a.election.stop(), b.election.stop()]);
    },
  );

  test('renewals that each take three seconds do not end it', async () => {
    const lease = fakeLease();
    const a = candidate(lease, 'a');
    await pass(1);
    lease.slow = 3_000;
    await pass(120);
    expect([a.leads(), a.seen.lost]).toEqual([true, 0]);
    lease.slow = 0;
    await pass(5);
    await a.election.stop();
  });

  test('one whose lease was taken stops at once', async () => {
    const lease = fakeLease();
    const a = candidate(lease, 'a');
    await pass(1);
    lease.put({ holderIdentity: 'thief', renewTime: 'now' });
    await pass(2.1);
    expect([a.leads(), a.seen.lost]).toEqual([false, 1]);
    await a.election.stop();
    expect(lease.stored?.spec.holderIdentity).toBe('thief');
  });

  test('stop leads no more, gives the lease back, and the next need not wait', async () => {
    const lease = fakeLease();
    const a = candidate(lease, 'a');
    await pass(1);
    const b = candidate(lease, 'b');
    await pass(1);
    const stopped = a.election.stop();
    expect([a.leads(), a.seen.signal?.aborted]).toEqual([false, true]);
    await pass(0);
    await stopped;
    expect(lease.stored?.spec.holderIdentity).toBe('');
    await pass(1);
    expect(b.leads()).toBe(true);
    await b.election.stop();
  });

  test('listeners that throw end nothing', async () => {
    const lease = fakeLease();
    const election = electLeader(
      { api: lease.api, log: silent },
      { namespace: 'n', name: 'l', identity: 'a' },
      {
        elected() {
          throw new Error('elected');
        },
        lost() {
          throw new Error('lost');
        },
      },
    );
    await pass(60);
    expect(election.isLeader()).toBe(true);
    await election.stop();
  });

  test('at rest it costs one request in two seconds', async () => {
    const lease = fakeLease();
    const a = candidate(lease, 'a');
    await pass(1);
    lease.requests = 0;
    await pass(60);
    expect(lease.requests).toBeLessThanOrEqual(31);
    await a.election.stop();
  });
});
