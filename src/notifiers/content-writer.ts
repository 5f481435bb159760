/** A source has a few messages that it sends by turns, such as a loud and a quiet one. */
const KEPT = 4;

/**
 * What a notifier makes of the content of its pushes. Many pushes share one buffer and mostly come near each other, so
 * what was made of the last few buffers is kept for the next push; which buffer it is decides, not what is in it.
 */
export class ContentWriter<Made> {
  readonly #kept: { readonly payload: Buffer; readonly made: Made | null }[] = [];
  #next = 0;

  constructor(private readonly make: (payload: Buffer) => Made | null) {}

  /** Null when the content cannot be read. Nobody may write into a buffer that was handed in. */
  of(payload: Buffer): Made | null {
    for (const entry of this.#kept) if (entry.payload === payload) return entry.made;
    const made = this.make(payload);
    this.#kept[this.#next] = { payload, made };
    this.#next = (this.#next + 1) % KEPT;
    return made;
  }
}
