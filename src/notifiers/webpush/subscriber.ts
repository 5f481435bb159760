import { badValue, type ClientError } from '../../domain/errors.js';
import type { Device } from '../../domain/device.js';
import { fail, type Result } from '../../domain/result.js';
import type { EndpointGuard } from '../endpoint-guard.js';
import type { ValidationPurpose } from '../port.js';
import { deviceOf, readServiceInfo } from '../service-info.js';
import { missingField, readEndpointField, readKeyFields, readVapidKeyField } from './fields.js';
import { encodeSubscriberData } from './subscriber-data.js';
import type { VapidKeys } from './vapid.js';

/**
 * The device that a `service_info` names: `PushSubscription.toJSON()` of a browser, `{endpoint, keys: {p256dh, auth}}`,
 * or the same flat; `vapid_key` (or `applicationServerKey`) is the key that it was subscribed with, the preferred one
 * when left out. The service id is the endpoint, normalised; an unsubscribe needs nothing else.
 */
export function readSubscription(
  serviceInfo: unknown,
  purpose: ValidationPurpose,
  guard: EndpointGuard,
  vapidKeys: VapidKeys,
): Result<Device, ClientError> {
  const info = readServiceInfo(serviceInfo);
  if (!info.ok) return info;
  const endpoint = readEndpointField(info.value, 'endpoint');
  if (!endpoint.ok) return endpoint;
  // Who unsubscribes may be rid of an endpoint that the options no longer allow.
  if (purpose === 'unsubscribe') return deviceOf(endpoint.value.href);
  const refusal = guard.refusalOf(endpoint.value);
  if (refusal !== null) return fail(badValue(`Invalid endpoint: ${refusal}`));
  const keys = readKeyFields(info.value);
  if (!keys.ok) return keys;
  if (keys.value === null) return missingField('p256dh');
  const named = readVapidKeyField(info.value, vapidKeys);
  if (!named.ok) return named;
  const { id: vapidKeyId } = named.value ?? vapidKeys.preferred;
  return deviceOf(endpoint.value.href, encodeSubscriberData({ keys: keys.value, vapidKeyId }));
}
