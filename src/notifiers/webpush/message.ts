import { blake2b } from '../../crypto/keyed-hash.js';
import type { Outcome } from '../../domain/outcome.js';
import type { Push } from '../../domain/push.js';
import { fail, ok, type Result } from '../../domain/result.js';
import type { EndpointGuard } from '../endpoint-guard.js';
import { encPayloadOf, outcomeOfUnsealed } from '../sealed-content.js';
import { WEBPUSH_MAX_PAYLOAD_BYTES, webpushText } from './body.js';
import { decodeSubscriberData, type SubscriberData } from './subscriber-data.js';

/** One push, ready but for encryption and signature. */
export interface EndpointMessage {
  readonly url: URL;
  readonly plaintext: Buffer;
  readonly subscriber: SubscriberData;
  readonly ttlSeconds: number;
}

/** Four weeks: no push service keeps a message longer. */
export const MAX_TTL_SECONDS = 2_419_200;
/** 32 characters, the most that a Topic may have (RFC 8030, 5.4); Apple wants whole groups of four as well. */
const TOPIC_BYTES = 24;

const dropped = (reason: string): Outcome => ({ kind: 'dropped', reason });
const EXPIRED = dropped('expired');
const TOO_LARGE = dropped('too-large');
const ENDPOINT_NOT_ALLOWED = dropped('endpoint-not-allowed');
export const SERVICE_DATA_CORRUPT = dropped('service-data-corrupt');

/** Fails with the outcome of a push that can never be sent. */
export function messageOf(
  { content, device, expiresAtMs }: Push,
  nowMs: number,
  guard: EndpointGuard,
  maxTtlSeconds: number,
): Result<EndpointMessage, Outcome> {
  const leftMs = expiresAtMs - nowMs;
  if (leftMs <= 0) return fail(EXPIRED);
  const payload = encPayloadOf(content);
  if (payload === null) return fail(outcomeOfUnsealed(content));
  if (content.payload.length > WEBPUSH_MAX_PAYLOAD_BYTES) return fail(TOO_LARGE);
  const url = guard.checkUrl(device.serviceId);
  if (!url.ok) return fail(ENDPOINT_NOT_ALLOWED);
  const subscriber = decodeSubscriberData(device.serviceData);
  if (subscriber === null) return fail(SERVICE_DATA_CORRUPT);
  return ok({
    url: url.value,
    plaintext: webpushText(payload),
    subscriber,
    // A TTL of 0 is for "now or never", and Apple refuses it.
    ttlSeconds: Math.min(maxTtlSeconds, Math.max(1, Math.floor(leftMs / 1000))),
  });
}

/** A message that is sent again takes the place of the first one, if that still waits (RFC 8030, 5.4). */
export const topicOf = (dedupeKey: Buffer): string => blake2b(TOPIC_BYTES, [dedupeKey]).toString('base64url');
