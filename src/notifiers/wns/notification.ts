import type { WakeMessage } from '../../codec/wake-content.js';
import { assertNever } from '../../domain/assert-never.js';
import type { Outcome } from '../../domain/outcome.js';
import type { Push } from '../../domain/push.js';
import { fail, ok, type Result } from '../../domain/result.js';
import type { ContentWriter } from '../content-writer.js';
import { outcomeOfForeign, TOO_LARGE, UNREADABLE_CONTENT } from '../sealed-content.js';
import { wakeText, wakeWriter } from '../wake-sending.js';
import { rawBody, toastBody, WNS_MAX_BODY_BYTES } from './body.js';

/** What Windows is handed: a body for the app, or the XML of a text for the user. */
export interface WnsNotification {
  readonly kind: 'raw' | 'toast';
  readonly body: string;
  /** Raw: whether it wakes a device that sleeps on battery. */
  readonly isUrgent: boolean;
}

/** Writes the notifications of an entry; one for each notifier. */
export class WnsNotifications {
  readonly #wakes: ContentWriter<Result<WnsNotification, Outcome>>;

  /** `toast`: the XML that stands for every sealed push; null sends them raw. */
  constructor(private readonly toast: string | null) {
    this.#wakes = wakeWriter((message) => this.#ofWake(message));
  }

  /** Fails with the outcome of a push that can never be sent. */
  of({ content, priority }: Push): Result<WnsNotification, Outcome> {
    switch (content.kind) {
      case 'sealed': {
        const isUrgent = priority === 'high';
        return this.toast === null
          ? ok({ kind: 'raw', body: rawBody(content.payload.base64Slice()), isUrgent })
          : ok({ kind: 'toast', body: this.toast, isUrgent });
      }
      case 'wake':
        return this.#wakes.of(content.payload) ?? fail(UNREADABLE_CONTENT);
      case 'unsealed':
      case 'legacy':
        return fail(outcomeOfForeign(content));
      default:
        return assertNever(content);
    }
  }

  /**
   * Where sealed pushes are toasts, a message to ring for is one as well, with its own texts. What is silent has no text
   * to show, a call is for the app, and a protocol of its own (UWPX) knows nothing but raw.
   */
  #ofWake(message: WakeMessage): Result<WnsNotification, Outcome> {
    const { raw, urgency, alertTitle, alertBody } = message;
    if (this.toast !== null && raw === null && urgency === 'high') {
      const xml = toastBody(alertTitle, alertBody);
      return xml.ok ? ok({ kind: 'toast', body: xml.value, isUrgent: true }) : fail(TOO_LARGE);
    }
    const body = wakeText(message);
    return Buffer.byteLength(body) > WNS_MAX_BODY_BYTES
      ? fail(TOO_LARGE)
      : ok({ kind: 'raw', body, isUrgent: urgency !== 'silent' });
  }
}
