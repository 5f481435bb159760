import { describe, expect, it } from 'vitest';
import { readFileSync } from 'node:fs';
import {
  BencodeDict,
  BencodeError,
  decode,
  encode,
  type BencodeFault,
  type BencodeValue,
  type Encodable,
} from '../../../src/codec/bencode.js';

/** Notation of the vectors: `i` decimal, `s` hex, `l` items, `d` pairs of key hex and value. */
type Notation =
  | { i: string }
  | { s: string }
  | { l: Notation[] }
  | { d: [string, Notation][] }
  | { bool: boolean }
  | { text: string };

interface Vector {
  name: string;
  hex: string;
  value: Notation;
  reencoded_hex?: string;
}

const vectors = JSON.parse(
  readFileSync(new URL('../../vectors/bt-encoding.json', import.meta.url), 'utf8'),
) as {
  valid: Vector[];
  accepted_but_not_canonical: Vector[];
  invalid: { name: string; hex: string }[];
  nesting: { must_accept_levels: number[]; must_fail_cleanly_levels: number[] };
  encode: { cases: { name: string; value?: Notation; pairs_hex?: [string, Notation][]; hex: string }[] };
};

const bytes = (hex: string) => Buffer.from(hex, 'hex');

function notationOf(value: BencodeValue): Notation {
  if (typeof value === 'number' || typeof value === 'bigint') return { i: value.toString() };
  if (Buffer.isBuffer(value)) return { s: value.toString('hex') };
  if (value instanceof BencodeDict) {
    return { d: value.entries.map(([key, item]) => [key.toString('hex'), notationOf(item)]) };
  }
  return { l: value.map(notationOf) };
}

function encodableOf(notation: Notation): Encodable {
  if ('i' in notation) return BigInt(notation.i);
  if ('s' in notation) return bytes(notation.s);
  if ('l' in notation) return notation.l.map(encodableOf);
  if ('bool' in notation) return notation.bool;
  if ('text' in notation) return notation.text;
  return new Map(notation.d.map(([key, item]) => [bytes(key), encodableOf(item)]));
}

function faultOf(run: () => unknown): BencodeFault {
  try {
    run();
  } catch (error) {
    if (error instanceof BencodeError) return error.fault;
    throw error;
  }
  throw new Error('it did not throw');
}

/** The vector that the C++ decoder reads with a wrong value: both of our modes refuse it. */
const isWrapped = (vector: Vector) => vector.name.startsWith('integer above 2^64');

describe('bencode vectors', () => {
  it.each(vectors.valid)('decodes and re-encodes: $name', ({ hex, value }) => {
    for (const mode of ['strict', 'lenient'] as const) {
      const decoded = decode(bytes(hex), { mode });
      expect(notationOf(decoded)).toEqual(value);
      expect(encode(decoded).toString('hex')).toBe(hex);
    }
    expect(encode(encodableOf(value)).toString('hex')).toBe(hex);
  });

  it.each(vectors.accepted_but_not_canonical)('strict refuses: $name', ({ hex }) => {
    expect(() => decode(bytes(hex))).toThrow(BencodeError);
  });

  it.each(vectors.accepted_but_not_canonical.filter((vector) => !isWrapped(vector)))(
    'lenient takes: $name',
    ({ hex, value, reencoded_hex }) => {
      const decoded = decode(bytes(hex), { mode: 'lenient' });
      expect(notationOf(decoded)).toEqual(value);
      expect(encode(decoded).toString('hex')).toBe(reencoded_hex);
    },
  );

  it.each(vectors.accepted_but_not_canonical.filter(isWrapped))('no mode takes: $name', ({ hex }) => {
    expect(faultOf(() => decode(bytes(hex), { mode: 'lenient' }))).toBe('integer-out-of-range');
  });

  it.each(vectors.invalid)('both modes refuse: $name', ({ hex }) => {
    expect(() => decode(bytes(hex))).toThrow(BencodeError);
    expect(() => decode(bytes(hex), { mode: 'lenient' })).toThrow(BencodeError);
  });

  it.each(vectors.encode.cases)('encodes: $name', ({ value, pairs_hex, hex }) => {
    const input = value ?? { d: pairs_hex ?? [] };
    expect(encode(encodableOf(input)).toString('hex')).toBe(hex);
  });

  it.each(vectors.nesting.must_accept_levels)('takes %i levels of nesting', (levels) => {
    expect(() => decode(nested(levels))).not.toThrow();
  });

  it.each(vectors.nesting.must_fail_cleanly_levels)('refuses %i levels cleanly and at once', (levels) => {
    const input = nested(levels);
    const started = performance.now();
    expect(faultOf(() => decode(input))).toBe('too-deep');
    // Whatever depth is asked for, the stack is never at risk.
    expect(faultOf(() => decode(input, { maxDepth: levels + 1 }))).toBe('too-deep');
    expect(performance.now() - started).toBeLessThan(100);
  });
});

