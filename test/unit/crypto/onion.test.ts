import { describe, expect, it } from 'vitest';
import type { OnionCipher } from '../../../src/codec/onion-frame.js';
import { createOnionOpener, sealOnionRequest } from '../../../src/crypto/onion.js';
import { createRandomBytes } from '../../../src/crypto/sodium.js';
import { keyPairFromSecret } from '../../../src/crypto/x25519.js';

const randomBytes = createRandomBytes();
const newKey = () => keyPairFromSecret(randomBytes(32));
const ciphers: readonly OnionCipher[] = ['aes-gcm', 'xchacha20'];

describe.each(ciphers)('an onion exchange with %s', (cipher) => {
  const keys = [newKey(), newKey(), newKey()];
  const opener = createOnionOpener(keys, randomBytes);

  it('opens with whichever of our keys it was made for, and the reply goes back the same way', () => {
    for (const key of keys) {
      const call = sealOnionRequest(cipher, 'LOKI', key.publicKey, Buffer.from('question'), randomBytes);
      const opened = opener.open({ ...call, cipher }, 'LOKI');
      expect(opened?.plaintext.toString()).toBe('question');
      const reply = opened?.seal(Buffer.from('answer')) ?? Buffer.alloc(0);
      expect(call.openReply(reply)?.toString()).toBe('answer');
      expect(opened?.seal(Buffer.from('answer'))).not.toEqual(reply);
    }
  });

  it('stays closed for other keys, every flipped byte and every cut', () => {
    const call = sealOnionRequest(cipher, 'LOKI', newKey().publicKey, Buffer.from('x'), randomBytes);
    expect(opener.open({ ...call, cipher }, 'LOKI')).toBeNull();
    const ours = sealOnionRequest(cipher, 'LOKI', newKeyOf(keys), Buffer.from('x'), randomBytes);
    for (let index = 0; index < ours.ciphertext.length; index += 1) {
      const flipped = Buffer.from(ours.ciphertext);
      flipped[index] = (flipped[index] ?? 0) ^ 1;
      expect(opener.open({ ...ours, ciphertext: flipped, cipher }, 'LOKI')).toBeNull();
      const cut = ours.ciphertext.subarray(0, index);
      expect(opener.open({ ...ours, ciphertext: cut, cipher }, 'LOKI')).toBeNull();
    }
  });

  it('stays closed for keys of low order', () => {
    const lowOrder = [
      Buffer.alloc(32),
      Buffer.from([1, ...Buffer.alloc(31)]),
      Buffer.from('e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800', 'hex'),
      Buffer.from('ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f', 'hex'),
      Buffer.alloc(31, 9),
    ];
    for (const ephemeralKey of lowOrder) {
      expect(opener.open({ ephemeralKey, ciphertext: Buffer.alloc(100), cipher }, 'LOKI')).toBeNull();
    }
  });

  it('may be empty', () => {
    const call = sealOnionRequest(cipher, 'LOKI', newKeyOf(keys), Buffer.alloc(0), randomBytes);
    expect(opener.open({ ...call, cipher }, 'LOKI')?.plaintext).toEqual(Buffer.alloc(0));
  });
});

describe('with keys by host', () => {
  const [plain, first, second] = [newKey(), newKey(), newKey()];
  const byHost = new Map([
    ['Push.example.org', first],
    ['old.example.org', second],
  ]);
  const opener = createOnionOpener([plain, first], randomBytes, byHost);
  const hosts = [undefined, '', 'push.example.org', 'OLD.example.org:8080', 'other.example', ':', '[::1]:80'];

  it('opens with every key, whatever the host says', () => {
    for (const key of [plain, first, second]) {
      for (const host of hosts) {
        const call = sealOnionRequest('aes-gcm', 'LOKI', key.publicKey, Buffer.from('x'), randomBytes);
        const opened = opener.open({ ...call, cipher: 'aes-gcm' }, 'LOKI', host);
        expect(opened?.plaintext.toString()).toBe('x');
        expect(call.openReply(opened?.seal(Buffer.from('y')) ?? Buffer.alloc(0))?.toString()).toBe('y');
      }
    }
  });

  it.each([
    [undefined, plain],
    ['other.example', plain],
    ['push.example.org', first],
    ['push.example.org:22', first],
    ['PUSH.Example.ORG', first],
    ['push.example.org.', first],
    ['old.example.org:80', second],
  ])('seals a refusal for %s with the key that its clients know', (host, key) => {
    const call = sealOnionRequest('xchacha20', 'LOKI', key.publicKey, Buffer.from('x'), randomBytes);
    const broken = { ...call, ciphertext: call.ciphertext.subarray(1), cipher: 'xchacha20' } as const;
    expect(opener.open(broken, 'LOKI', host)).toBeNull();
    const refused = opener.openOrRefuse(broken, 'LOKI', host);
    expect(refused?.plaintext).toBeNull();
    expect(call.openReply(refused?.seal(Buffer.from('no')) ?? Buffer.alloc(0))?.toString()).toBe('no');
  });

  it('has nothing to seal a refusal with when the key is of low order', () => {
    const frame = {
      ephemeralKey: Buffer.alloc(32),
      ciphertext: Buffer.alloc(100),
      cipher: 'aes-gcm',
    } as const;
    expect(opener.openOrRefuse(frame, 'LOKI', 'push.example.org')).toBeNull();
  });
});

const newKeyOf = (keys: readonly { readonly publicKey: Buffer }[]): Buffer => {
  const [first] = keys;
  if (first === undefined) throw new Error('no key');
  return first.publicKey;
};

describe('random bytes', () => {
  it('are never handed out twice, and what was handed out stays', () => {
    const draw = createRandomBytes(64);
    const drawn = Array.from({ length: 50 }, () => draw(24));
    const before = drawn.map((bytes) => bytes.toString('hex'));
    expect(new Set(before).size).toBe(50);
    draw(64);
    draw(1000);
    expect(drawn.map((bytes) => bytes.toString('hex'))).toEqual(before);
    expect(draw(1000)).toHaveLength(1000);
  });
});
