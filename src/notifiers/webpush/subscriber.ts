import { VAPID_KEY_ID_BYTES, type VapidKey } from '../../crypto/vapid-key.js';
import {
  P256_PUBLIC_KEY_BYTES,
  parseWebPushKeys,
  WEB_PUSH_AUTH_BYTES,
  type WebPushKeys,
} from '../../crypto/web-push.js';
import { badValue, type ClientError } from '../../domain/errors.js';
import type { Device } from '../../domain/device.js';
import { SERVICE_ID_MAX_BYTES, SERVICE_ID_MIN_BYTES } from '../../domain/ids.js';
import { fail, ok, type Result } from '../../domain/result.js';
import { normaliseUrl, type EndpointGuard } from '../endpoint-guard.js';
import type { ValidationPurpose } from '../port.js';
import { deviceOf, readServiceInfo, type ServiceInfo } from '../service-info.js';
import { hasField, missingField, readBytesField, readKeyFields } from './fields.js';
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
  const endpoint = readEndpoint(info.value);
  if (!endpoint.ok) return endpoint;
  // Who unsubscribes may be rid of an endpoint that the options no longer allow.
  if (purpose === 'unsubscribe') return deviceOf(endpoint.value.href);
  const refusal = guard.refusalOf(endpoint.value);
  if (refusal !== null) return fail(badValue(`Invalid endpoint: ${refusal}`));
  const keys = readKeyFields(info.value);
  if (!keys.ok) return keys;
  const vapidKey = readVapidKey(info.value, vapidKeys);
  if (!vapidKey.ok) return vapidKey;
  const subscriber = { keys: keys.value, vapidKeyId: vapidKey.value.id };
  return deviceOf(endpoint.value.href, encodeSubscriber(subscriber));
}

function readEndpoint(info: ServiceInfo): Result<URL, ClientError> {
  if (!hasField(info, 'endpoint')) return missingField('endpoint');
  const { endpoint } = info;
  if (typeof endpoint !== 'string') return fail(badValue('Invalid endpoint: expected a string'));
  const url = normaliseUrl(endpoint, SERVICE_ID_MAX_BYTES);
  if (!url.ok) return fail(badValue(`Invalid endpoint: ${url.error}`));
  return url.value.href.length < SERVICE_ID_MIN_BYTES ? fail(badValue('Invalid endpoint: too short')) : url;
}

function readVapidKey(info: ServiceInfo, vapidKeys: VapidKeys): Result<VapidKey, ClientError> {
  const name = ['vapid_key', 'applicationServerKey'].find((candidate) => hasField(info, candidate));
  if (name === undefined) return ok(vapidKeys.preferred);
  const publicKey = readBytesField(info, name, P256_PUBLIC_KEY_BYTES);
  if (!publicKey.ok) return publicKey;
  const key = vapidKeys.ofPublicKey(publicKey.value);
  // What the client can do about it, because no retry will help.
  return key === null
    ? fail(badValue(`Invalid ${name}: not a key of this server; subscribe again with one of its keys`))
    : ok(key);
}
