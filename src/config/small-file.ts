import { closeSync, openSync, readSync } from 'node:fs';
import { fail, ok, type Result } from '../domain/result.js';

/**
 * Reads a file that is known to be small, as UTF-8; a device or a wrong file of gigabytes does not fill the memory.
 * The error is a phrase for people: "does not exist", "may not be read", ...
 */
export function readSmallFile(path: string, maxBytes: number): Result<string, string> {
  let descriptor: number | null = null;
  try {
    descriptor = openSync(path, 'r');
    const buffer = Buffer.allocUnsafe(maxBytes + 1);
    let length = 0;
    for (;;) {
      const read = readSync(descriptor, buffer, length, buffer.length - length, null);
      length += read;
      if (length > maxBytes) return fail(`is larger than ${maxBytes} bytes`);
      if (read === 0) return ok(buffer.toString('utf8', 0, length));
    }
  } catch (error) {
    return fail(describeFileError(error));
  } finally {
    if (descriptor !== null) closeSync(descriptor);
  }
}

/** What is wrong with a file, without the file's content. */
export function describeFileError(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
  switch (code) {
    case 'ENOENT':
      return 'does not exist';
    case 'EACCES':
    case 'EPERM':
      return 'may not be read or written by this user';
    case 'EISDIR':
      return 'is a directory';
    case 'ENOTDIR':
      return 'lies under something that is no directory';
    case 'EEXIST':
      return 'exists already';
    default:
      return `cannot be used (${code})`;
  }
}
