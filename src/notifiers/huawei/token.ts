import { badValue, type ClientError } from '../../domain/errors.js';
import type { Device } from '../../domain/device.js';
import { fail, type Result } from '../../domain/result.js';
import { deviceOf, isPrintableToken, readTokenField } from '../service-info.js';

/**
 * Push tokens have no documented form. Anything printable without blanks is taken (spec session-push-v2, 12.3); a NUL
 * or half a surrogate pair could not even be stored.
 */
export function validateHuaweiServiceInfo(serviceInfo: unknown): Result<Device, ClientError> {
  const field = readTokenField(serviceInfo);
  if (!field.ok) return field;
  const token = field.value;
  if (typeof token !== 'string' || !isPrintableToken(token)) {
    return fail(badValue('Invalid huawei device token'));
  }
  return deviceOf(token);
}
