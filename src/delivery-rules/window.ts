export interface WindowOptions {
  /** Upper end, where it begins: the most requests that the provider takes at once. */
  readonly max: number;
  /** Lower end; cut to `max`. */
  readonly min: number;
}

/** From half to full in 16 round trips: under a second at 50 ms. */
const STEPS_TO_FULL = 32;

/**
 * How many pushes may be at the provider at once: additive increase, multiplicative decrease. A step up for every
 * window's worth of successes, as long as the window is what limits us; half when the provider throttles or does not
 * answer.
 *
 * Every decrease begins a new generation. What was sent before it and fails afterwards tells of the same trouble, so
 * it does not decrease again; nor do successes from before count for the next step.
 */
export class AdaptiveWindow {
  readonly max: number;
  readonly #min: number;
  readonly #step: number;
  #limit: number;
  #generation = 0;
  #successes = 0;

  constructor({ max, min }: WindowOptions) {
    this.max = Math.max(1, Math.floor(max));
    this.#min = Math.min(this.max, Math.max(1, Math.floor(min)));
    this.#step = Math.max(1, Math.floor(this.max / STEPS_TO_FULL));
    this.#limit = this.max;
  }

  get limit(): number {
    return this.#limit;
  }

  /** To be noted with every push when it is sent. */
  get generation(): number {
    return this.#generation;
  }

  /** The provider took care of a push. `wasFull`: no further push could have been sent at that time. */
  succeeded(generation: number, wasFull: boolean): void {
    if (!wasFull || generation !== this.#generation || this.#limit === this.max) return;
    this.#successes += 1;
    if (this.#successes < this.#limit) return;
    this.#successes = 0;
    this.#limit = Math.min(this.max, this.#limit + this.#step);
  }

  /** The provider throttles, or did not answer. */
  failed(generation: number): void {
    if (generation !== this.#generation) return;
    this.#generation += 1;
    this.#successes = 0;
    this.#limit = Math.max(this.#min, Math.floor(this.#limit / 2));
  }
}
