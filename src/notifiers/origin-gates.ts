/** Why a request to an origin must wait, and for how long at least. */
export interface GateRefusal {
  readonly postponeMs: number;
  readonly reason: 'origin-busy' | 'origin-paused' | 'origin-failing';
}

/** What came of a request that had entered. */
export type GateResult =
  /** The origin answered and is well. */
  | { readonly kind: 'ok' }
  /** It asked for a pause; null = it did not say how long. */
  | { readonly kind: 'throttled'; readonly afterMs: number | null }
  /** No answer, or an answer that says that it is in trouble; `afterMs` is its own wish. */
  | { readonly kind: 'failed'; readonly afterMs?: number | null }
  /** Nothing was learnt about it (aborted, closed). */
  | { readonly kind: 'unknown' };

export interface OriginGatesOptions {
  /** Requests at once to one origin. */
  readonly maxInFlight: number;
  /** Origins that are remembered; those with requests under way are remembered in any case. */
  readonly maxOrigins: number;
  /** Failures in a row after which an origin is left alone for a while. */
  readonly failuresUntilBackOff: number;
  /** The first such while; doubles with every further failure. */
  readonly backOffFirstMs: number;
  readonly backOffMaxMs: number;
  /** For an origin that throttles without a `Retry-After`. */
  readonly throttledMs: number;
  /** A longer wish of an origin is cut to this. */
  readonly pauseMaxMs: number;
  /** How soon to ask again while an origin is busy. */
  readonly busyRetryMs: number;
}

export const originGatesDefaults: OriginGatesOptions = {
  maxInFlight: 8,
  maxOrigins: 4096,
  failuresUntilBackOff: 3,
  backOffFirstMs: 2_000,
  backOffMaxMs: 300_000,
  throttledMs: 30_000,
  pauseMaxMs: 3_600_000,
  busyRetryMs: 1_000,
};

interface Gate {
  inFlight: number;
  pausedUntilMs: number;
  failures: number;
  backOffUntilMs: number;
}

/**
 * One gate per origin, for notifiers whose pushes go to many servers of strangers: one that is slow, throttles or is
 * gone must neither hold the notifier's window nor open its breaker.
 *
 * open ──failures in a row──► backing off ──time over──► one probe ──ok──► open
 *                                  ▲──────────fails, twice as long─┘
 *
 * Beside that: paused until the time that the origin named, and bounded in requests at once. Time is passed in.
 */
export class OriginGates {
  /** Least recently used first. */
  readonly #gates = new Map<string, Gate>();
  readonly #options: OriginGatesOptions;

  constructor(options: Partial<OriginGatesOptions> = {}) {
    this.#options = { ...originGatesDefaults, ...options };
  }

  /** How many origins are remembered. */
  get size(): number {
    return this.#gates.size;
  }

  inFlight(origin: string): number {
    return this.#gates.get(origin)?.inFlight ?? 0;
  }

  /** Null: go ahead, and call `leave` exactly once afterwards. */
  enter(origin: string, nowMs: number): GateRefusal | null {
    const gate = this.#touch(origin);
    const { maxInFlight, busyRetryMs, failuresUntilBackOff } = this.#options;
    if (nowMs < gate.pausedUntilMs)
      return { postponeMs: gate.pausedUntilMs - nowMs, reason: 'origin-paused' };
    if (nowMs < gate.backOffUntilMs) {
      return { postponeMs: gate.backOffUntilMs - nowMs, reason: 'origin-failing' };
    }
    // One request at a time finds out whether an origin that failed is back.
    const isProbed = gate.failures >= failuresUntilBackOff && gate.inFlight > 0;
    if (isProbed) return { postponeMs: busyRetryMs, reason: 'origin-failing' };
    if (gate.inFlight >= maxInFlight) return { postponeMs: busyRetryMs, reason: 'origin-busy' };
    gate.inFlight += 1;
    return null;
  }

  leave(origin: string, nowMs: number, result: GateResult): void {
    const gate = this.#gates.get(origin);
    if (gate === undefined || gate.inFlight === 0)
      throw new RangeError('left an origin that was not entered');
    gate.inFlight -= 1;
    switch (result.kind) {
      case 'ok':
        gate.failures = 0;
        gate.backOffUntilMs = 0;
        break;
      case 'throttled':
        this.#pause(gate, nowMs, result.afterMs ?? this.#options.throttledMs);
        break;
      case 'failed':
        this.#fail(gate, nowMs);
        this.#pause(gate, nowMs, result.afterMs ?? 0);
        break;
      case 'unknown':
        break;
    }
    this.#evict();
  }

  #fail(gate: Gate, nowMs: number): void {
    const { failuresUntilBackOff, backOffFirstMs, backOffMaxMs } = this.#options;
    // Those that were under way when the first ones failed tell nothing new.
    if (nowMs < gate.backOffUntilMs) return;
    gate.failures = Math.min(gate.failures + 1, failuresUntilBackOff + 30);
    const beyond = gate.failures - failuresUntilBackOff;
    if (beyond >= 0) gate.backOffUntilMs = nowMs + Math.min(backOffMaxMs, backOffFirstMs * 2 ** beyond);
  }

  #pause(gate: Gate, nowMs: number, afterMs: number): void {
    const untilMs = nowMs + Math.min(afterMs, this.#options.pauseMaxMs);
    if (untilMs > gate.pausedUntilMs) gate.pausedUntilMs = untilMs;
  }

  #touch(origin: string): Gate {
    const known = this.#gates.get(origin);
    const gate = known ?? { inFlight: 0, pausedUntilMs: 0, failures: 0, backOffUntilMs: 0 };
    if (known !== undefined) this.#gates.delete(origin);
    this.#gates.set(origin, gate);
    if (known === undefined) this.#evict();
    return gate;
  }

  /** The newest is never evicted: it is about to be used. */
  #evict(): void {
    let excess = this.#gates.size - this.#options.maxOrigins;
    if (excess <= 0) return;
    let left = this.#gates.size;
    for (const [origin, gate] of this.#gates) {
      left -= 1;
      if (excess <= 0 || left === 0) return;
      if (gate.inFlight > 0) continue;
      this.#gates.delete(origin);
      excess -= 1;
    }
  }
}
