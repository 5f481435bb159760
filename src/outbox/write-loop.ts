import { setImmediate as nextTurn } from 'node:timers/promises';

export interface WriteLoopOptions {
  /**
   * From the start of one write to the start of the next, milliseconds, unless a full batch waits: what comes in
   * between shares a statement. The first write after a rest does not wait.
   */
  readonly gatherMs: number;
  /** Wait after a failed write, doubling from the first to the second. */
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
}

export interface WriteLoopWork {
  hasWork(): boolean;
  /** Enough waits for a whole statement. */
  isFull(): boolean;
  /** Writes one batch and commits it. */
  write(): Promise<void>;
  onFailure(error: unknown): void;
  /** Everything is written. */
  onEmpty(): void;
}

/*
 *  resting ──start──► write ──► gathering ──► write ... ──► resting
 *                      ▲  │ failed
 *                      └──┴─ pause, longer each time
 */

/** Group commit: one write at a time, and what arrives during it is the next batch. */
export class WriteLoop {
  #running = false;
  #closed = false;
  readonly #naps = new Set<() => void>();

  constructor(
    private readonly options: WriteLoopOptions,
    private readonly work: WriteLoopWork,
  ) {}

  get isClosed(): boolean {
    return this.#closed;
  }

  /** There is something to write. */
  start(): void {
    if (this.#running || this.#closed) return;
    this.#running = true;
    void this.#run();
  }

  /** Ends the pause of this moment. */
  hurry(): void {
    for (const wake of this.#naps) wake();
  }

  /** No further write. */
  close(): void {
    this.#closed = true;
    this.hurry();
  }

  async #run(): Promise<void> {
    const { gatherMs, retryMinMs, retryMaxMs } = this.options;
    const { work } = this;
    let pauseMs = retryMinMs;
    // A burst of one turn shares its first statement.
    await nextTurn();
    while (work.hasWork() && !this.#closed) {
      const gathered = this.#nap(gatherMs);
      try {
        await work.write();
        pauseMs = retryMinMs;
      } catch (error) {
        work.onFailure(error);
        await this.#nap(pauseMs);
        pauseMs = Math.min(pauseMs * 2, retryMaxMs);
      }
      if (!work.hasWork()) work.onEmpty();
      if (!work.isFull()) await gathered;
    }
    this.#running = false;
  }

  #nap(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#naps.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      this.#naps.add(wake);
    });
  }
}
