import { badValue, type ClientError } from '../../domain/errors.js';
import type { Device } from '../../domain/device.js';
import { fail, type Result } from '../../domain/result.js';
import { deviceOf, readTokenField } from '../service-info.js';

const MIN_CHARACTERS = 64;
const MAX_CHARACTERS = 200;
const hex = /^[0-9a-fA-F]+$/;

/** Whether it can be part of a path; Apple says the rest. */
export const isHexToken = (token: string): boolean => hex.test(token);

/**
 * Today's device tokens have 64 hex digits and Apple reserves the right to longer ones, so any whole number of bytes
 * from 32 to 100 is taken (spec session-push-v2, 12.1 and 21 #33). Hex only: the token becomes part of a path. Its
 * case is kept, because the answer and every later request name the device by it.
 */
export function validateApnsServiceInfo(serviceInfo: unknown): Result<Device, ClientError> {
  const field = readTokenField(serviceInfo);
  if (!field.ok) return field;
  const token = field.value;
  if (typeof token !== 'string') return fail(badValue('Invalid token: expected a string'));
  if (token.length < MIN_CHARACTERS || token.length > MAX_CHARACTERS || token.length % 2 !== 0) {
    return fail(badValue(`Invalid token: expected length-64 device token, not ${token.length}`));
  }
  if (!isHexToken(token)) return fail(badValue('Invalid token: expected hex digits'));
  return deviceOf(token);
}
