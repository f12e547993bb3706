/**
 * Virtual time for several processes in one. Everything that happens (an answer arrives, a timer ends, a message is delivered) is an
 * event with a time; between two events the promises of the process that had its turn run until they wait for the next event. So
 * whatever a process does between two awaits is one turn, and at every turn it may stand still or die.
 *
 * The code under test is not changed for this: while a schedule runs, `performance.now`, `Date.now`, `setTimeout` and their like are
 * those of the process whose turn it is.
 */

/** One process: clocks of its own, and a life that ends or halts. */
export class Process {
  readonly name: string;
  alive = true;
  /** Virtual milliseconds; what falls due before waits until then. */
  frozenUntil = 0;
  /** Milliseconds that its monotonic clock is ahead of the virtual time; only durations on it mean anything. */
  readonly monotonicOffset: number;
  /** How fast its monotonic clock, and with it its timers, runs. */
  readonly rate: number;
  /** Milliseconds that its wall clock is wrong by. */
  readonly wallSkew: number;

  constructor(name: string, { monotonicOffset = 0, rate = 1, wallSkew = 0 } = {}) {
    this.name = name;
    this.monotonicOffset = monotonicOffset;
    this.rate = rate;
    this.wallSkew = wallSkew;
  }
}

interface Event {
  time: number;
  /** Orders events of one time as they were made. */
  sequence: number;
  run: () => void;
  /** Undefined: it happens outside of all processes (in the API server, NATS, the fleet). */
  process: Process | undefined;
  cancelled: boolean;
}

export interface Scheduled {
  cancel(): void;
}

/** What the virtual time 0 is on a right wall clock; milliseconds since 1970. */
export const EPOCH = Date.parse('2026-11-23T12:00:00Z');

const realSetImmediate = setImmediate;
const RealDate = Date;
/** All that promises have to do is done when the next macro task begins. */
const promisesSettled = (): Promise<void> => new Promise((resolve) => void realSetImmediate(resolve));

export class EventLoop {
  /** Virtual milliseconds. */
  time = 0;
  turns = 0;
  /** Asked before each turn of a process; it may freeze or kill it. */
  beforeTurn: (process: Process) => void = () => {};
  #queue: Event[] = [];
  #sequence = 0;
  #current: Process | undefined;

  /** `delay` in milliseconds from now. */
  after(delay: number, run: () => void, process?: Process): Scheduled {
    const event = {
      time: this.time + Math.max(0, delay),
      sequence: (this.#sequence += 1),
      run,
      process,
      cancelled: false,
    };
    this.#push(event);
    return { cancel: () => void (event.cancelled = true) };
  }

  /** `performance.now()` of a process. */
  monotonicOf(process: Process): number {
    return this.time * process.rate + process.monotonicOffset;
  }

  /** Runs what falls due while `goOn` says so. */
  async run(goOn: () => boolean): Promise<void> {
    const restore = this.#takeOverGlobals();
    try {
      while (this.#queue.length > 0 && goOn()) {
        const event = this.#pop();
        if (event.cancelled) continue;
        this.time = Math.max(this.time, event.time);
        const { process } = event;
        if (process === undefined) {
          event.run();
          continue;
        }
        if (!process.alive || this.#waits(event, process)) continue;
        this.beforeTurn(process);
        if (!process.alive || this.#waits(event, process)) continue;
        this.turns += 1;
        this.#current = process;
        try {
          event.run();
          await promisesSettled();
        } finally {
          this.#current = undefined;
        }
      }
    } finally {
      restore();
    }
  }

  #waits(event: Event, process: Process): boolean {
    if (process.frozenUntil <= this.time) return false;
    event.time = process.frozenUntil;
    this.#push(event);
    return true;
  }

  #takeOverGlobals(): () => void {
    const running = (): Process => {
      if (this.#current === undefined) throw new Error('a clock or timer was asked for outside of any process');
      return this.#current;
    };
    const timer = (run: () => void, delay: number) => {
      const process = running();
      const handle: Scheduled & { ref(): unknown; unref(): unknown } = {
        ...this.after(delay / process.rate, run, process),
        ref: () => handle,
        unref: () => handle,
      };
      return handle;
    };
    const clear = (handle: Scheduled | undefined | null): void => handle?.cancel();
    const wall = (): number =>
      this.#current === undefined ? RealDate.now() : Math.floor(EPOCH + this.time + this.#current.wallSkew);
    class VirtualDate extends RealDate {
      constructor(...given: [] | [number | string | Date]) {
        super(...((given.length === 0 ? [wall()] : given) as [number]));
      }
      static override now = wall;
    }
    const replaced: Record<string, unknown> = {
      Date: VirtualDate,
      performance: { now: () => this.monotonicOf(running()) },
      setTimeout: (run: (...given: unknown[]) => void, delay = 0, ...given: unknown[]) =>
        timer(() => run(...given), Math.max(1, delay)),
      clearTimeout: clear,
      setInterval: (run: () => void, period: number) => {
        let next: Scheduled;
        const again = (): void => {
          next = timer(() => {
            again();
            run();
          }, period);
        };
        again();
        return { cancel: () => next.cancel(), ref: () => {}, unref: () => {} };
      },
      clearInterval: clear,
    };
    const before = Object.keys(replaced).map(
      (name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)!] as const,
    );
    for (const [name, value] of Object.entries(replaced))
      Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    return () => {
      for (const [name, descriptor] of before) Object.defineProperty(globalThis, name, descriptor);
    };
  }

  // A binary heap by time, then by sequence.
  #push(event: Event): void {
    const queue = this.#queue;
    let at = queue.length;
    queue.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isEarlier(event, queue[parent]!)) break;
      queue[at] = queue[parent]!;
      at = parent;
    }
    queue[at] = event;
  }
  #pop(): Event {
    const queue = this.#queue;
    const first = queue[0]!;
    const last = queue.pop()!;
    if (queue.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= queue.length) break;
      if (child + 1 < queue.length && isEarlier(queue[child + 1]!, queue[child]!)) child += 1;
      if (!isEarlier(queue[child]!, last)) break;
      queue[at] = queue[child]!;
      at = child;
    }
    queue[at] = last;
    return first;
  }
}

const isEarlier = (one: Event, other: Event): boolean =>
  one.time < other.time || (one.time === other.time && one.sequence < other.sequence);
