import { assertNever } from '../../domain/assert-never.js';
import { asciiJson } from '../ascii-json.js';
import { DEFAULT_MARKERS } from '../markers.js';
import type { ApnsEntry, ApnsPushType } from './apns-entry.js';

/** Apple's limits for the whole body. */
export const MAX_BODY_BYTES: Readonly<Record<ApnsPushType, number>> = {
  alert: 4096,
  background: 4096,
  voip: 5120,
};

export interface ApnsBodyTemplate {
  readonly prefix: string;
  readonly suffix: string;
  /** The longest sealed payload in bytes that keeps the body within Apple's limit. */
  readonly maxPayloadBytes: number;
}

/**
 * The body around `enc_payload`, ASCII only; with an entry that says nothing about it byte for byte as the original
 * writes it (spec session-push-v2, 12.1).
 */
export function createApnsBodyTemplate(entry: ApnsEntry): ApnsBodyTemplate {
  const { pushType = 'alert' } = entry;
  const markers = entry.markers ?? DEFAULT_MARKERS;
  const members = [...markers.map((marker) => `"${marker}": 1`), '"enc_payload": "'].join(', ');
  const prefix = `{"aps": {${apsMembers(entry, pushType).join(', ')}}, ${members}`;
  const suffix = '"}';
  const base64Characters = MAX_BODY_BYTES[pushType] - prefix.length - suffix.length;
  return { prefix, suffix, maxPayloadBytes: Math.floor(base64Characters / 4) * 3 };
}

function apsMembers(entry: ApnsEntry, pushType: ApnsPushType): string[] {
  switch (pushType) {
    case 'alert':
      return alertMembers(entry);
    case 'background':
      return ['"content-available": 1']; // with an alert beside it Apple takes it for one
    case 'voip':
      return []; // iOS hands it to the app as it is
    default:
      return assertNever(pushType);
  }
}

/** `mutable-content` makes iOS run the extension that decrypts. */
function alertMembers(entry: ApnsEntry): string[] {
  const { badge = 1, sound = 'default', category = 'SECRET', mutableContent = true } = entry;
  const title = asciiJson(entry.alertTitle ?? 'Session');
  const body = asciiJson(entry.alertBody ?? "You've got a new message");
  return [
    `"alert": {"title": ${title}, "body": ${body}}`,
    ...(badge === null ? [] : [`"badge": ${badge}`]),
    ...(sound === null ? [] : [`"sound": ${asciiJson(sound)}`]),
    ...(mutableContent ? ['"mutable-content": 1'] : []),
    ...(category === null ? [] : [`"category": ${asciiJson(category)}`]),
  ];
}
