import { setImmediate as nextTurn } from 'node:timers/promises';

/** Too many nodes wait to be looked up. */
export class LookUpRefused extends Error {
  override readonly name = 'LookUpRefused';

  constructor() {
    super('too many look-ups wait');
  }
}

export interface LookUpLimits {
  readonly maxWaiting: number;
  /** In one query. */
  readonly maxAtOnce: number;
}

interface Waiting {
  readonly answer: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Many look-ups, one query. One is under way at a time, and what comes meanwhile is asked by the next: an answer that is on
 * its way may be older than the question.
 */
export class LookUps {
  #waiting = new Map<string, Waiting>();
  #isAsking = false;

  constructor(
    private readonly ask: (nodes: readonly string[]) => Promise<void>,
    private readonly limits: LookUpLimits,
  ) {}

  /** Resolves when a query that began after this call has been answered. Rejects as `ask` does, or with `LookUpRefused`. */
  of(node: string): Promise<void> {
    const known = this.#waiting.get(node);
    if (known !== undefined) return known.answer;
    if (this.#waiting.size >= this.limits.maxWaiting) return Promise.reject(new LookUpRefused());
    let resolve: () => void = () => {};
    let reject: (error: unknown) => void = () => {};
    const answer = new Promise<void>((onAnswer, onFailure) => {
      resolve = onAnswer;
      reject = onFailure;
    });
    this.#waiting.set(node, { answer, resolve, reject });
    if (!this.#isAsking) void this.#askAll();
    return answer;
  }

  async #askAll(): Promise<void> {
    this.#isAsking = true;
    // A burst of one turn shares its first query.
    await nextTurn();
    while (this.#waiting.size > 0) {
      const asked = this.#take();
      try {
        await this.ask([...asked.keys()]);
        for (const { resolve } of asked.values()) resolve();
      } catch (error) {
        for (const { reject } of asked.values()) reject(error);
      }
    }
    this.#isAsking = false;
  }

  #take(): ReadonlyMap<string, Waiting> {
    const all = this.#waiting;
    if (all.size <= this.limits.maxAtOnce) {
      this.#waiting = new Map();
      return all;
    }
    const first = new Map<string, Waiting>();
    for (const [node, waiting] of all) {
      if (first.size === this.limits.maxAtOnce) break;
      first.set(node, waiting);
      all.delete(node);
    }
    return first;
  }
}
