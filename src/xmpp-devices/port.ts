import type { ServiceId } from '../domain/ids.js';
import type { DeviceKey, RemovalReason, StoredDevice } from './device.js';

/** What a registration would be if there were none yet. */
export interface DeviceOffer {
  readonly key: DeviceKey;
  readonly node: string;
  readonly type: string;
  readonly token: ServiceId;
  readonly serviceData: Buffer | null;
  readonly secretHash: Buffer;
  readonly sealedSecret: Buffer;
  readonly accountDomain: string | null;
}

export type DeviceChange =
  /**
   * A record of this key and type that lives (or died: `dead`) keeps node, secret (unless `replacesSecret`: it could not
   * be opened), domain (unless it had none) and time of registration, gets token and service data, and counts as
   * renewed. Any other is replaced by the offer, with nothing left of it. Answered with the record; `nowMs` in unix milliseconds. Source: spec xmpp-push, 5.3 and 6.1.
   */
  | {
      readonly kind: 'register';
      readonly offer: DeviceOffer;
      readonly replacesSecret: boolean;
      readonly nowMs: number;
    }
  /** Answered with the record that is removed now; null: there is none of this key and type that lives. */
  | { readonly kind: 'unregister'; readonly key: DeviceKey; readonly type: string; readonly nowMs: number }
  /**
   * The provider's word. It removes the record if it still has this token, and was registered, or renewed, before `sinceMs`
   * (unix milliseconds; strictly). Answered like `unregister`. Source: spec xmpp-push, section 12.
   */
  | {
      readonly kind: 'token-died';
      readonly key: DeviceKey;
      readonly token: ServiceId;
      readonly sinceMs: number;
      readonly nowMs: number;
    }
  /** Brings back what `token-died` removed, as it was. Answered with it; null: there is nothing to bring back. */
  | { readonly kind: 'restore'; readonly key: DeviceKey };

export interface PushNote {
  readonly key: DeviceKey;
  readonly lastPushAtMs: number | null;
  readonly lastErrorAtMs: number | null;
}

/** Which devices that a provider called dead. Unix milliseconds. */
export interface DeadDevicesFilter {
  /** The types that count; null = all. */
  readonly types: readonly string[] | null;
  readonly sinceMs: number;
}

/**
 * Devices of XMPP users as they outlive us, shared by all processes on one database. Implemented in src/store. Every call
 * rejects with `StoreUnavailable` while the database is away: of a change it is then unknown whether it took place, and
 * the same one may be repeated without harm.
 */
export interface XmppDeviceStore {
  /** Committed when it resolves; calls with the same key take place in their order. Many at once share a statement. */
  change(change: DeviceChange): Promise<StoredDevice | null>;
  /** Everything that lives, page by page; the revision from which `changesSince` goes on. */
  load(visit: (page: readonly StoredDevice[]) => void): Promise<number>;
  /**
   * What was changed after `revision`, oldest first, at most `limit`, the removed ones included for as long as they are
   * kept. Nothing that commits later ever has a lower revision.
   */
  changesSince(revision: number, limit: number): Promise<readonly StoredDevice[]>;
  /**
   * The last revision that was drawn, about: never lower than one that `changesSince` has answered with, unless the database
   * was put back to what it was before.
   */
  drawnRevision(): Promise<number>;
  /** Those of these nodes that live. */
  find(nodes: readonly string[]): Promise<readonly StoredDevice[]>;
  /** Times of pushes, for operators; no change in the sense of `revision`. */
  note(notes: readonly PushNote[]): Promise<void>;
  /** How many a provider called dead, by type. */
  countDead(filter: DeadDevicesFilter): Promise<ReadonlyMap<string, number>>;
  /** Their keys, oldest first, at most `limit`, for `restore`. */
  dead(filter: DeadDevicesFilter, limit: number): Promise<readonly DeviceKey[]>;
  /** Forgets those that were removed for this reason before `beforeMs` (unix milliseconds); how many. */
  dropRemoved(reason: RemovalReason, beforeMs: number): Promise<number>;
}
