import { monitorEventLoopDelay } from 'node:perf_hooks';

/**
 * How much more this process can take. `open`: go on. `busy`: say "come back later", by the way that costs least but
 * that the client understands. `full`: not even that work is done any more.
 */
export type AdmissionLevel = 'open' | 'busy' | 'full';

export interface AdmissionOptions {
  /** Client requests that are being answered at once; twice as many is `full`. */
  readonly requestsInProgressMax: number;
  /**
   * Mean delay of the event loop, over both of the last two samples: one long stop that is over is no reason to turn
   * anybody away. Twice as much is `full`. Milliseconds.
   */
  readonly eventLoopDelayMaxMs: number;
  readonly sampleIntervalMs: number;
  /** Bytes of request bodies held at once, over all requests. */
  readonly bodyBytesMax: number;
}

/** The event loop's delay since the last question. Milliseconds. */
export type LoopDelayMeter = () => number;

const METER_RESOLUTION_MS = 20;

/** Load shedding by three measures: requests in progress, delay of the event loop, memory for bodies. */
export class Admission {
  #inProgress = 0;
  #bodyBytes = 0;
  #lastDelayMs = 0;
  #delayMs = 0;
  readonly #timer: NodeJS.Timeout;

  constructor(
    private readonly options: AdmissionOptions,
    meter: LoopDelayMeter = eventLoopMeter(),
  ) {
    this.#timer = setInterval(() => {
      const delayMs = meter();
      this.#delayMs = Math.min(delayMs, this.#lastDelayMs);
      this.#lastDelayMs = delayMs;
    }, options.sampleIntervalMs);
    this.#timer.unref();
  }

  get inProgress(): number {
    return this.#inProgress;
  }

  get bodyBytes(): number {
    return this.#bodyBytes;
  }

  level(): AdmissionLevel {
    const load = Math.max(
      this.#inProgress / this.options.requestsInProgressMax,
      this.#delayMs / this.options.eventLoopDelayMaxMs,
    );
    if (load < 1) return 'open';
    return load < 2 ? 'busy' : 'full';
  }

  /** Every `begin` has its `end`. */
  begin(): void {
    this.#inProgress += 1;
  }

  end(): void {
    this.#inProgress -= 1;
  }

  /** False when there is no room for so many more bytes; otherwise they are to be given back. */
  takeBytes(count: number): boolean {
    if (this.#bodyBytes + count > this.options.bodyBytesMax) return false;
    this.#bodyBytes += count;
    return true;
  }

  giveBytes(count: number): void {
    this.#bodyBytes -= count;
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

function eventLoopMeter(): LoopDelayMeter {
  const histogram = monitorEventLoopDelay({ resolution: METER_RESOLUTION_MS });
  histogram.enable();
  return () => {
    // The histogram measures from one tick of its own timer to the next.
    const delayMs = histogram.count === 0 ? 0 : histogram.mean / 1e6 - METER_RESOLUTION_MS;
    histogram.reset();
    return delayMs;
  };
}
