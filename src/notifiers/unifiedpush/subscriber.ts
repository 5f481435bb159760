import { VAPID_KEY_ID_BYTES, type VapidKey } from '../../crypto/vapid-key.js';
import {
  P256_PUBLIC_KEY_BYTES,
  parseWebPushKeys,
  WEB_PUSH_AUTH_BYTES,
  type WebPushKeys,
} from '../../crypto/web-push.js';
import { badInput, badValue, type ClientError } from '../../domain/errors.js';
import { SERVICE_ID_MAX_BYTES, SERVICE_ID_MIN_BYTES } from '../../domain/ids.js';
import { fail, ok, type Result } from '../../domain/result.js';
import { normaliseUrl, type EndpointGuard } from '../endpoint-guard.js';
import { readServiceInfo, type ServiceInfo } from '../service-info.js';
import type { VapidKeys } from '../webpush/vapid.js';

/** What is kept with a subscription beside its endpoint. */
export interface Subscriber {
  /** Null: the app reads the plain text of a push. */
  readonly keys: WebPushKeys | null;
  /** `VapidKey.id` of the key that the app registered with; null: it named none. */
  readonly vapidKeyId: Buffer | null;
}

/*
 * Service data: none for a subscriber without anything; otherwise version (1) || VAPID key id (8, zeros for none), and
 * with keys auth (16) || p256dh (65).
 */
const VERSION = 1;
const AUTH_AT = 1 + VAPID_KEY_ID_BYTES;
const POINT_AT = AUTH_AT + WEB_PUSH_AUTH_BYTES;
const NO_KEY_ID = Buffer.alloc(VAPID_KEY_ID_BYTES);
const NOTHING: Subscriber = { keys: null, vapidKeyId: null };

export function encodeSubscriber({ keys, vapidKeyId }: Subscriber): Buffer | null {
  if (keys === null && vapidKeyId === null) return null;
  const parts = [Buffer.from([VERSION]), vapidKeyId ?? NO_KEY_ID];
  return Buffer.concat(keys === null ? parts : [...parts, keys.auth, keys.p256dh]);
}

/** null for anything that `encodeSubscriber` does not make, a point off the curve included. */
export function decodeSubscriber(data: Buffer | null): Subscriber | null {
  if (data === null || data.length === 0) return NOTHING;
  if (data[0] !== VERSION) return null;
  const id = data.subarray(1, AUTH_AT);
  const vapidKeyId = id.equals(NO_KEY_ID) ? null : id;
  if (data.length === AUTH_AT) return { keys: null, vapidKeyId };
  if (data.length !== POINT_AT + P256_PUBLIC_KEY_BYTES) return null;
  const keys = parseWebPushKeys(data.subarray(POINT_AT), data.subarray(AUTH_AT, POINT_AT));
  return keys === null ? null : { keys, vapidKeyId };
}

/**
 * The endpoint of a `service_info`: `endpoint`, or `token` as other services call it. Its normal form is the service
 * id, whatever its length: the few endpoints that are shorter than 32 bytes (no random part of 20 bytes fits there, as
 * the specification asks for) or longer than 999 are refused.
 */
export function readEndpoint(serviceInfo: unknown): Result<URL, ClientError> {
  const info = readServiceInfo(serviceInfo);
  if (!info.ok) return info;
  const name = ['endpoint', 'token'].find((candidate) => Object.hasOwn(info.value, candidate));
  if (name === undefined) return missing('endpoint');
  const text = info.value[name];
  if (typeof text !== 'string') return fail(badValue(`Invalid ${name}: expected a string`));
  const url = normaliseUrl(text, SERVICE_ID_MAX_BYTES);
  if (!url.ok) return fail(badValue(`Invalid ${name}: ${url.error}`));
  return url.value.href.length < SERVICE_ID_MIN_BYTES ? fail(badValue(`Invalid ${name}: too short`)) : url;
}

/** The same for a subscribe: what may not be connected to is refused. */
export function readAllowedEndpoint(serviceInfo: unknown, guard: EndpointGuard): Result<URL, ClientError> {
  const url = readEndpoint(serviceInfo);
  if (!url.ok) return url;
  const refusal = guard.refusalOf(url.value);
  return refusal === null ? url : fail(badValue(`Invalid endpoint: ${refusal}`));
}

/**
 * The keys of a `service_info`: `p256dh` and `auth`, both or none, also inside `keys` as browsers write them; and
 * `vapid_key`, the public key that the app registered with. All in base64url or base64.
 */
export function readSubscriber(
  serviceInfo: unknown,
  vapidKeys: VapidKeys | null,
): Result<Subscriber, ClientError> {
  const info = readServiceInfo(serviceInfo);
  if (!info.ok) return info;
  const keys = readKeys(info.value);
  if (!keys.ok) return keys;
  const vapidKey = readVapidKey(info.value, vapidKeys);
  if (!vapidKey.ok) return vapidKey;
  return ok({ keys: keys.value, vapidKeyId: vapidKey.value?.id ?? null });
}

function readKeys(info: ServiceInfo): Result<WebPushKeys | null, ClientError> {
  let from = info;
  if (has(info, 'keys')) {
    const { keys } = info;
    if (typeof keys !== 'object' || Array.isArray(keys)) {
      return fail(badValue('Invalid keys: expected an object'));
    }
    from = keys as ServiceInfo;
  }
  if (!has(from, 'p256dh') && !has(from, 'auth')) return ok(null);
  const p256dh = readBytes(from, 'p256dh', P256_PUBLIC_KEY_BYTES);
  if (!p256dh.ok) return p256dh;
  const auth = readBytes(from, 'auth', WEB_PUSH_AUTH_BYTES);
  if (!auth.ok) return auth;
  const keys = parseWebPushKeys(p256dh.value, auth.value);
  return keys === null ? fail(badValue('Invalid p256dh: not a point on P-256')) : ok(keys);
}

function readVapidKey(info: ServiceInfo, vapidKeys: VapidKeys | null): Result<VapidKey | null, ClientError> {
  if (!has(info, 'vapid_key')) return ok(null);
  const publicKey = readBytes(info, 'vapid_key', P256_PUBLIC_KEY_BYTES);
  if (!publicKey.ok) return publicKey;
  const key = vapidKeys?.ofPublicKey(publicKey.value) ?? null;
  // What the client can do about it, because no retry will help.
  return key === null
    ? fail(badValue('Invalid vapid_key: not a key of this server; register again with one of its keys'))
    : ok(key);
}

function readBytes(info: ServiceInfo, name: string, byteCount: number): Result<Buffer, ClientError> {
  if (!has(info, name)) return missing(name);
  const bytes = decodeBase64(info[name], byteCount);
  return bytes === null
    ? fail(badValue(`Invalid ${name}: expected ${byteCount} bytes in base64url`))
    : ok(bytes);
}

/** Either alphabet, with or without padding. */
function decodeBase64(text: unknown, byteCount: number): Buffer | null {
  const digits = Math.ceil((byteCount * 4) / 3);
  if (typeof text !== 'string' || text.length < digits || text.length > digits + 2) return null;
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(text)) return null;
  const bytes = Buffer.from(text, 'base64');
  return bytes.length === byteCount ? bytes : null;
}

/** JSON's null is as good as nothing. */
const has = (info: ServiceInfo, name: string): boolean => Object.hasOwn(info, name) && info[name] !== null;

const missing = (name: string): Result<never, ClientError> =>
  fail(badInput(`Error: missing required key '${name}'`));
