import type { LegacyDevice, LegacyDeviceType } from './device.js';

/** Which devices that a provider called dead: of one brand, of these types, removed from `sinceMs` to `untilMs`. Unix ms. */
export interface TombstoneFilter {
  readonly brand: string;
  readonly types: readonly LegacyDeviceType[];
  readonly sinceMs: number;
  readonly untilMs: number;
}

export interface TombstoneCount {
  readonly brand: string;
  readonly type: LegacyDeviceType;
  readonly devices: number;
}

/** The place of a tombstone among the others of a filter. */
export interface TombstoneCursor {
  readonly removedAtMs: number;
  readonly id: number;
}

export interface TombstonePage {
  /** As they were registered. */
  readonly devices: readonly LegacyDevice[];
  /** Of the last one, for the next page. */
  readonly cursor: TombstoneCursor;
}

/**
 * Devices that became tombstones by `device-died`. A token that was registered anew or removed by its client has none.
 * Implemented in src/store; every call rejects with `StoreUnavailable` while the database is away.
 */
export interface LegacyTombstones {
  /** Of all brands: those removed at `sinceMs` or later. */
  count(sinceMs: number): Promise<readonly TombstoneCount[]>;
  /** In the order of removal; null at the end. */
  page(filter: TombstoneFilter, after: TombstoneCursor | null, limit: number): Promise<TombstonePage | null>;
  /** Brings them back in the database alone; how many. For when nobody has the brand's directory in memory. */
  restore(filter: TombstoneFilter): Promise<number>;
  /** For good: those removed before `removedBeforeMs`; how many. */
  drop(removedBeforeMs: number): Promise<number>;
}
