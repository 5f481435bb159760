import {
  parseAccountId,
  parseEncryptionKey,
  parseServiceId,
  parseServiceName,
  type ServiceName,
} from '../domain/ids.js';
import type { Subscription } from '../domain/subscription.js';

/** Of int32 column count, then per column int32 type, int32 length (-1 = null), bytes. Source: `record_send`. */
const COLUMNS = 13;
const INTERNED_MAX = 1000;

/**
 * Reads pages of packed rows (`subscriptionPage`). Buffers of the subscriptions are views into the page. Lists and
 * names that repeat (most devices want the same namespaces) are one object, kept up to a bound.
 */
export class SubscriptionPageReader {
  readonly #namespaces = new Map<string, readonly number[]>();
  readonly #services = new Map<string, ServiceName>();
  #page: Buffer = Buffer.alloc(0);
  #offset = 0;

  /** Rows that do not parse (put there by another hand) are left out. */
  read(page: Buffer): Subscription[] {
    this.#page = page;
    this.#offset = 0;
    const subscriptions: Subscription[] = [];
    while (this.#offset < page.length) {
      const subscription = this.#row();
      if (subscription !== null) subscriptions.push(subscription);
    }
    this.#page = Buffer.alloc(0);
    return subscriptions;
  }

  #row(): Subscription | null {
    if (this.#page.readInt32BE(this.#offset) !== COLUMNS) throw new TypeError('not a packed subscription');
    this.#offset += 4;
    this.#skip();
    const signedAtSeconds = this.#bigint();
    const wantData = this.#required()[0] === 1;
    const namespaces = this.#namespaceList();
    const account = parseAccountId(this.#required());
    const encryptionKey = parseEncryptionKey(this.#required());
    const signature = this.#required();
    const ed25519Key = this.#bytes();
    const tag = this.#bytes();
    const tagSignature = this.#bytes();
    const service = this.#service();
    const serviceId = parseServiceId(this.#text());
    const serviceData = this.#bytes();
    if (account === null || encryptionKey === null || service === null || serviceId === null) return null;
    const subaccount = tag === null || tagSignature === null ? null : { tag, signature: tagSignature };
    return {
      account,
      service,
      serviceId,
      namespaces,
      wantData,
      encryptionKey,
      serviceData,
      authorisation: { ed25519Key, subaccount, signature, signedAtSeconds },
    };
  }

  /** The next column: its length, -1 for null; the offset is then at its bytes. */
  #length(): number {
    const length = this.#page.readInt32BE(this.#offset + 4);
    this.#offset += 8;
    return length;
  }

  #skip(): void {
    this.#offset += 8 + this.#page.readInt32BE(this.#offset + 4);
  }

  #bytes(): Buffer | null {
    const length = this.#length();
    if (length < 0) return null;
    const start = this.#offset;
    this.#offset += length;
    return this.#page.subarray(start, this.#offset);
  }

  #required(): Buffer {
    const bytes = this.#bytes();
    if (bytes === null) throw new TypeError('a packed subscription lacks a column');
    return bytes;
  }

  #bigint(): number {
    this.#length();
    const value =
      this.#page.readInt32BE(this.#offset) * 0x1_0000_0000 + this.#page.readUInt32BE(this.#offset + 4);
    this.#offset += 8;
    return value;
  }

  #text(): string {
    const length = this.#length();
    const start = this.#offset;
    this.#offset += length;
    return this.#page.toString('utf8', start, this.#offset);
  }

  #service(): ServiceName | null {
    const text = this.#text();
    const known = this.#services.get(text);
    if (known !== undefined) return known;
    const name = parseServiceName(text);
    if (name !== null && this.#services.size < INTERNED_MAX) this.#services.set(text, name);
    return name;
  }

  /** An array of int2 in binary form: 20 bytes of header, of which the fourth int32 is the length; 6 per element. */
  #namespaceList(): readonly number[] {
    const length = this.#length();
    const start = this.#offset;
    this.#offset += length;
    const key = this.#page.toString('latin1', start, this.#offset);
    const known = this.#namespaces.get(key);
    if (known !== undefined) return known;
    const list: number[] = [];
    for (let at = start + 24; at < this.#offset; at += 6) list.push(this.#page.readInt16BE(at));
    if (this.#namespaces.size < INTERNED_MAX) this.#namespaces.set(key, list);
    return list;
  }
}
