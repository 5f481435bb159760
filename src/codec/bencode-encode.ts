import { BencodeDict, BencodeError, MAX_INTEGER, MIN_INTEGER, type Encodable } from './bencode-value.js';

/** Far above anything sensible; only there to end on a value that contains itself. */
const MAX_DEPTH = 256;

const LIST = Buffer.from('l');
const DICT = Buffer.from('d');
const END = Buffer.from('e');

/**
 * The canonical encoding: keys in ascending unsigned byte order (not JavaScript's UTF-16 order), no leading zeros.
 * Throws `BencodeError` for what has no exact encoding: fractions, numbers beyond 2^53 (pass a bigint), integers
 * outside -2^63 … 2^64-1, null and undefined (leave the key out), the same key twice.
 */
export function encode(value: Encodable): Buffer {
  const chunks: Uint8Array[] = [];
  append(chunks, value, 0);
  return Buffer.concat(chunks);
}

function append(chunks: Uint8Array[], value: Encodable, depth: number): void {
  if (depth > MAX_DEPTH) throw new BencodeError('too-deep');
  if (typeof value === 'number') {
    if (!Number.isInteger(value)) throw new BencodeError('not-encodable');
    if (!Number.isSafeInteger(value)) throw new BencodeError('integer-out-of-range');
    // `-0` prints as 0.
    chunks.push(Buffer.from(`i${value}e`, 'latin1'));
  } else if (typeof value === 'bigint') {
    if (value < MIN_INTEGER || value > MAX_INTEGER) throw new BencodeError('integer-out-of-range');
    chunks.push(Buffer.from(`i${value}e`, 'latin1'));
  } else if (typeof value === 'boolean') {
    chunks.push(Buffer.from(value ? 'i1e' : 'i0e', 'latin1'));
  } else if (typeof value === 'string') {
    appendBytes(chunks, Buffer.from(value));
  } else if (value instanceof Uint8Array) {
    appendBytes(chunks, value);
  } else if (isList(value)) {
    chunks.push(LIST);
    for (const item of value) append(chunks, item, depth + 1);
    chunks.push(END);
  } else if (value instanceof BencodeDict) {
    appendDict(chunks, value.entries, depth);
  } else if (value instanceof Map) {
    appendDict(chunks, mapEntries(value), depth);
  } else {
    throw new BencodeError('not-encodable');
  }
}

// `Array.isArray` does not narrow a readonly array out of a union.
const isList = (value: Encodable): value is readonly Encodable[] => Array.isArray(value);

function appendBytes(chunks: Uint8Array[], bytes: Uint8Array): void {
  chunks.push(Buffer.from(`${bytes.length}:`, 'latin1'), bytes);
}

function* mapEntries(
  map: ReadonlyMap<string | Uint8Array, Encodable>,
): IterableIterator<readonly [Uint8Array, Encodable]> {
  for (const [key, item] of map) yield [typeof key === 'string' ? Buffer.from(key) : key, item];
}

function appendDict(
  chunks: Uint8Array[],
  entries: Iterable<readonly [Uint8Array, Encodable]>,
  depth: number,
): void {
  const sorted = [...entries].sort(([left], [right]) => Buffer.compare(left, right));
  chunks.push(DICT);
  let previous: Uint8Array | null = null;
  for (const [key, item] of sorted) {
    if (previous !== null && Buffer.compare(previous, key) === 0) throw new BencodeError('duplicate-key');
    previous = key;
    appendBytes(chunks, key);
    append(chunks, item, depth + 1);
  }
  chunks.push(END);
}
