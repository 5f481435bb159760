import { isUtf8 } from 'node:buffer';

/**
 * The text inside a version 2 onion request and its reply: JSON with the arguments as JSON text inside it.
 * Source: spec session-push-v1, 2.1; onion-requests, section 5.
 */
export interface OnionV2Request {
  /** The name of a method, without a slash. */
  readonly endpoint: string;
  readonly args: LegacyArguments;
}

export interface OnionV2Reply {
  /** What an HTTP status would say: iOS wants 200 to 299. */
  readonly status: number;
  /** An object, never a text with JSON in it: iOS takes that for a failure. */
  readonly body: { readonly code: 0 | 1; readonly message: string };
}

export type LegacyArguments = Readonly<Record<string, unknown>>;

/**
 * Of a text that is parsed as JSON for a method of the older clients. The longest that they send is a message of 77 kB
 * or the list of all groups; ten megabytes of brackets would hold up everybody for half a second.
 */
export const LEGACY_TEXT_MAX_BYTES = 262_144;

/** null for anything malformed; the client is then told so inside an encrypted reply. */
export function parseOnionV2Request(text: Buffer): OnionV2Request | null {
  const request = parseLegacyArguments(text);
  if (request === null) return null;
  const endpoint = request['endpoint'];
  const body = request['body'];
  if (typeof endpoint !== 'string') return null;
  const args = typeof body === 'string' ? parseObject(body) : asObject(body);
  return args === null ? null : { endpoint: withoutSlash(endpoint), args };
}

/** A JSON object, or null for everything else: bad UTF-8, bad JSON, another type, too long. */
export function parseLegacyArguments(bytes: Buffer): LegacyArguments | null {
  if (bytes.length > LEGACY_TEXT_MAX_BYTES || !isUtf8(bytes)) return null;
  return parseObject(bytes.toString('utf8'));
}

/** Methods are named with one slash before them or without. */
export const withoutSlash = (endpoint: string): string =>
  endpoint.startsWith('/') ? endpoint.slice(1) : endpoint;

/** Spaced as the original spaces it, so that the whole reply is the same to the byte. */
export function encodeOnionV2Reply({ status, body }: OnionV2Reply): Buffer {
  const message = JSON.stringify(body.message);
  return Buffer.from(`{"status": ${status}, "body": {"code": ${body.code}, "message": ${message}}}`);
}

/** The body of the HTTP answer. `sealed`: nonce || ciphertext || tag. */
export function encodeOnionV2Answer(sealed: Buffer): Buffer {
  return Buffer.from(`{"result": "${sealed.toString('base64')}"}`);
}

/** For whoever makes requests (tests, the demo); as Android writes them. */
export function encodeOnionV2Request(endpoint: string, args: LegacyArguments, method = 'POST'): Buffer {
  const headers = { 'Content-Type': 'application/json' };
  return Buffer.from(JSON.stringify({ body: JSON.stringify(args), endpoint, method, headers }));
}

/** The client's side of an HTTP answer: what is sealed; null when it is no answer. */
export function parseOnionV2Answer(body: Buffer): Buffer | null {
  const result = parseLegacyArguments(body)?.['result'];
  return typeof result === 'string' ? Buffer.from(result, 'base64') : null;
}

/** The client's side of a reply, as strict as iOS: integers, and the body an object. */
export function parseOnionV2Reply(text: Buffer): OnionV2Reply | null {
  const reply = parseLegacyArguments(text);
  const status = reply?.['status'];
  const body = asObject(reply?.['body']);
  const code = body?.['code'];
  const message = body?.['message'];
  if (typeof status !== 'number' || !Number.isInteger(status)) return null;
  if ((code !== 0 && code !== 1) || typeof message !== 'string') return null;
  return { status, body: { code, message } };
}

function parseObject(text: string): LegacyArguments | null {
  try {
    return asObject(JSON.parse(text));
  } catch {
    return null;
  }
}

const asObject = (value: unknown): LegacyArguments | null =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as LegacyArguments) : null;
