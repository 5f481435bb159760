import sodium from 'sodium-native';

/** Bytes of a push's key that travel: enough to tell pushes apart, and the size of a UUID. */
export const PUSH_KEY_BYTES = 16;

const scratch = Buffer.alloc(32);

/**
 * What makes two pushes the same one: BLAKE2b-256 over service, service id and message hash (spec session-push-v2,
 * section 10 step 3). With a `secret` (16 to 64 bytes) nobody else can compute it, so it may be shown to providers.
 * Returns the first `bytes` bytes.
 */
export function pushKey(
  service: string,
  serviceId: string,
  hash: Buffer,
  secret: Buffer | null,
  bytes = PUSH_KEY_BYTES,
): Buffer {
  const names = Buffer.from(service + serviceId, 'utf8');
  if (secret === null) sodium.crypto_generichash_batch(scratch, [names, hash]);
  else sodium.crypto_generichash_batch(scratch, [names, hash], secret);
  return Buffer.from(scratch.subarray(0, bytes));
}
