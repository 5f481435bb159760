import type { XmppDevice } from './device.js';

const HASH_BYTES = 32;
const NUMBER_BYTES = 8;
/** Where each number of a record is. */
const offsets = {
  registeredAtMs: HASH_BYTES,
  renewedAtMs: HASH_BYTES + NUMBER_BYTES,
  lastPushAtMs: HASH_BYTES + 2 * NUMBER_BYTES,
  lastErrorAtMs: HASH_BYTES + 3 * NUMBER_BYTES,
  revision: HASH_BYTES + 4 * NUMBER_BYTES,
} as const;

type Column = keyof typeof offsets;

export const RECORD_BYTES = HASH_BYTES + 5 * NUMBER_BYTES;
const RECORDS_PER_PAGE = 1024;

/**
 * The parts of all devices that have a fixed size: hash of the secret, times, revision. In pages outside the heap, because
 * as objects they were seven more for each device, which cost twice the memory and are walked at every garbage
 * collection.
 */
export class DeviceColumns {
  readonly #pages: Buffer[] = [];
  readonly #free: number[] = [];
  #end = 0;

  /** A place that nobody has. */
  allocate(): number {
    const place = this.#free.pop() ?? this.#end;
    if (place === this.#end) {
      this.#end += 1;
      if (place % RECORDS_PER_PAGE === 0) {
        this.#pages.push(Buffer.allocUnsafeSlow(RECORDS_PER_PAGE * RECORD_BYTES));
      }
    }
    return place;
  }

  free(place: number): void {
    this.#free.push(place);
  }

  setSecretHash(place: number, hash: Buffer): void {
    if (hash.length !== HASH_BYTES) throw new RangeError('not a SHA-256');
    hash.copy(this.#page(place), startOf(place));
  }

  /** A copy: the place may get another device while somebody still compares. */
  secretHash(place: number): XmppDevice['secretHash'] {
    const start = startOf(place);
    return Buffer.from(this.#page(place).subarray(start, start + HASH_BYTES));
  }

  set(place: number, column: Column, value: number | null): void {
    this.#page(place).writeDoubleLE(value ?? NaN, startOf(place) + offsets[column]);
  }

  /** Null: never. */
  get(place: number, column: Column): number | null {
    const value = this.number(place, column);
    return Number.isNaN(value) ? null : value;
  }

  /** Of a column that always has one. */
  number(place: number, column: Column): number {
    return this.#page(place).readDoubleLE(startOf(place) + offsets[column]);
  }

  #page(place: number): Buffer {
    const page = this.#pages[Math.floor(place / RECORDS_PER_PAGE)];
    if (page === undefined) throw new RangeError('not a place');
    return page;
  }
}

const startOf = (place: number): number => (place % RECORDS_PER_PAGE) * RECORD_BYTES;
