import type { Branded } from './brand.js';

/** 33 bytes: network prefix (05 or a brand's own: user, 03: group, others allowed) and 32-byte public key. */
export type AccountId = Branded<Buffer, 'AccountId'>;
/** The configured name of a notifier, 1 to 32 bytes, such as `apns` or `firebase`. */
export type ServiceName = Branded<string, 'ServiceName'>;
/**
 * A device at its push service: token, channel URI or endpoint; 32 to 999 bytes of UTF-8, and from a single byte on where
 * an older client registered it.
 */
export type ServiceId = Branded<string, 'ServiceId'>;
/** The 32-byte key with which the device decrypts what we send it. */
export type EncryptionKey = Branded<Buffer, 'EncryptionKey'>;

export const ACCOUNT_BYTES = 33;
export const ENCRYPTION_KEY_BYTES = 32;
export const SERVICE_NAME_MAX_BYTES = 32;
export const SERVICE_ID_MIN_BYTES = 32;
export const SERVICE_ID_MAX_BYTES = 999;
export const SERVICE_DATA_MAX_BYTES = 99_999;

/** First byte of users' accounts in the network that Session v2 was made for. */
export const USER_PREFIX = 0x05;

/**
 * First bytes of accounts that are X25519 keys and carry their Ed25519 key beside them: one for each network that is
 * served. Every other account is an Ed25519 key itself.
 */
export type UserPrefixes = ReadonlySet<number>;

export const isUserAccount = (account: AccountId, userPrefixes: UserPrefixes): boolean =>
  userPrefixes.has(account[0] ?? -1);

export function parseAccountId(bytes: Buffer): AccountId | null {
  return bytes.length === ACCOUNT_BYTES ? (bytes as AccountId) : null;
}

export function parseServiceName(text: string): ServiceName | null {
  const bytes = Buffer.byteLength(text);
  return bytes >= 1 && bytes <= SERVICE_NAME_MAX_BYTES ? (text as ServiceName) : null;
}

export function parseServiceId(text: string): ServiceId | null {
  const bytes = Buffer.byteLength(text);
  return bytes >= SERVICE_ID_MIN_BYTES && bytes <= SERVICE_ID_MAX_BYTES ? (text as ServiceId) : null;
}

/** Of any device, older clients' included: what they register is not looked at (spec session-push-v1, 1). */
export function parseAnyServiceId(text: string): ServiceId | null {
  const bytes = Buffer.byteLength(text);
  return bytes >= 1 && bytes <= SERVICE_ID_MAX_BYTES ? (text as ServiceId) : null;
}

export function parseEncryptionKey(bytes: Buffer): EncryptionKey | null {
  return bytes.length === ENCRYPTION_KEY_BYTES ? (bytes as EncryptionKey) : null;
}
