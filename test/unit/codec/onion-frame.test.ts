import { describe, expect, it } from 'vitest';
import { encodeOnionFrame, parseOnionFrame } from '../../../src/codec/onion-frame.js';

const key = Buffer.from(Array.from({ length: 32 }, (_, index) => index * 7 + 1));

function frame(metadata: string, ciphertext = Buffer.from('abc'), length = ciphertext.length): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32LE(length);
  return Buffer.concat([head, ciphertext, Buffer.from(metadata)]);
}

const withKey = (ephemeralKey: unknown): string => JSON.stringify({ ephemeral_key: ephemeralKey });

describe('an onion frame', () => {
  it('comes back as it was made', () => {
    for (const cipher of ['aes-gcm', 'xchacha20'] as const) {
      expect(parseOnionFrame(encodeOnionFrame(Buffer.from('text'), key, cipher))).toEqual({
        ciphertext: Buffer.from('text'),
        ephemeralKey: key,
        cipher,
      });
    }
  });

  it('without enc_type is AES-GCM', () => {
    expect(parseOnionFrame(encodeOnionFrame(Buffer.alloc(0), key, null))?.cipher).toBe('aes-gcm');
  });

  it.each([
    ['hex', key.toString('hex')],
    ['upper-case hex', key.toString('hex').toUpperCase()],
    ['base64', key.toString('base64')],
    ['base64 without padding', key.toString('base64').slice(0, 43)],
  ])('takes the key in %s', (_name, text) => {
    expect(parseOnionFrame(frame(withKey(text)))?.ephemeralKey).toEqual(key);
  });

  it.each([
    ['no string', 5],
    ['raw bytes', 'k'.repeat(32)],
    ['44 characters without "="', 'A'.repeat(44)],
    ['two "="', `${'A'.repeat(42)}==`],
    ['z-base-32 with a foreign letter', 'l'.repeat(52)],
    ['z-base-32 with a character beyond ASCII', `${'y'.repeat(51)}é`],
    ['base64url', `${'A'.repeat(42)}_`],
    ['the empty string', ''],
  ])('refuses a key that is %s', (_name, value) => {
    expect(parseOnionFrame(frame(withKey(value)))).toBeNull();
  });

  it.each(['cbc', 'aes-cbc', 'GCM', '', null, 1])('refuses enc_type %s', (encType) => {
    const metadata = JSON.stringify({ ephemeral_key: key.toString('hex'), enc_type: encType });
    expect(parseOnionFrame(frame(metadata))).toBeNull();
  });

  it('never believes its length', () => {
    expect(parseOnionFrame(frame(withKey(key.toString('hex')), Buffer.from('abc'), 0xffffffff))).toBeNull();
    expect(parseOnionFrame(frame('', Buffer.from('abc')))).toBeNull();
  });

  it('has little metadata: megabytes of JSON are not parsed, megabytes of white space are skipped', () => {
    const metadata = withKey(key.toString('hex'));
    expect(parseOnionFrame(frame(metadata + ' '.repeat(3_000_000)))).not.toBeNull();
    const started = performance.now();
    expect(parseOnionFrame(frame(`{"a":${'['.repeat(5_000_000)}`))).toBeNull();
    expect(performance.now() - started).toBeLessThan(100);
  });
});

describe('a frame of version 2', () => {
  const metadata = (cipher: unknown): string =>
    JSON.stringify({ ephemeral_key: key.toString('hex'), enc_type: cipher });

  it.each([undefined, 'aes-gcm', 'aes-cbc', 'unknown', '', null, 5])(
    'is AES-GCM whatever enc_type says: %s',
    (cipher) => {
      expect(parseOnionFrame(frame(metadata(cipher)), 'v2')?.cipher).toBe('aes-gcm');
    },
  );

  it('is XChaCha20 when it says so', () => {
    expect(parseOnionFrame(frame(metadata('xchacha20')), 'v2')?.cipher).toBe('xchacha20');
  });
});
