import sodium from 'sodium-native';

/**
 * The libsodium calls that more than one file needs, with the sizes that the library leaves to its callers: it takes
 * signatures that are too long and throws at others. Source: spec packages, section 3.
 */

export const KEY_BYTES = 32;
export const ED25519_SIGNATURE_BYTES = 64;
export const XCHACHA20_NONCE_BYTES = 24;
export const POLY1305_TAG_BYTES = 16;
const SHA256_BYTES = 32;

/** Fresh bytes of the system's random source. The result belongs to the caller and is never handed out again. */
export type RandomBytes = (byteCount: number) => Buffer;

/** Draws from a pool, because one call for many nonces is several times cheaper than one call for each. */
export function createRandomBytes(poolBytes = 4096): RandomBytes {
  let pool = Buffer.alloc(0);
  let position = 0;
  return (byteCount) => {
    if (byteCount > poolBytes) {
      const bytes = Buffer.allocUnsafeSlow(byteCount);
      sodium.randombytes_buf(bytes);
      return bytes;
    }
    if (position + byteCount > pool.length) {
      // A new pool instead of the old one again: what was handed out may still be in use.
      pool = Buffer.allocUnsafeSlow(poolBytes);
      sodium.randombytes_buf(pool);
      position = 0;
    }
    const bytes = pool.subarray(position, position + byteCount);
    position += byteCount;
    return bytes;
  };
}

/** 32 bytes. A call for each publish, where an object of node:crypto would have to be collected for each. */
export function sha256(text: string): Buffer {
  const hash = Buffer.allocUnsafe(SHA256_BYTES);
  sodium.crypto_hash_sha256(hash, Buffer.from(text, 'utf8'));
  return hash;
}

/** For secrets: the time says nothing about where they differ. Unequal lengths are unequal. */
export function equalsConstantTime(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && (a.length === 0 || sodium.sodium_memcmp(a, b));
}

/** Ed25519 as libsodium checks it: canonical S, no key of small order. Wrong sizes are a wrong signature. */
export function verifyEd25519(signature: Buffer, message: Buffer, publicKey: Buffer): boolean {
  if (signature.length !== ED25519_SIGNATURE_BYTES || publicKey.length !== KEY_BYTES) return false;
  return sodium.crypto_sign_verify_detached(signature, message, publicKey);
}

/** The X25519 form of an Ed25519 key; null when it is no point, of small order, or outside the main subgroup. */
export function ed25519ToX25519(publicKey: Buffer): Buffer | null {
  if (publicKey.length !== KEY_BYTES) return null;
  const converted = Buffer.allocUnsafe(KEY_BYTES);
  try {
    sodium.crypto_sign_ed25519_pk_to_curve25519(converted, publicKey);
  } catch {
    return null;
  }
  return converted;
}

/** nonce(24) || ciphertext || tag(16), no additional data. `nonce` must be fresh for each message of a key. */
export function sealXChaCha20(key: Buffer, nonce: Buffer, plaintext: Uint8Array): Buffer {
  const sealed = Buffer.allocUnsafe(XCHACHA20_NONCE_BYTES + plaintext.length + POLY1305_TAG_BYTES);
  sealed.set(nonce, 0);
  sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(
    sealed.subarray(XCHACHA20_NONCE_BYTES),
    plaintext,
    null,
    null,
    nonce,
    key,
  );
  return sealed;
}

/** null when it is too short or was not sealed with this key. */
export function openXChaCha20(key: Buffer, sealed: Buffer): Buffer | null {
  const textBytes = sealed.length - XCHACHA20_NONCE_BYTES - POLY1305_TAG_BYTES;
  if (textBytes < 0) return null;
  const plaintext = Buffer.allocUnsafe(textBytes);
  try {
    sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
      plaintext,
      null,
      sealed.subarray(XCHACHA20_NONCE_BYTES),
      null,
      sealed.subarray(0, XCHACHA20_NONCE_BYTES),
      key,
    );
  } catch {
    return null;
  }
  return plaintext;
}