const nested = (levels: number) => Buffer.from('l'.repeat(levels) + 'e'.repeat(levels));

describe('bencode decoder', () => {
  it('gives byte strings as views into the input', () => {
    const input = Buffer.from('l4:abcde');
    const [item] = decode(input) as Buffer[];
    input[3] = 0x7a;
    expect(item?.toString()).toBe('zbcd');
  });

  it('gives integers as numbers when exact and as bigints otherwise', () => {
    expect(decode(Buffer.from('i9007199254740991e'))).toBe(9007199254740991);
    expect(decode(Buffer.from('i9007199254740992e'))).toBe(9007199254740992n);
    expect(decode(Buffer.from('i-9007199254740991e'))).toBe(-9007199254740991);
    expect(decode(Buffer.from('i-9223372036854775808e'))).toBe(-9223372036854775808n);
  });

  it('gives plain zero for a lenient minus zero', () => {
    expect(Object.is(decode(Buffer.from('i-000e'), { mode: 'lenient' }), 0)).toBe(true);
  });

  it('reads the first of a doubled errcode in lenient mode', () => {
    const reply = 'd7:errcodei2e5:error1:a7:errcodei5e5:error1:be';
    const dict = decode(Buffer.from(reply), { mode: 'lenient' });
    expect(dict).toBeInstanceOf(BencodeDict);
    if (!(dict instanceof BencodeDict)) return;
    expect(dict.getInteger('errcode')).toBe(2);
    expect(dict.getBytes('error')?.toString()).toBe('a');
    expect(dict.size).toBe(2);
  });

  it('finds keys, and nothing where there is none or something else', () => {
    const dict = decode(Buffer.from('d1:ai1e2:aai2e1:b1:x1:ci18446744073709551615ee')) as BencodeDict;
    expect(dict.get('a')).toBe(1);
    expect(dict.get('aa')).toBe(2);
    expect(dict.get(Buffer.from('c'))).toBe(18446744073709551615n);
    expect(dict.get('ab')).toBeUndefined();
    expect(dict.getInteger('c')).toBeNull();
    expect(dict.getInteger('b')).toBeNull();
    expect(dict.getBytes('a')).toBeNull();
    expect(dict.getBytes('zz')).toBeNull();
  });

  it('refuses a megabyte of digits at once', () => {
    const digits = '9'.repeat(1_000_000);
    const started = performance.now();
    expect(faultOf(() => decode(Buffer.from(`i${digits}e`), { mode: 'lenient' }))).toBe(
      'integer-out-of-range',
    );
    expect(faultOf(() => decode(Buffer.from(`${digits}:`), { mode: 'lenient' }))).toBe('bad-string-length');
    expect(performance.now() - started).toBeLessThan(200);
  });

  it('bounds the number of values, so that a frame of empty strings cannot fill the memory', () => {
    const input = Buffer.from(`l${'0:'.repeat(300_000)}e`);
    expect(faultOf(() => decode(input))).toBe('too-many-values');
    expect(decode(input, { maxValues: 300_001 })).toHaveLength(300_000);
  });

  it('names the fault and the place, not the bytes', () => {
    expect(faultOf(() => decode(Buffer.from('d1:bi1e1:ai2ee')))).toBe('unsorted-keys');
    expect(faultOf(() => decode(Buffer.from('d1:ai1e1:ai2ee')))).toBe('duplicate-key');
    expect(() => decode(Buffer.from('6:secre'))).toThrow('bencode: truncated at byte 0');
  });
});

describe('bencode encoder', () => {
  it.each<[string, unknown, BencodeFault]>([
    ['a fraction', 1.5, 'not-encodable'],
    ['NaN', NaN, 'not-encodable'],
    ['infinity', Infinity, 'not-encodable'],
    ['an integer above 2^64-1', 2n ** 64n, 'integer-out-of-range'],
    ['an integer below -2^63', -(2n ** 63n) - 1n, 'integer-out-of-range'],
    ['a number above 2^53-1', 2 ** 53, 'integer-out-of-range'],
    ['null', null, 'not-encodable'],
    ['undefined in a list', [undefined], 'not-encodable'],
    ['null in a dict', new Map([['a', null]]), 'not-encodable'],
    ['a plain object', {}, 'not-encodable'],
  ])('refuses %s', (_name, value, fault) => {
    expect(faultOf(() => encode(value as Encodable))).toBe(fault);
  });

  it('refuses the same key twice, once as text and once as bytes', () => {
    const map = new Map<string | Buffer, Encodable>([
      ['a', 1],
      [Buffer.from('a'), 2],
    ]);
    expect(faultOf(() => encode(map))).toBe('duplicate-key');
  });

  it('ends on a value that contains itself', () => {
    const loop: Encodable[] = [];
    loop.push(loop);
    expect(faultOf(() => encode(loop))).toBe('too-deep');
  });

  it('writes minus zero as zero', () => {
    expect(encode(-0).toString()).toBe('i0e');
  });
});
