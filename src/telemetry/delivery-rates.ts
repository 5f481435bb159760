import type { Clock } from '../domain/clock.js';

const SLOT_SECONDS = 10;
const SLOTS = 360;

export const rateWindows = { '60m': 3600, '10m': 600, '1m': 60 } as const;
export type RateWindow = keyof typeof rateWindows;

/** How many pushes a day a service delivers at the pace of the last hour, ten minutes, minute. */
export class DeliveryRates {
  readonly #slots = new Float64Array(SLOTS);
  readonly #startedAt: number;
  #slot: number;

  constructor(private readonly clock: Clock) {
    this.#startedAt = this.#now();
    this.#slot = Math.floor(this.#startedAt / SLOT_SECONDS);
  }

  add(count = 1): void {
    this.#advance();
    const at = this.#slot % SLOTS;
    this.#slots[at] = (this.#slots[at] ?? 0) + count;
  }

  /** Deliveries a day: sum over the window, divided by the seconds that it has really seen, times 86,400. */
  perDay(window: RateWindow): number {
    this.#advance();
    const now = this.#now();
    const slots = rateWindows[window] / SLOT_SECONDS;
    let sum = 0;
    for (let back = 0; back < slots; back += 1) {
      const slot = this.#slot - back;
      if (slot >= 0) sum += this.#slots[slot % SLOTS] ?? 0;
    }
    const windowStart = Math.max(this.#startedAt, (this.#slot - slots + 1) * SLOT_SECONDS);
    const seconds = Math.max(1, now - windowStart);
    return Math.round((sum / seconds) * 86_400);
  }

  #now(): number {
    return this.clock.nowMs() / 1000;
  }

  #advance(): void {
    const slot = Math.floor(this.#now() / SLOT_SECONDS);
    const steps = Math.min(slot - this.#slot, SLOTS);
    for (let step = 1; step <= steps; step += 1) this.#slots[(this.#slot + step) % SLOTS] = 0;
    if (slot > this.#slot) this.#slot = slot;
  }
}
