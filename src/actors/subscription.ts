import { assertNever } from '../domain/assert-never.js';
import { nowSeconds, type Clock } from '../domain/clock.js';
import type { Subscription, SubscriptionKey } from '../domain/subscription.js';
import type { AccountSlot } from '../subscription-index/port.js';
import { isPackable } from '../subscription-index/record.js';
import type { SubscriptionIndex } from '../subscription-index/subscription-index.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { Actor, ActorSystem } from './spawn.js';

export type SubscribeResult = 'added' | 'updated' | 'stale';

/** What looking at the row has changed in the index. */
export type RereadResult = 'same' | 'put' | 'removed';

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
      readonly resolve: (removed: boolean) => void;
      readonly reject: (error: unknown) => void;
    }
  | { readonly kind: 'expired'; readonly key: SubscriptionKey }
  | {
      readonly kind: 'reread';
      readonly key: SubscriptionKey;
      readonly resolve: (result: RereadResult) => void;
      readonly reject: (error: unknown) => void;
    };

export interface SubscriptionActorDeps {
  readonly store: {
    upsert(subscription: Subscription, nowMs: number): Promise<SubscribeResult>;
    remove(key: SubscriptionKey): Promise<boolean>;
    removeIfNotRenewedSince(key: SubscriptionKey, sinceMs: number, nowMs: number): Promise<boolean>;
    find(key: SubscriptionKey): Promise<Subscription | null>;
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
  /**
   * The provider says the token is dead since `sinceMs`: removed unless the client has renewed it later. Whether it
   * was removed; rejects when the store is away.
   */
  tokenDied(key: SubscriptionKey, sinceMs: number): Promise<boolean>;
  /** The row is gone because its signature has run out. */
  expired(key: SubscriptionKey): void;
  /**
   * The row may have changed behind our back (restored by an operator, or the answer to a change was lost): the index
   * is made what the row is. Rejects when the store is away.
   */
  reread(key: SubscriptionKey): Promise<RereadResult>;
  readonly living: number;
}

export function createSubscriptionActors(
  system: ActorSystem,
  deps: SubscriptionActorDeps,
): SubscriptionActors {
  const { store, index, metrics, clock } = deps;
  const living = new Map<string, Actor<SubscriptionMessage>>();
  let spawned = 0;

  /** Whether it was there. */
  const removeFromIndex = (key: SubscriptionKey): boolean => {
    const removal = index.remove(key);
    switch (removal.kind) {
      case 'absent':
        return false;
      case 'removed':
        if (removal.monitorChanged) deps.accountChanged(removal.slot);
        return true;
      case 'account-removed':
        deps.accountRemoved(removal.slot);
        return true;
      default:
        return assertNever(removal);
    }
  };

  const putIntoIndex = (subscription: Subscription): void => {
    const { slot, monitorChanged } = index.upsert(subscription);
    if (monitorChanged) deps.accountChanged(slot);
  };

  const subscribe = async (subscription: Subscription): Promise<SubscribeResult> => {
    const result = await store.upsert(subscription, clock.nowMs());
    // 'stale': the database keeps a newer signature, and so does the index.
    if (result !== 'stale') putIntoIndex(subscription);
    return result;
  };

  const reread = async (key: SubscriptionKey): Promise<RereadResult> => {
    const row = await store.find(key);
    // One that no client can have made (put there by another hand) is left out, as at the first load.
    if (row === null || !isPackable(row)) return removeFromIndex(key) ? 'removed' : 'same';
    if (index.holds(row)) return 'same';
    putIntoIndex(row);
    return 'put';
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
          const removed = await store.removeIfNotRenewedSince(message.key, message.sinceMs, clock.nowMs());
          if (removed) {
            metrics.subscriptionChanges.of('dead-token').add();
            removeFromIndex(message.key);
          }
          message.resolve(removed);
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
      case 'reread':
        await reread(message.key).then(message.resolve, message.reject);
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
    tokenDied: (key, sinceMs) =>
      new Promise((resolve, reject) => tell(key, { kind: 'token-died', key, sinceMs, resolve, reject })),
    expired: (key) => tell(key, { kind: 'expired', key }),
    reread: (key) => new Promise((resolve, reject) => tell(key, { kind: 'reread', key, resolve, reject })),
  };
}
