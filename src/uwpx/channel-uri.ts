import type { ChannelUri } from './port.js';

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
 * we send requests with our access token there. In its normal form: scheme and host in lower case, the token as it
 * was. Null = refused.
 *
 * The notifier `wns` applies the same rule to what its own clients register; a test holds the two together.
 */
export function parseChannelUri(text: string): ChannelUri | null {
  if (text.length > CHANNEL_URI_MAX_LENGTH || !channelUri.test(text)) return null;
  // A label can still be refused that looks like an internationalised one and is none (`xn--…`).
  if (!URL.canParse(text)) return null;
  const { href } = new URL(text);
  // What the parser understood is what was matched.
  return href.toLowerCase() === text.toLowerCase() ? (href as ChannelUri) : null;
}
