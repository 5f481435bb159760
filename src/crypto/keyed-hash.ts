import sodium from 'sodium-native';

/** BLAKE2b of the parts one after the other; 16 to 64 bytes out, key of 16 to 64 bytes or none. */
export function blake2b(byteCount: number, parts: readonly Uint8Array[], key?: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(byteCount);
  if (key === undefined) sodium.crypto_generichash_batch(out, [...parts]);
  else sodium.crypto_generichash_batch(out, [...parts], key);
  return out;
}

/**
 * A name for an account or a device in logs: the same one for the same bytes as long as the key lives, and nothing
 * that anybody without the key could compute. 12 hex digits.
 */
export type LogId = (bytes: Uint8Array) => string;

/** `key`: 32 random bytes, drawn anew at each start. */
export function createLogId(key: Buffer): LogId {
  return (bytes) => blake2b(16, [bytes], key).toString('hex', 0, 6);
}
