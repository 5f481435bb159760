const MS_PER_MINUTE = 60_000;

/**
 * So many requests a minute from each sender, as many of them at once. For each sender one number is kept: when it will
 * have used up nothing. Of too many senders the one is forgotten that asked longest ago, which may let one through
 * too early, never too late. Time comes in with every call (unix milliseconds).
 */
export class RequestRate {
  /** Asked longest ago first. */
  readonly #restedAtMs = new Map<string, number>();
  readonly #msEach: number;

  constructor(
    perMinute: number,
    private readonly maxSenders: number,
  ) {
    this.#msEach = MS_PER_MINUTE / perMinute;
  }

  /** Senders that are remembered. */
  get size(): number {
    return this.#restedAtMs.size;
  }

  /** False: too many of late; it does not count. */
  take(sender: string, nowMs: number): boolean {
    // Not more than a minute ahead, whatever the clock was before somebody put it back.
    const known = Math.min(this.#restedAtMs.get(sender) ?? 0, nowMs + MS_PER_MINUTE);
    const restedAtMs = Math.max(known, nowMs) + this.#msEach;
    // Sums of fractions are not exact.
    const isAllowed = restedAtMs <= nowMs + MS_PER_MINUTE + this.#msEach / 2;
    this.#restedAtMs.delete(sender);
    this.#restedAtMs.set(sender, isAllowed ? restedAtMs : known);
    if (this.#restedAtMs.size > this.maxSenders) {
      const [oldest = ''] = this.#restedAtMs.keys();
      this.#restedAtMs.delete(oldest);
    }
    return isAllowed;
  }
}
