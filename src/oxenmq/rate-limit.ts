import type { Clock } from '../domain/clock.js';

/** At most `limit` (of what is counted) in each window of `windowMs`; what is above is refused, not delayed. */
export class RateLimit {
  #windowStartMs = -Infinity;
  #taken = 0;

  constructor(
    private readonly clock: Clock,
    private readonly limit: number,
    private readonly windowMs: number,
  ) {}

  take(amount = 1): boolean {
    const now = this.clock.nowMs();
    // A clock that was set back starts a new window too.
    if (now - this.#windowStartMs >= this.windowMs || now < this.#windowStartMs) {
      this.#windowStartMs = now;
      this.#taken = 0;
    }
    if (this.#taken + amount > this.limit) return false;
    this.#taken += amount;
    return true;
  }
}
