import { againAfterCollision } from './collisions.js';
import { StoreQueryError, StoreUnavailable } from './errors.js';

export interface BatchWriterOptions {
  /** Rows in one statement at most. */
  readonly maxRows: number;
  /** How long the first of a batch waits for others, milliseconds. */
  readonly gatherMs: number;
  /** Statements under way at once; each takes a connection. */
  readonly maxInFlight: number;
  /** Rows waiting for a statement; what comes beyond is refused as busy. */
  readonly maxQueued: number;
}

interface Waiting<Item, Answer> {
  readonly item: Item;
  readonly key: string;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Gathers concurrent requests into one statement and answers each when that is committed. Two requests with one key
 * never share a statement or run at the same time: they take effect in the order in which they came. A batch that the
 * database refuses because of its data is written again one by one, so that only the bad one fails.
 */
export class BatchWriter<Item, Answer> {
  #queue: Waiting<Item, Answer>[] = [];
  readonly #keysInFlight = new Set<string>();
  #inFlight = 0;
  #gatherTimer: NodeJS.Timeout | null = null;
  #whenIdle: (() => void)[] = [];

  constructor(
    private readonly keyOf: (item: Item) => string,
    /** Writes and commits; one answer per item, in their order. */
    private readonly write: (items: readonly Item[]) => Promise<readonly Answer[]>,
    private readonly options: BatchWriterOptions,
  ) {}

  /** Rejects with `StoreUnavailable` (nothing is known of the write then) or `StoreQueryError`. */
  add(item: Item): Promise<Answer> {
    if (this.#queue.length >= this.options.maxQueued) return Promise.reject(new StoreUnavailable('busy'));
    return new Promise((resolve, reject) => {
      this.#queue.push({ item, key: this.keyOf(item), resolve, reject });
      this.#schedule();
    });
  }

  /** Resolves when everything that was added has been answered. */
  idle(): Promise<void> {
    if (this.#queue.length === 0 && this.#inFlight === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenIdle.push(resolve));
  }

  get queued(): number {
    return this.#queue.length;
  }

  #schedule(): void {
    if (this.#inFlight >= this.options.maxInFlight) return;
    if (this.#queue.length >= this.options.maxRows) this.#start();
    else this.#gatherTimer ??= setTimeout(() => this.#start(), this.options.gatherMs);
  }

  #start(): void {
    if (this.#gatherTimer !== null) clearTimeout(this.#gatherTimer);
    this.#gatherTimer = null;
    if (this.#inFlight >= this.options.maxInFlight) return;
    const batch = this.#take();
    if (batch.length === 0) return;
    this.#inFlight += 1;
    void this.#writeBatch(batch).finally(() => {
      this.#inFlight -= 1;
      for (const { key } of batch) this.#keysInFlight.delete(key);
      if (this.#queue.length > 0) this.#schedule();
      else if (this.#inFlight === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
    });
  }

  /** The first ones of the queue whose keys are free; the others keep their places. */
  #take(): Waiting<Item, Answer>[] {
    const batch: Waiting<Item, Answer>[] = [];
    const rest: Waiting<Item, Answer>[] = [];
    for (const waiting of this.#queue) {
      if (batch.length >= this.options.maxRows || this.#keysInFlight.has(waiting.key)) {
        rest.push(waiting);
      } else {
        this.#keysInFlight.add(waiting.key);
        batch.push(waiting);
      }
    }
    this.#queue = rest;
    return batch;
  }

  async #writeBatch(batch: readonly Waiting<Item, Answer>[]): Promise<void> {
    try {
      const answers = await againAfterCollision(() => this.write(batch.map(({ item }) => item)));
      for (const [index, { resolve, reject }] of batch.entries()) {
        const answer = answers[index];
        if (answer === undefined) reject(new TypeError('a batch has one answer per item'));
        else resolve(answer);
      }
    } catch (error) {
      if (error instanceof StoreQueryError && batch.length > 1) {
        for (const waiting of batch) await this.#writeBatch([waiting]);
      } else {
        for (const { reject } of batch) reject(error);
      }
    }
  }
}
