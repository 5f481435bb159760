import type { ChannelUri } from '../codec/wns-channel-uri.js';
import type { Branded } from '../domain/brand.js';

/** The protocol that a device spoke last: it decides the form of its pushes (spec uwpx-push, 6.2). */
export type ProtocolVersion = 1 | 2;

/** Chosen by the client, opaque, not empty; 64 hex digits in UWPX. No NUL, no half surrogate pairs. */
export type UwpxDeviceId = Branded<string, 'UwpxDeviceId'>;
/** As `UwpxDeviceId`; for clients of the first generation the hash of their bare JID (spec uwpx-push, 5.2). */
export type UwpxAccountId = Branded<string, 'UwpxAccountId'>;
export type { ChannelUri };

export interface UwpxDevice {
  readonly deviceId: UwpxDeviceId;
  /** Null: WNS called it dead, and the device, with its accounts, is kept for a time of grace (spec uwpx-push, 6.4). */
  readonly channelUri: ChannelUri | null;
  /** Null: not known, as with imported devices; stands for 1. */
  readonly protocolVersion: ProtocolVersion | null;
}

/** One account of one device: what its XMPP server publishes to. */
export interface UwpxAccount {
  readonly accountId: UwpxAccountId;
  readonly node: string;
  readonly secret: string;
}

/** `node` and `secret` are fresh: for an account that the device does not have yet. One that it has keeps its own. */
export interface OfferedAccount extends UwpxAccount {
  /** Of the user's JID, where the client told it (first generation). */
  readonly domain: string | null;
}

export interface ChannelChange {
  readonly deviceId: UwpxDeviceId;
  readonly channelUri: ChannelUri;
  readonly protocolVersion: ProtocolVersion;
  /** False: the sender may not bring further devices now; only one that is there is changed. */
  readonly mayCreate: boolean;
  /** Unix milliseconds. */
  readonly nowMs: number;
}

/** `refused`: the device is unknown and may not be created. `full`: there are as many devices as there may be. */
export type ChannelResult = 'created' | 'changed' | 'refused' | 'full';

export interface AccountsChange {
  readonly deviceId: UwpxDeviceId;
  readonly protocolVersion: ProtocolVersion;
  /** The complete list, each account once; all others of the device are removed. */
  readonly accounts: readonly OfferedAccount[];
  /** Unix milliseconds. */
  readonly nowMs: number;
}

/**
 * Devices and accounts of UWPX as they outlive us. Implemented in src/store. Whatever settles is committed, and calls
 * for one device take place one after the other, also from different processes. A call rejects while the database is
 * away; the same call may be repeated without harm.
 */
export interface UwpxStore {
  /** Stores or replaces the channel of a device; its accounts stay. */
  setChannel(change: ChannelChange): Promise<ChannelResult>;
  /** Null: unknown. */
  findDevice(deviceId: UwpxDeviceId): Promise<UwpxDevice | null>;
  /**
   * Makes the list of a device's accounts this one, and answers what is stored then, in any order. Null, and no
   * change: the device is unknown or has no channel.
   */
  setAccounts(change: AccountsChange): Promise<readonly UwpxAccount[] | null>;
}

/** What stands behind a node: an account, and the device that it is on. */
export interface UwpxTargetRecord {
  readonly deviceId: UwpxDeviceId;
  readonly accountId: UwpxAccountId;
  readonly node: string;
  /** SHA-256. */
  readonly secretHash: Buffer;
  /** Of the user's JID, where the client told it. */
  readonly domain: string | null;
  /** Null since `channelLostAtMs`. */
  readonly channelUri: ChannelUri | null;
  readonly protocolVersion: ProtocolVersion | null;
  /** When WNS called the channel dead; null while there is one. Unix milliseconds. */
  readonly channelLostAtMs: number | null;
  /** The last sign of life of the device: channel, accounts, a push that was delivered. Unix milliseconds. */
  readonly activeAtMs: number;
}

/** What pushing needs of the same tables. Everything rejects while the database is away. */
export interface UwpxPushStore {
  findTargets(nodes: readonly string[]): Promise<readonly UwpxTargetRecord[]>;
  /**
   * The provider's word: devices with this channel lose it, unless they set it at `sinceMs` or later, and are kept for a
   * time of grace. How many did. Unix milliseconds.
   */
  channelDied(change: {
    readonly channelUri: ChannelUri;
    readonly sinceMs: number;
    readonly nowMs: number;
  }): Promise<number>;
  /** About. */
  countDevices(): Promise<number>;
  /** Pushes were delivered to them. */
  noteActive(deviceIds: readonly UwpxDeviceId[], nowMs: number): Promise<void>;
  /**
   * Removes devices, with their accounts, that gave no sign of life since `idleSinceMs`, or lost their channel before
   * `lostBeforeMs`; at most `limit`, how many. Unix milliseconds.
   */
  removeOutdated(times: {
    readonly idleSinceMs: number;
    readonly lostBeforeMs: number;
    readonly limit: number;
  }): Promise<number>;
}

/** Sends one notification straight to WNS. */
export interface TestPush {
  /** True when WNS took it. Removing a channel that turns out dead is its matter. */
  send(push: {
    readonly deviceId: UwpxDeviceId;
    readonly channelUri: ChannelUri;
    readonly body: string;
  }): Promise<boolean>;
}

/** Who sent a message. */
export interface UwpxSender {
  /** What counts as one address for limits: all of an IPv4 address, the network of an IPv6 one. */
  readonly key: string;
  /** On the list of those without limits. */
  readonly isExempt: boolean;
}
