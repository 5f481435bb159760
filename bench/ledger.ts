import type { Latencies, Recovery } from './traffic.js';

/** So many messages are kept in mind at most; a benchmark that sends more would measure its own memory. */
const MAX_MESSAGES = 500_000;

/** Of one notifier: when each message was sent and when its push arrived, by the clock of one process. */
export class Ledger {
  readonly #sentAtMs: number[] = [];
  /** By message, NaN until it has arrived. */
  readonly #arrivedAtMs: number[] = [];
  readonly #again: number[] = [];

  /** The number of the next message, which is sent now. */
  send(nowMs: number): number {
    if (this.#sentAtMs.length >= MAX_MESSAGES) throw new Error('too many messages');
    this.#arrivedAtMs.push(NaN);
    return this.#sentAtMs.push(nowMs) - 1;
  }

  arrive(message: number, nowMs: number): void {
    if (this.#sentAtMs[message] === undefined) throw new Error('a push that nobody sent');
    if (Number.isNaN(this.#arrivedAtMs[message])) this.#arrivedAtMs[message] = nowMs;
    else this.#again.push(message);
  }

  /** Of the messages that were sent in this time. */
  latencies(fromMs: number, toMs: number): Latencies {
    const isIn = (message: number): boolean => {
      const at = this.#sentAtMs[message] ?? NaN;
      return at >= fromMs && at < toMs;
    };
    let sent = 0;
    let lastArrivalMs = NaN;
    const latenciesMs: number[] = [];
    this.#sentAtMs.forEach((sentAtMs, message) => {
      if (!isIn(message)) return;
      sent += 1;
      const arrivedAtMs = this.#arrivedAtMs[message] ?? NaN;
      if (Number.isNaN(arrivedAtMs)) return;
      latenciesMs.push(arrivedAtMs - sentAtMs);
      if (!(arrivedAtMs <= lastArrivalMs)) lastArrivalMs = arrivedAtMs;
    });
    latenciesMs.sort((a, b) => a - b);
    const at = (share: number): number => latenciesMs[Math.floor((latenciesMs.length - 1) * share)] ?? NaN;
    return {
      sent,
      arrived: latenciesMs.length,
      again: this.#again.filter(isIn).length,
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      maxMs: at(1),
      lastArrivalMs,
    };
  }

  /** How a notifier that was held back until `fromMs` came to speed again. */
  recovery(fromMs: number, perSecond: number): Recovery {
    const arrivals = this.#arrivedAtMs.filter((at) => at >= fromMs).sort((a, b) => a - b);
    const inHalfSecond = (afterMs: number): number =>
      arrivals.filter((at) => at >= fromMs + afterMs && at < fromMs + afterMs + 500).length;
    let fullSpeedAfterMs = 0;
    while (inHalfSecond(fullSpeedAfterMs) < perSecond / 2 && fullSpeedAfterMs < 60_000)
      fullSpeedAfterMs += 50;
    const { lastArrivalMs } = this.latencies(-Infinity, fromMs);
    return { fullSpeedAfterMs, caughtUpAfterMs: Math.max(0, lastArrivalMs - fromMs) };
  }
}
