import { WEB_PUSH_PLAINTEXT_MAX_BYTES } from '../../crypto/web-push.js';

const HEAD = '{"enc_payload":"';
const TAIL = '","spns":"1"}';

/** The longest sealed payload in bytes that keeps a push message within 4096 bytes. */
export const WEBPUSH_MAX_PAYLOAD_BYTES =
  Math.floor((WEB_PUSH_PLAINTEXT_MAX_BYTES - HEAD.length - TAIL.length) / 4) * 3;

/** What the service worker reads: the same fields as the data of `firebase`. `encPayload` is base64. */
export const webpushText = (encPayload: string): Buffer => Buffer.from(HEAD + encPayload + TAIL, 'latin1');
