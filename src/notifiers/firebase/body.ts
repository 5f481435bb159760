import type { LegacyMessage } from '../../codec/legacy-content.js';
import type { WakeMessage } from '../../codec/wake-content.js';
import { asciiJson } from '../ascii-json.js';
import { DEFAULT_MARKERS } from '../markers.js';
import { wakeData } from '../wake-sending.js';

/** FCM's limit for the keys and values of `data`. */
const FCM_MAX_DATA_BYTES = 4096;
const FCM_MAX_TTL_SECONDS = 28 * 24 * 3600;

/** The longest sealed payload in bytes that keeps the data within FCM's limit. */
export function fcmMaxPayloadBytes(markers: readonly string[]): number {
  const overhead = ['enc_payload', ...markers.map((marker) => `${marker}1`)].join('').length;
  return Math.floor((FCM_MAX_DATA_BYTES - overhead) / 4) * 3;
}

/** The members of `data` after `enc_payload`, sorted. */
export const fcmMarkers = (markers: readonly string[]): string =>
  [...markers]
    .sort()
    .map((marker) => `,"${marker}":"1"`)
    .join('');

const defaultMarkers = fcmMarkers(DEFAULT_MARKERS);

export interface FcmMessage {
  /** The sealed payload in base64. */
  readonly payload: string;
  readonly token: string;
  /** `high` wakes a sleeping device; the newest original forgot it (spec session-push-v2, 12.2). */
  readonly priority: 'high' | 'normal';
  /** How long FCM keeps it for a device that is away; 28 days at most. */
  readonly ttlSeconds: number;
}

/** Keys sorted and compact as the original writes them (spec session-push-v2, 12.2), with `android` added; ASCII. */
export function fcmBody(
  { payload, token, priority, ttlSeconds }: FcmMessage,
  markers: string = defaultMarkers,
): string {
  const ttl = Math.min(FCM_MAX_TTL_SECONDS, Math.max(0, ttlSeconds));
  return (
    `{"message":{"android":{"priority":"${priority}","ttl":"${ttl}s"},` +
    `"data":{"enc_payload":"${payload}"${markers}},"token":${asciiJson(token)}}}`
  );
}

const ENCRYPTED_DATA = 'ENCRYPTED_DATA';

/**
 * What stands behind the token in the body of an older client's push: no notification and no time to live (spec
 * session-push-v1, 4.2). Data that does not fit is left out, and a word takes its place: Android apps that find neither
 * `spns` nor `ENCRYPTED_DATA` show a general notification (there, section 9), but a message with nothing in it at all is
 * nothing that Google promises to hand to them.
 */
export function legacyFcmMembers({ data }: LegacyMessage): string {
  const fits = data !== null && ENCRYPTED_DATA.length + Buffer.byteLength(data) <= FCM_MAX_DATA_BYTES;
  const member = fits ? `"${ENCRYPTED_DATA}":${asciiJson(data)}` : '"omitted":"1"';
  return `"data":{${member}},"android":{"priority":"high"}`;
}

/** The original's order; ASCII. */
export const legacyFcmBody = (token: string, members: string): string =>
  `{"message":{"token":${asciiJson(token)},${members}}}`;

/** The body of a publish's push, but for its time and its token. */
export interface FcmWakeParts {
  readonly head: string;
  readonly tail: string;
}

/** Spec xmpp-push, 11.3: what the original says, as version 1 of the interface says it. */
export function wakeFcmParts(message: WakeMessage): FcmWakeParts {
  const { urgency, collapseKey } = message;
  const collapse = collapseKey === null ? '' : `"collapse_key":${asciiJson(collapseKey)},`;
  const priority = urgency === 'silent' ? 'normal' : 'high';
  return {
    head: `{"message":{"android":{${collapse}"priority":"${priority}"`,
    tail: `},"data":${wakeData(message)},"token":`,
  };
}

/** ASCII. A time of 28 days goes without saying, and FCM refuses a longer one. 0 would mean now or never. */
export function wakeFcmBody({ head, tail }: FcmWakeParts, token: string, leftMs: number): string {
  const ttlSeconds = Math.ceil(leftMs / 1000);
  const ttl = ttlSeconds < FCM_MAX_TTL_SECONDS ? `,"ttl":"${ttlSeconds}s"` : '';
  return `${head}${ttl}${tail}${asciiJson(token)}}}`;
}
