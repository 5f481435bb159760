import type { Device } from './device.js';
import type { ServiceName } from './ids.js';
import type { PushFate, PushPriority, WakeContent } from './push.js';

/** What a publish says about the messages that wait; nothing of it is vouched for. Source: XEP-0357, section 7. */
export interface PublishSummary {
  /** Null when the server does not say, or says nonsense. Prosody always says 1. */
  readonly messageCount: number | null;
  readonly pendingSubscriptionCount: number | null;
  /**
   * The message is one to ring for: there is a `last-message-body` with a value. A field without a value, as Prosody
   * sends it for receipts and the like, does not count. Source: spec xmpp-push, 3.1.
   */
  readonly hasBody: boolean;
}

/** Of a publish that says nothing, such as one over HTTP. */
export const noSummary: PublishSummary = {
  messageCount: null,
  pendingSubscriptionCount: null,
  hasBody: false,
};

export type PublishOutcome =
  /** We answer for it from here on: delivered, or safely stored. */
  | { readonly kind: 'accepted' }
  /** No such node, a different secret, or the wrong server: one answer for all, it tells nobody which. */
  | { readonly kind: 'unknown' }
  /** The provider says that the device is gone, and its record is removed. */
  | { readonly kind: 'dead-token' }
  | { readonly kind: 'rate-limited' }
  /** Anything that may be better later. `text` goes to the server: no token, no address in it. */
  | { readonly kind: 'failed'; readonly text: string | null };

/** How loudly a device is woken: by something to show, quietly in the background, or as for a call. */
export type WakeUrgency = 'high' | 'silent' | 'voip';

/** What is sent for one publish. */
export interface Wake {
  /** Pushes of different urgency do not hold each other up. */
  readonly urgency: WakeUrgency;
  readonly content: WakeContent;
  readonly priority: PushPriority;
  /** From now on; of no use to anybody afterwards. */
  readonly lifetimeMs: number;
}

/** What stands behind a node: who may publish to it, and which device is woken then. */
export interface PublishTarget {
  /** Equal for two targets only if they are the same one; holds no secret, and goes nowhere. */
  readonly key: string;
  /** SHA-256 of the secret. */
  readonly secretHash: Buffer;
  /** Only servers of this domain (lower case) may publish; null = anybody who has the secret. */
  readonly domain: string | null;
  readonly service: ServiceName;
  /** Null: it has lost its token, and may come back with a new one. */
  readonly device: Device | null;
  compose(summary: PublishSummary): Wake;
  /** What its server is told when the device is gone: now, by the provider's word, or since a while. */
  whenGone(nowMs: number): PublishOutcome;
  /** For the record of the device. */
  note(fate: PushFate, nowMs: number): void;
}

/** Whoever gives out nodes. A node is text from a stranger, at most 4,096 UTF-16 units. */
export interface TargetSource {
  /** What memory has; more than one where nodes are the clients' own choice. */
  find(node: string): readonly PublishTarget[];
  /** The same from the database, for what memory does not know or does not agree with. Rejects while it is away. */
  lookUp(node: string): Promise<readonly PublishTarget[]>;
}
