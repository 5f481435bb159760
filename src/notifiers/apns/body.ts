import { asciiJson } from '../ascii-json.js';
import type { ApnsEntry } from './apns-entry.js';

/** Apple's limit for the whole body. */
export const APNS_MAX_BODY_BYTES = 4096;

export interface ApnsBodyTemplate {
  readonly prefix: string;
  readonly suffix: string;
  /** The longest sealed payload in bytes that keeps the body within Apple's limit. */
  readonly maxPayloadBytes: number;
}

/**
 * The body around `enc_payload`, byte for byte as the original writes it (spec session-push-v2, 12.1), ASCII only.
 * `mutable-content` makes iOS run the extension that decrypts.
 */
export function createApnsBodyTemplate(entry: ApnsEntry): ApnsBodyTemplate {
  const { badge = 1, sound = 'default', category = 'SECRET' } = entry;
  const title = asciiJson(entry.alertTitle ?? 'Session');
  const body = asciiJson(entry.alertBody ?? "You've got a new message");
  const aps = [
    `"alert": {"title": ${title}, "body": ${body}}`,
    ...(badge === null ? [] : [`"badge": ${badge}`]),
    ...(sound === null ? [] : [`"sound": ${asciiJson(sound)}`]),
    '"mutable-content": 1',
    ...(category === null ? [] : [`"category": ${asciiJson(category)}`]),
  ];
  const prefix = `{"aps": {${aps.join(', ')}}, "spns": 1, "enc_payload": "`;
  const suffix = '"}';
  const base64Characters = APNS_MAX_BODY_BYTES - prefix.length - suffix.length;
  return { prefix, suffix, maxPayloadBytes: Math.floor(base64Characters / 4) * 3 };
}
