import { existsSync, statSync } from 'node:fs';
import { Secret } from '../config/secret.js';
import type { Config } from '../config/types.js';
import { warning, type Finding } from './finding.js';

/** A file that holds a secret, whoever reads it. A group may have a reason to. */
export function* checkReadable(key: string, path: string | null): Iterable<Finding> {
  if (path !== null && existsSync(path) && (statSync(path).mode & 0o007) !== 0)
    yield warning(key, `${path} can be read by every user of this machine; chmod 600 it`);
}

/** The files that secrets were read from (`file:PATH`). */
export function* checkSecretFiles(config: Config): Iterable<Finding> {
  for (const { key, file } of secretFiles(config, [])) yield* checkReadable(key, file);
}

interface SecretFile {
  readonly key: string;
  readonly file: string;
}

function* secretFiles(value: unknown, path: readonly string[]): Iterable<SecretFile> {
  if (typeof value !== 'object' || value === null) return;
  if (value instanceof Secret) {
    if (value.file !== null) yield { key: path.join('.'), file: value.file };
    return;
  }
  for (const [key, child] of Object.entries(value)) yield* secretFiles(child, [...path, key]);
}
