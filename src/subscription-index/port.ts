import type { AccountId } from '../domain/ids.js';

/**
 * A small whole number that stands for an account as long as somebody subscribes to it. Columns about accounts
 * (swarm, due time) are typed arrays over slots. Freed slots are used again.
 */
export type AccountSlot = number;

/** The part of the index that the network side reads. */
export interface MonitoredAccounts {
  /** All slots are below this number. */
  readonly slotLimit: number;
  /** How many accounts there are. */
  readonly accountCount: number;
  /** Whether the slot is in use. */
  isLive(slot: AccountSlot): boolean;
  /** -1 when nobody subscribes to the account. */
  slotOf(account: Buffer): AccountSlot;
  /** A copy. */
  accountAt(slot: AccountSlot): AccountId;
  /** The account's place on the ring of swarms (spec storage-server, section 3), as an unsigned 64-bit number. */
  swarmSpaceOf(slot: AccountSlot): bigint;
  /**
   * Appends the bencoded dicts of `monitor.messages` for one account to `sink`, after the merge rule of
   * session-push-v2, 9.6 and without expired signatures; returns how many.
   */
  appendMonitorEntries(slot: AccountSlot, nowSeconds: number, sink: MonitorEntrySink): number;
}

export interface MonitorEntrySink {
  /** `bytes` is a view into the index: copy it at once. */
  append(bytes: Buffer): void;
}
