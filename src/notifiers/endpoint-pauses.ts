import { BoundedMap } from './bounded-map.js';

const MAX_PAUSED = 4096;

/**
 * Endpoints that want no request before some time. Bounded: anybody can make an endpoint that asks for a pause, and
 * when there are too many, the oldest is asked again too early.
 */
export class EndpointPauses {
  readonly #pauses: BoundedMap<{ readonly untilMs: number; readonly lengthMs: number }>;

  constructor(maxPaused: number = MAX_PAUSED) {
    this.#pauses = new BoundedMap(maxPaused);
  }

  get size(): number {
    return this.#pauses.size;
  }

  pause(endpoint: string, lengthMs: number, nowMs: number): void {
    this.#pauses.set(endpoint, { untilMs: nowMs + lengthMs, lengthMs });
  }

  /** How much longer, in milliseconds; 0 = go ahead. */
  leftMs(endpoint: string, nowMs: number): number {
    const pause = this.#pauses.get(endpoint);
    if (pause === undefined) return 0;
    const leftMs = pause.untilMs - nowMs;
    // Nothing is left that is longer than the pause: then the clock was put back.
    if (leftMs > 0 && leftMs <= pause.lengthMs) return leftMs;
    this.#pauses.delete(endpoint);
    return 0;
  }
}
