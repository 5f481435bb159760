import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { blake2b } from '../../../src/crypto/keyed-hash.js';
import { keyedBlake2b } from '../../../src/notifiers/dummy/keyed-blake2b.js';

describe('keyed BLAKE2b', () => {
  it.each([0, 1, 127, 128, 129, 255, 256, 1000])(
    'agrees with libsodium where that takes the key: %d bytes',
    (length) => {
      const key = randomBytes(16 + (length % 49));
      const message = randomBytes(length);
      expect(keyedBlake2b(48, key, message)).toEqual(blake2b(48, [message], key));
    },
  );
});
