import type { Outcome } from '../domain/outcome.js';
import type { PushContent } from '../domain/push.js';

/** For a push that was stored when its service was an external notifier's: only that can seal it. */
export const NOT_SEALED: Outcome = { kind: 'dropped', reason: 'not-sealed' };

/** The field `enc_payload` (base64 with padding); null for content that this notifier cannot send. */
export function encPayloadOf(content: PushContent): string | null {
  return content.kind === 'sealed' ? content.payload.base64Slice() : null;
}
