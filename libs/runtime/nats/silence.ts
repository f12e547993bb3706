/**
 * JetStream sends heartbeats while there is nothing to deliver. When they stay away, the stream or the consumer is gone, and
 * nothing else says so: it may have been deleted and made anew.
 */
export class SilenceWatch {
  readonly #limit: number;
  #heardAt = performance.now();
  #suspected = false;

  constructor(heartbeat: number) {
    this.#limit = 2 * heartbeat + 100;
  }

  heard(): void {
    this.#heardAt = performance.now();
    this.#suspected = false;
  }

  /**
   * To be asked at intervals: true at the second time in a row. A process that was frozen sees its own timers first and then
   * what waits on the socket; so the first look only suspects.
   */
  tooLong(): boolean {
    if (performance.now() - this.#heardAt < this.#limit) return false;
    if (this.#suspected) return true;
    this.#suspected = true;
    return false;
  }
}
