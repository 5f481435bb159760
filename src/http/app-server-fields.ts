import { NODE_MAX_CHARS, TOKEN_MAX_CHARS, TYPE_MAX_CHARS } from '../xmpp/commands-v1.js';
import { PUBLISH_FIELD_MAX_CHARS } from '../xmpp/publish.js';

/** What a request says, by name, from whatever form it came in. */
export type Fields = ReadonlyMap<string, string>;

export interface RegisterRequest {
  readonly type: string;
  readonly node: string;
  readonly token: string;
}

export interface UnregisterRequest {
  readonly type: string;
  readonly node: string;
}

export interface PushRequest {
  readonly node: string;
  readonly secret: string;
}

/** Null: something is missing, empty, or nothing that can be kept. The limits are those of the same requests over XMPP. */
export function readRegister(fields: Fields): RegisterRequest | null {
  const who = readUnregister(fields);
  const token = textOf(fields, 'token', TOKEN_MAX_CHARS);
  return who === null || token === null ? null : { ...who, token };
}

export function readUnregister(fields: Fields): UnregisterRequest | null {
  const type = lineOf(fields, 'type', TYPE_MAX_CHARS);
  const node = lineOf(fields, 'node', NODE_MAX_CHARS);
  return type === null || node === null ? null : { type, node };
}

export function readPush(fields: Fields): PushRequest | null {
  const node = lineOf(fields, 'node', PUBLISH_FIELD_MAX_CHARS);
  const secret = textOf(fields, 'secret', PUBLISH_FIELD_MAX_CHARS);
  return node === null || secret === null ? null : { node, secret };
}

/** PostgreSQL can keep no NUL, and a lone surrogate (from JSON) is no text. */
function textOf(fields: Fields, name: string, maxChars: number): string | null {
  const text = fields.get(name) ?? '';
  if (text === '' || text.length > maxChars) return null;
  return text.includes('\0') || /\p{Surrogate}/u.test(text) ? null : text;
}

/** Without control characters: answers are read line by line, and XML, over which nodes have to come back, has none. */
function lineOf(fields: Fields, name: string, maxChars: number): string | null {
  const text = textOf(fields, name, maxChars);
  return text === null || /\p{Cc}/u.test(text) ? null : text;
}
