import { expect, test } from 'vitest';
import { createActorSystem } from '../../src/actors/spawn.js';
import { createSubscriptionActors, type SubscriptionActors } from '../../src/actors/subscription.js';
import { Reconciliation } from '../../src/actors/reconcile.js';
import { undelete, type UndeleteDeps } from '../../src/actors/undelete.js';
import type { Subscription } from '../../src/domain/subscription.js';
import type { Database } from '../../src/store/database.js';
import { defaultSubscriptionWriter, SubscriptionStore } from '../../src/store/subscriptions.js';
import { Tombstones } from '../../src/store/tombstones.js';
import { SubscriptionIndex } from '../../src/subscription-index/subscription-index.js';
import { silentLog } from '../../src/telemetry/log.js';
import { Metrics } from '../../src/telemetry/metrics.js';
import { describeWithDatabases } from '../simulators/databases.js';
import { exampleSubscription, serviceNamed } from '../simulators/store-examples.js';

const NOW_MS = 1_700_000_100_000;
const DAY_MS = 24 * 3600 * 1000;
const everything = { service: null, removedSinceMs: 0 };

function partsOn(database: Database) {
  const clock = { now: NOW_MS, nowMs: () => clock.now };
  const metrics = new Metrics();
  const log = silentLog();
  const store = new SubscriptionStore({ database, log, writer: defaultSubscriptionWriter });
  const tombstones = new Tombstones(database);
  const index = new SubscriptionIndex(7);
  const changed: number[] = [];
  const actors: SubscriptionActors = createSubscriptionActors(createActorSystem({ log, metrics, clock }), {
    store,
    index,
    accountChanged: (slot) => changed.push(slot),
    accountRemoved: () => undefined,
    clock,
    metrics,
  });
  const deps: UndeleteDeps = { tombstones, subscriptions: actors, clock, metrics };
  const reconciliation = new Reconciliation({ store, index, subscriptions: actors, log, metrics });
  /** A whole round: through the table, through the index, and to the start. */
  const reconcile = async (): Promise<void> => {
    for (let step = 0; step < 20; step += 1) await reconciliation.step(7);
  };
  return { clock, metrics, store, tombstones, index, changed, actors, deps, reconcile };
}

async function all(store: SubscriptionStore): Promise<Subscription[]> {
  const rows: Subscription[] = [];
  await store.load((page) => rows.push(...page), 50);
  return rows;
}

const key = ({ serviceId }: Subscription): string => serviceId;
const sorted = (subscriptions: readonly Subscription[]): string[] => subscriptions.map(key).sort();

/** With everything that a row can hold. */
const whole = (seed: string): Subscription => {
  const plain = exampleSubscription(seed);
  const subaccount = { tag: Buffer.alloc(36, 3), signature: Buffer.alloc(64, 4) };
  return {
    ...plain,
    namespaces: [-11, 0, 11],
    wantData: false,
    serviceData: Buffer.from('data'),
    authorisation: { ...plain.authorisation, subaccount },
  };
};

