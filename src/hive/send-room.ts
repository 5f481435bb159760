import type { SendResult } from '../oxenmq/port.js';

interface Waiting {
  readonly payload: Buffer;
  readonly signal: AbortSignal;
  /** By the monotonic clock. */
  readonly untilMs: number;
  readonly settle: (result: SendResult | 'aborted') => void;
}

/** How often it is tried whether a full queue has room again. Milliseconds. */
const POLL_MS = 20;

/**
 * Pushes for a peer that reads more slowly than we send: each waits for room, first come first served, for a limited time.
 * As many may wait as their sender has in flight, which is what slows it down. ZeroMQ tells nobody when a queue of a
 * ROUTER has room again, so the first in line tries now and then.
 */
export class SendRoom {
  #line: Waiting[] = [];
  #timer: NodeJS.Timeout | null = null;
  #trying = false;

  constructor(
    private readonly attempt: (payload: Buffer) => Promise<SendResult>,
    private readonly timeoutMs: number,
  ) {}

  async send(payload: Buffer, signal: AbortSignal): Promise<SendResult | 'aborted'> {
    if (signal.aborted) return 'aborted';
    if (this.#line.length === 0) {
      const result = await this.attempt(payload);
      if (result !== 'full') return result;
    }
    return new Promise((settle) => {
      this.#line.push({ payload, signal, untilMs: performance.now() + this.timeoutMs, settle });
      this.#timer ??= setInterval(() => void this.#advance(), POLL_MS);
    });
  }

  /** Everybody who waits goes away with `unreachable`. */
  close(): void {
    for (const waiting of this.#line.splice(0)) waiting.settle('unreachable');
    this.#stopWhenEmpty();
  }

  async #advance(): Promise<void> {
    if (this.#trying) return;
    this.#trying = true;
    this.#line = this.#line.filter((waiting) => {
      if (waiting.signal.aborted) waiting.settle('aborted');
      return !waiting.signal.aborted;
    });
    for (let first = this.#line[0]; first !== undefined; first = this.#line[0]) {
      const result = await this.attempt(first.payload);
      if (result === 'full' && performance.now() < first.untilMs) break;
      // Meanwhile the line may have been closed.
      if (this.#line[0] === first) this.#line.shift();
      first.settle(result);
    }
    this.#trying = false;
    this.#stopWhenEmpty();
  }

  #stopWhenEmpty(): void {
    if (this.#line.length > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }
}
