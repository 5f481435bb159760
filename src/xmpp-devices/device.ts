import type { ServiceId } from '../domain/ids.js';

/** What a device is registered under: at most one living record each. */
export type DeviceKey =
  /** The node is the client's own choice (mod_push_appserver). */
  | { readonly kind: 'v1'; readonly node: string }
  /** Hashes of 40 hex digits; `channel` is '' for the account itself (p2). */
  | { readonly kind: 'p2'; readonly device: string; readonly channel: string };

/** A device that an XMPP server may have woken. Source: spec xmpp-push, sections 6.3 and 8. */
export interface XmppDevice {
  readonly key: DeviceKey;
  /** What its server publishes to. For `v1` the node of the key, for `p2` one of ours. */
  readonly node: string;
  /** The client's word for the way to it: `apns`, `fcm`, … */
  readonly type: string;
  readonly token: ServiceId;
  /** What else the notifier needs (keys of Web Push); null where the token is all. */
  readonly serviceData: Buffer | null;
  /** SHA-256. */
  readonly secretHash: Buffer;
  /** What `SecretKeeper.open` can read: whoever registers again is told the same secret. */
  readonly sealedSecret: Buffer;
  /** Of the account, lower case; null where nobody knows (HTTP). */
  readonly accountDomain: string | null;
  /** Unix milliseconds. */
  readonly registeredAtMs: number;
  /** The last time that it was registered again. */
  readonly renewedAtMs: number | null;
  readonly lastPushAtMs: number | null;
  readonly lastErrorAtMs: number | null;
}

/** A record as the database has it. */
export interface StoredDevice {
  readonly device: XmppDevice;
  /** Ascends with every change of any device, in the order of the commits. */
  readonly revision: number;
  /** Null: it lives. Of those that do not, only `key`, `node` and `revision` are sure to mean anything. */
  readonly removed: RemovalReason | null;
}

/** `unregistered`: at the client's wish, and then token, service data and domain are forgotten; `dead`: the provider's word. */
export type RemovalReason = 'unregistered' | 'dead';

/** In the place of the token of a device that was unregistered. */
export const FORGOTTEN_TOKEN = '-';

/** One text for one key. */
export const keyText = (key: DeviceKey): string =>
  key.kind === 'v1' ? `v1 ${key.node}` : `p2 ${key.device}/${key.channel}`;
