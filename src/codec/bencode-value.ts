/**
 * Values of bt-encoding (bencode with 64-bit integers) and the one error of its codec.
 * Source: spec oxenmq, section 7.
 */

/** What the decoder makes. Integers are numbers when exact, bigints otherwise; strings are bytes (views, not copies). */
export type BencodeValue = number | bigint | Buffer | BencodeValue[] | BencodeDict;

/** What the encoder takes besides: text (as UTF-8), booleans (`i1e`/`i0e`), maps with text or byte keys. */
export type Encodable =
  | number
  | bigint
  | boolean
  | string
  | Uint8Array
  | readonly Encodable[]
  | ReadonlyMap<string | Uint8Array, Encodable>
  | BencodeDict;

export type BencodeFault =
  | 'truncated'
  | 'bad-integer'
  | 'integer-out-of-range'
  | 'bad-string-length'
  | 'unexpected-byte'
  | 'key-not-a-string'
  | 'unsorted-keys'
  | 'duplicate-key'
  | 'trailing-bytes'
  | 'too-deep'
  | 'too-many-values'
  | 'not-encodable';

/** The only thing that the codec throws. Says where, never what: the bytes may be somebody's. */
export class BencodeError extends Error {
  override readonly name = 'BencodeError';

  constructor(
    readonly fault: BencodeFault,
    /** Position in the input where it showed; -1 when encoding. */
    readonly offset = -1,
  ) {
    super(offset < 0 ? `bencode: ${fault}` : `bencode: ${fault} at byte ${offset}`);
  }
}

export type BencodeEntry = readonly [key: Buffer, value: BencodeValue];

/** A dict: entries in ascending unsigned byte order of their keys, no key twice. Made by the decoder. */
export class BencodeDict {
  constructor(readonly entries: readonly BencodeEntry[]) {}

  get size(): number {
    return this.entries.length;
  }

  /** The value of a key, text being UTF-8; undefined when absent. */
  get(key: string | Uint8Array): BencodeValue | undefined {
    const wanted = typeof key === 'string' ? Buffer.from(key) : key;
    let low = 0;
    let high = this.entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const entry = this.entries[middle];
      if (entry === undefined) return undefined;
      const order = Buffer.compare(entry[0], wanted);
      if (order === 0) return entry[1];
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return undefined;
  }

  /** The byte string at a key; null when absent or something else. */
  getBytes(key: string | Uint8Array): Buffer | null {
    const value = this.get(key);
    return Buffer.isBuffer(value) ? value : null;
  }

  /** The integer at a key when it is exact as a number; null when absent or something else. */
  getInteger(key: string | Uint8Array): number | null {
    const value = this.get(key);
    return typeof value === 'number' ? value : null;
  }
}

export const MIN_INTEGER = -(2n ** 63n);
export const MAX_INTEGER = 2n ** 64n - 1n;
