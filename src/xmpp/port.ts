import type { PublishOutcome, PublishSummary } from '../domain/publish.js';
import type { StreamEnd } from './stream-end.js';

export type { PublishOutcome, PublishSummary };

/** A user's server wants a device woken. */
export interface PublishRequest {
  readonly node: string;
  readonly secret: string;
  readonly summary: PublishSummary;
  /** Where it comes from, lower case: devices of p2 may only be woken by the domain of their account. */
  readonly senderDomain: string;
  /** No user and no resource in the sender's address: what a server sends. p2 takes nothing else. */
  readonly isFromServer: boolean;
  /** After this the answer comes too late. Unix milliseconds. */
  readonly deadlineMs: number;
}

/** Whoever takes publishes. A throw or a late answer counts as `failed`. */
export interface Publishes {
  publish(request: PublishRequest): PublishOutcome | Promise<PublishOutcome>;
}

export type P2Service = 'fcm' | 'apns';

/** A device of p2: `device` and `channel` are hashes (40 hex digits); `channel` is '' for the account itself. */
export interface P2Target {
  readonly kind: 'p2';
  readonly service: P2Service;
  readonly device: string;
  readonly channel: string;
  /** Of the account. */
  readonly accountDomain: string;
}

/** A device of mod_push_appserver: type and node as the client chose them. */
export interface V1Target {
  readonly kind: 'v1';
  readonly type: string;
  readonly node: string;
  /** The domain of whoever asks; null when that is not known (HTTP). */
  readonly accountDomain: string | null;
}

export type DeviceTarget = P2Target | V1Target;

export type RegisterOutcome =
  /** Committed. What the client gives to its own server. */
  | { readonly kind: 'registered'; readonly node: string; readonly secret: string }
  /** No notifier takes this type. */
  | { readonly kind: 'unknown-type' }
  /** The notifier does not take such a token. */
  | { readonly kind: 'bad-token' }
  | { readonly kind: 'rate-limited' }
  | { readonly kind: 'unavailable' };

export type UnregisterOutcome =
  /** `secret`: the one that the record had; null when it cannot be told. */
  | { readonly kind: 'unregistered'; readonly secret: string | null }
  /** Nothing registered under this target; for `v1` also: another type. */
  | { readonly kind: 'not-found' }
  | { readonly kind: 'rate-limited' }
  | { readonly kind: 'unavailable' };

/** Whoever keeps devices. Answers when it is committed. A throw counts as `unavailable`. Source: spec xmpp-push, 5.3. */
export interface Registrations {
  register(target: DeviceTarget, token: string): Promise<RegisterOutcome>;
  unregister(target: DeviceTarget): Promise<UnregisterOutcome>;
}

/**
 * Resolves when a connection may be made: before that an answer could only be an error, and ejabberd deletes
 * registrations for less. Rejects when the signal is aborted.
 */
export type WhenReady = (signal: AbortSignal) => Promise<void>;

export type RequestKind = 'publish' | 'command' | 'disco' | 'ping' | 'version' | 'other';
/** `late`: answered with an error because the time was up. `fault`: the same because of a bug of ours. */
export type AnswerKind = 'result' | 'wait' | 'refused' | 'late' | 'fault' | 'overload';

/** Where the room reports what happens in it; names of metrics are made from these. Must not throw. */
export interface XmppReport {
  /** `tookMs`: from reading the request to writing its answer. */
  answered(request: RequestKind, answer: AnswerKind, tookMs: number): void;
  /** A stanza that nobody can be answered for: no id, no sender, not for us. */
  unanswerable(): void;
  /** An answer that had no connection to go to any more. */
  answerLost(): void;
  connected(domain: string): void;
  ended(domain: string, end: StreamEnd['kind']): void;
}
