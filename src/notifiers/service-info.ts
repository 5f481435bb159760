import { badInput, badValue, PROCESSING_ERROR_MESSAGE, type ClientError } from '../domain/errors.js';
import type { Device } from '../domain/device.js';
import { parseServiceId } from '../domain/ids.js';
import { fail, ok, type Result } from '../domain/result.js';

export type ServiceInfo = Readonly<Record<string, unknown>>;

/** `service_info` of a subscribe must be an object (spec session-push-v2, section 12). */
export function readServiceInfo(serviceInfo: unknown): Result<ServiceInfo, ClientError> {
  if (typeof serviceInfo !== 'object' || serviceInfo === null || Array.isArray(serviceInfo)) {
    return fail(badValue('Invalid service_info: expected an object'));
  }
  return ok(serviceInfo as ServiceInfo);
}

/** The value of `token`, whatever it is; a missing key is code 1 as in the original (spec 12). */
export function readTokenField(serviceInfo: unknown): Result<unknown, ClientError> {
  const info = readServiceInfo(serviceInfo);
  if (!info.ok) return info;
  if (!Object.hasOwn(info.value, 'token')) return fail(badInput("Error: missing required key 'token'"));
  return ok(info.value['token']);
}

/** Visible ASCII: what every token of Google and Huawei is, though they document no form. */
export const isPrintableToken = (token: string): boolean => /^[\x21-\x7e]+$/.test(token);

/** The device that a checked token names; the rule of 8.2 about its length applies to all services. */
export function deviceOf(serviceId: string, serviceData: Buffer | null = null): Result<Device, ClientError> {
  const parsed = parseServiceId(serviceId);
  return parsed === null ? fail(badValue(PROCESSING_ERROR_MESSAGE)) : ok({ serviceId: parsed, serviceData });
}
