/** For a provider that says "slow down" without saying for how long: doubled until something is delivered. */
const FIRST_PAUSE_MS = 1000;
const LONGEST_UNASKED_PAUSE_MS = 60_000;

/** The time for which a provider wants to be left alone. Time comes in with every call. */
export class Pause {
  #untilMs = 0;
  #nextUnaskedMs = FIRST_PAUSE_MS;

  /** A pause never lasts longer than `maxMs`, whatever the provider says. */
  constructor(private readonly maxMs: number) {}

  /** Unix milliseconds; null when there is none. */
  untilMs(nowMs: number): number | null {
    // No pause is longer than the longest: then the clock was put back.
    return nowMs < this.#untilMs && this.#untilMs - nowMs <= this.maxMs ? this.#untilMs : null;
  }

  /** The provider wants a pause; `afterMs` is null where it does not say for how long. */
  ask(nowMs: number, afterMs: number | null): void {
    const current = this.untilMs(nowMs);
    // One pause for all that were in flight together.
    if (afterMs === null && current !== null) return;
    const asked = nowMs + Math.min(Math.max(afterMs ?? this.#nextUnaskedMs, 0), this.maxMs);
    this.#untilMs = Math.max(current ?? 0, asked);
    if (afterMs === null) this.#nextUnaskedMs = Math.min(this.#nextUnaskedMs * 2, LONGEST_UNASKED_PAUSE_MS);
  }

  /** Something was delivered: the next pause without a length is a short one again. */
  delivered(): void {
    this.#nextUnaskedMs = FIRST_PAUSE_MS;
  }
}
