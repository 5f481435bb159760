import { describe, expect, it } from 'vitest';
import { createActorSystem } from '../../../src/actors/spawn.js';
import { createSubscriptionActors } from '../../../src/actors/subscription.js';
import type { Subscription, SubscriptionKey } from '../../../src/domain/subscription.js';
import { SubscriptionIndex } from '../../../src/subscription-index/subscription-index.js';
import { silentLog } from '../../../src/telemetry/log.js';
import { Metrics } from '../../../src/telemetry/metrics.js';
import { eventually } from '../../simulators/eventually.js';
import { makeSubscription, tokenOf } from '../../simulators/subscriptions.js';

const idOf = (key: SubscriptionKey): string =>
  `${key.account.toString('hex')} ${key.service} ${key.serviceId}`;

/** The store's rules, with a pause before each answer as a database has it. */
function memoryStore(clock: { nowMs(): number }) {
  const rows = new Map<string, { subscription: Subscription; renewedAtMs: number }>();
  const pause = () => new Promise((resolve) => setImmediate(resolve));
  const state = { isAway: false };
  return {
    rows,
    state,
    async upsert(subscription: Subscription, nowMs: number): Promise<'added' | 'updated' | 'stale'> {
      await pause();
      if (state.isAway) throw new Error('away');
      const known = rows.get(idOf(subscription));
      const signedAt = subscription.authorisation.signedAtSeconds;
      if (known !== undefined && known.subscription.authorisation.signedAtSeconds > signedAt) return 'stale';
      rows.set(idOf(subscription), { subscription, renewedAtMs: nowMs });
      return known === undefined ? 'added' : 'updated';
    },
    async remove(key: SubscriptionKey): Promise<boolean> {
      await pause();
      if (state.isAway) throw new Error('away');
      return rows.delete(idOf(key));
    },
    async removeIfNotRenewedSince(key: SubscriptionKey, sinceMs: number): Promise<boolean> {
      await pause();
      if (state.isAway) throw new Error('away');
      const row = rows.get(idOf(key));
      return row !== undefined && row.renewedAtMs < sinceMs && rows.delete(idOf(key));
    },
    async find(key: SubscriptionKey): Promise<Subscription | null> {
      await pause();
      if (state.isAway) throw new Error('away');
      return rows.get(idOf(key))?.subscription ?? null;
    },
    clock,
  };
}

function setUp() {
  const clock = { now: 1_700_000_100_000, nowMs: () => clock.now };
  const system = createActorSystem({ log: silentLog(), metrics: new Metrics(), clock });
  const store = memoryStore(clock);
  const index = new SubscriptionIndex(3);
  const changed: number[] = [];
  const removed: number[] = [];
  const actors = createSubscriptionActors(system, {
    store,
    index,
    accountChanged: (slot) => changed.push(slot),
    accountRemoved: (slot) => removed.push(slot),
    clock,
    metrics: new Metrics(),
  });
  return { clock, system, store, index, changed, removed, actors };
}

const renewed = (subscription: Subscription, signedAtSeconds: number): Subscription => ({
  ...subscription,
  authorisation: { ...subscription.authorisation, signedAtSeconds },
});

