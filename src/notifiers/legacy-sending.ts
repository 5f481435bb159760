import { readLegacyContent, type LegacyMessage } from '../codec/legacy-content.js';
import type { Outcome } from '../domain/outcome.js';

/** Content that cannot be read; nobody but us writes it. */
export const UNREADABLE_CONTENT: Outcome = { kind: 'dropped', reason: 'unreadable-content' };
/**
 * Older clients' tokens are not looked at when they register. One that no provider can have made is not sent anywhere:
 * it would only be refused, where it does not break the request itself.
 */
export const MALFORMED_TOKEN: Outcome = { kind: 'dead-token', reason: 'malformed-token', sinceMs: null };

/**
 * What a notifier makes of a message. The pushes of a notice share one buffer and mostly come one after another, so what
 * was made of the last buffer is kept for the next push.
 */
export class LegacyWriter<Made> {
  #payload: Buffer | null = null;
  #made: Made | null = null;

  constructor(private readonly write: (message: LegacyMessage) => Made) {}

  /** `payload`: of a `LegacyContent`. Null when it cannot be read. */
  of(payload: Buffer): Made | null {
    if (payload !== this.#payload) {
      const message = readLegacyContent(payload);
      this.#made = message === null ? null : this.write(message);
      this.#payload = payload;
    }
    return this.#made;
  }
}
