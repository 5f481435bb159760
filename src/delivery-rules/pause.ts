/** For a provider that says "slow down" without saying for how long: doubled until something is delivered. */
const FIRST_PAUSE_MS = 1000;
const LONGEST_UNASKED_PAUSE_MS = 60_000;

/** The time for which a provider wants to be left alone. Time comes in with every call. */
export class Pause {
  #untilMs = 0;
  /** The latest time that came in. */
  #seenMs = 0;
  #nextUnaskedMs = FIRST_PAUSE_MS;

  /** A pause never lasts longer than `maxMs`, whatever the provider says. */
  constructor(private readonly maxMs: number) {}

  /** Unix milliseconds; null when there is none. */
  untilMs(nowMs: number): number | null {
    // The clock was put back: what was left of the pause is left of it still, no more and no less.
    if (nowMs < this.#seenMs) this.#untilMs -= this.#seenMs - nowMs;
    this.#seenMs = nowMs;
    return nowMs < this.#untilMs ? this.#untilMs : null;
  }

  /** The provider wants a pause; `afterMs` is null where it does not say for how long. */
  ask(nowMs: number, afterMs: number | null): void {
    const current = this.untilMs(nowMs);
    // One pause for all that were in flight together.
    if (afterMs === null && current !== null) return;
    // The clock cuts off what is less than a millisecond; a pause must not be shorter by it.
    const lengthMs = afterMs === null ? this.#nextUnaskedMs : Math.max(afterMs, 0) + 1;
    const asked = nowMs + Math.min(lengthMs, this.maxMs);
    this.#untilMs = Math.max(current ?? 0, asked);
    if (afterMs === null) this.#nextUnaskedMs = Math.min(this.#nextUnaskedMs * 2, LONGEST_UNASKED_PAUSE_MS);
  }

  /** Something was delivered: the next pause without a length is a short one again. */
  delivered(): void {
    this.#nextUnaskedMs = FIRST_PAUSE_MS;
  }
}
