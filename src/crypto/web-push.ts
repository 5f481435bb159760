import { createCipheriv, createECDH, ECDH, hkdfSync, randomBytes } from 'node:crypto';

/**
 * Message encryption for Web Push: the content coding `aes128gcm` (RFC 8188) with keys from an exchange on P-256
 * (RFC 8291). One record, no padding beyond the delimiter.
 *
 * Cost: about 0.2 ms of CPU, half of it `computeSecret` (node checks both keys before it multiplies), an eighth the
 * ephemeral key. `createECDH` is the cheapest way that node has: with `generateKeyPairSync` and `diffieHellman` the
 * exchange costs half as much again, because the device's key must become a `KeyObject` first.
 */

/** What a device gave us (`PushSubscription.getKey`), checked by `parseWebPushKeys`. */
export interface WebPushKeys {
  /** 65 bytes: its public key on P-256, uncompressed. */
  readonly p256dh: Buffer;
  /** 16 bytes that only it and its application servers know. */
  readonly auth: Buffer;
}

/** The sender's half of one message. Never used twice; only tests choose it. */
export interface WebPushSender {
  /** 16 bytes. */
  readonly salt: Buffer;
  /** 32 bytes: a secret key on P-256. */
  readonly secretKey: Buffer;
}

export const P256_CURVE = 'prime256v1';
export const P256_PUBLIC_KEY_BYTES = 65;
export const WEB_PUSH_AUTH_BYTES = 16;

const SALT_BYTES = 16;
const TAG_BYTES = 16;
const RECORD_SIZE = 4096;
/** salt || rs (uint32) || idlen (uint8); the key id follows. RFC 8188, 2.1. */
const HEADER_BYTES = SALT_BYTES + 4 + 1;
/** Ends the plaintext of the last record; padding of zeros would follow. RFC 8188, 2. */
const LAST_RECORD_DELIMITER = Buffer.from([2]);

/** What a push service must take (RFC 8030, 7.2); no more is promised by anybody. */
export const WEB_PUSH_BODY_MAX_BYTES = 4096;
/** 3993: what is left for the plaintext of a body of that size (RFC 8291, 4). */
export const WEB_PUSH_PLAINTEXT_MAX_BYTES =
  WEB_PUSH_BODY_MAX_BYTES - HEADER_BYTES - P256_PUBLIC_KEY_BYTES - LAST_RECORD_DELIMITER.length - TAG_BYTES;

const KEY_INFO = Buffer.from('WebPush: info\0', 'latin1');
const CONTENT_KEY_INFO = Buffer.from('Content-Encoding: aes128gcm\0', 'latin1');
const NONCE_INFO = Buffer.from('Content-Encoding: nonce\0', 'latin1');

/** null for a wrong size, another form of the point than uncompressed, or a point that is not on the curve. */
export function parseWebPushKeys(p256dh: Buffer, auth: Buffer): WebPushKeys | null {
  return auth.length === WEB_PUSH_AUTH_BYTES && isP256PublicKey(p256dh) ? { p256dh, auth } : null;
}

export function isP256PublicKey(bytes: Buffer): boolean {
  if (bytes.length !== P256_PUBLIC_KEY_BYTES || bytes[0] !== 4) return false;
  try {
    // Decodes the point, which refuses coordinates that are not on the curve.
    ECDH.convertKey(bytes, P256_CURVE, undefined, undefined, 'uncompressed');
    return true;
  } catch {
    return false;
  }
}

/**
 * The whole body of a push message: salt || rs || idlen || our ephemeral key || the record. At most
 * `WEB_PUSH_PLAINTEXT_MAX_BYTES` of plaintext; a longer one, or keys that `parseWebPushKeys` would not take, are a
 * bug of the caller and throw. Source: RFC 8291, 3.4 and 4.
 */
export function encryptWebPush(plaintext: Buffer, keys: WebPushKeys, sender?: WebPushSender): Buffer {
  if (plaintext.length > WEB_PUSH_PLAINTEXT_MAX_BYTES) throw new RangeError('too long for a push message');
  const exchange = createECDH(P256_CURVE);
  if (sender === undefined) exchange.generateKeys();
  else exchange.setPrivateKey(sender.secretKey);
  const ownKey = exchange.getPublicKey();
  const shared = exchange.computeSecret(keys.p256dh);
  const keyInfo = Buffer.concat([KEY_INFO, keys.p256dh, ownKey]);
  const inputKey = deriveKey(shared, keys.auth, keyInfo, 32);
  return encodeAes128gcm(plaintext, inputKey, sender?.salt ?? randomBytes(SALT_BYTES), ownKey);
}

/**
 * `aes128gcm` with a single record: the input key is 16 bytes or more, the salt 16 that were never used with it, the
 * key id at most 255. Source: RFC 8188, 2.
 */
export function encodeAes128gcm(plaintext: Buffer, inputKey: Buffer, salt: Buffer, keyId: Buffer): Buffer {
  const contentKey = deriveKey(inputKey, salt, CONTENT_KEY_INFO, 16);
  const nonce = deriveKey(inputKey, salt, NONCE_INFO, 12); // the first record's, whose number is 0
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  salt.copy(header);
  header.writeUInt32BE(RECORD_SIZE, SALT_BYTES);
  header.writeUInt8(keyId.length, SALT_BYTES + 4);
  const gcm = createCipheriv('aes-128-gcm', contentKey, nonce, { authTagLength: TAG_BYTES });
  const text = gcm.update(plaintext);
  const delimiter = gcm.update(LAST_RECORD_DELIMITER);
  gcm.final(); // a stream cipher: no bytes are left, it makes the tag
  return Buffer.concat([header, keyId, text, delimiter, gcm.getAuthTag()]);
}

/** HKDF with SHA-256 (RFC 5869). */
const deriveKey = (inputKey: Buffer, salt: Buffer, info: Buffer, byteCount: number): Buffer =>
  Buffer.from(hkdfSync('sha256', inputKey, salt, info, byteCount));
