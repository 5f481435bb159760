import type { LegacyDevice } from './device.js';

/** One step of a brand's directory; several that follow one another are committed together, in their order. */
export type DirectoryChange =
  /** Adds the token, or moves and changes it: a token belongs to one account at most. Clears a tombstone. */
  | { readonly kind: 'set-device'; readonly device: LegacyDevice }
  /** At the client's wish: nothing is kept of it. */
  | { readonly kind: 'remove-device'; readonly token: string }
  /** A provider called it dead: becomes a tombstone, unless it was registered at `sinceMs` or later. Unix ms. */
  | { readonly kind: 'device-died'; readonly token: string; readonly sinceMs: number; readonly nowMs: number }
  | { readonly kind: 'add-member'; readonly group: string; readonly account: string }
  | { readonly kind: 'remove-member'; readonly group: string; readonly account: string };

/** Devices, groups and members of older clients as they outlive us. Implemented in src/store. */
export interface LegacyStore {
  /**
   * Commits all of them, or none. Rejects with `StoreUnavailable` while the database is away: then it is not known
   * whether they took place, and the same call may be repeated without harm.
   */
  commit(brand: string, changes: readonly DirectoryChange[]): Promise<void>;
  /** Shows everything that lives (no tombstones) to the visitor, page by page, in the order of registration. */
  load(brand: string, visitor: LegacyVisitor): Promise<void>;
}

export interface LegacyVisitor {
  device(device: LegacyDevice): void;
  member(group: string, account: string): void;
}

/** The counters of one period. Attempts, as the original counts them. Source: spec session-push-v1, section 6. */
export interface LegacyCounters {
  readonly iosPushes: number;
  /** Huawei's included. */
  readonly androidPushes: number;
  readonly messages: number;
  readonly groupMessages: number;
  readonly untrackedMessages: number;
  readonly accountMessages: number;
}

export interface LegacyPeriod extends LegacyCounters {
  /** Unix milliseconds; a brand has one period for each start. */
  readonly startMs: number;
  /** When it was written last, or its end. */
  readonly endMs: number;
}

export interface LegacyPeriodStore {
  /** Inserts, or replaces the one with the same start. */
  write(brand: string, period: LegacyPeriod): Promise<void>;
  /** In the order of their starts; `fromMs`: start at or after, `toMs`: end at or before. At most `limit`, the newest. */
  read(
    brand: string,
    range: { readonly fromMs: number | null; readonly toMs: number | null },
    limit: number,
  ): Promise<readonly LegacyPeriod[]>;
  /** Those that ended before `ms`; how many. */
  dropBefore(brand: string, ms: number): Promise<number>;
}
