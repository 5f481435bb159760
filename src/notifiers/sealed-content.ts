import { assertNever } from '../domain/assert-never.js';
import type { Outcome } from '../domain/outcome.js';
import type { LegacyContent, PushContent, UnsealedContent } from '../domain/push.js';

/** For a push that was stored when its service was an external notifier's: only that can seal it. */
export const NOT_SEALED: Outcome = { kind: 'dropped', reason: 'not-sealed' };
/** For a message of an older client: such clients have no devices at this type of service. */
export const LEGACY_CONTENT: Outcome = { kind: 'dropped', reason: 'legacy-content' };
/** For a publish of an XMPP server: its devices are not at this type of service. */
export const WAKE_CONTENT: Outcome = { kind: 'dropped', reason: 'wake-content' };
/** Content that cannot be read; nobody but us writes it. */
export const UNREADABLE_CONTENT: Outcome = { kind: 'dropped', reason: 'unreadable-content' };
/** Content that fits no request of this provider. */
export const TOO_LARGE: Outcome = { kind: 'dropped', reason: 'too-large' };
/**
 * Tokens of older clients and of XMPP clients are not looked at when they register. One that no provider can have made is
 * not sent anywhere: it would only be refused, where it does not break the request itself.
 */
export const MALFORMED_TOKEN: Outcome = { kind: 'dead-token', reason: 'malformed-token', sinceMs: null };

/** The field `enc_payload` (base64 with padding); null for content that is not sealed. */
export function encPayloadOf(content: PushContent): string | null {
  return content.kind === 'sealed' ? content.payload.base64Slice() : null;
}

/** What becomes of content that only other types of service send. */
export function outcomeOfForeign({ kind }: UnsealedContent | LegacyContent): Outcome {
  switch (kind) {
    case 'unsealed':
      return NOT_SEALED;
    case 'legacy':
      return LEGACY_CONTENT;
    default:
      return assertNever(kind);
  }
}
