import { isUtf8 } from 'node:buffer';
import type { Device } from '../domain/device.js';
import { badValue, clientError, PROCESSING_ERROR_MESSAGE, type ClientError } from '../domain/errors.js';
import { parseServiceId, SERVICE_DATA_MAX_BYTES } from '../domain/ids.js';
import { fail, ok, type Result } from '../domain/result.js';

/** A C++ `int`, as the original reads it: no sign but minus, no spaces, any number of leading zeros. */
const INTEGER = /^-?[0-9]{1,40}$/;
const INT_MIN = -(2 ** 31);
const INT_MAX = 2 ** 31 - 1;
/** Far beyond any text for a client; an answer of hundreds of elements holds one for each. */
const MESSAGE_MAX_BYTES = 4096;

/**
 * What a notifier answered to `notifier.validate`: `["0", service id]`, `["0", service id, service data]`, or
 * `[code, message]` with a code of its own choice, which the client gets unchanged. Anything else is error 4.
 * Source: spec session-push-v2, 8.2.
 */
export function parseValidationReply(parts: readonly Buffer[]): Result<Device, ClientError> {
  const [codePart, second, serviceData] = parts;
  if (codePart === undefined || second === undefined || parts.length > 3) return broken;
  const code = parseInteger(codePart);
  if (code === null) return broken;
  if (code !== 0) return fail(clientError(code, second.toString('utf8', 0, MESSAGE_MAX_BYTES)));
  const serviceId = isUtf8(second) ? parseServiceId(second.toString('utf8')) : null;
  if (serviceId === null || (serviceData?.length ?? 0) > SERVICE_DATA_MAX_BYTES) return broken;
  // The parts are views of a frame that ZeroMQ lends out.
  return ok({ serviceId, serviceData: serviceData === undefined ? null : Buffer.from(serviceData) });
}

const broken = fail(badValue(PROCESSING_ERROR_MESSAGE));

function parseInteger(part: Buffer): number | null {
  const text = part.toString('latin1', 0, 50);
  if (part.length > 50 || !INTEGER.test(text)) return null;
  const value = Number(text);
  return value >= INT_MIN && value <= INT_MAX ? value + 0 : null;
}
