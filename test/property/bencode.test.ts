import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BencodeDict, BencodeError, decode, encode, type Encodable } from '../../src/codec/bencode.js';
import { decodeNotifyMessage } from '../../src/codec/notify-message.js';

const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array));

const integers = fc.oneof(
  fc.maxSafeInteger(),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }).map(canonicalInteger),
);

function canonicalInteger(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

const { value: values } = fc.letrec<{ value: Encodable }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    integers,
    bytes,
    fc.array(tie('value'), { maxLength: 5 }),
    fc
      .uniqueArray(fc.tuple(bytes, tie('value')), { maxLength: 5, selector: ([key]) => key.toString('hex') })
      .map((entries): Encodable => new Map(entries)),
  ),
}));

/** A decoded value and what was encoded, in one notation. */
function plain(value: Encodable): unknown {
  if (value instanceof BencodeDict)
    return { dict: value.entries.map(([key, item]) => [key.toString('hex'), plain(item)]) };
  if (value instanceof Map) {
    const entries = [...(value as Map<Buffer, Encodable>)].sort(([left], [right]) =>
      Buffer.compare(left, right),
    );
    return { dict: entries.map(([key, item]) => [key.toString('hex'), plain(item)]) };
  }
  if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString('hex') };
  if (Array.isArray(value)) return value.map((item: Encodable) => plain(item));
  return value;
}

/** Bytes that look like the format more often than chance allows. */
const nearlyBencode = fc
  .array(
    fc.oneof(
      fc.constantFrom('i', 'e', 'l', 'd', ':', '-', '0', '1', '2', '9', '1:a', 'i1e', '1:@33:'),
      fc.string(),
    ),
  )
  .map((pieces) => Buffer.from(pieces.join(''), 'latin1'));

const frames = fc
  .record({
    account: fc.uint8Array({ minLength: 33, maxLength: 33 }),
    hash: fc.uint8Array({ minLength: 32, maxLength: 99 }),
    namespace: fc.integer({ min: -32768, max: 32767 }),
    timestampMs: fc.nat(),
    expiryMs: fc.nat(),
    data: fc.option(bytes),
    foreign: fc.uniqueArray(fc.tuple(bytes, values), {
      selector: ([key]) => key.toString('hex'),
      maxLength: 3,
    }),
  })
  .map((notice) => {
    const dict = new Map<string, Encodable>();
    for (const [key, value] of notice.foreign) {
      // As UTF-8 text the key may turn into another one, which is as good.
      const text = key.toString();
      if (!['@', 'h', 'n', 't', 'z', '~'].includes(text)) dict.set(text, value);
    }
    dict.set('@', notice.account);
    dict.set('h', notice.hash);
    dict.set('n', notice.namespace);
    dict.set('t', notice.timestampMs);
    dict.set('z', notice.expiryMs);
    if (notice.data !== null) dict.set('~', notice.data);
    return { notice, frame: encode(dict) };
  });

describe('bencode', () => {
  it('decodes what it encoded, in both modes', () => {
    fc.assert(
      fc.property(values, (value) => {
        const encoded = encode(value);
        for (const mode of ['strict', 'lenient'] as const) {
          const decoded = decode(encoded, { mode });
          expect(plain(decoded)).toEqual(plain(value));
          expect(encode(decoded)).toEqual(encoded);
        }
      }),
    );
  });

  it('throws nothing but its own error, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.oneof(bytes, nearlyBencode), fc.constantFrom('strict', 'lenient'), (input, mode) => {
        try {
          const value = decode(input, { mode });
          // What strict mode takes is canonical.
          if (mode === 'strict') expect(encode(value)).toEqual(input);
        } catch (error) {
          if (!(error instanceof BencodeError)) throw error;
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

function decodeOrFault(input: Buffer) {
  try {
    return decode(input, { mode: 'lenient' });
  } catch (error) {
    if (error instanceof BencodeError) return error.fault;
    throw error;
  }
}

describe('notify.message', () => {
  it('reads every well-formed frame, whatever unknown keys lie between', () => {
    fc.assert(
      fc.property(frames, ({ notice, frame }) => {
        expect(decodeNotifyMessage(frame)).toEqual({
          kind: 'swarm',
          account: Buffer.from(notice.account),
          hash: Buffer.from(notice.hash),
          namespace: notice.namespace,
          timestampMs: notice.timestampMs,
          expiryMs: notice.expiryMs,
          data: notice.data,
        });
      }),
      { numRuns: 500 },
    );
  });

  it('never throws on damaged frames, and what it still takes is what the whole decoder reads', () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(frames, damage, fc.nat(), ({ frame }, changes, cut) => {
        const damaged = Buffer.from(frame);
        for (const [place, byte] of changes) damaged[place % damaged.length] = byte;
        const input = cut % 3 === 0 ? damaged.subarray(0, cut % (damaged.length + 1)) : damaged;
        const notice = decodeNotifyMessage(input);
        if (typeof notice === 'string') return;
        expect(notice.account).toHaveLength(33);
        const dict = decodeOrFault(input);
        // The walker does not look at the values of keys that it skips.
        if (dict === 'integer-out-of-range') return;
        if (!(dict instanceof BencodeDict))
          throw new Error(`the whole decoder reads something else: ${typeof dict}`);
        expect(dict.getBytes('@')).toEqual(notice.account);
        expect(dict.getInteger('n')).toBe(notice.namespace);
      }),
      { numRuns: 3_000 },
    );
  });

  it('never throws on arbitrary bytes', () => {
    fc.assert(
      fc.property(fc.oneof(bytes, nearlyBencode), (input) => {
        decodeNotifyMessage(input);
      }),
      { numRuns: 3_000 },
    );
  });
});
