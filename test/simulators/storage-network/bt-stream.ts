/**
 * The positional reader that storage servers use (oxenc's `bt_dict_consumer`), with its error texts: it walks forward
 * to a wanted key and never back, takes what looks like a value and does not check the end (spec oxenmq, section 7).
 */
export class StreamFault extends Error {}

const ZERO = 0x30;
const NINE = 0x39;
const END = 0x65;
const INTEGER = 0x69;
const LIST = 0x6c;
const DICT = 0x64;
const MAX_DEPTH = 64;

export class DictReader {
  #position = 1;
  #key: Buffer | null = null;

  constructor(private readonly bytes: Buffer) {
    if (bytes[0] !== DICT) throw new StreamFault('Cannot create a bt_dict_consumer with non-dict data');
  }

  /** Whether the key is there, at or behind the present place. */
  has(name: string): boolean {
    const wanted = name.charCodeAt(0);
    for (;;) {
      if (this.#key === null) {
        if (this.#byte() === END) return false;
        this.#key = this.#string();
      }
      const first = this.#key[0] ?? 0;
      if (this.#key.length === 1 && first === wanted) return true;
      if (first > wanted || (first === wanted && this.#key.length > 1)) return false;
      this.#position = skipValue(this.bytes, this.#position, 0);
      this.#key = null;
    }
  }

  require(name: string): void {
    if (!this.has(name)) throw new StreamFault(`Key ${name} not found!`);
  }

  /** The following three read the value of the key that was found last. */
  string(): Buffer {
    this.#key = null;
    return this.#string();
  }

  integer(min: bigint, max: bigint): bigint {
    this.#key = null;
    if (this.#byte() !== INTEGER) throw new StreamFault('next bt dict value is not an integer');
    return this.#integer(min, max);
  }

  /** At least one integer, as the storage server reads its namespaces. */
  integers(min: bigint, max: bigint): bigint[] {
    this.#key = null;
    if (this.#byte() !== LIST) throw new StreamFault('next bt dict value is not a list');
    this.#position += 1;
    const items: bigint[] = [];
    do {
      if (this.#byte() !== INTEGER) throw new StreamFault('next value is not an integer');
      items.push(this.#integer(min, max));
    } while (this.#byte() !== END);
    this.#position += 1;
    return items;
  }

  #integer(min: bigint, max: bigint): bigint {
    const end = skipValue(this.bytes, this.#position, 0);
    const value = BigInt(this.bytes.toString('latin1', this.#position + 1, end - 1));
    this.#position = end;
    const failed = 'Integer deserialization failed: found';
    if (value < min) throw new StreamFault(`${failed} too-low value ${value} < ${min}`);
    if (value > max) throw new StreamFault(`${failed} too-large value ${value} > ${max}`);
    return value;
  }

  #string(): Buffer {
    const [start, end] = stringAt(this.bytes, this.#position);
    this.#position = end;
    return this.bytes.subarray(start, end);
  }

  #byte(): number {
    return this.bytes[this.#position] ?? endOfData();
  }
}

/** The dicts of a list, as views; throws for anything else in it. */
export function dictsOfList(bytes: Buffer): Buffer[] {
  const dicts: Buffer[] = [];
  let position = 1;
  while (bytes[position] !== END) {
    if (bytes[position] !== DICT) throw new StreamFault('next bt list value is not a dict');
    const end = skipValue(bytes, position, 0);
    dicts.push(bytes.subarray(position, end));
    position = end;
  }
  return dicts;
}

function endOfData(): never {
  throw new StreamFault('unexpected end of data');
}

function stringAt(bytes: Buffer, position: number): [start: number, end: number] {
  let at = position;
  let length = 0;
  for (let byte = bytes[at] ?? endOfData(); byte !== 0x3a; byte = bytes[at] ?? endOfData()) {
    if (byte < ZERO || byte > NINE) {
      throw new StreamFault(`expected a string, but found ${String.fromCharCode(byte)}`);
    }
    length = length * 10 + byte - ZERO;
    at += 1;
  }
  if (at === position) throw new StreamFault('expected a string, but found :');
  if (at + 1 + length > bytes.length) {
    throw new StreamFault(
      'String deserialization failed: encoded string length is longer than the serialized data',
    );
  }
  return [at + 1, at + 1 + length];
}

function skipValue(bytes: Buffer, position: number, depth: number): number {
  // The original has no limit and would crash.
  if (depth > MAX_DEPTH) throw new StreamFault('nested too deeply');
  const byte = bytes[position] ?? endOfData();
  if (byte === LIST || byte === DICT) {
    let at = position + 1;
    while ((bytes[at] ?? endOfData()) !== END) {
      if (byte === DICT) at = stringAt(bytes, at)[1];
      at = skipValue(bytes, at, depth + 1);
    }
    return at + 1;
  }
  if (byte !== INTEGER) return stringAt(bytes, position)[1];
  let at = position + 1;
  if (bytes[at] === 0x2d) at += 1;
  const digits = at;
  for (let digit = bytes[at] ?? endOfData(); digit !== END; digit = bytes[at] ?? endOfData()) {
    if (digit < ZERO || digit > NINE) throw new StreamFault('Integer deserialization failed');
    at += 1;
  }
  if (at === digits) throw new StreamFault('Integer deserialization failed');
  return at + 1;
}
