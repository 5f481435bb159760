import { deviceOfChannel, parseChannelUri } from '../../codec/wns-channel-uri.js';
import { badInput, badValue, type ClientError } from '../../domain/errors.js';
import type { Device } from '../../domain/device.js';
import { fail, ok, type Result } from '../../domain/result.js';
import { readServiceInfo } from '../service-info.js';

/** The text of the original for a channel URI that is none (spec uwpx-push, 3). */
export const INVALID_CHANNEL_URI = "Invalid channel URI. Has to use the domain 'notify.windows.com'.";

/** `service_info` is `{"channel_uri": "https://…"}`; `token` is taken for it, as with every other service. */
export function validateWnsServiceInfo(serviceInfo: unknown): Result<Device, ClientError> {
  const info = readServiceInfo(serviceInfo);
  if (!info.ok) return info;
  const key = ['channel_uri', 'token'].find((name) => Object.hasOwn(info.value, name));
  if (key === undefined) return fail(badInput("Error: missing required key 'channel_uri'"));
  const text = info.value[key];
  const channel = typeof text === 'string' ? parseChannelUri(text) : null;
  return channel === null ? fail(badValue(INVALID_CHANNEL_URI)) : ok(deviceOfChannel(channel));
}
