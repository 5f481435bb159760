import { readFileSync } from 'node:fs';
import { fail, ok, type Result } from '../domain/result.js';

/** A file that the configuration names; the error says which option and why, never what is inside. */
export function readCredentialFile(option: string, path: string): Result<string, string> {
  try {
    return ok(readFileSync(path, 'utf8'));
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    return fail(`${option}: cannot read the file (${code})`);
  }
}

/** The same for an option that may be left out. */
export function readOptionalFile(
  option: string,
  path: string | null | undefined,
): Result<string | null, string> {
  return path === null || path === undefined ? ok(null) : readCredentialFile(option, path);
}
