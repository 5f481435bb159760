export interface CircuitBreakerOptions {
  /** Consecutive failures that open it. */
  readonly failures: number;
  /** How long it stays open before one push may try again. */
  readonly probeAfterMs: number;
}

/*
 *            failures in a row                      probeAfterMs
 *  closed ─────────────────────► open ─────────────────────────────► probing
 *    ▲                            ▲                                     │
 *    │                            └───────────── failure ───────────────┤
 *    └──────────────────────────────────── success ─────────────────────┘
 */
export type BreakerState = 'closed' | 'open' | 'probing';

/** Keeps a notifier from hammering a provider that does not answer at all, or refuses all that we send. Time comes in with every call. */
export class CircuitBreaker {
  #state: BreakerState = 'closed';
  #failures = 0;
  #openedAtMs = 0;

  constructor(private readonly options: CircuitBreakerOptions) {}

  state(nowMs: number): BreakerState {
    if (this.#state !== 'open') return this.#state;
    const openForMs = nowMs - this.#openedAtMs;
    // A clock that was put back must not keep it open for as long.
    if (openForMs >= this.options.probeAfterMs || openForMs < 0) this.#state = 'probing';
    return this.#state;
  }

  /** When it probes next, Unix milliseconds; null unless it is open. */
  openUntilMs(nowMs: number): number | null {
    return this.state(nowMs) === 'open' ? this.#openedAtMs + this.options.probeAfterMs : null;
  }

  /** The provider answered, whatever it said of the one push. */
  succeeded(): void {
    this.#state = 'closed';
    this.#failures = 0;
  }

  /** Nothing usable came back. */
  failed(nowMs: number): void {
    this.#failures += 1;
    if (this.#state === 'probing' || (this.#state === 'closed' && this.#failures >= this.options.failures)) {
      this.#state = 'open';
      this.#openedAtMs = nowMs;
    }
  }
}
