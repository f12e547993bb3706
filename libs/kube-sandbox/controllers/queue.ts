/** Work by key: a key is worked on once at a time, asked for again meanwhile it runs once more, and after an error later. */

const FIRST_RETRY_MS = 50;
const LONGEST_RETRY_MS = 5_000;

export class Queue {
  readonly #work: (key: string) => Promise<void>;
  readonly #parallel: number;
  readonly #waiting = new Set<string>();
  readonly #running = new Set<string>();
  readonly #failures = new Map<string, number>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #stopped = false;

  readonly #onError: (key: string, error: unknown) => void;

  constructor(
    work: (key: string) => Promise<void>,
    { parallel, onError }: { parallel: number; onError: (key: string, error: unknown) => void },
  ) {
    this.#work = work;
    this.#onError = onError;
    this.#parallel = parallel;
  }

  add(key: string): void {
    this.#waiting.add(key);
    this.#next();
  }

  addLater(key: string, milliseconds: number): void {
    if (this.#stopped) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.add(key);
    }, milliseconds);
    this.#timers.add(timer);
  }

  stop(): void {
    this.#stopped = true;
    this.#waiting.clear();
    for (const timer of this.#timers) clearTimeout(timer);
  }

  #next(): void {
    if (this.#stopped) return;
    for (const key of this.#waiting) {
      if (this.#running.size >= this.#parallel) return;
      if (this.#running.has(key)) continue;
      this.#waiting.delete(key);
      this.#running.add(key);
      void this.#run(key);
    }
  }

  async #run(key: string): Promise<void> {
    try {
      await this.#work(key);
      this.#failures.delete(key);
    } catch (error) {
      // Conflicts and a server that is away are the daily case; the state is read again at the next try.
      if (!this.#stopped) this.#onError(key, error);
      const failures = (this.#failures.get(key) ?? 0) + 1;
      this.#failures.set(key, failures);
      this.addLater(key, Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** (failures - 1)));
    }
    this.#running.delete(key);
    this.#next();
  }
}
