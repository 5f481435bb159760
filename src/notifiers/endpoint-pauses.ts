const MAX_PAUSED = 4096;

/**
 * Endpoints that want no request before some time. Bounded: anybody can make an endpoint that asks for a pause, and
 * when there are too many, the oldest is asked again too early.
 */
export class EndpointPauses {
  /** The earliest pause first; Unix milliseconds. */
  readonly #untilMs = new Map<string, number>();

  constructor(private readonly maxPaused: number = MAX_PAUSED) {}

  get size(): number {
    return this.#untilMs.size;
  }

  pause(endpoint: string, untilMs: number): void {
    this.#untilMs.delete(endpoint);
    this.#untilMs.set(endpoint, untilMs);
    if (this.#untilMs.size <= this.maxPaused) return;
    const [oldest = ''] = this.#untilMs.keys();
    this.#untilMs.delete(oldest);
  }

  /** How much longer, in milliseconds; 0 = go ahead. */
  leftMs(endpoint: string, nowMs: number): number {
    const untilMs = this.#untilMs.get(endpoint);
    if (untilMs === undefined) return 0;
    if (untilMs > nowMs) return untilMs - nowMs;
    this.#untilMs.delete(endpoint);
    return 0;
  }
}
