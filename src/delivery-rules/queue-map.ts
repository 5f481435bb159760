interface Link<Value> {
  readonly key: string;
  readonly value: Value;
  before: Link<Value> | null;
  after: Link<Value> | null;
}

/**
 * A map in the order of insertion whose head is found at once. An iterator of `Map` walks over the gaps of all entries
 * that were deleted before it, until the table is rebuilt: in one that grows at one end and shrinks at the other, by
 * the ten thousand.
 */
export class QueueMap<Value> {
  readonly #links = new Map<string, Link<Value>>();
  #first: Link<Value> | null = null;
  #last: Link<Value> | null = null;

  get size(): number {
    return this.#links.size;
  }

  get(key: string): Value | undefined {
    return this.#links.get(key)?.value;
  }

  /** Inserted longest ago; null when there is none. */
  get first(): readonly [string, Value] | null {
    return this.#first === null ? null : [this.#first.key, this.#first.value];
  }

  /** At the end, also what was there already. */
  push(key: string, value: Value): void {
    this.delete(key);
    const link: Link<Value> = { key, value, before: this.#last, after: null };
    if (this.#last === null) this.#first = link;
    else this.#last.after = link;
    this.#last = link;
    this.#links.set(key, link);
  }

  delete(key: string): void {
    const link = this.#links.get(key);
    if (link === undefined) return;
    this.#links.delete(key);
    if (link.before === null) this.#first = link.after;
    else link.before.after = link.after;
    if (link.after === null) this.#last = link.before;
    else link.after.before = link.before;
  }

  /** From the first on; the one that was just given may be deleted meanwhile. */
  *[Symbol.iterator](): Generator<readonly [string, Value]> {
    for (let link = this.#first; link !== null;) {
      const { after } = link;
      yield [link.key, link.value];
      link = after;
    }
  }
}
