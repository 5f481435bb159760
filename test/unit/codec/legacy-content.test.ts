import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BencodeDict, decode, encode } from '../../../src/codec/bencode.js';
import {
  encodeLegacyContent,
  readLegacyContent,
  type LegacyMessage,
} from '../../../src/codec/legacy-content.js';

const message: LegacyMessage = {
  alertTitle: 'Session',
  alertBody: "You've got a new message",
  data: 'aGVsbG8=',
};
const text = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: 'binary' }), // whole code points, NUL and control characters among them
  fc.base64String({ maxLength: 12_000 }),
);
const messages = fc.record({ alertTitle: text, alertBody: text, data: fc.option(text) });

describe('the content of an older client’s push', () => {
  it('is the bencoded dict of its three texts', () => {
    expect(encodeLegacyContent(message).toString()).toBe(
      "d1:b24:You've got a new message1:d8:aGVsbG8=1:t7:Sessione",
    );
  });

  it('leaves the data out where there is none, which is not the same as none in it', () => {
    const without = encodeLegacyContent({ ...message, data: null });
    expect(without.toString()).toBe("d1:b24:You've got a new message1:t7:Sessione");
    expect(readLegacyContent(without)?.data).toBeNull();
    expect(readLegacyContent(encodeLegacyContent({ ...message, data: '' }))?.data).toBe('');
  });

  it('comes back as it was, whatever the texts', () => {
    fc.assert(
      fc.property(messages, (given) => {
        expect(readLegacyContent(encodeLegacyContent(given))).toEqual(given);
      }),
    );
  });

  it('is canonical bencode', () => {
    fc.assert(
      fc.property(messages, (given) => {
        const bytes = encodeLegacyContent(given);
        const dict = decode(bytes);
        expect(dict).toBeInstanceOf(BencodeDict);
        expect(dict instanceof BencodeDict && encode(dict).equals(bytes)).toBe(true);
      }),
    );
  });

  it('has a mark in the place of half a surrogate pair, which is no text', () => {
    const bytes = encodeLegacyContent({ ...message, data: 'a\ud800b' });
    expect(readLegacyContent(bytes)?.data).toBe('a\ufffdb');
  });

  it('can be read out of the middle of a larger buffer', () => {
    const bytes = encodeLegacyContent(message);
    const around = Buffer.concat([Buffer.from('d1:b'), bytes, Buffer.from('e')]);
    expect(readLegacyContent(around.subarray(4, 4 + bytes.length))).toEqual(message);
  });
});

describe('anything else', () => {
  it.each([
    '',
    'd',
    'e',
    'de',
    'le',
    'd1:b0:e',
    'd1:t0:e',
    'd1:b0:1:d0:e',
    'd1:d0:1:t0:e',
    'd1:t0:1:b0:e', // unsorted
    'd1:b0:1:t0:', // no end
    'd1:b0:1:t0:ee', // one too many
    'd1:b0:1:t0:1:x0:e',
    'd1:b0:1:a0:1:t0:e',
    'd1:b00:1:t0:e', // leading zero
    'd1:b01:x1:t0:e',
    'd1:b:1:t0:e',
    'd1:b-1:1:t0:e',
    'd1:b+0:1:t0:e',
    'd1:b5:1:t0:e',
    'd1:b999999999:1:t0:e',
    'd1:b99999999999999999999:1:t0:e',
    'd1:bi0e1:t0:e',
    'd2:bb0:1:t0:e',
  ])('is none: %s', (junk) => {
    expect(readLegacyContent(Buffer.from(junk))).toBeNull();
  });

  it('of random bytes is none', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(readLegacyContent(Buffer.from(bytes))).toBeNull();
      }),
    );
  });

  it('that was cut off or changed in one byte never throws, and cut off it is none', () => {
    const whole = encodeLegacyContent(message);
    for (let length = 0; length < whole.length; length += 1) {
      expect(readLegacyContent(whole.subarray(0, length))).toBeNull();
    }
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), (index, byte) => {
        const changed = Buffer.from(whole);
        changed[index] = byte;
        expect(() => readLegacyContent(changed)).not.toThrow();
      }),
    );
  });
});
