import { assertNever } from '../domain/assert-never.js';
import type { Outcome } from '../domain/outcome.js';
import type { PushContent } from '../domain/push.js';

/** For a push that was stored when its service was an external notifier's: only that can seal it. */
export const NOT_SEALED: Outcome = { kind: 'dropped', reason: 'not-sealed' };
/** For a message of an older client: such clients have no devices at this type of service. */
export const LEGACY_CONTENT: Outcome = { kind: 'dropped', reason: 'legacy-content' };

/** The field `enc_payload` (base64 with padding); null for content that is not sealed. */
export function encPayloadOf(content: PushContent): string | null {
  return content.kind === 'sealed' ? content.payload.base64Slice() : null;
}

/** For a publish of an XMPP server: its devices are not at this type of service. */
export const WAKE_CONTENT: Outcome = { kind: 'dropped', reason: 'wake-content' };

/** What becomes of content for which `encPayloadOf` was null at a notifier that sends nothing else. */
export function outcomeOfUnsealed({ kind }: PushContent): Outcome {
  switch (kind) {
    case 'unsealed':
      return NOT_SEALED;
    case 'legacy':
      return LEGACY_CONTENT;
    case 'wake':
      return WAKE_CONTENT;
    case 'sealed':
      throw new Error('sealed content can be sent');
    default:
      return assertNever(kind);
  }
}
