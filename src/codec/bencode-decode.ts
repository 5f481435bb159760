import {
  BencodeDict,
  BencodeError,
  MAX_INTEGER,
  MIN_INTEGER,
  type BencodeEntry,
  type BencodeValue,
} from './bencode-value.js';

export interface DecodeOptions {
  /**
   * `strict` takes the canonical form only. `lenient` is for replies of other servers: it takes leading zeros, `-0`,
   * unsorted keys, and keeps the first of duplicate keys (a storage server can send `errcode` twice).
   * Neither takes trailing bytes or integers outside -2^63 … 2^64-1. Default `strict`.
   */
  readonly mode?: 'strict' | 'lenient';
  /** Nested lists and dicts; default 64, at most 256. */
  readonly maxDepth?: number;
  /**
   * Values in all, keys included; default 200,000. Ten megabytes of `0:` would otherwise become five million objects.
   */
  readonly maxValues?: number;
}

const DEFAULT_MAX_DEPTH = 64;
/** The decoder calls itself once per level; this keeps it far from the end of the stack. */
const DEPTH_CEILING = 256;
const DEFAULT_MAX_VALUES = 200_000;

/** Digits of 2^64-1. */
const MAX_INTEGER_DIGITS = 20;
/** Up to here a digit string is exact as a number. */
const EXACT_DIGITS = 15;
/** No buffer is longer. */
const MAX_LENGTH_DIGITS = 16;

const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const MINUS = 0x2d;
const INTEGER = 0x69;
const LIST = 0x6c;
const DICT = 0x64;
const END = 0x65;

/** The whole of `bytes` as one value; byte strings are views into it. Throws only `BencodeError`. */
export function decode(bytes: Buffer, options: DecodeOptions = {}): BencodeValue {
  const decoder = new Decoder(
    bytes,
    options.mode !== 'lenient',
    Math.min(options.maxDepth ?? DEFAULT_MAX_DEPTH, DEPTH_CEILING),
    options.maxValues ?? DEFAULT_MAX_VALUES,
  );
  return decoder.whole();
}

class Decoder {
  #position = 0;
  #valuesLeft: number;

  constructor(
    private readonly bytes: Buffer,
    private readonly strict: boolean,
    private readonly maxDepth: number,
    maxValues: number,
  ) {
    this.#valuesLeft = maxValues;
  }

  whole(): BencodeValue {
    const value = this.#value(0);
    if (this.#position !== this.bytes.length) throw this.#error('trailing-bytes');
    return value;
  }

  #value(depth: number): BencodeValue {
    const byte = this.#peek();
    if (byte >= ZERO && byte <= NINE) return this.#string();
    this.#count();
    switch (byte) {
      case INTEGER:
        return this.#integer();
      case LIST:
        return this.#list(depth + 1);
      case DICT:
        return this.#dict(depth + 1);
      default:
        throw this.#error('unexpected-byte');
    }
  }

  #list(depth: number): BencodeValue[] {
    this.#enter(depth);
    const items: BencodeValue[] = [];
    while (this.#peek() !== END) items.push(this.#value(depth));
    this.#position += 1;
    return items;
  }

  #dict(depth: number): BencodeDict {
    this.#enter(depth);
    const entries: BencodeEntry[] = [];
    let sorted = true;
    let previous: Buffer | null = null;
    for (let byte = this.#peek(); byte !== END; byte = this.#peek()) {
      if (byte < ZERO || byte > NINE) throw this.#error('key-not-a-string');
      const keyOffset = this.#position;
      const key = this.#string();
      const order = previous === null ? -1 : Buffer.compare(previous, key);
      if (order >= 0) {
        if (this.strict) throw new BencodeError(order === 0 ? 'duplicate-key' : 'unsorted-keys', keyOffset);
        sorted = false;
      }
      previous = key;
      entries.push([key, this.#value(depth)]);
    }
    this.#position += 1;
    return new BencodeDict(sorted ? entries : sortedFirstWins(entries));
  }

  #enter(depth: number): void {
    if (depth > this.maxDepth) throw this.#error('too-deep');
    this.#position += 1;
  }

  /** At a digit: `length:bytes`. */
  #string(): Buffer {
    this.#count();
    const start = this.#position;
    const end = this.#digits(start);
    if (end - start > MAX_LENGTH_DIGITS) throw this.#error('bad-string-length');
    if (end >= this.bytes.length) throw this.#error('truncated');
    if (this.bytes[end] !== COLON) throw this.#error('bad-string-length');
    if (this.strict && end - start > 1 && this.bytes[start] === ZERO) throw this.#error('bad-string-length');
    const length = Number(this.bytes.latin1Slice(start, end));
    if (length > this.bytes.length - end - 1) throw this.#error('truncated');
    this.#position = end + 1 + length;
    return this.bytes.subarray(end + 1, this.#position);
  }

  /** At `i`. */
  #integer(): number | bigint {
    const negative = this.bytes[this.#position + 1] === MINUS;
    let start = this.#position + (negative ? 2 : 1);
    const end = this.#digits(start);
    if (end >= this.bytes.length) throw this.#error('truncated');
    if (end === start || this.bytes[end] !== END) throw this.#error('bad-integer');
    if (this.bytes[start] === ZERO && (end - start > 1 || negative)) {
      if (this.strict) throw this.#error('bad-integer');
      while (start < end - 1 && this.bytes[start] === ZERO) start += 1;
    }
    // Counted before conversion: making a bigint of a megabyte of digits takes minutes.
    if (end - start > MAX_INTEGER_DIGITS) throw this.#error('integer-out-of-range');
    const digits = this.bytes.latin1Slice(start, end);
    const value = this.#exact(digits, negative);
    this.#position = end + 1;
    return value;
  }

  #exact(digits: string, negative: boolean): number | bigint {
    if (digits.length <= EXACT_DIGITS) {
      const value = Number(digits);
      return negative && value !== 0 ? -value : value;
    }
    const value = negative ? -BigInt(digits) : BigInt(digits);
    if (value < MIN_INTEGER || value > MAX_INTEGER) throw this.#error('integer-out-of-range');
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  /** The first position from `from` on that holds no digit. */
  #digits(from: number): number {
    let position = from;
    for (;;) {
      const byte = this.bytes[position];
      if (byte === undefined || byte < ZERO || byte > NINE) return position;
      position += 1;
    }
  }

  #peek(): number {
    const byte = this.bytes[this.#position];
    if (byte === undefined) throw this.#error('truncated');
    return byte;
  }

  #count(): void {
    this.#valuesLeft -= 1;
    if (this.#valuesLeft < 0) throw this.#error('too-many-values');
  }

  #error(fault: BencodeError['fault']): BencodeError {
    return new BencodeError(fault, this.#position);
  }
}

/** `Array.prototype.sort` is stable, so of equal keys the first of the input comes first. */
function sortedFirstWins(entries: readonly BencodeEntry[]): BencodeEntry[] {
  const sorted = [...entries].sort(([left], [right]) => Buffer.compare(left, right));
  return sorted.filter((entry, index) => {
    const before = sorted[index - 1];
    return before === undefined || Buffer.compare(before[0], entry[0]) !== 0;
  });
}
