import type { PushPriority } from '../../domain/push.js';
import { asciiJson } from '../ascii-json.js';

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

/**
 * Spacing and order of keys as the original writes them (spec session-push-v2, 12.3; vector `provider_bodies`), with
 * `ttl` added; ASCII. `data` is JSON in a string. There is nothing by which HMS would recognise a repeated message:
 * `collapse_key` names one of a hundred groups of which only the newest message is kept, `bi_tag` is for receipts.
 */
export function hmsBody({ payload, token, priority, ttlSeconds }: HmsMessage): string {
  const urgency = priority === 'high' ? 'HIGH' : 'NORMAL';
  // HMS refuses a message that has no time left.
  const ttl = Math.min(HMS_MAX_TTL_SECONDS, Math.max(1, ttlSeconds));
  return (
    `{"validate_only": false, "message": {"data": "{\\"enc_payload\\": \\"${payload}\\", \\"spns\\": \\"1\\"}", ` +
    `"android": {"urgency": "${urgency}", "ttl": "${ttl}s"}, "token": [${asciiJson(token)}]}}`
  );
}

const overhead = hmsBody({
  payload: '',
  token: '',
  priority: 'normal',
  ttlSeconds: HMS_MAX_TTL_SECONDS,
}).length;

/** The longest sealed payload in bytes that keeps the body within HMS's limit. */
export const HMS_MAX_PAYLOAD_BYTES = Math.floor((HMS_MAX_BODY_BYTES - overhead) / 4) * 3;
