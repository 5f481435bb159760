import { createHash } from 'node:crypto';
import type { Branded } from '../domain/brand.js';
import type { Device } from '../domain/device.js';
import { parseServiceId } from '../domain/ids.js';

/** A checked channel of the Windows Notification Service in its normal form; only `parseChannelUri` makes one. */
export type ChannelUri = Branded<string, 'ChannelUri'>;

/** In characters, all of them ASCII. */
export const CHANNEL_URI_MAX_LENGTH = 2048;

/*
 * Scheme and host in any case, as an URL may have them; one label of 1 to 63 characters before the domain; no user
 * name, no port, no path, nothing but the token in the query, no fragment. The whole text is matched before any parser
 * sees it, so nothing depends on what parsers make of odd characters.
 */
const channelUri =
  /^https:\/\/[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.notify\.windows\.com\/\?token=[\w%.~+/=-]+$/i;

/**
 * A channel URI of the Windows Notification Service, checked as spec uwpx-push, section 4 ("Ours"): clients name it, and
 * requests with our access token go there and nowhere else. In its normal form: scheme and host in lower case, the token
 * as it was. Null = refused.
 */
export function parseChannelUri(text: string): ChannelUri | null {
  if (text.length > CHANNEL_URI_MAX_LENGTH || !channelUri.test(text)) return null;
  // A label can still be refused that looks like an internationalised one and is none (`xn--…`).
  if (!URL.canParse(text)) return null;
  const { href } = new URL(text);
  // What the parser understood is what was matched.
  return href.toLowerCase() === text.toLowerCase() ? (href as ChannelUri) : null;
}

/**
 * The device of a channel. Channel URIs may be longer than a service id, so the service id of every one is its SHA-256
 * in hex, and the URI itself is the service data (as `dummy` does it: an id made from what the client sent, and that).
 */
export function deviceOfChannel(channel: ChannelUri): Device {
  const serviceId = parseServiceId(createHash('sha256').update(channel).digest('hex'));
  if (serviceId === null) throw new Error('64 hex digits are a service id');
  return { serviceId, serviceData: Buffer.from(channel) };
}

/** The channel of a device; null for service data that is no channel URI. */
export function channelOfDevice({ serviceData }: Device): ChannelUri | null {
  return serviceData === null ? null : parseChannelUri(serviceData.latin1Slice());
}
