import {
  P256_PUBLIC_KEY_BYTES,
  parseWebPushKeys,
  WEB_PUSH_AUTH_BYTES,
  type WebPushKeys,
} from '../../crypto/web-push.js';
import { badInput, badValue, type ClientError } from '../../domain/errors.js';
import { fail, ok, type Result } from '../../domain/result.js';
import type { ServiceInfo } from '../service-info.js';

/** JSON's null is as good as nothing. */
export const hasField = (info: ServiceInfo, name: string): boolean =>
  Object.hasOwn(info, name) && info[name] !== null;

export const missingField = (name: string): Result<never, ClientError> =>
  fail(badInput(`Error: missing required key '${name}'`));

/** `p256dh` and `auth`, inside `keys` as browsers write them or beside the rest. */
export function readKeyFields(info: ServiceInfo): Result<WebPushKeys, ClientError> {
  let from = info;
  if (hasField(info, 'keys')) {
    const { keys } = info;
    if (typeof keys !== 'object' || Array.isArray(keys)) {
      return fail(badValue('Invalid keys: expected an object'));
    }
    from = keys as ServiceInfo;
  }
  const p256dh = readBytesField(from, 'p256dh', P256_PUBLIC_KEY_BYTES);
  if (!p256dh.ok) return p256dh;
  const auth = readBytesField(from, 'auth', WEB_PUSH_AUTH_BYTES);
  if (!auth.ok) return auth;
  const keys = parseWebPushKeys(p256dh.value, auth.value);
  return keys === null ? fail(badValue('Invalid p256dh: not a point on P-256')) : ok(keys);
}

/** Exactly `byteCount` bytes in base64url or base64, with or without padding. */
export function readBytesField(
  info: ServiceInfo,
  name: string,
  byteCount: number,
): Result<Buffer, ClientError> {
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
