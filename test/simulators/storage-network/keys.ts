import sodium from 'sodium-native';
import type { KeyPair } from '../../../src/oxenmq/port.js';

/** A fresh X25519 key pair. */
export function randomKeyPair(): KeyPair {
  const secretKey = Buffer.alloc(32);
  sodium.randombytes_buf(secretKey);
  return keyPairOf(secretKey);
}

export function keyPairOf(secretKey: Buffer): KeyPair {
  const publicKey = Buffer.alloc(32);
  sodium.crypto_scalarmult_base(publicKey, secretKey);
  return { publicKey, secretKey };
}
