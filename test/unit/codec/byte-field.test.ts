import { describe, expect, it } from 'vitest';
import { decodeByteField } from '../../../src/codec/byte-field.js';
import { sessionVectors } from '../http/vectors.js';

const sizes: Record<string, number> = { pubkey: 33, session_ed25519: 32, enc_key: 32, signature: 64 };

describe('byte fields', () => {
  it.each(sessionVectors.encodings.map((vector) => [vector.name, vector] as const))(
    'vector: %s',
    (_name, vector) => {
      const decoded = decodeByteField(vector.value, sizes[vector.field] ?? 0);
      expect(decoded?.toString('hex') ?? null).toBe(vector.accepted ? vector.decoded_hex : null);
    },
  );

  it('take a string of exactly that many bytes as it is, even when it looks like hex', () => {
    expect(decodeByteField('a'.repeat(64), 64)?.toString()).toBe('a'.repeat(64));
    expect(decodeByteField('é'.repeat(16), 32)?.toString()).toBe('é'.repeat(16));
    expect(decodeByteField('é'.repeat(32), 32)).toBeNull();
  });

  it('take any number of "=" behind base64', () => {
    const digits = Buffer.alloc(32, 7).toString('base64').replace('=', '');
    for (const padding of ['', '=', '==', '='.repeat(1000)]) {
      expect(decodeByteField(digits + padding, 32)).toEqual(Buffer.alloc(32, 7));
    }
    expect(decodeByteField(`${digits.slice(0, 20)}=${digits.slice(20)}`, 32)).toBeNull();
  });

  it('refuse characters whose low byte is a digit', () => {
    expect(decodeByteField('\u0130'.repeat(64), 32)).toBeNull();
    expect(decodeByteField(`\u0130${'0'.repeat(63)}`, 32)).toBeNull();
    expect(decodeByteField('\u0141'.repeat(43), 32)).toBeNull();
  });

  it('are quick to refuse a long row of "="', () => {
    const started = performance.now();
    expect(decodeByteField(`${'='.repeat(99_000)}x`, 32)).toBeNull();
    expect(decodeByteField('='.repeat(99_000), 32)).toBeNull();
    expect(performance.now() - started).toBeLessThan(100);
  });
});
