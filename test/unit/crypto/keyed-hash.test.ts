import { describe, expect, it } from 'vitest';
import { blake2b, createLogId } from '../../../src/crypto/keyed-hash.js';
import { equalsConstantTime } from '../../../src/crypto/sodium.js';

describe('hashes', () => {
  it('are over the parts one after the other', () => {
    const parts = [Buffer.from('ab'), Buffer.from('c')];
    expect(blake2b(32, parts)).toEqual(blake2b(32, [Buffer.from('abc')]));
    expect(blake2b(32, [Buffer.from('abc')]).toString('hex')).toBe(
      'bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319',
    );
    expect(blake2b(32, parts, Buffer.alloc(32, 1))).not.toEqual(blake2b(32, parts));
  });

  it('for logs are short, the same for the same bytes, and of no use without the key', () => {
    const logId = createLogId(Buffer.alloc(32, 1));
    expect(logId(Buffer.from('x'))).toMatch(/^[0-9a-f]{12}$/);
    expect(logId(Buffer.from('x'))).toBe(logId(Buffer.from('x')));
    expect(createLogId(Buffer.alloc(32, 2))(Buffer.from('x'))).not.toBe(logId(Buffer.from('x')));
  });

  it('are compared in constant time, whatever their lengths', () => {
    expect(equalsConstantTime(Buffer.from('ab'), Buffer.from('ab'))).toBe(true);
    expect(equalsConstantTime(Buffer.from('ab'), Buffer.from('ac'))).toBe(false);
    expect(equalsConstantTime(Buffer.from('ab'), Buffer.from('abc'))).toBe(false);
    expect(equalsConstantTime(Buffer.alloc(0), Buffer.alloc(0))).toBe(true);
  });
});
