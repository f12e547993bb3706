/** What has to be undone, in the reverse order in which it was done. */
export class Cleanup {
  readonly #steps: (() => unknown)[] = [];
  #running: Promise<void> | undefined;

  /** Of a cleanup that has begun the step is done at once: what was started late must not outlive it. */
  add(step: () => unknown): void {
    if (this.#running === undefined) this.#steps.push(step);
    else void this.#do(step);
  }

  /** Every step, whatever the others do; the same promise for every caller. */
  run(): Promise<void> {
    this.#running ??= (async () => {
      for (const step of this.#steps.reverse()) await this.#do(step);
    })();
    return this.#running;
  }

  async #do(step: () => unknown): Promise<void> {
    try {
      await step();
    } catch (error) {
      process.stderr.write(`while cleaning up: ${(error as Error).message}\n`);
    }
  }
}
