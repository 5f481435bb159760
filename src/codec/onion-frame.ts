import { isUtf8 } from 'node:buffer';
import { decodeByteField } from './byte-field.js';

/**
 * The outer frame of an onion request, the same for every version of the protocol:
 * uint32 little-endian N, N bytes of ciphertext, JSON metadata to the end.
 * Source: spec onion-requests, section 2.
 */
export type OnionCipher = 'aes-gcm' | 'xchacha20';

export interface OnionFrame {
  /** Nonce, encrypted text and tag; a view into the body. */
  readonly ciphertext: Buffer;
  /** The client's X25519 key of this one request, 32 bytes. */
  readonly ephemeralKey: Buffer;
  readonly cipher: OnionCipher;
}

export const ONION_BODY_MAX_BYTES = 10_485_760;

const LENGTH_BYTES = 4;
const KEY_BYTES = 32;
/**
 * Of the metadata without the white space around it; clients send about 250 bytes. Without a limit one could have
 * 10 MB of JSON parsed by sending it.
 */
const METADATA_MAX_BYTES = 16_384;

/** What the version has to say about frames: 2 knew one cipher only and ignores `enc_type` otherwise. */
export type OnionVersion = 'v2' | 'v4';

/** null for anything that is not a frame; never looks beyond the body, whatever length it claims. */
export function parseOnionFrame(body: Buffer, version: OnionVersion = 'v4'): OnionFrame | null {
  if (body.length < LENGTH_BYTES) return null;
  const ciphertextBytes = body.readUInt32LE(0);
  const metadataStart = LENGTH_BYTES + ciphertextBytes;
  if (metadataStart > body.length) return null;

  const metadata = parseJsonObject(trimWhiteSpace(body.subarray(metadataStart)));
  if (metadata === null) return null;
  const ephemeralKey = parseEphemeralKey(metadata['ephemeral_key']);
  // Clients of version 2 that name XChaCha20 mean it, though the original answers them by an error.
  const cipher = parseCipher(metadata['enc_type']) ?? (version === 'v2' ? 'aes-gcm' : null);
  if (ephemeralKey === null || cipher === null) return null;
  return { ciphertext: body.subarray(LENGTH_BYTES, metadataStart), ephemeralKey, cipher };
}

/** For whoever makes onion requests (tests, the demo). */
export function encodeOnionFrame(
  ciphertext: Buffer,
  ephemeralKey: Buffer,
  cipher: OnionCipher | null,
  routing: Readonly<Record<string, unknown>> = {},
): Buffer {
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32LE(ciphertext.length);
  const metadata = JSON.stringify({
    ephemeral_key: ephemeralKey.toString('hex'),
    ...(cipher === null ? {} : { enc_type: cipher }),
    ...routing,
  });
  return Buffer.concat([length, ciphertext, Buffer.from(metadata)]);
}

/** Absent means AES-GCM; null, the empty string, other letter case and the unauthenticated `aes-cbc` are refused. */
function parseCipher(value: unknown): OnionCipher | null {
  switch (value) {
    case undefined:
    case 'aes-gcm':
    case 'gcm':
      return 'aes-gcm';
    case 'xchacha20':
    case 'xchacha20-poly1305':
      return 'xchacha20';
    default:
      return null;
  }
}

/** 64 hex digits, base64 of 32 bytes, or 52 digits of z-base-32. Raw bytes in a JSON string are refused. */
function parseEphemeralKey(value: unknown): Buffer | null {
  if (typeof value !== 'string') return null;
  switch (value.length) {
    case 64:
    case 43:
      return decodeByteField(value, KEY_BYTES);
    case 44:
      return value.endsWith('=') ? decodeByteField(value, KEY_BYTES) : null;
    case 52:
      return decodeBase32z(value);
    default:
      return null;
  }
}

const base32zAlphabet = 'ybndrfg8ejkmcpqxot1uwisza345h769';

/** 52 digits of 5 bits are 260: the last 4 carry nothing. */
function decodeBase32z(text: string): Buffer | null {
  const out = Buffer.alloc(KEY_BYTES);
  let bits = 0;
  let bitCount = 0;
  let position = 0;
  for (const character of text) {
    const digit = base32zAlphabet.indexOf(character);
    if (digit < 0) return null;
    bits = ((bits << 5) | digit) & 0xfff;
    bitCount += 5;
    if (bitCount >= 8 && position < KEY_BYTES) {
      bitCount -= 8;
      out[position] = (bits >> bitCount) & 0xff;
      position += 1;
    }
  }
  return position === KEY_BYTES ? out : null;
}

/** An object, or null for everything else: bad UTF-8, bad JSON, another type, too long. */
export function parseJsonObject(bytes: Buffer): Readonly<Record<string, unknown>> | null {
  if (bytes.length > METADATA_MAX_BYTES || !isUtf8(bytes)) return null;
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    return null;
  }
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : null;
}

/** White space of JSON on both sides; padding with megabytes of it is legal and must cost no parser. */
function trimWhiteSpace(bytes: Buffer): Buffer {
  let start = 0;
  let end = bytes.length;
  while (start < end && isWhiteSpace(bytes[start])) start += 1;
  while (end > start && isWhiteSpace(bytes[end - 1])) end -= 1;
  return bytes.subarray(start, end);
}

const isWhiteSpace = (byte: number | undefined): boolean =>
  byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
