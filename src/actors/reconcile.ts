import type { Subscription, SubscriptionKey } from '../domain/subscription.js';
import type { AccountSlot } from '../subscription-index/port.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { SubscriptionActors } from './subscription.js';

export interface ReconciliationDeps {
  /** `src/store/subscriptions.ts`. */
  readonly store: {
    page(
      afterId: number,
      limit: number,
    ): Promise<{ readonly subscriptions: readonly Subscription[]; readonly lastId: number } | null>;
    absent(keys: readonly SubscriptionKey[]): Promise<readonly SubscriptionKey[]>;
  };
  readonly index: {
    readonly slotLimit: number;
    holds(subscription: Subscription): boolean;
    keysAt(slot: AccountSlot): SubscriptionKey[];
  };
  readonly subscriptions: Pick<SubscriptionActors, 'reread'>;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Where the comparison is: first all rows against the index, then all of the index against the rows. */
type Place =
  | { readonly kind: 'table'; readonly afterId: number }
  | { readonly kind: 'index'; readonly slot: AccountSlot };

const START: Place = { kind: 'table', afterId: 0 };
/** Slots that are looked at in one step at most: freed ones hold nothing. */
const SLOTS_PER_ROW = 20;

/**
 * Compares table and index, slowly. They differ where a change was committed and its answer got lost
 * (the connection broke at that moment), or where another hand changed the table. What differs is only a suspicion,
 * since changes go on meanwhile: the subscription's actor looks at its row again, in its turn, and has the last word.
 */
export class Reconciliation {
  #place: Place = START;
  #corrected = 0;

  constructor(private readonly deps: ReconciliationDeps) {}

  /**
   * The next `rows` or so; true when with them everything was compared once. Rejects with `StoreUnavailable`; the next call
   * goes on at the same place.
   */
  async step(rows: number): Promise<boolean> {
    const place = this.#place;
    this.#place =
      place.kind === 'table' ? await this.#table(place.afterId, rows) : await this.#index(place.slot, rows);
    if (place.kind === 'table' || this.#place.kind === 'index') return false;
    const corrected = this.#corrected;
    this.#corrected = 0;
    if (corrected > 0) {
      this.deps.log.warn({ subscriptions: corrected }, 'table and memory differed in these and agree again');
    }
    return true;
  }

  async #table(afterId: number, rows: number): Promise<Place> {
    const { store, index } = this.deps;
    const page = await store.page(afterId, rows);
    if (page === null) return { kind: 'index', slot: 0 };
    await this.#reread(page.subscriptions.filter((subscription) => !index.holds(subscription)));
    return { kind: 'table', afterId: page.lastId };
  }

  async #index(slot: AccountSlot, rows: number): Promise<Place> {
    const { store, index } = this.deps;
    const keys: SubscriptionKey[] = [];
    const end = Math.min(index.slotLimit, slot + rows * SLOTS_PER_ROW);
    let next = slot;
    for (; next < end && keys.length < rows; next += 1) keys.push(...index.keysAt(next));
    if (keys.length > 0) await this.#reread(await store.absent(keys));
    return next < index.slotLimit ? { kind: 'index', slot: next } : START;
  }

  async #reread(keys: readonly SubscriptionKey[]): Promise<void> {
    const { subscriptions, metrics } = this.deps;
    const results = await Promise.all(keys.map((key) => subscriptions.reread(key)));
    const corrected = results.filter((result) => result !== 'same').length;
    this.#corrected += corrected;
    if (corrected > 0) metrics.subscriptionChanges.of('corrected').add(corrected);
  }
}
