import sodium from 'sodium-native';
import { KEY_BYTES } from './sodium.js';

/** 32 raw bytes each. */
export interface X25519KeyPair {
  readonly publicKey: Buffer;
  readonly secretKey: Buffer;
}

/** `secretKey`: 32 bytes; a wrong size is a bug of ours and throws. */
export function keyPairFromSecret(secretKey: Buffer): X25519KeyPair {
  if (secretKey.length !== KEY_BYTES) throw new RangeError('an X25519 secret key has 32 bytes');
  const publicKey = Buffer.alloc(KEY_BYTES);
  sodium.crypto_scalarmult_base(publicKey, secretKey);
  return { publicKey, secretKey: Buffer.from(secretKey) };
}

/** The shared secret of two sides; null when the other's key is of low order and the secret would be zero. */
export function sharedSecret(secretKey: Buffer, otherPublicKey: Buffer): Buffer | null {
  if (otherPublicKey.length !== KEY_BYTES) return null;
  const shared = Buffer.allocUnsafe(KEY_BYTES);
  try {
    sodium.crypto_scalarmult(shared, secretKey, otherPublicKey);
  } catch {
    return null;
  }
  return shared;
}
