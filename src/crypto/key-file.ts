import { open } from 'node:fs/promises';
import { fail, ok, type Result } from '../domain/result.js';
import { createSecretFile } from './secret-file.js';
import { KEY_BYTES, type RandomBytes } from './sodium.js';
import { keyPairFromSecret, type X25519KeyPair } from './x25519.js';

/** `message` is for the operator and never holds what is in the file. */
export interface KeyFileError {
  readonly kind: 'missing' | 'malformed' | 'unreadable' | 'exists' | 'unwritable';
  readonly message: string;
}

const hexKey = /^[\t\n\v\f\r ]*([0-9a-fA-F]{64})[\t\n\v\f\r ]*$/;
/** Anything longer is no key file: nobody reads a gigabyte to find that out. */
const FILE_MAX_BYTES = 1024;

/**
 * An X25519 secret key: exactly 32 raw bytes, or 64 hex digits with optional white space around them.
 * Source: spec onion-requests, section 8; session-push-v2, section 15.
 */
export async function readKeyFile(path: string): Promise<Result<X25519KeyPair, KeyFileError>> {
  let content: Buffer;
  try {
    content = await readStart(path);
  } catch (error) {
    return fail(
      errorCode(error) === 'ENOENT'
        ? { kind: 'missing', message: `key file ${path} does not exist` }
        : { kind: 'unreadable', message: `key file ${path} cannot be read (${errorCode(error)})` },
    );
  }
  const secretKey = parseSecretKey(content);
  content.fill(0);
  return secretKey === null
    ? fail({
        kind: 'malformed',
        message: `key file ${path} holds neither 32 bytes nor 64 hex digits of a secret key`,
      })
    : ok(keyPairFromSecret(secretKey));
}

/** The file, or as much of it as shows that it is too long: no device and no file of gigabytes fills the memory. */
async function readStart(path: string): Promise<Buffer> {
  const file = await open(path, 'r');
  try {
    const buffer = Buffer.alloc(FILE_MAX_BYTES + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length, null);
      length += bytesRead;
      if (bytesRead === 0 || length === buffer.length) return buffer.subarray(0, length);
    }
  } finally {
    await file.close();
  }
}

function parseSecretKey(content: Buffer): Buffer | null {
  let secretKey: Buffer;
  if (content.length === KEY_BYTES) {
    secretKey = Buffer.from(content);
  } else {
    if (content.length > FILE_MAX_BYTES) return null;
    const digits = hexKey.exec(content.toString('latin1'))?.[1];
    if (digits === undefined) return null;
    secretKey = Buffer.from(digits, 'hex');
  }
  // What a failed write or a template leaves behind; as a key it would be known to everybody.
  return secretKey.every((byte) => byte === 0) ? null : secretKey;
}

/** Makes a new secret key in a new file: 64 hex digits and a newline. See `createSecretFile`. */
export async function createKeyFile(
  path: string,
  randomBytes: RandomBytes,
): Promise<Result<X25519KeyPair, KeyFileError>> {
  const pair = keyPairFromSecret(randomBytes(KEY_BYTES));
  const made = await createSecretFile(path, `${pair.secretKey.toString('hex')}\n`, randomBytes);
  return made.ok ? ok(pair) : made;
}

/** For the first start: reads the file, or makes it when there is none. */
export async function readOrCreateKeyFile(
  path: string,
  randomBytes: RandomBytes,
): Promise<Result<{ readonly pair: X25519KeyPair; readonly created: boolean }, KeyFileError>> {
  const found = await readKeyFile(path);
  if (found.ok) return ok({ pair: found.value, created: false });
  if (found.error.kind !== 'missing') return found;
  const made = await createKeyFile(path, randomBytes);
  if (made.ok) return ok({ pair: made.value, created: true });
  if (made.error.kind !== 'exists') return made;
  // Somebody else made it between the two looks.
  const again = await readKeyFile(path);
  return again.ok ? ok({ pair: again.value, created: false }) : again;
}

function errorCode(error: unknown): string {
  const code = typeof error === 'object' && error !== null ? (error as { code?: unknown }).code : undefined;
  return typeof code === 'string' ? code : 'unknown error';
}
