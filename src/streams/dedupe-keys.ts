/** Of a push, random: the same for all its attempts, another one for an equal notice. */
const KEY_BYTES = 16;
/** One that waits keeps its neighbours. */
const KEYS_AT_ONCE = 64;

/** Random dedupe keys, drawn many at a time: a draw for each would cost more than all the rest of a push. */
export class DedupeKeys {
  #keys: Buffer = Buffer.alloc(0);
  #at = 0;

  constructor(private readonly randomBytes: (count: number) => Buffer) {}

  next(): Buffer {
    if (this.#at >= this.#keys.length) {
      this.#keys = this.randomBytes(KEYS_AT_ONCE * KEY_BYTES);
      this.#at = 0;
    }
    const key = this.#keys.subarray(this.#at, this.#at + KEY_BYTES);
    this.#at += KEY_BYTES;
    return key;
  }
}
