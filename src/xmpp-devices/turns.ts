interface Line {
  readonly last: Promise<void>;
  readonly length: number;
}

export interface TurnLimits {
  readonly max: number;
  readonly maxPerName: number;
}

/** Work about one thing takes place one after the other, in the order in which it came; about different ones, at once. */
export class Turns {
  readonly #lines = new Map<string, Line>();
  #count = 0;

  constructor(private readonly limits: TurnLimits) {}

  /** What waits or is under way. */
  get count(): number {
    return this.#count;
  }

  /** Resolves as `work` does, and rejects so; null, with nothing done: too many wait, of this name or of all. */
  take<Answer>(name: string, work: () => Promise<Answer>): Promise<Answer> | null {
    const line = this.#lines.get(name);
    const length = (line?.length ?? 0) + 1;
    if (this.#count >= this.limits.max || length > this.limits.maxPerName) return null;
    this.#count += 1;
    const running = (line?.last ?? Promise.resolve()).then(work);
    const end = (): void => {
      this.#count -= 1;
      const now = this.#lines.get(name);
      if (now === undefined || now.length === 1) this.#lines.delete(name);
      else this.#lines.set(name, { last: now.last, length: now.length - 1 });
    };
    const last = running.then(end, end);
    this.#lines.set(name, { last, length });
    return running;
  }

  /** Resolves when nothing waits any more. */
  async idle(): Promise<void> {
    while (this.#lines.size > 0) await Promise.all([...this.#lines.values()].map(({ last }) => last));
  }
}
