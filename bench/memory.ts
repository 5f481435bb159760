import { residentBytes } from './process.js';

const EVERY_MS = 200;
/** An hour of them. */
const MAX_SAMPLES = 18_000;

/** Resident memory of a process over time. */
export class MemoryWatch {
  readonly #samples: { readonly atMs: number; readonly bytes: number }[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor(pid: number) {
    this.#timer = setInterval(() => {
      if (this.#samples.length < MAX_SAMPLES) {
        this.#samples.push({ atMs: performance.now(), bytes: residentBytes(pid) });
      }
    }, EVERY_MS);
  }

  /** Largest between two times of `performance.now()`, in MiB. */
  peakMib(fromMs: number, toMs = Infinity): number {
    const bytes = this.#samples
      .filter(({ atMs }) => atMs >= fromMs && atMs < toMs)
      .map((sample) => sample.bytes);
    return (bytes.length === 0 ? NaN : Math.max(...bytes)) / (1024 * 1024);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
