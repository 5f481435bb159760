/**
 * A time limit on a remote. When it is due, the event loop first reads what is already waiting: after a stall of our
 * own the answer may be there, and the remote is not to blame.
 */
export class PatientTimer {
  #timer: NodeJS.Timeout | null = null;
  #immediate: NodeJS.Immediate | null = null;
  #dueAtMs = Infinity;

  get isRunning(): boolean {
    return this.#timer !== null;
  }

  /** Replaces what was running. */
  start(delayMs: number, onDue: () => void): void {
    this.clear();
    this.#dueAtMs = performance.now() + delayMs;
    this.#timer = setTimeout(() => {
      this.#immediate = setImmediate(() => {
        this.clear();
        onDue();
      });
    }, delayMs);
  }

  /** Only ever brings the moment forward. */
  startIfSooner(delayMs: number, onDue: () => void): void {
    if (performance.now() + delayMs < this.#dueAtMs) this.start(delayMs, onDue);
  }

  clear(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#immediate !== null) clearImmediate(this.#immediate);
    this.#timer = null;
    this.#immediate = null;
    this.#dueAtMs = Infinity;
  }
}
