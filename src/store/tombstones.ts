import { parseServiceName, type ServiceName } from '../domain/ids.js';
import { SIGNATURE_LIFETIME_SECONDS, type Subscription } from '../domain/subscription.js';
import { againAfterCollision } from './collisions.js';
import type { Database } from './database.js';
import { nullableNumberCell, numberCell, textCell, type Parameter, type Row } from './statement.js';
import { SubscriptionPageReader } from './subscription-pages.js';
import {
  countRestorableTombstones,
  countTombstones,
  dropTombstones,
  restoreTombstones,
} from './subscription-statements.js';

export interface TombstoneFilter {
  /** Null = of every service. */
  readonly service: ServiceName | null;
  /** Unix milliseconds: only what was removed then or later. */
  readonly removedSinceMs: number;
}

export interface RestoredPage {
  /** Subscriptions again, committed. Buffers are views into the answer: copy what is kept. */
  readonly restored: readonly Subscription[];
  /** Signatures that have run out, and keys that have subscribed anew. */
  readonly skipped: number;
  /** For the next page. */
  readonly lastId: number;
}

const DROP_SLICE = 2000;

/**
 * Subscriptions that were removed because their devices were called dead (`SubscriptionStore.removeIfNotRenewedSince`).
 * Every call rejects with `StoreUnavailable` while the database is away.
 */
export class Tombstones {
  constructor(private readonly database: Database) {}

  /** The next page in the order of removal, at most `limit` of them; null at the end. The first is after id 0. */
  async restore(
    { service, removedSinceMs }: TombstoneFilter,
    nowSeconds: number,
    afterId: number,
    limit: number,
  ): Promise<RestoredPage | null> {
    const signedAfter = nowSeconds - SIGNATURE_LIFETIME_SECONDS;
    const values = [service, Math.ceil(removedSinceMs), signedAfter, afterId, limit];
    const row = await this.#restore(values);
    const lastId = nullableNumberCell(row, 0);
    if (lastId === null) return null;
    const packed = row?.[2] === null ? Buffer.alloc(0) : Buffer.from(textCell(row, 2), 'hex');
    const restored = new SubscriptionPageReader().read(packed);
    return { restored, skipped: numberCell(row, 1) - restored.length, lastId };
  }

  /** What `restore` would do, over all pages. */
  async countRestorable(
    { service, removedSinceMs }: TombstoneFilter,
    nowSeconds: number,
  ): Promise<{ readonly restored: number; readonly skipped: number }> {
    const signedAfter = nowSeconds - SIGNATURE_LIFETIME_SECONDS;
    const [row] = await this.database.rows(countRestorableTombstones, [
      service,
      Math.ceil(removedSinceMs),
      signedAfter,
    ]);
    const restored = numberCell(row, 0);
    return { restored, skipped: numberCell(row, 1) - restored };
  }

  async countByService(): Promise<ReadonlyMap<ServiceName, number>> {
    const counts = new Map<ServiceName, number>();
    for (const row of await this.database.rows(countTombstones)) {
      const service = parseServiceName(textCell(row, 0));
      if (service !== null) counts.set(service, numberCell(row, 1));
    }
    return counts;
  }

  /** For good: those of before `removedBeforeMs`; how many. */
  async drop(removedBeforeMs: number): Promise<number> {
    let dropped = 0;
    for (;;) {
      const slice = await this.database.execute(dropTombstones, [Math.floor(removedBeforeMs), DROP_SLICE]);
      dropped += slice;
      if (slice < DROP_SLICE) return dropped;
    }
  }

  /** A subscribe for one of the keys at the same moment may deadlock with us, which is nobody's fault: again. */
  async #restore(values: readonly Parameter[]): Promise<Row | undefined> {
    const [row] = await againAfterCollision(() => this.database.rows(restoreTombstones, values));
    return row;
  }
}
