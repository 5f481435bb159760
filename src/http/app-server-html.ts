import type { EndpointReply } from './client-endpoints.js';

const entities: ReadonlyMap<string, string> = new Map([
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
  ['"', '&quot;'],
  ["'", '&#39;'],
]);

/** For text and for attribute values in quotes. */
export const escapeHtml = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => entities.get(character) ?? '');

/** In the frame that all pages of the original have: monitors compare it. Source: spec xmpp-push, section 7. */
export const htmlReply = (
  status: number,
  content: string,
  headers: Readonly<Record<string, string>> = {},
): EndpointReply => ({
  status,
  headers: { 'content-type': 'text/html; charset=utf-8', ...headers },
  body: Buffer.from(
    `<!DOCTYPE html>\n<html><head><title>mod_push_appserver</title></head><body>\n${content}\n</body></html>`,
  ),
});
