import type { Config } from '../config/types.js';
import { readOrCreateKeyFile } from '../crypto/key-file.js';
import { SecretKeeper } from '../crypto/secret-keeper.js';
import { createRandomBytes, KEY_BYTES } from '../crypto/sodium.js';
import { fail, ok, type Result } from '../domain/result.js';

/**
 * What seals the secrets of imported devices, with the key that the server opens them with; made when it is missing, as
 * the server does at its start. A dry run keeps nothing that was sealed, and gets a key of its own. The error is a
 * sentence for the operator.
 */
export async function openImportKeeper(
  { keys }: Pick<Config, 'keys'>,
  dryRun: boolean,
): Promise<Result<SecretKeeper, string>> {
  const randomBytes = createRandomBytes();
  if (dryRun) return ok(new SecretKeeper(randomBytes(KEY_BYTES), randomBytes));
  const key = await readOrCreateKeyFile(keys.registrations, randomBytes);
  return key.ok
    ? ok(new SecretKeeper(key.value.pair.secretKey, randomBytes))
    : fail(`keys.registrations: ${key.error.message}`);
}
