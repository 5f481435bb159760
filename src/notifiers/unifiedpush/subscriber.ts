import { badValue, type ClientError } from '../../domain/errors.js';
import { fail, ok, type Result } from '../../domain/result.js';
import type { EndpointGuard } from '../endpoint-guard.js';
import { readServiceInfo } from '../service-info.js';
import { readEndpointField, readKeyFields, readVapidKeyField } from '../webpush/fields.js';
import type { SubscriberData } from '../webpush/subscriber-data.js';
import type { VapidKeys } from '../webpush/vapid.js';

/** The endpoint of a `service_info`: `endpoint`, or `token` as other services call it. */
export function readEndpoint(serviceInfo: unknown): Result<URL, ClientError> {
  const info = readServiceInfo(serviceInfo);
  return info.ok ? readEndpointField(info.value, 'endpoint', 'token') : info;
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
 * `vapid_key`, the public key that the app registered with.
 */
export function readSubscriber(
  serviceInfo: unknown,
  vapidKeys: VapidKeys | null,
): Result<SubscriberData, ClientError> {
  const info = readServiceInfo(serviceInfo);
  if (!info.ok) return info;
  const keys = readKeyFields(info.value);
  if (!keys.ok) return keys;
  const vapidKey = readVapidKeyField(info.value, vapidKeys);
  if (!vapidKey.ok) return vapidKey;
  return ok({ keys: keys.value, vapidKeyId: vapidKey.value?.id ?? null });
}
