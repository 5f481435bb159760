import { VAPID_KEY_ID_BYTES, type VapidKey } from '../../crypto/vapid-key.js';
import {
  P256_PUBLIC_KEY_BYTES,
  parseWebPushKeys,
  WEB_PUSH_AUTH_BYTES,
  type WebPushKeys,
} from '../../crypto/web-push.js';
import { badInput, badValue, type ClientError } from '../../domain/errors.js';
import type { Device } from '../../domain/device.js';
import { SERVICE_ID_MIN_BYTES } from '../../domain/ids.js';
import { fail, ok, type Result } from '../../domain/result.js';
import type { EndpointGuard } from '../endpoint-guard.js';
import type { ValidationPurpose } from '../port.js';
import { deviceOf, readServiceInfo, type ServiceInfo } from '../service-info.js';
import type { VapidKeys } from './vapid.js';

/** What is kept with a subscription: how its pushes are encrypted and signed. */
export interface Subscriber {
  readonly keys: WebPushKeys;
  /** `VapidKey.id` of the key that the browser subscribed with. */
  readonly vapidKeyId: Buffer;
}

/*
 * Service data, 90 bytes: version (1) || VAPID key id (8) || auth (16) || p256dh (65).
 */
const VERSION = 1;
const AUTH_AT = 1 + VAPID_KEY_ID_BYTES;
const POINT_AT = AUTH_AT + WEB_PUSH_AUTH_BYTES;
const SERVICE_DATA_BYTES = POINT_AT + P256_PUBLIC_KEY_BYTES;

export const encodeSubscriber = ({ keys, vapidKeyId }: Subscriber): Buffer =>
  Buffer.concat([Buffer.from([VERSION]), vapidKeyId, keys.auth, keys.p256dh]);

/** null for anything that `encodeSubscriber` does not make, a point off the curve included. */
export function decodeSubscriber(data: Buffer | null): Subscriber | null {
  if (data?.length !== SERVICE_DATA_BYTES || data[0] !== VERSION) return null;
  const keys = parseWebPushKeys(data.subarray(POINT_AT), data.subarray(AUTH_AT, POINT_AT));
  return keys === null ? null : { keys, vapidKeyId: data.subarray(1, AUTH_AT) };
}

/**
 * The device that a `service_info` names: `PushSubscription.toJSON()` of a browser, `{endpoint, keys: {p256dh, auth}}`,
 * or the same flat; `vapid_key` (or `applicationServerKey`) is the key that it was subscribed with, the preferred one
 * when left out. Binary values in base64url or base64. The service id is the endpoint, normalised; an unsubscribe needs
 * nothing else.
 */
export function readSubscription(
  serviceInfo: unknown,
  purpose: ValidationPurpose,
  guard: EndpointGuard,
  vapidKeys: VapidKeys,
): Result<Device, ClientError> {
  const info = readServiceInfo(serviceInfo);
  if (!info.ok) return info;
  const endpoint = readEndpoint(info.value, guard);
  if (!endpoint.ok) return endpoint;
  if (purpose === 'unsubscribe') return deviceOf(endpoint.value);
  const keys = readKeys(info.value);
  if (!keys.ok) return keys;
  const vapidKey = readVapidKey(info.value, vapidKeys);
  if (!vapidKey.ok) return vapidKey;
  const subscriber = { keys: keys.value, vapidKeyId: vapidKey.value.id };
  return deviceOf(endpoint.value, encodeSubscriber(subscriber));
}

function readEndpoint(info: ServiceInfo, guard: EndpointGuard): Result<string, ClientError> {
  if (!Object.hasOwn(info, 'endpoint')) return missing('endpoint');
  const { endpoint } = info;
  if (typeof endpoint !== 'string') return fail(badValue('Invalid endpoint: expected a string'));
  const url = guard.checkUrl(endpoint);
  if (!url.ok) return fail(badValue(`Invalid endpoint: ${url.error}`));
  return url.value.href.length < SERVICE_ID_MIN_BYTES
    ? fail(badValue('Invalid endpoint: too short'))
    : ok(url.value.href);
}

function readKeys(info: ServiceInfo): Result<WebPushKeys, ClientError> {
  let from = info;
  if (Object.hasOwn(info, 'keys')) {
    const { keys } = info;
    if (typeof keys !== 'object' || keys === null || Array.isArray(keys)) {
      return fail(badValue('Invalid keys: expected an object'));
    }
    from = keys as ServiceInfo;
  }
  const p256dh = readBytes(from, 'p256dh', P256_PUBLIC_KEY_BYTES);
  if (!p256dh.ok) return p256dh;
  const auth = readBytes(from, 'auth', WEB_PUSH_AUTH_BYTES);
  if (!auth.ok) return auth;
  const keys = parseWebPushKeys(p256dh.value, auth.value);
  return keys === null ? fail(badValue('Invalid p256dh: not a point on P-256')) : ok(keys);
}

function readVapidKey(info: ServiceInfo, vapidKeys: VapidKeys): Result<VapidKey, ClientError> {
  const name = ['vapid_key', 'applicationServerKey'].find(
    (candidate) => Object.hasOwn(info, candidate) && info[candidate] !== null,
  );
  if (name === undefined) return ok(vapidKeys.preferred);
  const publicKey = readBytes(info, name, P256_PUBLIC_KEY_BYTES);
  if (!publicKey.ok) return publicKey;
  const key = vapidKeys.ofPublicKey(publicKey.value);
  // What the client can do about it, because no retry will help.
  return key === null
    ? fail(badValue(`Invalid ${name}: not a key of this server; subscribe again with one of its keys`))
    : ok(key);
}

function readBytes(info: ServiceInfo, name: string, byteCount: number): Result<Buffer, ClientError> {
  if (!Object.hasOwn(info, name)) return missing(name);
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

const missing = (name: string): Result<never, ClientError> =>
  fail(badInput(`Error: missing required key '${name}'`));
