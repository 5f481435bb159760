import sodium from 'sodium-native';
import type { Platform } from './session-client.js';

/** What a device makes of a push. Source: spec session-push-v2, sections 11 and 16.3. */
export interface DecodedPush {
  /** `json` with message data, `dict` (bencoded) without. */
  readonly form: 'json' | 'dict';
  readonly account: string;
  readonly hash: string;
  readonly namespace: number | null;
  readonly timestampMs: number;
  readonly expiryMs: number;
  /** `l`; null when the push says nothing about data. */
  readonly dataLength: number | null;
  readonly tooLong: boolean;
  readonly data: Buffer | null;
  /** The padded list, as it was encrypted. Bytes. */
  readonly paddedBytes: number;
}

export type Shown =
  | { readonly kind: 'message'; readonly data: Buffer; readonly namespace: number | null }
  /** "You've got a new message", nothing known about it. */
  | { readonly kind: 'generic' }
  | { readonly kind: 'nothing' };

/** Decrypts `enc_payload`; throws when anything about it is wrong. */
export function decodePush(encPayload: string, encryptionKey: Buffer): DecodedPush {
  const sealed = Buffer.from(encPayload, 'base64');
  if (sealed.toString('base64') !== encPayload) throw new Error('enc_payload is not canonical base64');
  const padded = Buffer.alloc(sealed.length - 40);
  sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
    padded,
    null,
    sealed.subarray(24),
    null,
    sealed.subarray(0, 24),
    encryptionKey,
  );
  let end = padded.length;
  while (end > 0 && padded[end - 1] === 0) end -= 1;

  const reader = new BencodeReader(padded.subarray(0, end));
  const list = reader.read();
  if (!reader.atEnd || !Array.isArray(list)) throw new Error('the payload is not one bencoded list');
  const [metadata, data] = list;
  if (data !== undefined && !Buffer.isBuffer(data)) throw new Error('the second element is not a string');
  const form = Buffer.isBuffer(metadata) ? 'json' : 'dict';
  const fields = Buffer.isBuffer(metadata)
    ? new Map(Object.entries(JSON.parse(metadata.toString('utf8')) as Record<string, unknown>))
    : metadata;
  if (!(fields instanceof Map)) throw new Error('the first element holds no metadata');
  const get = (key: string): unknown => {
    const value: unknown = fields.get(key);
    return Buffer.isBuffer(value) ? value.toString('utf8') : value;
  };
  return {
    form,
    account: text(get('@')),
    hash: text(get('#')),
    namespace: optionalNumber(get('n')),
    timestampMs: number(get('t')),
    expiryMs: number(get('z')),
    dataLength: optionalNumber(get('l')),
    tooLong: get('B') === 1 || get('B') === true,
    data: data ?? null,
    paddedBytes: padded.length,
  };
}

/** What the user sees, by the rules of each platform. */
export function show(push: DecodedPush, platform: Platform): Shown {
  if (platform === 'android' && push.form === 'dict') return { kind: 'generic' };
  if (push.dataLength === null) return { kind: 'generic' };
  if (push.tooLong) return platform === 'ios' ? { kind: 'nothing' } : { kind: 'generic' };
  if (push.data === null || push.data.length !== push.dataLength) return { kind: 'generic' };
  return { kind: 'message', data: push.data, namespace: push.namespace };
}

type BencodeValue = Buffer | number | BencodeValue[] | Map<string, BencodeValue>;

/** The client's own reader, on purpose independent of the server's. */
class BencodeReader {
  #position = 0;

  constructor(private readonly bytes: Buffer) {}

  get atEnd(): boolean {
    return this.#position === this.bytes.length;
  }

  read(): BencodeValue {
    switch (this.#peek()) {
      case 'l':
        return this.#list();
      case 'd':
        return this.#dict();
      case 'i':
        return this.#integer();
      default:
        return this.#string();
    }
  }

  #peek(): string {
    return String.fromCharCode(this.bytes[this.#position] ?? 0);
  }

  #until(mark: string): string {
    const end = this.bytes.indexOf(mark, this.#position);
    if (end < 0) throw new Error('bencode ends early');
    const found = this.bytes.toString('latin1', this.#position, end);
    this.#position = end + 1;
    return found;
  }

  #integer(): number {
    this.#position += 1;
    return Number(this.#until('e'));
  }

  #string(): Buffer {
    const length = Number(this.#until(':'));
    const start = this.#position;
    this.#position += length;
    if (!Number.isInteger(length) || this.#position > this.bytes.length)
      throw new Error('bencode ends early');
    return this.bytes.subarray(start, this.#position);
  }

  #list(): BencodeValue[] {
    const items: BencodeValue[] = [];
    this.#position += 1;
    while (this.#peek() !== 'e') items.push(this.read());
    this.#position += 1;
    return items;
  }

  #dict(): Map<string, BencodeValue> {
    const items = new Map<string, BencodeValue>();
    let previous = '';
    this.#position += 1;
    while (this.#peek() !== 'e') {
      const key = this.#string().toString('latin1');
      if (items.size > 0 && key <= previous) throw new Error('bencode keys are not in order');
      previous = key;
      items.set(key, this.read());
    }
    this.#position += 1;
    return items;
  }
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw new Error('the metadata lacks a text');
  return value;
}

function number(value: unknown): number {
  if (typeof value !== 'number') throw new Error('the metadata lacks a number');
  return value;
}

const optionalNumber = (value: unknown): number | null =>
  value === undefined || value === null ? null : number(value);
