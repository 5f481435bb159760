import { blake2b } from './keyed-hash.js';
import {
  equalsConstantTime,
  KEY_BYTES,
  openXChaCha20,
  sealXChaCha20,
  sha256,
  XCHACHA20_NONCE_BYTES,
  type RandomBytes,
} from './sodium.js';

/** What is compared instead of a secret: 32 bytes. Enough for secrets that were drawn at random, and for no others. */
export const secretHashOf = (secret: string): Buffer => sha256(secret);

/** In constant time. `hash` is of the secret that is right. */
export const isSecret = (secret: string, hash: Buffer): boolean =>
  equalsConstantTime(secretHashOf(secret), hash);

/**
 * Secrets that were given out and must be told again, sealed with a key that is not in the database: who has only the
 * table has none of them. Source: spec xmpp-push, 14.9.
 */
export class SecretKeeper {
  readonly #key: Buffer;

  constructor(
    key: Buffer,
    private readonly randomBytes: RandomBytes,
  ) {
    if (key.length !== KEY_BYTES) throw new RangeError('not a key');
    this.#key = Buffer.from(key);
  }

  /** `context`: whose it is; it can be opened with no other. nonce(24) || ciphertext || tag(16). */
  seal(secret: string, context: string): Buffer {
    const nonce = this.randomBytes(XCHACHA20_NONCE_BYTES);
    return sealXChaCha20(this.#keyOf(context), nonce, Buffer.from(secret));
  }

  /** Null: sealed with another key, or for another context. */
  open(sealed: Buffer, context: string): string | null {
    return openXChaCha20(this.#keyOf(context), sealed)?.toString() ?? null;
  }

  #keyOf(context: string): Buffer {
    return blake2b(KEY_BYTES, [Buffer.from(context)], this.#key);
  }
}
