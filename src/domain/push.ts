import type { Device } from './device.js';
import type { ServiceName } from './ids.js';

/** nonce || ciphertext || tag, for the field `enc_payload` (base64) beside `spns: 1`. */
export interface SealedContent {
  readonly kind: 'sealed';
  readonly payload: Buffer;
}

/**
 * For an external notifier, which seals by itself: the bencoded dict of `notifier.push` (spec session-push-v2, 8.3).
 * Holds the encryption key and the message; only for a notifier whose capabilities ask for it.
 */
export interface UnsealedContent {
  readonly kind: 'unsealed';
  readonly payload: Buffer;
}

/**
 * What an older client's `notify` carried, which its sender had sealed for the receiver already: the bencoded dict of
 * `encodeLegacyContent`. One buffer, shared by all pushes of a notice. Spec session-push-v1, section 4.
 */
export interface LegacyContent {
  readonly kind: 'legacy';
  readonly payload: Buffer;
}

/**
 * A call to wake up that says nothing of what happened: what `encodeWakeMessage` makes of it. Equal ones share one buffer.
 * Spec xmpp-push, 10.3 and 11; uwpx-push, 6.2.
 */
export interface WakeContent {
  readonly kind: 'wake';
  readonly payload: Buffer;
}

/** What is sent; each source of notices adds its own kind. */
export type PushContent = SealedContent | UnsealedContent | LegacyContent | WakeContent;

export type PushPriority = 'high' | 'normal';

/** One notice for one device. */
export interface Push {
  readonly service: ServiceName;
  /** Whose notice it was: an `AccountId`, or the text of an older client's account id. Nobody here reads it. */
  readonly account: Buffer;
  readonly device: Device;
  readonly content: PushContent;
  readonly priority: PushPriority;
  /** Unix milliseconds; of no use to anybody afterwards. */
  readonly expiresAtMs: number;
  /** 16 bytes, equal for every attempt of the same notice to the same device; says nothing about either. */
  readonly dedupeKey: Buffer;
  /** When the notice arrived here, for the latency figures. Unix milliseconds. */
  readonly receivedAtMs: number;
  /** How often it was sent before. */
  readonly attempts: number;
  /** The outbox row that it came back from; null for one that never waited. */
  readonly outboxId: string | null;
}

/** What became of a push, for the source that must answer for it. */
export type PushFate =
  | 'delivered'
  /** It is in the outbox. */
  | 'stored'
  /** The provider calls the device dead, and what held its token is gone. */
  | 'dead-token'
  /** The provider calls the device dead, and yet it is kept: it was renewed meanwhile, or too many go at once. */
  | 'token-kept'
  /** It can never succeed, or has been tried often enough. */
  | 'given-up'
  | 'expired'
  /** A later one of the same device takes its place. */
  | 'superseded'
  /** Nobody sends for its service. */
  | 'no-notifier'
  /** It could not be kept: whoever it came from must try again. */
  | 'lost';
