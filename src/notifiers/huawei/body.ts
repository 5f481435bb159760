import type { LegacyMessage } from '../../codec/legacy-content.js';
import type { WakeMessage } from '../../codec/wake-content.js';
import type { PushPriority } from '../../domain/push.js';
import { asciiJson } from '../ascii-json.js';
import { DEFAULT_MARKERS } from '../markers.js';
import { wakeData } from '../wake-sending.js';

/** HMS takes 4096 bytes, the token not counted; it answers 80300008 beyond that. */
const HMS_MAX_BODY_BYTES = 4096;
const HMS_MAX_TTL_SECONDS = 15 * 24 * 3600;

export interface HmsMessage {
  /** The sealed payload in base64. */
  readonly payload: string;
  readonly token: string;
  readonly priority: PushPriority;
  /** How long HMS keeps it for a device that is away: 15 days at most, and only one day when nothing is said. */
  readonly ttlSeconds: number;
}

/** The members of `data` after `enc_payload`, in a string in a string. */
export const hmsMarkers = (markers: readonly string[]): string =>
  markers.map((marker) => `, \\"${marker}\\": \\"1\\"`).join('');

const defaultMarkers = hmsMarkers(DEFAULT_MARKERS);

/**
 * Spacing and order of keys as the original writes them (spec session-push-v2, 12.3; vector `provider_bodies`), with
 * `ttl` added; ASCII. `data` is JSON in a string. There is nothing by which HMS would recognise a repeated message:
 * `collapse_key` names one of a hundred groups of which only the newest message is kept, `bi_tag` is for receipts.
 */
export function hmsBody(
  { payload, token, priority, ttlSeconds }: HmsMessage,
  markers: string = defaultMarkers,
): string {
  const urgency = priority === 'high' ? 'HIGH' : 'NORMAL';
  const ttl = ttlWithin(ttlSeconds);
  return (
    `{"validate_only": false, "message": {"data": "{\\"enc_payload\\": \\"${payload}\\"${markers}}", ` +
    `"android": {"urgency": "${urgency}", "ttl": "${ttl}s"}, "token": [${asciiJson(token)}]}}`
  );
}

/** HMS refuses a message that has no time left. */
const ttlWithin = (ttlSeconds: number): number => Math.min(HMS_MAX_TTL_SECONDS, Math.max(1, ttlSeconds));

const emptyMessage: HmsMessage = {
  payload: '',
  token: '',
  priority: 'normal',
  ttlSeconds: HMS_MAX_TTL_SECONDS,
};

/** The longest sealed payload in bytes that keeps the body within HMS's limit. */
export function hmsMaxPayloadBytes(markers: readonly string[]): number {
  const overhead = hmsBody(emptyMessage, hmsMarkers(markers)).length;
  return Math.floor((HMS_MAX_BODY_BYTES - overhead) / 4) * 3;
}

/**
 * Stands for data that does not fit. Apps take `data` that is a JSON object for a dict, and one without `spns` and
 * `ENCRYPTED_DATA` for a message that they know nothing about: a general notification. An empty string they would try to
 * read as a message.
 */
const OMITTED = asciiJson('{"omitted":"1"}');

const legacyStart = (data: string): string =>
  `{"validate_only":false,"message":{"data":${data},"android":{"urgency":"HIGH"},"token":[`;

const LEGACY_END = ']}}';
const LEGACY_ROOM = HMS_MAX_BODY_BYTES - legacyStart('').length - '""'.length - LEGACY_END.length;

/**
 * The body of an older client's push up to the token: `data` is the plain string here, and nothing is said about time
 * (spec session-push-v1, 4.3). Data that does not fit is left out.
 */
export function legacyHmsStart({ data }: LegacyMessage): string {
  // What is too long as it stands need not be escaped to find out.
  const carried = data === null || data === '' || data.length > LEGACY_ROOM ? OMITTED : asciiJson(data);
  return legacyStart(carried.length > LEGACY_ROOM ? OMITTED : carried);
}

/** The original's order; ASCII. */
export const legacyHmsBody = (start: string, token: string): string => start + asciiJson(token) + LEGACY_END;

/**
 * The body of a publish's push up to its time: what Google is told (spec xmpp-push, 11.3), the way HMS takes it. It has
 * no collapse key: HMS has groups instead, of which an app has a hundred for all that it sends.
 */
export function wakeHmsStart(message: WakeMessage): string {
  const urgency = message.urgency === 'silent' ? 'NORMAL' : 'HIGH';
  return (
    `{"validate_only":false,"message":{"data":${asciiJson(wakeData(message))},` +
    `"android":{"urgency":"${urgency}","ttl":"`
  );
}

/** ASCII. */
export const wakeHmsBody = (start: string, token: string, ttlSeconds: number): string =>
  `${start}${ttlWithin(ttlSeconds)}s"},"token":[${asciiJson(token)}]}}`;
