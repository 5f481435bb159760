import { assertNever } from '../domain/assert-never.js';
import { nowSeconds, type Clock } from '../domain/clock.js';
import type { Subscription, SubscriptionKey } from '../domain/subscription.js';
import type { AccountSlot } from '../subscription-index/port.js';
import type { SubscriptionIndex } from '../subscription-index/subscription-index.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { Actor, ActorSystem } from './spawn.js';

export type SubscribeResult = 'added' | 'updated' | 'stale';

/** The changes of one subscription, in the order in which they were told. */
type SubscriptionMessage =
  | {
      readonly kind: 'subscribe';
      readonly subscription: Subscription;
      readonly resolve: (result: SubscribeResult) => void;
      readonly reject: (error: unknown) => void;
    }
  | {
      readonly kind: 'unsubscribe';
      readonly key: SubscriptionKey;
      readonly resolve: (removed: boolean) => void;
      readonly reject: (error: unknown) => void;
    }
  | {
      readonly kind: 'token-died';
      readonly key: SubscriptionKey;
      readonly sinceMs: number;
      readonly reject: (error: unknown) => void;
      readonly onKept: () => void;
    }
  | { readonly kind: 'expired'; readonly key: SubscriptionKey };

export interface SubscriptionActorDeps {
  readonly store: {
    upsert(subscription: Subscription, nowMs: number): Promise<SubscribeResult>;
    remove(key: SubscriptionKey): Promise<boolean>;
    removeIfNotRenewedSince(key: SubscriptionKey, sinceMs: number): Promise<boolean>;
  };
  readonly index: SubscriptionIndex;
  /** The account is new, or storage nodes must hear of a change. */
  readonly accountChanged: (slot: AccountSlot) => void;
  /** Nobody subscribes to the account any more; its slot may be used again after this call. */
  readonly accountRemoved: (slot: AccountSlot) => void;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

/**
 * Every change of a subscription, one actor for each. The actors are virtual: made by their first message, gone when
 * their mailbox is empty; what a resting subscription is lies in the database and the index. The order within a
 * subscription is theirs, so "subscribe, unsubscribe" in two requests never ends subscribed.
 */
export interface SubscriptionActors {
  /** Settles after the commit; rejects when the store is away. */
  subscribe(subscription: Subscription): Promise<SubscribeResult>;
  /** False when there was none. */
  unsubscribe(key: SubscriptionKey): Promise<boolean>;
  /** The provider says the token is dead since `sinceMs`: removed unless the client has renewed it later. */
  tokenDied(
    key: SubscriptionKey,
    sinceMs: number,
    onFailure: (error: unknown) => void,
    /** It was renewed, or is not there. */
    onKept?: () => void,
  ): void;
  /** The row is gone because its signature has run out. */
  expired(key: SubscriptionKey): void;
  readonly living: number;
}

export function createSubscriptionActors(
  system: ActorSystem,
  deps: SubscriptionActorDeps,
): SubscriptionActors {
  const { store, index, metrics, clock } = deps;
  const living = new Map<string, Actor<SubscriptionMessage>>();
  let spawned = 0;

  const removeFromIndex = (key: SubscriptionKey): void => {
    const removal = index.remove(key);
    switch (removal.kind) {
      case 'absent':
        return;
      case 'removed':
        if (removal.monitorChanged) deps.accountChanged(removal.slot);
        return;
      case 'account-removed':
        deps.accountRemoved(removal.slot);
        return;
      default:
        assertNever(removal);
    }
  };

  const subscribe = async (subscription: Subscription): Promise<SubscribeResult> => {
    const result = await store.upsert(subscription, clock.nowMs());
    // 'stale': the database keeps a newer signature, and so does the index.
    if (result !== 'stale') {
      const { slot, monitorChanged } = index.upsert(subscription);
      if (monitorChanged) deps.accountChanged(slot);
    }
    return result;
  };

  const handle = async (_state: null, message: SubscriptionMessage): Promise<null> => {
    switch (message.kind) {
      case 'subscribe':
        await subscribe(message.subscription).then(message.resolve, message.reject);
        return null;
      case 'unsubscribe':
        try {
          const removed = await store.remove(message.key);
          removeFromIndex(message.key);
          message.resolve(removed);
        } catch (error) {
          message.reject(error);
        }
        return null;
      case 'token-died':
        try {
          if (await store.removeIfNotRenewedSince(message.key, message.sinceMs)) {
            metrics.subscriptionChanges.of('dead-token').add();
            removeFromIndex(message.key);
          } else {
            message.onKept();
          }
        } catch (error) {
          message.reject(error);
        }
        return null;
      case 'expired':
        // A renewal may have been committed since the row was deleted.
        if (index.isExpired(message.key, nowSeconds(clock))) {
          metrics.subscriptionChanges.of('expired').add();
          removeFromIndex(message.key);
        }
        return null;
      default:
        return assertNever(message);
    }
  };

  const tell = (key: SubscriptionKey, message: SubscriptionMessage): void => {
    const id = `${key.account.hexSlice(0, key.account.length)}${key.service}\0${key.serviceId}`;
    let actor = living.get(id);
    if (actor === undefined) {
      spawned += 1;
      actor = system.spawn<SubscriptionMessage, null>({
        name: `subscription-${spawned}`,
        kind: 'subscription',
        initial: null,
        handle,
        onIdle: (self) => {
          // Leaves the directory and stops in one synchronous step: no message can come in between.
          living.delete(id);
          void self.stop();
        },
      });
      living.set(id, actor);
    }
    actor.tell(message);
  };

  return {
    get living() {
      return living.size;
    },
    subscribe: (subscription) =>
      new Promise((resolve, reject) =>
        tell(subscription, { kind: 'subscribe', subscription, resolve, reject }),
      ),
    unsubscribe: (key) =>
      new Promise((resolve, reject) => tell(key, { kind: 'unsubscribe', key, resolve, reject })),
    tokenDied: (key, sinceMs, reject, onKept = () => undefined) =>
      tell(key, { kind: 'token-died', key, sinceMs, reject, onKept }),
    expired: (key) => tell(key, { kind: 'expired', key }),
  };
}
