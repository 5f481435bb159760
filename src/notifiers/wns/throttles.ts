import { BoundedMap } from '../bounded-map.js';

/** Without a `Retry-After`: a minute, twice as long each time (spec uwpx-push, 6.4) … */
const FIRST_WAIT_MS = 60_000;
/** … up to this. */
const MAX_WAIT_MS = 3_600_000;

interface Throttle {
  readonly untilMs: number;
  readonly waitMs: number;
  /** The wait of the next time that it is told without a `Retry-After`. */
  readonly nextMs: number;
}

/**
 * Who was told by WNS to slow down, and until when: single channels, or the whole app. Bounded: of more than `maxKeys`
 * the one that was told first is forgotten, and WNS says it again. Time comes in with every call.
 */
export class Throttles {
  readonly #throttles: BoundedMap<Throttle>;

  constructor(maxKeys: number) {
    this.#throttles = new BoundedMap(maxKeys);
  }

  get size(): number {
    return this.#throttles.size;
  }

  /** How long it has to be left alone yet; 0 = not at all. */
  remainingMs(key: string, nowMs: number): number {
    const throttle = this.#throttles.get(key);
    return throttle === undefined ? 0 : left(throttle, nowMs);
  }

  /** It was told so now; returns for how long. What was under way when the first was told counts as told once. */
  told(key: string, nowMs: number, retryAfterMs: number | null): number {
    const before = this.#throttles.get(key);
    const remainingMs = before === undefined ? 0 : left(before, nowMs);
    if (remainingMs > 0 && (retryAfterMs ?? 0) <= remainingMs) return remainingMs;
    const unaskedMs = before?.nextMs ?? FIRST_WAIT_MS;
    const waitMs = retryAfterMs ?? unaskedMs;
    const nextMs = retryAfterMs === null ? Math.min(unaskedMs * 2, MAX_WAIT_MS) : unaskedMs;
    this.#throttles.set(key, { untilMs: nowMs + waitMs, waitMs, nextMs });
    return waitMs;
  }

  /** Something was taken again. */
  passed(key: string, nowMs: number): void {
    if (this.#throttles.size > 0 && this.remainingMs(key, nowMs) === 0) this.#throttles.delete(key);
  }
}

/** Nothing is left that is longer than the wait was: then the clock was put back. */
function left({ untilMs, waitMs }: Throttle, nowMs: number): number {
  const remainingMs = untilMs - nowMs;
  return remainingMs > 0 && remainingMs <= waitMs ? remainingMs : 0;
}
