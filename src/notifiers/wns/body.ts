import { fail, ok, type Result } from '../../domain/result.js';

/** WNS answers 413 beyond this. */
export const WNS_MAX_BODY_BYTES = 5_000;

/** Spec session-push-v2, 12: the same two members as for Google and Huawei; base64 needs no escape. */
export const rawBody = (payload: string): string => `{"enc_payload":"${payload}","spns":"1"}`;

/** The longest sealed payload in bytes that keeps a raw notification within WNS's limit. */
export const WNS_MAX_PAYLOAD_BYTES = Math.floor((WNS_MAX_BODY_BYTES - rawBody('').length) / 4) * 3;

/**
 * The XML of a toast: a text for users whose app cannot be woken. The payload does not go along: Windows hands nothing of
 * a toast to the app before the user touches it. `body`: null = the title is all. The error is for the operator.
 */
export function toastBody(title: string, body: string | null): Result<string, string> {
  const texts = (body === null ? [title] : [title, body]).map((text) => `<text>${escapeXml(text)}</text>`);
  const xml = `<toast><visual><binding template="ToastGeneric">${texts.join('')}</binding></visual></toast>`;
  return Buffer.byteLength(xml) > WNS_MAX_BODY_BYTES
    ? fail('toastTitle and toastBody are too long for a toast (5000 bytes)')
    : ok(xml);
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};

/** Leaves out what no XML document may hold (XML 1.0, 2.2), halves of surrogate pairs among it. */
function escapeXml(text: string): string {
  return text
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '')
    .replace(/[&<>"']/g, (mark) => entities[mark] ?? mark);
}
