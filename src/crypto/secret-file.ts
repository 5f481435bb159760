import { link, mkdir, open, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fail, ok, type Result } from '../domain/result.js';
import type { RandomBytes } from './sodium.js';

/** `message` is for the operator. */
export interface SecretFileError {
  readonly kind: 'exists' | 'unwritable';
  readonly message: string;
}

/**
 * Writes a secret to a new file of mode 0600; missing directories are made with mode 0700. Never touches a file that is
 * there, and never leaves half a secret behind: it is written aside and linked into place.
 */
export async function createSecretFile(
  path: string,
  content: string,
  randomBytes: RandomBytes,
): Promise<Result<null, SecretFileError>> {
  const aside = `${path}.${process.pid}.${randomBytes(8).toString('hex')}.new`;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await open(aside, 'wx', 0o600);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(aside, path);
    return ok(null);
  } catch (error) {
    const { code = 'unknown error', syscall } = error as NodeJS.ErrnoException;
    // Of a directory on the way it means that there is a file in its place.
    return fail(
      code === 'EEXIST' && syscall === 'link'
        ? { kind: 'exists', message: `key file ${path} exists already` }
        : { kind: 'unwritable', message: `key file ${path} cannot be written (${code})` },
    );
  } finally {
    await unlink(aside).catch(() => undefined);
  }
}
