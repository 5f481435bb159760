import type { SubscriptionKey } from '../domain/subscription.js';

const SLICE_ROWS = 1000;

export interface ExpiryDeps {
  /** Deletes rows whose signature has run out, at most `limit`, and says which. */
  readonly removeExpired: (nowSeconds: number, limit: number) => Promise<readonly SubscriptionKey[]>;
  readonly subscriptions: { expired(key: SubscriptionKey): void };
}

/** Removes every subscription whose signature is 14 days old, in slices; how many. */
export async function removeExpiredSubscriptions(deps: ExpiryDeps, nowSeconds: number): Promise<number> {
  let removed = 0;
  for (;;) {
    const keys = await deps.removeExpired(nowSeconds, SLICE_ROWS);
    for (const key of keys) deps.subscriptions.expired(key);
    removed += keys.length;
    if (keys.length < SLICE_ROWS) return removed;
  }
}
