import type { HeldPush } from './held-push.js';

/** So many fresh pushes go between two from the outbox, where both wait. */
const FRESH_IN_A_ROW = 3;

/** Handled entries at the front before the array is cut. */
const CUT_AFTER = 1024;

/** First in, first out. `Array.shift` moves everything; this moves a head. */
export class PushQueue {
  #items: (HeldPush | null)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(held: HeldPush): void {
    this.#items.push(held);
  }

  peek(): HeldPush | null {
    return this.#items[this.#head] ?? null;
  }

  shift(): HeldPush | null {
    const first = this.#items[this.#head] ?? null;
    if (first === null) return null;
    this.#items[this.#head] = null;
    this.#head += 1;
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    } else if (this.#head > CUT_AFTER) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return first;
  }
}

/** What waits for the window: two lanes, served by weight, so that neither starves the other. */
export class NotifierQueue {
  readonly fresh = new PushQueue();
  readonly claimed = new PushQueue();
  #freshInARow = 0;

  get length(): number {
    return this.fresh.length + this.claimed.length;
  }

  push(held: HeldPush): void {
    this[held.lane].push(held);
  }

  /** Null: nothing waits, or only claimed pushes while it is not their turn at all. */
  next(mayBeClaimed: boolean): HeldPush | null {
    const isTurnOfClaimed = this.#freshInARow >= FRESH_IN_A_ROW || this.fresh.length === 0;
    if (mayBeClaimed && isTurnOfClaimed && this.claimed.length > 0) {
      this.#freshInARow = 0;
      return this.claimed.shift();
    }
    this.#freshInARow += 1;
    return this.fresh.shift();
  }
}
