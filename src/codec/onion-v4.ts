import { parseJsonObject } from './onion-frame.js';

/**
 * The text inside a version 4 onion request and its reply: a bencoded list of JSON metadata and body bytes.
 * Source: spec onion-requests, 4.1 and 4.4.
 */
export interface OnionV4Request {
  /** Upper case. */
  readonly method: string;
  /** Percent-decoded once, begins with "/". */
  readonly path: string;
  /** What follows the first "?", raw; empty when there is none. */
  readonly query: string;
  /**
   * Names in lower case, without content-length. Whatever they say about addresses or hosts is the client's word:
   * routes take nothing from here but what the spec of the route names.
   */
  readonly headers: ReadonlyMap<string, string>;
  /** A view into the text; empty when there is no second element. */
  readonly body: Buffer;
}

export interface OnionV4Reply {
  /** HTTP status of the inner request. */
  readonly code: number;
  /** Lower-case names, without content-length. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

const LIST = 0x6c;
const END = 0x65;
const COLON = 0x3a;
const ZERO = 0x30;
const NINE = 0x39;
/** More digits than any length needs; leading zeros are accepted as the originals do, but not without end. */
const LENGTH_DIGITS_MAX = 10;

/** The list taken apart; what its metadata must contain depends on whom the request is for. */
export interface OnionV4Text {
  readonly metadata: Readonly<Record<string, unknown>>;
  /** A view; null when there is no second element. */
  readonly body: Buffer | null;
}

/** null for anything malformed; the client is then told so inside an encrypted reply. */
export function parseOnionV4Request(text: Buffer): OnionV4Request | null {
  const parts = parseOnionV4Text(text);
  return parts === null ? null : readOnionV4Request(parts);
}

/** null when it is no list of one or two byte strings, the first of them a JSON object. */
export function parseOnionV4Text(text: Buffer): OnionV4Text | null {
  const [metadataBytes, body = null] = parseByteStringList(text) ?? [];
  const metadata = metadataBytes === undefined ? null : parseJsonObject(metadataBytes);
  return metadata === null ? null : { metadata, body };
}

/** A request for one of the endpoints; null when the metadata does not make one. */
export function readOnionV4Request({ metadata, body }: OnionV4Text): OnionV4Request | null {
  const method = metadata['method'];
  const endpoint = metadata['endpoint'];
  if (typeof method !== 'string' || method === '') return null;
  if (typeof endpoint !== 'string' || !endpoint.startsWith('/')) return null;
  const headers = parseHeaders(metadata['headers']);
  if (headers === null) return null;

  const question = endpoint.indexOf('?');
  const path = decodePath(question < 0 ? endpoint : endpoint.slice(0, question));
  if (path === null) return null;
  const query = question < 0 ? '' : endpoint.slice(question + 1);
  return { method: method.toUpperCase(), path, query, headers, body: body ?? Buffer.alloc(0) };
}

export function encodeOnionV4Request(
  metadata: {
    readonly method: string;
    readonly endpoint: string;
    readonly headers?: Readonly<Record<string, string>>;
  },
  body: Buffer | null,
): Buffer {
  const parts: Buffer[] = [Buffer.from(JSON.stringify(metadata))];
  if (body !== null) parts.push(body);
  return encodeByteStringList(parts);
}

export function encodeOnionV4Reply(reply: OnionV4Reply): Buffer {
  const metadata = JSON.stringify({ code: reply.code, headers: reply.headers });
  return encodeByteStringList([Buffer.from(metadata), reply.body]);
}

/** The client's side of a reply; null when it is none. */
export function parseOnionV4Reply(text: Buffer): OnionV4Reply | null {
  const [metadataBytes, body] = parseByteStringList(text) ?? [];
  if (metadataBytes === undefined || body === undefined) return null;
  const metadata = parseJsonObject(metadataBytes);
  if (metadata === null) return null;
  const code = metadata['code'];
  const headers = parseHeaders(metadata['headers']);
  if (typeof code !== 'number' || headers === null) return null;
  return { code, headers: Object.fromEntries(headers), body };
}

/** One or two byte strings and nothing else. Views. */
function parseByteStringList(text: Buffer): Buffer[] | null {
  if (text[0] !== LIST) return null;
  const parts: Buffer[] = [];
  let position = 1;
  while (text[position] !== END) {
    if (parts.length === 2) return null;
    const lengthStart = position;
    let length = 0;
    for (;;) {
      const byte = text[position];
      if (byte === undefined || position - lengthStart > LENGTH_DIGITS_MAX) return null;
      if (byte === COLON) break;
      if (byte < ZERO || byte > NINE) return null;
      length = length * 10 + (byte - ZERO);
      position += 1;
    }
    if (position === lengthStart) return null;
    const start = position + 1;
    // `>=`: a list that ends here lacks its closing "e".
    if (start + length >= text.length) return null;
    parts.push(text.subarray(start, start + length));
    position = start + length;
  }
  return parts.length > 0 && position === text.length - 1 ? parts : null;
}

function encodeByteStringList(parts: readonly Buffer[]): Buffer {
  const pieces: Buffer[] = [Buffer.from('l')];
  for (const part of parts) pieces.push(Buffer.from(`${part.length}:`), part);
  pieces.push(Buffer.from('e'));
  return Buffer.concat(pieces);
}

function parseHeaders(value: unknown): ReadonlyMap<string, string> | null {
  const headers = new Map<string, string>();
  if (value === undefined) return headers;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  for (const [name, content] of Object.entries(value)) {
    if (typeof content !== 'string') return null;
    const lower = name.toLowerCase();
    if (lower !== 'content-length') headers.set(lower, content);
  }
  return headers;
}

function decodePath(path: string): string | null {
  try {
    return decodeURIComponent(path);
  } catch {
    return null;
  }
}
