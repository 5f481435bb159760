import type { ProtocolVersion } from './port.js';

/** What of an XEP-0357 summary goes into a push. */
export interface UwpxSummary {
  /** The text of the field `message-count`; null when it is missing or has no value. */
  readonly messageCount: string | null;
  /** The same of `pending-subscription-count`. */
  readonly pendingSubscriptionCount: string | null;
}

/** Devices that have not said so speak the first version. */
const FIRST_VERSION = 1;
const XML_MAX_BYTES = 4096;
const MAX_COUNT = 0x7fffffff;

/**
 * The body of a raw notification for one account; `summary` null: the publish had none. Source: spec uwpx-push, 6.2.
 *
 * The second version is JSON with two numbers. The first is the published XML with the account in it, of which we keep
 * the numbers alone: the original hands sender and text of the message to Microsoft where the user's server sends them.
 */
export function pushBody(
  protocolVersion: ProtocolVersion | null,
  accountId: string,
  summary: UwpxSummary | null,
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

/** Leading digits count (`7x` is 7), whatever else is 0. */
export function countOf(text: string | null): number {
  const [digits = '0'] = /^\d+/.exec(text ?? '') ?? [];
  return Math.min(Number(digits), MAX_COUNT);
}

/** The client insists on `action` and `version`. */
function jsonBody(accountId: string, summary: UwpxSummary | null): string {
  const messages = countOf(summary?.messageCount ?? null);
  const subscriptions = countOf(summary?.pendingSubscriptionCount ?? null);
  return (
    `{"account_id":${JSON.stringify(accountId)},"action":"push","message_count":${messages},` +
    `"pending_subscription_count":${subscriptions},"version":2}`
  );
}

function xmlBody(accountId: string, summary: UwpxSummary | null): string {
  const form =
    summary === null
      ? ''
      : '<x xmlns="jabber:x:data" type="form">' +
        '<field type="hidden" var="FORM_TYPE"><value>urn:xmpp:push:summary</value></field>' +
        countField('message-count', summary.messageCount) +
        countField('pending-subscription-count', summary.pendingSubscriptionCount) +
        '</x>';
  const xml = `<notification xmlns="urn:xmpp:push:0">${form}<account id="${escapeAttribute(accountId)}"/></notification>`;
  return Buffer.byteLength(xml) > XML_MAX_BYTES ? 'New message received!' : xml;
}

/** The number instead of the text: what strangers write into the field goes no further. */
const countField = (name: string, text: string | null): string =>
  text === null ? '' : `<field type="text-single" var="${name}"><value>${countOf(text)}</value></field>`;

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
