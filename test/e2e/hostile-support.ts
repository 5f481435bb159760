import { setTimeout as sleep } from 'node:timers/promises';

/** What honest people got while others meant harm. */
export interface Served {
  readonly count: number;
  readonly refused: number;
  readonly p99Ms: number;
}

/** Asks again and again, one after the other, as honest people do, and remembers how long they waited. */
export class HonestTraffic {
  #isOn = false;
  #running: Promise<void> = Promise.resolve();
  #waits: number[] = [];
  #refused = 0;

  /** `ask` resolves with whether it was served; that it rejects is a refusal, too. */
  constructor(
    private readonly ask: () => Promise<boolean>,
    private readonly everyMs = 10,
  ) {}

  begin(): void {
    this.#isOn = true;
    this.#waits = [];
    this.#refused = 0;
    this.#running = this.#run();
  }

  async end(): Promise<Served> {
    this.#isOn = false;
    await this.#running;
    const sorted = this.#waits.toSorted((a, b) => a - b);
    return {
      count: sorted.length,
      refused: this.#refused,
      p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? 0,
    };
  }

  async #run(): Promise<void> {
    while (this.#isOn) {
      const startedMs = performance.now();
      const isServed = await this.ask().catch(() => false);
      if (!isServed) this.#refused += 1;
      this.#waits.push(performance.now() - startedMs);
      await sleep(this.everyMs);
    }
  }
}

export const until = (ms: number): Promise<void> => sleep(ms);
