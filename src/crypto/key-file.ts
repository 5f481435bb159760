import { link, mkdir, open, readFile, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fail, ok, type Result } from '../domain/result.js';
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
    content = await readFile(path);
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

/**
 * Makes a new secret key in a new file: 64 hex digits and a newline, mode 0600; missing directories are made with
 * mode 0700. Never touches a file that is there, and never leaves half a key behind: it is written aside and
 * linked into place.
 */
export async function createKeyFile(
  path: string,
  randomBytes: RandomBytes,
): Promise<Result<X25519KeyPair, KeyFileError>> {
  const pair = keyPairFromSecret(randomBytes(KEY_BYTES));
  const aside = `${path}.${process.pid}.${randomBytes(8).toString('hex')}.new`;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await open(aside, 'wx', 0o600);
    try {
      await file.writeFile(`${pair.secretKey.toString('hex')}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(aside, path);
    return ok(pair);
  } catch (error) {
    return fail(
      errorCode(error) === 'EEXIST'
        ? { kind: 'exists', message: `key file ${path} exists already` }
        : { kind: 'unwritable', message: `key file ${path} cannot be written (${errorCode(error)})` },
    );
  } finally {
    await unlink(aside).catch(() => undefined);
  }
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
