import { readOrCreateKeyFile } from './crypto/key-file.js';
import type { RandomBytes } from './crypto/sodium.js';
import type { X25519KeyPair } from './crypto/x25519.js';
import type { Log } from './telemetry/log.js';

/** Something outside the program keeps it from starting; the message is for the operator. */
export class StartError extends Error {
  override readonly name = 'StartError';
}

export type ServerIdentity = X25519KeyPair;

/** Reads a key file, or makes it at the first start (mode 0600). Rejects with `StartError`. */
export async function openKey(path: string, randomBytes: RandomBytes, log: Log): Promise<X25519KeyPair> {
  const opened = await readOrCreateKeyFile(path, randomBytes);
  if (!opened.ok) throw new StartError(opened.error.message);
  const { pair, created } = opened.value;
  if (created) log.info({ file: path, publicKey: pair.publicKey.toString('hex') }, 'made a new key');
  return pair;
}
