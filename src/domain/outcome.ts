/**
 * What became of one push. `reason` is a short word of ours or of the provider's documented list, never a token,
 * a payload or a whole response.
 */
export type Outcome =
  | { readonly kind: 'delivered' }
  /** The provider says that the token is no longer good, since `sinceMs` where it tells. */
  | {
      readonly kind: 'dead-token';
      readonly reason: string;
      readonly sinceMs: number | null;
      /** Wrong settings of ours would make the same of every token, and nothing tells yet that they are right. */
      readonly mayBeOurs?: true;
    }
  | {
      readonly kind: 'retry';
      readonly reason: string;
      /** `transport`: nothing usable came back (counts for the breaker); `throttled`: slow down; `server`: their fault. */
      readonly cause: 'transport' | 'throttled' | 'server';
      /** The provider's wish (`Retry-After`), null when it named none. */
      readonly afterMs: number | null;
      /** Whether the wait is for this push alone or for everything of this notifier. */
      readonly scope: 'push' | 'notifier';
    }
  /** It was not sent at all (its endpoint is paused or busy): no attempt, nothing about the notifier. Again after `afterMs`. */
  | { readonly kind: 'postponed'; readonly reason: string; readonly afterMs: number }
  /** This push can never succeed (too large, expired, malformed). */
  | { readonly kind: 'dropped'; readonly reason: string }
  /** Our credentials or settings are wrong; nothing of this notifier will succeed until somebody looks. */
  | { readonly kind: 'misconfigured'; readonly reason: string };
