import type { AccountId, EncryptionKey, ServiceId, ServiceName } from './ids.js';

/** What makes a subscription the same one: a second subscribe with this triple changes the first. */
export interface SubscriptionKey {
  readonly account: AccountId;
  readonly service: ServiceName;
  readonly serviceId: ServiceId;
}

/** Delegated access to an account: the tag is signed by the account key, the request by the key inside the tag. */
export interface Subaccount {
  /** 36 bytes: prefix, flags, two reserved bytes, Ed25519 key. */
  readonly tag: Buffer;
  /** 64 bytes: signature of the tag by the account key. */
  readonly signature: Buffer;
}

/** What storage nodes want to see before they report an account's messages to us. */
export interface SwarmAuthorisation {
  /** 32 bytes, present exactly for accounts with the prefix 05. */
  readonly ed25519Key: Buffer | null;
  readonly subaccount: Subaccount | null;
  /** 64 bytes over `MONITOR` + account + time + data flag + namespaces. */
  readonly signature: Buffer;
  /** Unix seconds; the signature is good for 14 days from here. */
  readonly signedAtSeconds: number;
}

export interface Subscription extends SubscriptionKey {
  /** Strictly ascending, each -32768..32767, at least one. */
  readonly namespaces: readonly number[];
  readonly wantData: boolean;
  readonly encryptionKey: EncryptionKey;
  /** What the notifier wants back with every push; 0 to 99,999 bytes. */
  readonly serviceData: Buffer | null;
  readonly authorisation: SwarmAuthorisation;
}

export const SIGNATURE_LIFETIME_SECONDS = 14 * 24 * 3600;
export const SIGNATURE_TOLERANCE_AHEAD_SECONDS = 24 * 3600;

/** Spec session-push-v2, 4.2 step 11: at exactly 14 days the signature has run out. */
export const isSignatureExpired = (signedAtSeconds: number, nowSeconds: number): boolean =>
  signedAtSeconds <= nowSeconds - SIGNATURE_LIFETIME_SECONDS;
