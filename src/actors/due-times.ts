/** Times that are no further apart count as one. */
const GRANULARITY_MS = 50;
/** Kept at most; what is due later than all of these is found at a tick. */
const MAX_TIMES = 512;

/** When something that was put into the outbox falls due: the coming times, the soonest first. Unix milliseconds. */
export class DueTimes {
  /** Ascending; whole steps of `GRANULARITY_MS`. */
  readonly #times: number[] = [];

  get nextMs(): number | null {
    return this.#times[0] ?? null;
  }

  add(dueAtMs: number): void {
    const times = this.#times;
    const time = Math.ceil(dueAtMs / GRANULARITY_MS) * GRANULARITY_MS;
    // Nearly always what comes last is due last, so the place is looked for from the end.
    let at = times.length;
    while (at > 0 && (times[at - 1] ?? 0) > time) at -= 1;
    if (times[at - 1] === time) return;
    times.splice(at, 0, time);
    if (times.length > MAX_TIMES) times.pop();
  }

  /** Forgets the times that have come; whether there were any. */
  takeDue(nowMs: number): boolean {
    const times = this.#times;
    let count = 0;
    while ((times[count] ?? Infinity) <= nowMs) count += 1;
    if (count > 0) times.splice(0, count);
    return count > 0;
  }
}
