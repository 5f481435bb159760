/** Exactly what we use of sodium-native 5; its own typings on the registry describe an older version. */
declare module 'sodium-native' {
  interface Sodium {
    readonly crypto_sign_PUBLICKEYBYTES: number;
    readonly crypto_sign_SECRETKEYBYTES: number;
    readonly crypto_sign_BYTES: number;
    randombytes_buf(out: Uint8Array): void;
    sodium_memcmp(a: Uint8Array, b: Uint8Array): boolean;
    crypto_hash_sha256(out: Uint8Array, input: Uint8Array): void;
    crypto_generichash(out: Uint8Array, input: Uint8Array, key?: Uint8Array): void;
    crypto_generichash_batch(out: Uint8Array, parts: Uint8Array[], key?: Uint8Array): void;
    crypto_scalarmult(out: Uint8Array, secret: Uint8Array, point: Uint8Array): void;
    crypto_scalarmult_base(out: Uint8Array, secret: Uint8Array): void;
    crypto_sign_seed_keypair(publicKey: Uint8Array, secretKey: Uint8Array, seed: Uint8Array): void;
    crypto_sign_keypair(publicKey: Uint8Array, secretKey: Uint8Array): void;
    crypto_sign_detached(signature: Uint8Array, message: Uint8Array, secretKey: Uint8Array): void;
    crypto_sign_verify_detached(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean;
    crypto_sign_ed25519_pk_to_curve25519(out: Uint8Array, publicKey: Uint8Array): void;
    crypto_sign_ed25519_sk_to_curve25519(out: Uint8Array, secretKey: Uint8Array): void;
    crypto_aead_xchacha20poly1305_ietf_encrypt(
      out: Uint8Array,
      message: Uint8Array,
      ad: Uint8Array | null,
      nsec: null,
      nonce: Uint8Array,
      key: Uint8Array,
    ): number;
    crypto_aead_xchacha20poly1305_ietf_decrypt(
      out: Uint8Array,
      nsec: null,
      cipher: Uint8Array,
      ad: Uint8Array | null,
      nonce: Uint8Array,
      key: Uint8Array,
    ): number;
  }
  const sodium: Sodium;
  export default sodium;
}
