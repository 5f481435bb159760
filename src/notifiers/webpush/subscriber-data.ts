import { VAPID_KEY_ID_BYTES } from '../../crypto/vapid-key.js';
import {
  P256_PUBLIC_KEY_BYTES,
  parseWebPushKeys,
  WEB_PUSH_AUTH_BYTES,
  type WebPushKeys,
} from '../../crypto/web-push.js';

/** What is kept with a subscription beside its endpoint: how its pushes are encrypted and signed. */
export interface SubscriberData {
  /** Null (UnifiedPush only): the app reads the plain text of a push. */
  readonly keys: WebPushKeys | null;
  /** `VapidKey.id` of the key that the device was registered with; null (UnifiedPush only): it named none. */
  readonly vapidKeyId: Buffer | null;
}

/*
 * Service data: none for a subscriber without anything; otherwise version (1) || VAPID key id (8, zeros for none), and
 * with keys auth (16) || p256dh (65): 90 bytes.
 */
const VERSION = 1;
const AUTH_AT = 1 + VAPID_KEY_ID_BYTES;
const POINT_AT = AUTH_AT + WEB_PUSH_AUTH_BYTES;
const NO_KEY_ID = Buffer.alloc(VAPID_KEY_ID_BYTES);
const NOTHING: SubscriberData = { keys: null, vapidKeyId: null };

export function encodeSubscriberData({ keys, vapidKeyId }: SubscriberData): Buffer | null {
  if (keys === null && vapidKeyId === null) return null;
  const parts = [Buffer.from([VERSION]), vapidKeyId ?? NO_KEY_ID];
  return Buffer.concat(keys === null ? parts : [...parts, keys.auth, keys.p256dh]);
}

/** null for anything that `encodeSubscriberData` does not make, a point off the curve included. */
export function decodeSubscriberData(data: Buffer | null): SubscriberData | null {
  if (data === null || data.length === 0) return NOTHING;
  if (data[0] !== VERSION) return null;
  const id = data.subarray(1, AUTH_AT);
  const vapidKeyId = id.equals(NO_KEY_ID) ? null : id;
  if (data.length === AUTH_AT) return { keys: null, vapidKeyId };
  if (data.length !== POINT_AT + P256_PUBLIC_KEY_BYTES) return null;
  const keys = parseWebPushKeys(data.subarray(POINT_AT), data.subarray(AUTH_AT, POINT_AT));
  return keys === null ? null : { keys, vapidKeyId };
}
