/**
 * A storage node's news of one message. The buffers are views into the received frame: copy what is kept.
 * Source: spec storage-server, section 5.
 */
export interface SwarmNotice {
  readonly kind: 'swarm';
  /** 33 bytes. */
  readonly account: Buffer;
  /** 32 to 99 bytes of text. */
  readonly hash: Buffer;
  readonly namespace: number;
  readonly timestampMs: number;
  readonly expiryMs: number;
  /** The message, at most 76,800 bytes; null when the node sent none. */
  readonly data: Buffer | null;
}

/** An older client's `notify`: wake everybody behind this id. Source: spec session-push-v1, 3.6 and 4. */
export interface LegacyNotice {
  readonly kind: 'legacy';
  /** The app whose client it was; ids of different brands have nothing to do with each other. */
  readonly brand: string;
  /** The id of an account or of a group, as the client wrote it. */
  readonly recipient: string;
  /** Sealed by the sender for the receiver, base64, at most 10,240 characters; null when it was longer than that. */
  readonly data: string | null;
  readonly receivedAtMs: number;
}
