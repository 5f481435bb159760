/** What can be in a `LinkedSet`, in one at a time. Both null while it is in none; nobody else writes them. */
export interface Linked<Item> {
  before: Item | null;
  after: Item | null;
}

/**
 * A set, in the order of insertion, for items that come and go by the thousand per second. A `Set` builds a new table
 * every few of them, and the old one holds on to the new one and to what was in it. Once the collector of the old
 * generation has come by, every table and item after it grows old with them until it comes again, which is most of what
 * it then has to do. Here nothing refers to an item that was deleted.
 */
export class LinkedSet<Item extends Linked<Item>> {
  #first: Item | null = null;
  #last: Item | null = null;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Inserted longest ago; null when there is none. */
  get first(): Item | null {
    return this.#first;
  }

  /** It must not be in any. */
  add(item: Item): void {
    item.before = this.#last;
    if (this.#last === null) this.#first = item;
    else this.#last.after = item;
    this.#last = item;
    this.#size += 1;
  }

  /** Of an item that is in this set or in none. */
  has(item: Item): boolean {
    return item.before !== null || item === this.#first;
  }

  /** False: it was not in. */
  delete(item: Item): boolean {
    if (!this.has(item)) return false;
    const { before, after } = item;
    if (before === null) this.#first = after;
    else before.after = after;
    if (after === null) this.#last = before;
    else after.before = before;
    item.before = item.after = null;
    this.#size -= 1;
    return true;
  }

  /** Those that are in now. */
  toArray(): Item[] {
    const items: Item[] = [];
    for (let item = this.#first; item !== null; item = item.after) items.push(item);
    return items;
  }

  /** Empties it, and says what was in. */
  takeAll(): Item[] {
    const items = this.toArray();
    for (const item of items) item.before = item.after = null;
    this.#first = this.#last = null;
    this.#size = 0;
    return items;
  }
}
