import type { PublishSummary } from '../domain/publish.js';
import type { ProtocolVersion } from './port.js';

/** What of an XEP-0357 summary goes into a push. Null: the server did not say. */
export type UwpxSummary = Pick<PublishSummary, 'messageCount' | 'pendingSubscriptionCount'>;

/** Devices that have not said so speak the first version. */
const FIRST_VERSION = 1;
const XML_MAX_BYTES = 4096;
const MAX_COUNT = 0x7fffffff;

/**
 * The body of a raw notification for one account. Source: spec uwpx-push, 6.2.
 *
 * The second version is JSON with two numbers. The first is the published XML with the account in it, of which we keep
 * the numbers alone: the original hands sender and text of the message to Microsoft where the user's server sends them.
 */
export function pushBody(
  protocolVersion: ProtocolVersion | null,
  accountId: string,
  summary: UwpxSummary,
): string {
  switch (protocolVersion ?? FIRST_VERSION) {
    case 2:
      return jsonBody(accountId, summary);
    case 1:
      return xmlBody(accountId, summary);
  }
}

/** The body of a test notification. Source: spec uwpx-push, 6.2. */
export function testPushBody(protocolVersion: ProtocolVersion | null): string {
  switch (protocolVersion ?? FIRST_VERSION) {
    case 2:
      return '{"action":"test_push","version":2}';
    case 1:
      return '<test/>';
  }
}

/** A count as a server wrote it: leading digits count (`7x` is 7), whatever else is 0. Source: spec uwpx-push, 6.2. */
export function countOf(text: string): number {
  const [digits = '0'] = /^\d+/.exec(text) ?? [];
  return Math.min(Number(digits), MAX_COUNT);
}

/** The client insists on `action` and `version`. */
function jsonBody(accountId: string, { messageCount, pendingSubscriptionCount }: UwpxSummary): string {
  return (
    `{"account_id":${JSON.stringify(accountId)},"action":"push","message_count":${messageCount ?? 0},` +
    `"pending_subscription_count":${pendingSubscriptionCount ?? 0},"version":2}`
  );
}

function xmlBody(accountId: string, { messageCount, pendingSubscriptionCount }: UwpxSummary): string {
  const fields =
    countField('message-count', messageCount) +
    countField('pending-subscription-count', pendingSubscriptionCount);
  const form =
    fields === ''
      ? ''
      : '<x xmlns="jabber:x:data" type="form">' +
        '<field type="hidden" var="FORM_TYPE"><value>urn:xmpp:push:summary</value></field>' +
        `${fields}</x>`;
  const xml = `<notification xmlns="urn:xmpp:push:0">${form}<account id="${escapeAttribute(accountId)}"/></notification>`;
  return Buffer.byteLength(xml) > XML_MAX_BYTES ? 'New message received!' : xml;
}

const countField = (name: string, count: number | null): string =>
  count === null ? '' : `<field type="text-single" var="${name}"><value>${count}</value></field>`;

const references: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
};

/** Without what no XML document may hold (XML 1.0, 2.2); line ends as references, which survive normalisation. */
const escapeAttribute = (text: string): string =>
  text
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '')
    .replace(/[&<>"]/g, (mark) => references[mark] ?? mark)
    .replace(/[\t\n\r]/g, (space) => `&#${space.charCodeAt(0)};`);
