import type { Clock } from '../domain/clock.js';
import type { Outcome } from '../domain/outcome.js';
import { CircuitBreaker, type BreakerState } from './circuit-breaker.js';
import { Pause } from './pause.js';
import { AdaptiveWindow } from './window.js';

export interface SendingLimitsOptions {
  readonly windowMax: number;
  readonly windowMin: number;
  readonly breakerFailures: number;
  readonly breakerProbeMs: number;
  readonly maxPauseMs: number;
}

/** What a provider's outcomes say about the provider: window, pause and breaker of one notifier. */
export class SendingLimits {
  readonly #window: AdaptiveWindow;
  readonly #breaker: CircuitBreaker;
  readonly #pause: Pause;

  constructor(options: SendingLimitsOptions) {
    this.#window = new AdaptiveWindow({ max: options.windowMax, min: options.windowMin });
    this.#breaker = new CircuitBreaker({
      failures: options.breakerFailures,
      probeAfterMs: options.breakerProbeMs,
    });
    this.#pause = new Pause(options.maxPauseMs);
  }

  get window(): number {
    return this.#window.limit;
  }

  get windowMax(): number {
    return this.#window.max;
  }

  get generation(): number {
    return this.#window.generation;
  }

  breaker(nowMs: number): BreakerState {
    return this.#breaker.state(nowMs);
  }

  pausedUntilMs(nowMs: number): number | null {
    return this.#pause.untilMs(nowMs);
  }

  /** Nothing may be sent before this, Unix milliseconds: the end of the pause, or the breaker's next probe. */
  heldUntilMs(nowMs: number): number | null {
    const paused = this.#pause.untilMs(nowMs);
    const open = this.#breaker.openUntilMs(nowMs);
    return paused === null || open === null ? (paused ?? open) : Math.max(paused, open);
  }

  /** Pushes that may be at the provider at once. While probing, a single one asks whether it is back. */
  inFlightLimit(nowMs: number): number {
    return this.#breaker.state(nowMs) === 'probing' ? 1 : this.#window.limit;
  }

  /** At the very moment of an answer: a pause begins at once, before anything else is sent. */
  hear(outcome: Outcome, clock: Clock): void {
    if (outcome.kind !== 'retry' || outcome.scope !== 'notifier') return;
    this.#pause.ask(clock.nowMs(), outcome.afterMs);
  }

  /** `generation`: of the time when it was sent; `wasFull`: the window let nothing more through. */
  learn(outcome: Outcome, generation: number, wasFull: boolean, nowMs: number): void {
    switch (outcome.kind) {
      case 'postponed':
        return;
      case 'delivered':
      case 'dead-token':
      case 'dropped':
        this.#breaker.succeeded();
        this.#window.succeeded(generation, wasFull);
        if (outcome.kind === 'delivered') this.#pause.delivered();
        return;
      case 'misconfigured':
        // As good as not answered: ask now and then, not a thousand times a second.
        this.#breaker.failed(nowMs);
        return;
      case 'retry':
        if (outcome.cause === 'transport') this.#breaker.failed(nowMs);
        else this.#breaker.succeeded();
        // Throttling of a single token says nothing about the provider.
        if (outcome.cause === 'transport' || outcome.scope === 'notifier') this.#window.failed(generation);
    }
  }
}
