/** A timer may run longer than this only in pieces; also a clock that is put forward is noticed by then. */
const LONGEST_MS = 60_000;

/** One timer for whatever comes next; by the given clock's time, which may differ from the timer's. */
export class WakeTimer {
  #timer: NodeJS.Timeout | null = null;
  #atMs = Infinity;
  #isStopped = false;

  constructor(private readonly onWake: () => void) {}

  /** Wakes at this time at the latest (Unix milliseconds), perhaps earlier; null: nothing is waited for. */
  set(atMs: number | null, nowMs: number): void {
    if (this.#isStopped || atMs === null || atMs >= this.#atMs) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#atMs = atMs;
    this.#timer = setTimeout(
      () => {
        this.#timer = null;
        this.#atMs = Infinity;
        this.onWake();
      },
      Math.min(Math.max(atMs - nowMs, 1), LONGEST_MS),
    );
  }

  stop(): void {
    this.#isStopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }
}
