import type { WakeMessage } from '../../codec/wake-content.js';
import { blake2b } from '../../crypto/keyed-hash.js';
import { WEB_PUSH_PLAINTEXT_MAX_BYTES } from '../../crypto/web-push.js';
import { assertNever } from '../../domain/assert-never.js';
import type { Outcome } from '../../domain/outcome.js';
import type { Push } from '../../domain/push.js';
import { fail, ok, type Result } from '../../domain/result.js';
import type { ContentWriter } from '../content-writer.js';
import type { EndpointGuard } from '../endpoint-guard.js';
import { outcomeOfForeign, TOO_LARGE, UNREADABLE_CONTENT } from '../sealed-content.js';
import { wakeText, wakeWriter } from '../wake-sending.js';
import { WEBPUSH_MAX_PAYLOAD_BYTES, webpushText } from './body.js';
import { decodeSubscriberData, type SubscriberData } from './subscriber-data.js';

/** What the device reads, and how it is sent to it. */
export interface EndpointText {
  readonly plaintext: Buffer;
  /** RFC 8030, 5.3. */
  readonly urgency: 'high' | 'normal' | 'low';
  /** It takes the place of another one with the same key; null: of an earlier attempt alone. */
  readonly collapseKey: string | null;
}

/** One push, ready but for encryption and signature. */
export interface EndpointMessage extends EndpointText {
  readonly url: URL;
  readonly subscriber: SubscriberData;
  readonly ttlSeconds: number;
}

/** Four weeks: no push service keeps a message longer. */
export const MAX_TTL_SECONDS = 2_419_200;
/** 32 characters, the most that a Topic may have (RFC 8030, 5.4); Apple wants whole groups of four as well. */
const TOPIC_BYTES = 24;

const dropped = (reason: string): Outcome => ({ kind: 'dropped', reason });
const EXPIRED = dropped('expired');
const ENDPOINT_NOT_ALLOWED = dropped('endpoint-not-allowed');
export const SERVICE_DATA_CORRUPT = dropped('service-data-corrupt');

/** Writes the messages of a notifier; one for each. */
export class EndpointMessages {
  readonly #wakes: ContentWriter<EndpointText> = wakeWriter(textOfWake);

  constructor(
    private readonly guard: EndpointGuard,
    private readonly maxTtlSeconds: number,
  ) {}

  /** Fails with the outcome of a push that can never be sent. */
  of(push: Push, nowMs: number): Result<EndpointMessage, Outcome> {
    const { device, expiresAtMs } = push;
    const leftMs = expiresAtMs - nowMs;
    if (leftMs <= 0) return fail(EXPIRED);
    const text = this.#textOf(push);
    if (!text.ok) return text;
    const url = this.guard.checkUrl(device.serviceId);
    if (!url.ok) return fail(ENDPOINT_NOT_ALLOWED);
    const subscriber = decodeSubscriberData(device.serviceData);
    if (subscriber === null) return fail(SERVICE_DATA_CORRUPT);
    return ok({
      ...text.value,
      url: url.value,
      subscriber,
      // A TTL of 0 is for "now or never", and Apple refuses it.
      ttlSeconds: Math.min(this.maxTtlSeconds, Math.max(1, Math.floor(leftMs / 1000))),
    });
  }

  #textOf({ content, priority }: Push): Result<EndpointText, Outcome> {
    switch (content.kind) {
      case 'sealed': {
        const { payload } = content;
        if (payload.length > WEBPUSH_MAX_PAYLOAD_BYTES) return fail(TOO_LARGE);
        return ok({ plaintext: webpushText(payload.base64Slice()), urgency: priority, collapseKey: null });
      }
      case 'wake': {
        const text = this.#wakes.of(content.payload);
        if (text === null) return fail(UNREADABLE_CONTENT);
        return text.plaintext.length > WEB_PUSH_PLAINTEXT_MAX_BYTES ? fail(TOO_LARGE) : ok(text);
      }
      case 'unsealed':
      case 'legacy':
        return fail(outcomeOfForeign(content));
      default:
        return assertNever(content);
    }
  }
}

const textOfWake = (message: WakeMessage): EndpointText => ({
  plaintext: Buffer.from(wakeText(message)),
  urgency: message.urgency === 'silent' ? 'low' : 'high',
  collapseKey: message.collapseKey,
});

/**
 * A message that is sent again takes the place of the first one, if that still waits, and so does a later one with the
 * same collapse key (RFC 8030, 5.4). A hash, with the device in it: the push service learns nothing from it, not even
 * that two devices have the same key.
 */
export const topicOf = ({ dedupeKey, device }: Push, { collapseKey }: EndpointText): string =>
  blake2b(
    TOPIC_BYTES,
    collapseKey === null ? [dedupeKey] : [Buffer.from(`${collapseKey} ${device.serviceId}`)],
  ).toString('base64url');
