import { ACCOUNT_BYTES, type AccountId } from '../domain/ids.js';
import type { Handle } from './arena.js';
import type { AccountSlot } from './port.js';

const ACCOUNTS_PER_CHUNK = 8192;
const INITIAL_CAPACITY = 1024;

/**
 * Account → slot, by open addressing with linear probing over one Int32Array, and what each slot holds. A table of
 * numbers over packed keys costs about 50 bytes an account, where a Map of strings costs several hundred.
 *
 * The hash is seeded, so that nobody can prepare accounts that all fall into one place.
 */
export class AccountTable {
  /** slot + 1 in each used place, 0 in a free one. The length is a power of two. */
  #places = new Int32Array(INITIAL_CAPACITY * 2);
  #mask = this.#places.length - 1;
  #keys: Buffer[] = [];
  /** First subscription record of each slot; 0 marks a slot that is not in use. */
  #heads = new Uint32Array(INITIAL_CAPACITY);
  readonly #freeSlots: AccountSlot[] = [];
  #slotLimit = 0;
  #count = 0;

  constructor(private readonly seed: number) {}

  get slotLimit(): number {
    return this.#slotLimit;
  }

  get count(): number {
    return this.#count;
  }

  head(slot: AccountSlot): Handle {
    return this.#heads[slot] ?? 0;
  }

  setHead(slot: AccountSlot, handle: Handle): void {
    this.#heads[slot] = handle;
  }

  /** -1 when the account is not there. */
  find(account: Buffer): AccountSlot {
    if (account.length !== ACCOUNT_BYTES) return -1;
    const place = this.#placeOf(account);
    return (this.#places[place] ?? 0) - 1;
  }

  /** The account's slot, new when need be; the caller gives a new one its head at once. */
  findOrAdd(account: Buffer): { slot: AccountSlot; added: boolean } {
    let place = this.#placeOf(account);
    const found = this.#places[place] ?? 0;
    if (found !== 0) return { slot: found - 1, added: false };
    if ((this.#count + 1) * 2 > this.#places.length) {
      this.#grow();
      place = this.#placeOf(account);
    }
    const slot = this.#freeSlots.pop() ?? this.#slotLimit++;
    this.#reserve(slot);
    const chunk = this.#chunkOf(slot);
    account.copy(chunk, (slot % ACCOUNTS_PER_CHUNK) * ACCOUNT_BYTES);
    this.#places[place] = slot + 1;
    this.#count += 1;
    return { slot, added: true };
  }

  delete(slot: AccountSlot): void {
    let hole = this.#placeOf(this.keyView(slot));
    this.#heads[slot] = 0;
    this.#freeSlots.push(slot);
    this.#count -= 1;
    // Backward-shift deletion: close the gap, so that probing never needs tombstones.
    for (let place = (hole + 1) & this.#mask; ; place = (place + 1) & this.#mask) {
      const entry = this.#places[place] ?? 0;
      if (entry === 0) break;
      const home = this.#hash(this.#chunkOf(entry - 1), this.#offsetOf(entry - 1)) & this.#mask;
      const distanceFromHome = (place - home) & this.#mask;
      const distanceFromHole = (place - hole) & this.#mask;
      if (distanceFromHome >= distanceFromHole) {
        this.#places[hole] = entry;
        hole = place;
      }
    }
    this.#places[hole] = 0;
  }

  /** A view: good until the slot is freed. */
  keyView(slot: AccountSlot): AccountId {
    const offset = this.#offsetOf(slot);
    return this.#chunkOf(slot).subarray(offset, offset + ACCOUNT_BYTES) as AccountId;
  }

  #offsetOf(slot: AccountSlot): number {
    return (slot % ACCOUNTS_PER_CHUNK) * ACCOUNT_BYTES;
  }

  #chunkOf(slot: AccountSlot): Buffer {
    const chunk = this.#keys[Math.floor(slot / ACCOUNTS_PER_CHUNK)];
    if (chunk === undefined) throw new RangeError('no such account slot');
    return chunk;
  }

  /** The place that holds the account, or the free place where it belongs. */
  #placeOf(account: Buffer): number {
    const places = this.#places;
    for (let place = this.#hash(account, 0) & this.#mask; ; place = (place + 1) & this.#mask) {
      const entry = places[place] ?? 0;
      if (entry === 0 || this.#equals(entry - 1, account)) return place;
    }
  }

  #equals(slot: AccountSlot, account: Buffer): boolean {
    const chunk = this.#chunkOf(slot);
    const offset = this.#offsetOf(slot);
    for (let at = 0; at < 32; at += 4) {
      if (chunk.readInt32LE(offset + at) !== account.readInt32LE(at)) return false;
    }
    return chunk[offset + 32] === account[32];
  }

  #hash(bytes: Buffer, offset: number): number {
    let hash = this.seed ^ (bytes[offset] ?? 0);
    for (let at = offset + 1; at < offset + ACCOUNT_BYTES; at += 4) {
      hash = Math.imul(hash ^ bytes.readInt32LE(at), 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    hash = Math.imul(hash ^ (hash >>> 13), 0x85ebca6b);
    return (hash ^ (hash >>> 16)) >>> 0;
  }

  #reserve(slot: AccountSlot): void {
    if (slot >= this.#heads.length) {
      const heads = new Uint32Array(Math.ceil(this.#heads.length * 1.5));
      heads.set(this.#heads);
      this.#heads = heads;
    }
    if (slot >= this.#keys.length * ACCOUNTS_PER_CHUNK) {
      this.#keys.push(Buffer.allocUnsafeSlow(ACCOUNTS_PER_CHUNK * ACCOUNT_BYTES));
    }
  }

  #grow(): void {
    const old = this.#places;
    this.#places = new Int32Array(old.length * 2);
    this.#mask = this.#places.length - 1;
    for (const entry of old) {
      if (entry === 0) continue;
      let place = this.#hash(this.#chunkOf(entry - 1), this.#offsetOf(entry - 1)) & this.#mask;
      while (this.#places[place] !== 0) place = (place + 1) & this.#mask;
      this.#places[place] = entry;
    }
  }
}
