import { createHash } from 'node:crypto';
import { badInput, badValue, type ClientError } from '../../domain/errors.js';
import type { Device } from '../../domain/device.js';
import { fail, type Result } from '../../domain/result.js';
import { deviceOf, readServiceInfo } from '../service-info.js';

/** The text of the original for a channel URI that is none (spec uwpx-push, 3). */
export const INVALID_CHANNEL_URI = "Invalid channel URI. Has to use the domain 'notify.windows.com'.";

/** In characters, all of them ASCII. */
export const MAX_CHANNEL_URI_LENGTH = 2048;

/*
 * Scheme and host in any case, as an URL may have them; one label of 1 to 63 characters before the domain; no user
 * name, no port, no path, nothing but the token in the query, no fragment. The whole text is matched before any parser
 * sees it, so nothing depends on what parsers make of odd characters.
 */
const channelUri =
  /^https:\/\/[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.notify\.windows\.com\/\?token=[\w%.~+/=-]+$/i;

/**
 * A channel URI of the Windows Notification Service, checked as spec uwpx-push, section 4 ("Ours"): requests with our
 * access token go nowhere else. In its normal form: scheme and host in lower case, the token as it was. Null = refused.
 */
export function parseChannelUri(text: string): URL | null {
  if (text.length > MAX_CHANNEL_URI_LENGTH || !channelUri.test(text)) return null;
  // A label can still be refused that looks like an internationalised one and is none (`xn--…`).
  if (!URL.canParse(text)) return null;
  const url = new URL(text);
  // What the parser understood is what was matched.
  return url.href.toLowerCase() === text.toLowerCase() ? url : null;
}

/**
 * The device of a channel. Channel URIs may be longer than a service id, so the service id of every one is its SHA-256
 * in hex, and the URI itself is the service data (as `dummy` does it: an id made from what the client sent, and that).
 */
export function deviceOfChannel(channel: URL): Result<Device, ClientError> {
  const id = createHash('sha256').update(channel.href).digest('hex');
  return deviceOf(id, Buffer.from(channel.href));
}

/** The channel of a device; null for service data that is no channel URI. */
export function channelOfDevice({ serviceData }: Device): URL | null {
  return serviceData === null ? null : parseChannelUri(serviceData.toString('latin1'));
}

/** `service_info` is `{"channel_uri": "https://…"}`; `token` is taken for it, as with every other service. */
export function validateWnsServiceInfo(serviceInfo: unknown): Result<Device, ClientError> {
  const info = readServiceInfo(serviceInfo);
  if (!info.ok) return info;
  const key = ['channel_uri', 'token'].find((name) => Object.hasOwn(info.value, name));
  if (key === undefined) return fail(badInput("Error: missing required key 'channel_uri'"));
  const text = info.value[key];
  const channel = typeof text === 'string' ? parseChannelUri(text) : null;
  return channel === null ? fail(badValue(INVALID_CHANNEL_URI)) : deviceOfChannel(channel);
}
