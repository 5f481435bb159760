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
