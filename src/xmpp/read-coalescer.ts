/**
 * Hands on what has been read, at most once in so many milliseconds: at once after a pause, else together with what comes
 * until then. A turn of the event loop, a write to the provider, its answer and ours cost more than the work on a
 * publish, so where they come thick a few milliseconds halve the CPU of each; what comes alone does not wait.
 */
export class ReadCoalescer {
  #text = '';
  #lastMs = -Infinity;
  #timer: NodeJS.Timeout | null = null;
  #take: (text: string) => void = () => undefined;

  constructor(
    /** 0: everything at once. */
    private readonly intervalMs: number,
    /** So much does not wait. UTF-16 units. */
    private readonly maxChars: number,
  ) {}

  /** To be called before anything is added. */
  handTo(take: (text: string) => void): void {
    this.#take = take;
  }

  add(text: string): void {
    this.#text += text;
    if (this.#text.length >= this.maxChars) {
      this.flush();
    } else if (this.#timer === null) {
      const waitMs = this.#lastMs + this.intervalMs - performance.now();
      if (waitMs <= 0) this.flush();
      else this.#timer = setTimeout(() => this.flush(), waitMs);
    }
  }

  /** Hands on what waits. */
  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#text === '') return;
    const text = this.#text;
    this.#text = '';
    this.#lastMs = performance.now();
    this.#take(text);
  }

  /** Nothing more is handed on of what waits. */
  drop(): void {
    this.#text = '';
    this.flush();
  }
}