describeWithDatabases('dead subscriptions', (fixture) => {
  test('are kept, and come back as they were, in a server that runs', async () => {
    const { store, tombstones, index, changed, actors, deps } = partsOn(await fixture.open());
    const one = whole('one');
    const other = exampleSubscription('other', { service: serviceNamed('firebase') });
    for (const subscription of [one, other]) {
      await actors.subscribe(subscription);
      expect(await actors.tokenDied(subscription, NOW_MS + 1)).toBe(true);
    }
    expect(await all(store)).toEqual([]);
    expect(index.size).toBe(0);
    expect(await tombstones.countByService()).toEqual(
      new Map([
        ['apns', 1],
        ['firebase', 1],
      ]),
    );
    changed.length = 0;
    expect(await undelete(deps, { ...everything, service: serviceNamed('apns') })).toEqual({
      restored: 1,
      skipped: 0,
    });
    expect(await all(store)).toEqual([one]);
    expect(index.holds(one)).toBe(true);
    expect(changed).toHaveLength(1);
    expect(await tombstones.countByService()).toEqual(new Map([['firebase', 1]]));
    expect(await undelete(deps, { ...everything, removedSinceMs: NOW_MS + 1 })).toEqual({
      restored: 0,
      skipped: 0,
    });
    expect(await undelete(deps, { ...everything, removedSinceMs: NOW_MS })).toEqual({
      restored: 1,
      skipped: 0,
    });
    expect(sorted(await all(store))).toEqual(sorted([one, other]));
    // What was removed again keeps the time of the client's last subscribe.
    expect(await actors.tokenDied(one, NOW_MS)).toBe(false);
    expect(await actors.tokenDied(one, NOW_MS + 1)).toBe(true);
  });

  test('come back in many pages, without those that have subscribed anew or whose signature has run out', async () => {
    const { clock, store, tombstones, index, actors, deps } = partsOn(await fixture.open());
    const subscriptions = Array.from({ length: 350 }, (_, number) =>
      exampleSubscription(`${number}`, {}, number === 7 ? 1_699_000_000 : 1_700_000_000),
    );
    await Promise.all(subscriptions.map((subscription) => actors.subscribe(subscription)));
    await Promise.all(subscriptions.map((subscription) => actors.tokenDied(subscription, NOW_MS + 1)));
    const anew = exampleSubscription('3', { wantData: false });
    await actors.subscribe(anew);
    // The tombstone went with the subscribe.
    expect((await tombstones.countByService()).get(serviceNamed('apns'))).toBe(349);
    clock.now = (1_699_000_000 + 14 * 24 * 3600) * 1000;
    const nowSeconds = clock.now / 1000;
    expect(await tombstones.countRestorable(everything, nowSeconds)).toEqual({ restored: 348, skipped: 1 });
    expect(await undelete(deps, everything)).toEqual({ restored: 348, skipped: 1 });
    expect(index.size).toBe(349);
    const rows = await all(store);
    expect(rows).toHaveLength(349);
    expect(rows.find((row) => key(row) === key(anew))?.wantData).toBe(false);
    expect(await undelete(deps, everything)).toEqual({ restored: 0, skipped: 1 });
  });

  test('do not come back after the client has said goodbye', async () => {
    const { store, actors, tombstones, deps } = partsOn(await fixture.open());
    const one = exampleSubscription('one');
    await actors.subscribe(one);
    await actors.tokenDied(one, NOW_MS + 1);
    expect(await actors.unsubscribe(one)).toBe(false);
    expect(await tombstones.countByService()).toEqual(new Map());
    expect(await undelete(deps, everything)).toEqual({ restored: 0, skipped: 0 });
    await actors.subscribe(one);
    expect(await actors.unsubscribe(one)).toBe(true);
    expect(await tombstones.countByService()).toEqual(new Map());
    expect(await all(store)).toEqual([]);
  });

  test('have one tombstone each, of the last removal, and are dropped when they are old', async () => {
    const { clock, store, tombstones, actors } = partsOn(await fixture.open());
    const one = exampleSubscription('one');
    for (const day of [0, 1, 2]) {
      clock.now = NOW_MS + day * DAY_MS;
      await store.upsert(one, clock.now);
      expect(await actors.tokenDied(one, clock.now + 1)).toBe(true);
    }
    const two = exampleSubscription('two');
    clock.now = NOW_MS;
    await actors.subscribe(two);
    await actors.tokenDied(two, NOW_MS + 1);
    expect(await tombstones.drop(NOW_MS + DAY_MS)).toBe(1);
    expect(await tombstones.drop(NOW_MS + 2 * DAY_MS)).toBe(0);
    expect(await tombstones.drop(NOW_MS + 2 * DAY_MS + 1)).toBe(1);
    expect(await tombstones.countByService()).toEqual(new Map());
  });

  test('come back while their clients subscribe and unsubscribe, and memory is what the table is', async () => {
    const { clock, store, index, actors, deps } = partsOn(await fixture.open());
    const subscriptions = Array.from({ length: 300 }, (_, number) => exampleSubscription(`${number}`));
    await Promise.all(subscriptions.map((subscription) => actors.subscribe(subscription)));
    for (let round = 0; round < 4; round += 1) {
      clock.now += 1000;
      await Promise.all(subscriptions.map((subscription) => actors.tokenDied(subscription, clock.now)));
      clock.now += 1000;
      await Promise.all([
        undelete(deps, everything),
        ...subscriptions
          .filter((_, number) => number % 3 === round % 3)
          .flatMap((subscription) => [
            actors.subscribe({ ...subscription, wantData: round % 2 === 0 }),
            ...(round % 2 === 0 ? [actors.unsubscribe(subscription)] : []),
          ]),
      ]);
      const rows = await all(store);
      expect(index.size).toBe(rows.length);
      expect(rows.filter((row) => !index.holds(row))).toEqual([]);
    }
  });

  test('that memory and table disagree about is corrected, row by row', async () => {
    const { store, index, metrics, actors, reconcile, changed } = partsOn(await fixture.open());
    const subscriptions = Array.from({ length: 30 }, (_, number) => exampleSubscription(`${number}`));
    await Promise.all(subscriptions.map((subscription) => actors.subscribe(subscription)));
    await reconcile();
    expect(metrics.subscriptionChanges.of('corrected').value).toBe(0);
    const at = (number: number): Subscription => subscriptions[number] ?? exampleSubscription('none');
    // Answers that got lost: of a removal, of an update, of a new one.
    await store.remove(at(5));
    await store.upsert({ ...at(6), wantData: false }, NOW_MS);
    await store.upsert(whole('new'), NOW_MS);
    index.remove(at(7));
    changed.length = 0;
    await reconcile();
    expect(metrics.subscriptionChanges.of('corrected').value).toBe(4);
    const rows = await all(store);
    expect(rows).toHaveLength(30);
    expect(index.size).toBe(30);
    expect(rows.filter((row) => !index.holds(row))).toEqual([]);
    expect(changed.length).toBeGreaterThanOrEqual(2);
    await reconcile();
    expect(metrics.subscriptionChanges.of('corrected').value).toBe(4);
  });
});
