import { asciiJson } from '../ascii-json.js';

/** FCM's limit for the keys and values of `data`. */
const FCM_MAX_DATA_BYTES = 4096;
const FCM_MAX_TTL_SECONDS = 28 * 24 * 3600;

const overhead = 'enc_payload'.length + 'spns'.length + '1'.length;

/** The longest sealed payload in bytes that keeps the data within FCM's limit. */
export const FCM_MAX_PAYLOAD_BYTES = Math.floor((FCM_MAX_DATA_BYTES - overhead) / 4) * 3;

export interface FcmMessage {
  /** The sealed payload in base64. */
  readonly payload: string;
  readonly token: string;
  /** `high` wakes a sleeping device; the newest original forgot it (spec session-push-v2, 12.2). */
  readonly priority: 'high' | 'normal';
  /** How long FCM keeps it for a device that is away; 28 days at most. */
  readonly ttlSeconds: number;
}

/** Nothing to escape: true for every token that Google makes, and much cheaper to find out than to escape. */
const plain = /^[ !#-[\]-~]*$/;

/** Keys sorted and compact as the original writes them (spec session-push-v2, 12.2), with `android` added; ASCII. */
export function fcmBody({ payload, token, priority, ttlSeconds }: FcmMessage): string {
  const ttl = Math.min(FCM_MAX_TTL_SECONDS, Math.max(0, ttlSeconds));
  return (
    `{"message":{"android":{"priority":"${priority}","ttl":"${ttl}s"},` +
    `"data":{"enc_payload":"${payload}","spns":"1"},"token":${plain.test(token) ? `"${token}"` : asciiJson(token)}}}`
  );
}
