export interface CircuitBreakerOptions {
  /** Consecutive transport failures that open it. */
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

/** Keeps a notifier from hammering a provider that does not answer at all. Time comes in with every call. */
export class CircuitBreaker {
  #state: BreakerState = 'closed';
  #failures = 0;
  #openedAtMs = 0;

  constructor(private readonly options: CircuitBreakerOptions) {}

  state(nowMs: number): BreakerState {
    if (this.#state === 'open' && nowMs - this.#openedAtMs >= this.options.probeAfterMs)
      this.#state = 'probing';
    return this.#state;
  }

  /** The provider answered, whatever it said. */
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