describe('subscription actors', () => {
  const subscription = makeSubscription('a');

  it('put a subscription into the index after its commit and tell the network once', async () => {
    const { actors, index, changed, system } = setUp();
    expect(await actors.subscribe(subscription)).toBe('added');
    expect(await actors.subscribe(renewed(subscription, 1_700_000_050))).toBe('updated');
    expect(await actors.subscribe(subscription)).toBe('stale');
    expect(index.size).toBe(1);
    expect(changed).toHaveLength(1);
    await eventually(() => actors.living === 0);
    await system.stop();
  });

  it('keep the order of changes of one subscription', async () => {
    const { actors, index, store, removed } = setUp();
    const results = await Promise.all([
      actors.subscribe(subscription),
      actors.unsubscribe(subscription),
      actors.subscribe(renewed(subscription, 1_700_000_060)),
      actors.unsubscribe(subscription),
    ]);
    expect(results).toEqual(['added', true, 'added', true]);
    expect(index.size).toBe(0);
    expect(store.rows.size).toBe(0);
    expect(removed).toHaveLength(2);
  });

  it('answer everybody when thousands ask at once, and are gone afterwards', async () => {
    const { actors, index, system } = setUp();
    const results = await Promise.all(
      Array.from({ length: 2000 }, (_, i) => actors.subscribe(makeSubscription(`${i}`))),
    );
    expect(new Set(results)).toEqual(new Set(['added']));
    expect(index.size).toBe(2000);
    await eventually(() => actors.living === 0 && system.size === 0);
  });

  it('reject when the store is away, leave the index alone, and work again afterwards', async () => {
    const { actors, index, store } = setUp();
    store.state.isAway = true;
    await expect(actors.subscribe(subscription)).rejects.toThrow('away');
    expect(index.size).toBe(0);
    store.state.isAway = false;
    expect(await actors.subscribe(subscription)).toBe('added');
    store.state.isAway = true;
    await expect(actors.unsubscribe(subscription)).rejects.toThrow('away');
    expect(index.size).toBe(1);
  });

  it('remove a dead token only when it has not been renewed since', async () => {
    const { actors, index, store, clock } = setUp();
    await actors.subscribe(subscription);
    expect(await actors.tokenDied(subscription, clock.now - 1000)).toBe(false);
    expect(index.size).toBe(1);
    expect(await actors.tokenDied(subscription, clock.now + 1000)).toBe(true);
    expect(index.size).toBe(0);
    expect(store.rows.size).toBe(0);
    store.state.isAway = true;
    await expect(actors.tokenDied(subscription, clock.now)).rejects.toThrow('away');
  });

  it('make the index what the row is when they are told to look again', async () => {
    const { actors, index, store, changed, removed } = setUp();
    expect(await actors.reread(subscription)).toBe('same');
    // Restored by an operator.
    store.rows.set(idOf(subscription), { subscription, renewedAtMs: 1 });
    expect(await actors.reread(subscription)).toBe('put');
    expect(index.match(subscription.account, 0)).toHaveLength(1);
    expect(changed).toHaveLength(1);
    expect(await actors.reread(subscription)).toBe('same');
    // The answer to an update got lost.
    const other = { ...renewed(subscription, 1_700_000_070), wantData: false };
    store.rows.set(idOf(subscription), { subscription: other, renewedAtMs: 1 });
    expect(await actors.reread(subscription)).toBe('put');
    expect(index.match(subscription.account, 0).map(({ wantData }) => wantData)).toEqual([false]);
    // The answer to a removal got lost.
    store.rows.clear();
    expect(await actors.reread(subscription)).toBe('removed');
    expect(index.size).toBe(0);
    expect(removed).toHaveLength(1);
    // A row that no client of ours can have made.
    const { authorisation } = subscription;
    const odd = { ...subscription, authorisation: { ...authorisation, ed25519Key: null } };
    store.rows.set(idOf(subscription), { subscription: odd, renewedAtMs: 1 });
    expect(await actors.reread(subscription)).toBe('same');
    store.state.isAway = true;
    await expect(actors.reread(subscription)).rejects.toThrow('away');
  });

  it('look again in their turn: what a client changes meanwhile stays', async () => {
    const { actors, index, store } = setUp();
    store.rows.set(idOf(subscription), { subscription, renewedAtMs: 1 });
    const [, , last] = await Promise.all([
      actors.reread(subscription),
      actors.unsubscribe(subscription),
      actors.reread(subscription),
    ]);
    expect(last).toBe('same');
    expect(index.size).toBe(0);
  });

  it('take an expired subscription out of the index, but not one renewed meanwhile', async () => {
    const { actors, index, clock } = setUp();
    await actors.subscribe(subscription);
    const other = makeSubscription('a', { serviceId: tokenOf('other') });
    await actors.subscribe(other);
    clock.now = (subscription.authorisation.signedAtSeconds + 14 * 24 * 3600) * 1000;
    const renewal = actors.subscribe(renewed(other, 1_701_000_000));
    actors.expired(subscription);
    actors.expired(other);
    await renewal;
    await eventually(() => actors.living === 0);
    expect(index.match(subscription.account, 0).map((m) => m.device.serviceId)).toEqual([tokenOf('other')]);
  });
});
