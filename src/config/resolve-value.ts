import { isAbsolute, resolve } from 'node:path';
import { fail, ok, type Result } from '../domain/result.js';
import { splitHostPath } from './formats.js';
import type { Option } from './options.js';
import { readSmallFile } from './small-file.js';
import type { HostPath } from './types.js';

const FILE_PREFIX = 'file:';
const SECRET_MAX_BYTES = 64 * 1024;

export interface ReadSecret {
  readonly value: unknown;
  /** Absolute; null: it came from no file. */
  readonly file: string | null;
}

/**
 * `file:PATH` in place of a secret: the file's text without the line ends behind it. Everything else is itself. The
 * error names the file, never its content.
 */
export function readSecret(
  option: Option,
  value: unknown,
  baseDirectory: string,
): Result<ReadSecret, string> {
  if (!option.sensitive || typeof value !== 'string' || !value.startsWith(FILE_PREFIX)) {
    return ok({ value, file: null });
  }
  const file = resolve(baseDirectory, value.slice(FILE_PREFIX.length));
  const read = readSmallFile(file, SECRET_MAX_BYTES);
  if (!read.ok) return fail(`the file ${file} ${read.error}`);
  const secret = read.value.replace(/[\r\n]+$/, '');
  return secret === '' ? fail(`the file ${file} is empty`) : ok({ value: secret, file });
}

/**
 * One spelling of each value: paths become absolute, relative to `baseDirectory`; so does the path of an ipc address
 * (not an abstract `@name`); `HOST=PATH` is split; what has no case of its own becomes lower case.
 */
export function resolveValue(option: Option, value: unknown, baseDirectory: string): unknown {
  switch (option.formatName) {
    case 'path':
      return typeof value === 'string' ? resolve(baseDirectory, value) : value;
    case 'paths':
    case 'optional-paths':
      return Array.isArray(value) ? value.map((item) => resolve(baseDirectory, String(item))) : value;
    case 'host-paths':
      return Array.isArray(value) ? value.flatMap((item) => resolveHostPath(item, baseDirectory)) : value;
    case 'account-prefix':
    case 'xmpp-domain':
    case 'bare-jid':
    case 'xmpp-address':
      return typeof value === 'string' ? value.toLowerCase() : value;
    case 'address':
      return typeof value === 'string' ? resolveAddress(value, baseDirectory) : value;
    default:
      return value;
  }
}

function resolveHostPath(item: unknown, baseDirectory: string): HostPath[] {
  const split = typeof item === 'string' ? splitHostPath(item) : null;
  return split === null ? [] : [{ host: split.host, path: resolve(baseDirectory, split.path) }];
}

function resolveAddress(text: string, baseDirectory: string): string {
  const match = /^(ipc(?:\+curve)?:\/\/)([^@][\s\S]*)$/.exec(text);
  if (match === null) return text;
  const [, scheme = '', path = ''] = match;
  return isAbsolute(path) ? text : `${scheme}${resolve(baseDirectory, path)}`;
}
