import sodium from 'sodium-native';
import type { EncryptionKey } from '../domain/ids.js';

const NONCE_BYTES = 24;
const TAG_BYTES = 16;
const NONCES_PER_DRAW = 256;

/** How many bytes sealing adds: nonce in front, tag behind. */
export const SEAL_OVERHEAD_BYTES = NONCE_BYTES + TAG_BYTES;

export type NonceSource = (nonce: Buffer) => void;

/** Random nonces, drawn from the system many at a time. */
export function randomNonces(): NonceSource {
  const pool = Buffer.alloc(NONCE_BYTES * NONCES_PER_DRAW);
  let next = pool.length;
  return (nonce) => {
    if (next === pool.length) {
      sodium.randombytes_buf(pool);
      next = 0;
    }
    pool.copy(nonce, 0, next, next + NONCE_BYTES);
    // A nonce that was given out is of no more use to anybody who reads our memory.
    pool.fill(0, next, next + NONCE_BYTES);
    next += NONCE_BYTES;
  };
}

/**
 * XChaCha20-Poly1305 (IETF) without additional data: nonce (24) || ciphertext || tag (16).
 * Source: spec session-push-v2, section 11 step 5.
 */
export function seal(plaintext: Buffer, key: EncryptionKey, nextNonce: NonceSource): Buffer {
  const sealed = Buffer.allocUnsafe(plaintext.length + SEAL_OVERHEAD_BYTES);
  const nonce = sealed.subarray(0, NONCE_BYTES);
  nextNonce(nonce);
  sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(
    sealed.subarray(NONCE_BYTES),
    plaintext,
    null,
    null,
    nonce,
    key,
  );
  return sealed;
}
