const NUL = 0;
const EMPTY = Buffer.alloc(0);
const FIRST_CAPACITY_BYTES = 1024;

/**
 * Cuts what arrives into messages, each ended by a NUL. Holds the bytes in one piece of its own as soon as a message
 * comes in several: kept as they come, single bytes would cost a hundred times their size. Nothing is held between
 * messages. Source: spec uwpx-push, section 1.
 */
export class MessageBuffer {
  #bytes: Buffer = EMPTY;
  #start = 0;
  #end = 0;
  /** Up to here there is no NUL; `#start` or later. */
  #searched = 0;
  /** What was adopted is the socket's, and nothing is written behind it. */
  #isOwn = false;
  #isTooLong = false;

  constructor(private readonly messageMaxBytes: number) {}

  /** Bytes that were not taken yet. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** The next message, whole or not, is longer than any may be; found out by `take`. */
  get isTooLong(): boolean {
    return this.#isTooLong;
  }

  /** Keeps the chunk, which nobody may change afterwards. */
  append(chunk: Buffer): void {
    if (this.length === 0) {
      this.#hold(chunk, chunk.length, false);
      return;
    }
    const needed = this.length + chunk.length;
    if (!this.#isOwn || this.#end + chunk.length > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(FIRST_CAPACITY_BYTES, needed * 2));
      this.#bytes.copy(grown, 0, this.#start, this.#end);
      const searched = this.#searched - this.#start;
      this.#hold(grown, this.length, true);
      this.#searched = searched;
    }
    chunk.copy(this.#bytes, this.#end);
    this.#end += chunk.length;
  }

  /** The next message without its NUL, valid until the next `append`; null while none is whole. */
  take(): Buffer | null {
    const found = this.#bytes.subarray(0, this.#end).indexOf(NUL, this.#searched);
    const end = found < 0 ? this.#end : found;
    this.#searched = end;
    if (end - this.#start > this.messageMaxBytes) {
      this.#isTooLong = true;
      return null;
    }
    if (found < 0) return null;
    const message = this.#bytes.subarray(this.#start, found);
    this.#start = this.#searched = found + 1;
    if (this.length === 0) this.clear();
    return message;
  }

  /** What there is of a message that has no NUL yet; it stays. */
  peek(): Buffer {
    return this.#bytes.subarray(this.#start, this.#end);
  }

  clear(): void {
    this.#hold(EMPTY, 0, false);
  }

  #hold(bytes: Buffer, length: number, isOwn: boolean): void {
    this.#bytes = bytes;
    this.#start = this.#searched = 0;
    this.#end = length;
    this.#isOwn = isOwn;
  }
}
