import type { Clock } from '../domain/clock.js';

/** More than any group of an honest app has. */
export const LARGE_NOTICE_DEVICES = 1000;
const DEVICES_PER_SECOND = 1000;
const BURST_DEVICES = 10_000;

/**
 * Anybody can put thousands of invented devices behind one id, or behind a thousand of them, and wake them all with one
 * request. So notices for that many devices share one allowance per brand, in devices: the one that it runs out with
 * still passes, the next waits until it is paid for. Others know nothing of it.
 */
export class LargeNotices {
  #left = BURST_DEVICES;
  /** Unix milliseconds. */
  #atMs: number;

  constructor(private readonly clock: Clock) {
    this.#atMs = clock.nowMs();
  }

  /** Whether a notice for so many devices may pass now; counts it then. */
  admit(devices: number): boolean {
    if (devices <= LARGE_NOTICE_DEVICES) return true;
    const nowMs = this.clock.nowMs();
    // A clock that was put back gives nothing and takes nothing.
    const gained = (Math.max(0, nowMs - this.#atMs) * DEVICES_PER_SECOND) / 1000;
    this.#left = Math.min(BURST_DEVICES, this.#left + gained);
    this.#atMs = nowMs;
    if (this.#left <= 0) return false;
    this.#left -= devices;
    return true;
  }
}
