import type { VapidKey } from '../../crypto/vapid-key.js';
import {
  P256_PUBLIC_KEY_BYTES,
  parseWebPushKeys,
  WEB_PUSH_AUTH_BYTES,
  type WebPushKeys,
} from '../../crypto/web-push.js';
import { badInput, badValue, type ClientError } from '../../domain/errors.js';
import { SERVICE_ID_MAX_BYTES, SERVICE_ID_MIN_BYTES } from '../../domain/ids.js';
import { fail, ok, type Result } from '../../domain/result.js';
import { normaliseUrl } from '../endpoint-guard.js';
import type { ServiceInfo } from '../service-info.js';
import type { VapidKeys } from './vapid.js';

/*
 * What a client says of a device that is reached by Web Push, whether a browser or a UnifiedPush distributor. Binary
 * values are in base64url or base64, with or without padding.
 */

export const missingField = (name: string): Result<never, ClientError> =>
  fail(badInput(`Error: missing required key '${name}'`));

/**
 * The endpoint, from the first of `names` that is there. Its normal form is the service id, whatever its length: the few
 * endpoints that are shorter than 32 bytes (no random part of 20 bytes fits there, as RFC 8030, 8.3, asks for) or longer
 * than 999 are refused. Says nothing about whether it may be connected to.
 */
export function readEndpointField(
  info: ServiceInfo,
  ...names: readonly [string, ...string[]]
): Result<URL, ClientError> {
  const name = names.find((candidate) => hasField(info, candidate));
  if (name === undefined) return missingField(names[0]);
  const text = info[name];
  if (typeof text !== 'string') return fail(badValue(`Invalid ${name}: expected a string`));
  const url = normaliseUrl(text, SERVICE_ID_MAX_BYTES);
  if (!url.ok) return fail(badValue(`Invalid ${name}: ${url.error}`));
  return url.value.href.length < SERVICE_ID_MIN_BYTES ? fail(badValue(`Invalid ${name}: too short`)) : url;
}

/** `p256dh` and `auth`, both or none, inside `keys` as browsers write them or beside the rest. */
export function readKeyFields(info: ServiceInfo): Result<WebPushKeys | null, ClientError> {
  let from = info;
  if (hasField(info, 'keys')) {
    const { keys } = info;
    if (typeof keys !== 'object' || Array.isArray(keys)) {
      return fail(badValue('Invalid keys: expected an object'));
    }
    from = keys as ServiceInfo;
  }
  if (!hasField(from, 'p256dh') && !hasField(from, 'auth')) return ok(null);
  const p256dh = readBytesField(from, 'p256dh', P256_PUBLIC_KEY_BYTES);
  if (!p256dh.ok) return p256dh;
  const auth = readBytesField(from, 'auth', WEB_PUSH_AUTH_BYTES);
  if (!auth.ok) return auth;
  const keys = parseWebPushKeys(p256dh.value, auth.value);
  return keys === null ? fail(badValue('Invalid p256dh: not a point on P-256')) : ok(keys);
}

/** `vapid_key` (or `applicationServerKey`): with which of our keys the device was registered; null = it names none. */
export function readVapidKeyField(
  info: ServiceInfo,
  vapidKeys: VapidKeys | null,
): Result<VapidKey | null, ClientError> {
  const name = ['vapid_key', 'applicationServerKey'].find((candidate) => hasField(info, candidate));
  if (name === undefined) return ok(null);
  const publicKey = readBytesField(info, name, P256_PUBLIC_KEY_BYTES);
  if (!publicKey.ok) return publicKey;
  const key = vapidKeys?.ofPublicKey(publicKey.value) ?? null;
  // What the client can do about it, because no retry will help.
  return key === null
    ? fail(badValue(`Invalid ${name}: not a key of this server; subscribe again with one of its keys`))
    : ok(key);
}

/** JSON's null is as good as nothing. */
const hasField = (info: ServiceInfo, name: string): boolean =>
  Object.hasOwn(info, name) && info[name] !== null;

function readBytesField(info: ServiceInfo, name: string, byteCount: number): Result<Buffer, ClientError> {
  if (!hasField(info, name)) return missingField(name);
  const bytes = decodeBase64(info[name], byteCount);
  return bytes === null
    ? fail(badValue(`Invalid ${name}: expected ${byteCount} bytes in base64url`))
    : ok(bytes);
}

function decodeBase64(text: unknown, byteCount: number): Buffer | null {
  const digits = Math.ceil((byteCount * 4) / 3);
  if (typeof text !== 'string' || text.length < digits || text.length > digits + 2) return null;
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(text)) return null;
  const bytes = Buffer.from(text, 'base64');
  return bytes.length === byteCount ? bytes : null;
}
