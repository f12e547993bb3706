/** Requests between processes and servers, and everything that may become of them on the way. */
import type { EventLoop, Process } from './event-loop.ts';
import type { Random } from '@kubervisor/testing/random';

/** How bad a schedule is. Shares of all cases; 0 in the calm with which each schedule ends. */
export interface Faults {
  /** Of requests, answers and messages that take long instead of milliseconds. */
  slow: number;
  /** … of requests for the lease: where they are slow, somebody else leads every second or so, and little is done. */
  slowLease: number;
  /** Of claims that those who watch them are told of late. */
  slowClaimsWatch: number;
  requestLost: number;
  answerLost: number;
  /** The connection breaks: the client gives up at once, while the request is still on its way. */
  broken: number;
  /** The server answers with an error of its own. */
  refused: number;
  /** Work is delivered so late that its controller is about to give it up. */
  lateWork: number;
  /** Work is delivered a second time, up to 20 s later. */
  duplicated: number;
  /** A process stands still, or dies, at a turn. */
  frozen: number;
  crashed: number;
  /** It stands still just before it sends a write; and for how many milliseconds, at least and at most. */
  frozenBeforeWrite: number;
  standsStill: readonly [number, number];
  /** It stands still while it waits for verdicts. */
  frozenWhileAsking: number;
  /** W8: a process stands still between its last look at the clock and the socket. */
  frozenAtSocket: number;
  detectorFails: number;
  evictionRefused: number;
}

export const CALM: Faults = {
  slow: 0,
  slowLease: 0,
  slowClaimsWatch: 0,
  requestLost: 0,
  answerLost: 0,
  broken: 0,
  refused: 0,
  lateWork: 0,
  duplicated: 0,
  frozen: 0,
  crashed: 0,
  frozenBeforeWrite: 0,
  standsStill: [0, 0],
  frozenWhileAsking: 0,
  frozenAtSocket: 0,
  detectorFails: 0,
  evictionRefused: 0,
};

/** Of interest to who reads a replay; composed only for one. */
export type Trace = (who: string, what: string | (() => string)) => void;

export class Network {
  faults: Faults;
  readonly loop: EventLoop;
  readonly random: Random;
  readonly trace: Trace;

  constructor(loop: EventLoop, random: Random, faults: Faults, trace: Trace) {
    this.loop = loop;
    this.random = random;
    this.faults = faults;
    this.trace = trace;
  }

  /** Milliseconds: mostly few, now and then up to `longest`. */
  lag(longest: number, slow = this.faults.slow): number {
    return this.random.chance(slow) ? this.random.between(10, longest) : this.random.between(0.2, 12);
  }

  /**
   * A request of the process whose turn it is. `serve` happens in the server, at the moment the request gets there, if it does; it
   * answers, or throws what the client is to throw. `longest`: how late it may get there. `timedOut`, `broken`: what the client
   * throws when it gives up, after `timeout` or at once.
   */
  request<T>(
    process: Process,
    {
      timeout,
      longest,
      slow,
      timedOut,
      broken,
    }: { timeout: number; longest: number; slow?: number | undefined; timedOut: () => Error; broken: () => Error },
    serve: () => T,
  ): Promise<T> {
    const { loop, random, faults } = this;
    return new Promise<T>((resolve, reject) => {
      const late = loop.after(timeout, () => reject(timedOut()), process);
      const isBroken = random.chance(faults.broken);
      if (isBroken) loop.after(this.lag(timeout), () => (late.cancel(), reject(broken())), process);
      if (random.chance(faults.requestLost)) return;
      // What its client has given up may be under way for long.
      loop.after(isBroken ? random.between(0, longest) : this.lag(longest, slow), () => {
        let answer: () => void;
        try {
          const value = serve();
          answer = () => resolve(value);
        } catch (error) {
          answer = () => reject(error as Error);
        }
        if (isBroken || random.chance(this.faults.answerLost)) return;
        loop.after(this.lag(1500, slow), () => (late.cancel(), answer()), process);
      });
    });
  }
}
